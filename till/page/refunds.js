import { amountText, clockText, grouped, label } from './texts.js';

// What is said of a payment's refunds, wherever a payment is named: the lists, the bill's answer, the manager's page.

const marks = { requested: '…', processing: '→', refunded: '✓', refused: '✖', abnormal: '⚠' };

// certainty is a refund's status as far as it is known: one that WeChat Pay had taken on and now does not know is as open as one just asked for.
export const certainty = (r) => (r.attention === 'refund_vanished' ? 'requested' : r.status);

// underWay are the refunds of which it is not certain that the customer has, or will have, the money.
export const underWay = (refunds) => (refunds || []).filter((r) => !['refunded', 'refused'].includes(r.status));

// refundFact is one refund in one line.
export function refundFact(state, r) {
  return [`${marks[r.status] || ''} ${label(state, 'refund')} ${grouped(r.amount_text)}: ${label(state, `refund_${certainty(r)}`)}`, clockText(r.times.requested_at), r.operator, r.wechat_code && `${label(state, 'wechat_code')} ${r.wechat_code}`].filter(Boolean).join(' · ');
}

const allBack = (p) => p.status === 'paid' && p.refunded >= p.amount;

// standing is where a payment stands in a few words: its status, money that came late, and what was given back of it. briefly leaves the amounts out.
export function standing(state, p, briefly) {
  if (p.late && p.late.money_seen) return label(state, p.late.stage === 'given_back' ? 'status_late_back' : 'status_late');
  if (allBack(p)) return label(state, 'status_refunded');
  const status = label(state, `status_${p.status}`);
  const open = underWay(p.refunds);
  if (briefly) return p.refunded > 0 || open.length > 0 || p.how === 'money_given_back' ? label(state, 'status_part_back') : status;
  return [
    status,
    p.refunded > 0 && `${label(state, 'refunded_so_far')} ${amountText(state, p.refunded, p.currency)}`,
    ...open.map((r) => `${label(state, 'refund')} ${grouped(r.amount_text)}: ${label(state, `refund_${certainty(r)}`)}`),
    p.how === 'money_given_back' && label(state, 'status_by_hand'),
  ].filter(Boolean).join(' · ');
}

const signs = { paid: '✓', declined: '✖', reversed: '✖', cancelled: '–', reversing: '✖', confirming: '⚠', paying: '…', waiting: '…' };

// markOf is that in one sign: the bent arrow is for money that was paid and went back.
export const markOf = (p) => (allBack(p) || (p.late && p.late.money_seen) ? '↩' : signs[p.status] || '');

// saleName names a payment's sale, and which try of it this is where there was more than one.
export function saleName(state, p, among) {
  const several = p.attempt > 1 || (among || []).some((q) => q.sale_ref === p.sale_ref && q.id !== p.id);
  return several ? `${p.sale_ref} · ${label(state, 'try').replace('#', p.attempt)}` : p.sale_ref;
}
