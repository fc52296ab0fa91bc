import { h } from './dom.js';
import { askWarnings } from './screens.js';
import { certainty, markOf, refundFact, saleName, standing, underWay } from './refunds.js';
import { whoDecides } from './signin.js';
import { amountText, both, clockText, forManager, grouped, label, notice, withAmount } from './texts.js';

// The manager's page: what needs a person, the payments with their refunds, and the question that gives money back. It is a window of
// its own (?view=manager): nothing on it sells.
//
//   state.manage.tab       late, person, twice, untold, recent
//   state.manage.page      which page of the list, counting from 0
//   state.manage.open      the id of the payment that is looked at; '' for the list
//   state.manage.lists     {late, person, twice, untold, recent}: each a list of rows {payment, refund, message, next, twin}
//   state.manage.payment   the payment that is looked at, or null before it was read
//   state.manage.asking    goods_given, money_given_back or seen, while that is asked
//   state.manage.operator  typed so far, in the question about having seen; pinLike: what was typed may be a PIN, and was dropped
//   state.manage.refund    the refund that is being typed, or null: {step, amount, fresh, why, operator, pinLike, sending}

export const tabs = [['late', 'L'], ['person', 'P'], ['twice', 'D'], ['untold', 'U'], ['recent', 'A']];
// rowsOf is how many lines of a list fit in the smallest window: one that says why it is there takes up to three lines of its own.
export const rowsOf = (tab) => (['untold', 'recent'].includes(tab) ? 4 : 2);

export const reasons = 5; // refund_why_1 to refund_why_5
const refundsShown = 1; // beside the one that is the news

export function managerScreen(state) {
  const { manage, status } = state;
  if (!status || state.asking === 'warnings') return null;
  if (manage.refund && manage.payment) return steps[manage.refund.step](state, manage.payment, manage.refund);
  if (manage.asking && manage.payment) return answerScreen(state, manage.payment);
  if (manage.open && manage.payment) return paymentScreen(state, manage.payment);
  return listScreen(state);
}

// listScreen shows one list, a few lines at a time; a line is opened by its number.
function listScreen(state) {
  const { manage } = state;
  const rows = manage.lists[manage.tab] || [];
  const many = rowsOf(manage.tab);
  const pages = Math.max(1, Math.ceil(rows.length / many));
  const from = (manage.page % pages) * many;
  const shown = rows.slice(from, from + many);
  return {
    name: 'manage_list', rows: shown.map((row) => row.payment.id), keys: { digits: 'row', ...Object.fromEntries(tabs.map(([tab, key]) => [key.toLowerCase(), `tab:${tab}`])) },
    actions: [
      pages > 1 && { key: 'N', action: 'next_rows', label: `${label(state, 'more_rows')} (${manage.page % pages + 1}/${pages})` },
      { key: 'Esc', action: 'to_till', label: label(state, 'to_till') },
      ...[askWarnings(state)].filter(Boolean).map((w) => ({ ...w, alarm: true })),
    ].filter(Boolean),
    body: [
      h('div', { class: 'tabs', role: 'tablist' }, tabs.map(([tab, key]) => h('button', {
        type: 'button', key: tab, role: 'tab', 'data-action': `tab:${tab}`, 'aria-selected': String(tab === manage.tab),
      }, h('kbd', {}, key), h('span', {}, `${label(state, `tab_${tab}`)} ${tab === 'recent' ? '' : manage.lists[tab].length}`.trim())))),
      shown.length === 0 ? h('p', { class: 'nothing' }, '✓ ', label(state, 'nothing_here')) : h('p', { class: 'hint' }, label(state, 'choose_row')),
      shown.map((row, i) => h('button', { type: 'button', class: 'row', key: row.payment.id, 'data-action': `row:${i + 1}` },
        h('kbd', {}, String(i + 1)), h('span', { class: 'sum' }, grouped((row.refund || row.payment).amount_text)),
        h('span', { class: 'what' }, h('span', { class: 'sale' }, saleOf(state, row)), h('span', { class: row.message ? 'why alarm' : 'why' }, whyOf(state, row))))),
    ],
  };
}

function saleOf(state, row) {
  const at = (p) => `${dayOf(state, p)}${clockText(p.times.armed_at)}`;
  const among = state.manage.lists.recent.map((r) => r.payment);
  const one = (p) => `${at(p)} · ${saleName(state, p, among)}`;
  return row.twin ? `${one(row.payment)}  ↔  ${one(row.twin)}` : one(row.payment);
}

// dayOf names the day of a payment that is not of today.
function dayOf(state, p) {
  const today = new Date(state.now);
  const day = new Date(p.times.armed_at);
  return today.toDateString() === day.toDateString() ? '' : `${day.getDate()}.${day.getMonth() + 1}. `;
}

function whyOf(state, row) {
  if (row.message) return row.message[state.language];
  return `${markOf(row.payment)} ${standing(state, row.payment)}`;
}

// paymentScreen is all of one payment: what happened, what to do, its refunds, and the wishes that it takes. Where a refund is the news, its
// amount is the largest number, and no other refund comes first.
function paymentScreen(state, p) {
  const refunds = p.refunds || [];
  const refund = refundInNews(state, p, refunds);
  const others = refunds.filter((r) => r !== refund);
  const listed = others.slice(-refundsShown);
  const older = others.length - listed.length;
  const [message, next] = newsOf(state, p, refunds);
  const wish = { key: 'R', action: 'refund', label: label(state, refund ? 'refund_another' : 'refund'), disabled: !(p.refundable > 0) };
  const seen = toBeSeen(p);
  return {
    name: 'manage_payment', signs: [needsPerson(state, p, refunds) ? 'person' : refund ? '' : 'list', !refund && !p.attention && signOf[p.status], refund && signOfRefund[refund.status]].filter(Boolean), amount: (refund || p).amount_text,
    lead: !refund && p.final && p.acknowledged ? label(state, 'bill_looked_up') : '',
    beside: refund && [`${label(state, 'refund')}: ${label(state, `refund_${certainty(refund)}`)}`, [clockText(refund.times.requested_at), refund.operator, refund.wechat_code && `${label(state, 'wechat_code')} ${refund.wechat_code}`].filter(Boolean).join(' · ')],
    message: withAmount(message, (refund || p).amount_text), next: next && withAmount(forManager(state, next), p.amount_text),
    facts: [
      [`${label(state, 'sale')} ${saleName(state, p, state.manage.lists.recent.map((r) => r.payment))}`, refund && grouped(p.amount_text), `${dayOf(state, p)}${clockText(p.times.armed_at)}`, p.operator].filter(Boolean).join(' · '),
      moneyOf(state, p, refunds),
      [`${label(state, 'order_number')} ${p.id}`, p.wechat_code && `${label(state, 'wechat_code')} ${p.wechat_code}`].filter(Boolean).join(' · '),
      p.transaction_id && `${label(state, 'transaction_id')} ${p.transaction_id}`,
      p.how === 'money_given_back' && [label(state, 'money_given_back'), clockText(p.times.acknowledged_at), p.acknowledged_by].filter(Boolean).join(' · '),
      ...listed.map((r) => refundFact(state, r)),
      older > 0 && `${label(state, 'refund_older')}: ${older}`,
    ].filter(Boolean),
    actions: [
      !refund && wish,
      !seen && unanswered(p) && p.status === 'paid' && { key: 'A', action: 'ask:goods_given', label: label(state, 'goods_given') },
      !seen && unanswered(p) && underWay(refunds).length === 0 && { key: 'B', action: 'ask:money_given_back', label: label(state, 'money_back') },
      seen && { key: 'S', action: 'ask:seen', label: label(state, 'seen') },
      { key: 'Esc', action: 'back', label: label(state, 'back') },
      refund && wish,
    ].filter(Boolean),
  };
}

const signOf = { paid: 'tick', declined: 'cross', cancelled: 'cross', reversed: 'cross' };
const signOfRefund = { requested: 'question', processing: 'hourglass', refunded: 'returned', refused: 'cross', abnormal: 'triangle' };

// moneyOf tells what went back for certain from what may still go back.
function moneyOf(state, p, refunds) {
  if (!p.refunds) return '';
  const sum = (of) => of.reduce((all, r) => all + r.amount, 0);
  const open = sum(underWay(refunds));
  const say = (name, minor) => `${label(state, name)} ${amountText(state, minor, p.currency)}`;
  return [say('refund_certain', p.refunded), open > 0 && say('refund_uncertain', open), say('refund_left', p.refundable)].filter(Boolean).join(' · ');
}

// refundInNews is the refund that the payment's screen is about: one that needs a person, else the newest where it is not done, or has given all back.
function refundInNews(state, p, refunds) {
  if (p.attention || state.manage.concern?.twin) return null;
  const newest = refunds[refunds.length - 1];
  const all = newest && p.refunded >= p.amount;
  return [...refunds].reverse().find((r) => r.attention) || [...underWay(refunds)].pop() || (newest && (newest.status !== 'refunded' || all) ? newest : null);
}

// toBeSeen is what a person may end by having seen to it: a refund that is at its end, or what was learnt after the payment's.
export function toBeSeen(p) {
  const refund = (p.refunds || []).find((r) => r.final && r.attention);
  return refund ? { refund: refund.id } : p.late && p.late.needs_person && { late: p.id };
}

const needsPerson = (state, p, refunds) => p.attention || state.manage.concern || refunds.some((r) => r.attention);

// newsOf is what is said of a payment: what it was opened for, what needs a person, then its refund that is not at its end, then the payment.
function newsOf(state, p, refunds) {
  const { concern } = state.manage;
  const refund = refundInNews(state, p, refunds);
  if (concern && concern.twin) return [concern.message, concern.next];
  if (!refund) return [p.message, p.final && p.acknowledged && !p.attention ? null : p.next_step]; // what was to be done was done at the till
  return [refund.message, refund.next_step];
}

const unanswered = (p) => p.final && !p.acknowledged && (p.status === 'paid' || p.attention !== '');

const answers = { goods_given: ['goods_given_sure', 'goods_given_how', 'goods_given_yes'], money_given_back: ['money_back_sure', 'money_back_how', 'money_back_yes'] };

// answerScreen asks once what became of goods or money.
function answerScreen(state, p) {
  if (state.manage.asking === 'seen') return seenScreen(state, p);
  const [sure, how, yes] = answers[state.manage.asking];
  return {
    name: 'manage_sure', signs: ['question'], amount: p.amount_text, lead: `${label(state, 'sale')} ${p.sale_ref} · ${clockText(p.times.final_at)}`, message: both(state, sure), next: both(state, how),
    actions: [{ key: 'Enter', action: `answer:${state.manage.asking}`, label: label(state, yes) }, back(state)],
  };
}

// seenScreen asks who has seen to what needed a person.
function seenScreen(state, p) {
  const who = whoDecides(state, state.manage, 'manager');
  const refunds = p.refunds || [];
  const refund = refundInNews(state, p, refunds);
  const [message] = newsOf(state, p, refunds);
  return {
    name: 'manage_sure', signs: ['person', 'question'], amount: (refund || p).amount_text, message: both(state, 'seen_sure'), next: both(state, 'seen_how'),
    facts: [message[state.language]], typed: who.said, keys: who.keys, pad: who.pad,
    actions: [{ key: 'Enter', action: 'answer:seen', label: label(state, 'seen_yes'), disabled: !who.ready }, back(state)],
  };
}

const steps = { amount: amountStep, reason: reasonStep, sure: sureStep };

const back = (state) => ({ key: 'Esc', action: 'back', label: label(state, 'back') });

const typed = (state, p, r) => amountText(state, r.amount || '0', p.currency);

function amountStep(state, p, r) {
  const over = Number(r.amount) > p.refundable;
  return {
    name: 'manage_refund', frame: over ? 'undecided' : '', signs: ['returned'], amount: typed(state, p, r),
    message: both(state, over ? 'refund_over' : 'refund_amount'), next: both(state, r.fresh ? 'refund_amount_how' : 'refund_amount_typed'),
    facts: [`${label(state, 'sale')} ${p.sale_ref} · ${grouped(p.amount_text)}`, moneyOf(state, p, p.refunds || []) || `${label(state, 'refund_left')} ${amountText(state, p.refundable, p.currency)}`],
    keys: { digits: 'refund_amount' }, pad: { action: 'refund_digit', extra: '00' },
    actions: [{ key: 'Enter', action: 'refund_step:reason', label: label(state, 'next_step'), first: true, disabled: over || !(Number(r.amount) > 0) }, back(state)],
  };
}

function reasonStep(state, p, r) {
  return {
    name: 'manage_refund', signs: ['question'], amount: typed(state, p, r), message: both(state, 'refund_reason'), next: both(state, 'refund_reason_how'), keys: {},
    actions: [...Array.from({ length: reasons }, (_, i) => ({ key: String(i + 1), action: `refund_why:${i + 1}`, label: label(state, `refund_why_${i + 1}`) })), back(state)],
  };
}

// sureStep asks once. While the wish is on its way its button does nothing more, and a repeat of it is the same refund by its key.
function sureStep(state, p, r) {
  if (r.problem) return notTaken(state, p, r);
  const who = whoDecides(state, r, 'manager');
  return {
    name: 'manage_sure', frame: 'undecided', signs: ['returned', r.sending ? 'hourglass' : 'question'], amount: typed(state, p, r),
    message: both(state, r.sending ? 'refund_sending' : 'refund_sure'), next: both(state, r.sending ? 'refund_sending_how' : 'refund_sure_how'),
    facts: [`${label(state, 'sale')} ${p.sale_ref} · ${label(state, `refund_why_${r.why}`)}`], typed: r.sending ? '' : who.said,
    keys: r.sending ? {} : who.keys, pad: r.sending ? null : who.pad,
    actions: [{ key: 'Enter', action: 'refund_send', label: label(state, 'refund_yes'), disabled: !who.ready || r.sending }, { ...back(state), disabled: r.sending }],
  };
}

// notTaken says why the wish was not taken. Nothing is sent from here again: the way leads back to the payment and its refunds.
function notTaken(state, p, r) {
  const texts = notice(state, r.problem);
  return {
    name: 'manage_sure', frame: 'undecided', signs: [r.problem === 'refund_unheard' ? 'question' : 'cross'], amount: typed(state, p, r), message: texts.message, next: texts.next_step,
    facts: [`${label(state, 'sale')} ${p.sale_ref} · ${label(state, `refund_why_${r.why}`)}`], actions: [{ ...back(state), first: true }],
  };
}

// listsOf sorts what the agent names into the lists of the page.
export function listsOf(concerns, unannounced, recent) {
  const row = (c) => ({ payment: c.payments[0], twin: c.kind === 'suspected_duplicate' ? c.payments[1] : null, refund: c.refund || null, message: c.message, next: c.next_step });
  const of = (kind) => concerns.filter((c) => c.kind === kind && c.payments.length > 0).map(row);
  const plain = (payment) => ({ payment, refund: null, message: null, next: null, twin: null });
  return {
    late: of('late_success'), person: of('person'), twice: of('suspected_duplicate'),
    untold: [...unannounced].reverse().map(plain), recent: [...recent].sort((a, b) => b.times.armed_at.localeCompare(a.times.armed_at)).map(plain),
  };
}

