import { h } from './dom.js';
import { markOf, refundFact, saleName, standing } from './refunds.js';
import { both, clockText, grouped, label, notice } from './texts.js';

// The screens of what was looked up: what the number on a customer's bill means, and the last payments. None of them is about a new sale.

const rowsMax = 4;
const lastMax = 20;

export const findScreens = {
  scan: scanScreen,
  asking: (state) => ({ name: 'bill_asking', signs: ['bill', 'hourglass'], lead: label(state, 'bill_looked_up'), message: both(state, 'bill_asking'), next: both(state, 'bill_asking_how'), actions: [back(state)] }),
  answer: answerScreen,
  last: lastScreen,
};

const back = (state) => ({ key: 'Esc', action: 'find_back', label: label(state, 'back') });

function scanScreen(state) {
  const { typed } = state.finding;
  return {
    name: 'bill_scan', signs: ['bill', 'barcode'], lead: label(state, 'bill_looked_up'), message: both(state, 'bill_scan'), next: both(state, 'bill_scan_how'),
    typed: `${label(state, 'bill_number')}: ${typed || '…'}`, keys: { text: 'bill' }, pad: { action: 'bill_digit' },
    actions: [{ key: 'Enter', action: 'find_typed', label: label(state, 'bill_find'), first: true, disabled: typed.length < 6 }, back(state)],
  };
}

// signsOf tells the answers apart without colour; the tick stays with a payment that was made just now.
const signsOf = {
  paid: ['bill', 'equal'], goods_given: ['bill', 'equal'], money_back: ['bill', 'returned'], undecided: ['bill', 'hourglass'], taking_back: ['bill', 'back'], taken_back: ['bill', 'returned'],
  not_paid: ['bill', 'cross'], late: ['bill', 'person'], other_paid: ['bill', 'question'], other_unpaid: ['bill', 'cross'], not_ours: ['bill', 'zero'], not_asked: ['bill', 'plug'],
  payment_code: ['struck'], no_number: ['struck'],
};
const frames = { paid: 'good', goods_given: 'open', undecided: 'striped', late: 'attention', not_asked: 'open', other_paid: 'open', payment_code: 'open', no_number: 'open', not_ours: 'open' };

function answerScreen(state) {
  const { bill, note, refused, asked, scanned } = state.finding;
  if (!bill.answer) return { name: 'bill_asking', signs: ['bill', 'cross'], ...refusal(state, bill.refused), actions: [another(state), back(state)] };
  const p = bill.payment;
  const shown = p || bill.order;
  const why = refused && notice(state, refused).message[state.language];
  return {
    name: 'found', frame: bill.answer === 'paid' && p?.refunds?.length ? 'open' : frames[bill.answer] || 'bad', signs: signsFor(bill), amount: shown ? shown.amount_text : '', lead: note ? `… ${label(state, note)}` : asked ? askedFact(state, asked, p) : label(state, 'bill_looked_up'),
    message: bill.message, next: bill.next_step, sound: bill.answer === 'payment_code' ? 'wrong_code' : '',
    facts: [why && `✖ ${why}`,
      ...refundsOf(state, p),
      scanned && ['paid', 'goods_given'].includes(bill.answer) && `✓ ${label(state, 'bill_agrees')}`,
      p && [`${label(state, 'sale')} ${saleName(state, p, state.payments)}`, whenOf(state, p.times.armed_at), bill.answer !== 'late' && standing(state, p, true)].filter(Boolean).join(' · '),
      bill.order && [bill.order.number, bill.order.paid_at && whenOf(state, bill.order.paid_at)].filter(Boolean).join(' · ')].filter(Boolean),
    actions: [p && mayAskAgain(p) && { key: 'C', action: 'find_again', label: label(state, 'check_again'), disabled: Boolean(note) }, another(state), back(state)].filter(Boolean),
  };
}

// signsFor: the bent arrow stands for money that was seen to be taken and went or goes back, and for no other end.
function signsFor({ answer, payment }) {
  const untaken = answer === 'taken_back' && !payment?.money_return?.was_taken && !payment?.late?.money_seen;
  return untaken ? signsOf.not_paid : signsOf[answer] || ['bill', 'question'];
}

const refundsShown = 2;

// refundsOf are the newest refunds of a payment; a list of more stands at the manager's page.
function refundsOf(state, p) {
  const refunds = (p && p.refunds) || [];
  const older = refunds.length - refundsShown;
  return [...refunds.slice(-refundsShown).map((r) => refundFact(state, r)), older > 0 && `${label(state, 'refund_older')}: ${older}`].filter(Boolean);
}

// askedFact says when WeChat Pay was asked again, and what has come of it.
function askedFact(state, asked, p) {
  const stage = p && p.late && p.late.stage;
  const came = { check_owed: 'asked_waits', clear: 'asked_clear' }[stage] || 'asked_above';
  return `${label(state, 'asked_at')} ${asked}: ${label(state, came)}`;
}

function refusal(state, kind) {
  const texts = notice(state, kind);
  return { message: texts.message, next: texts.next_step };
}

const another = (state) => ({ key: 'B', action: 'find_bill', label: label(state, 'check_bill') });

// mayAskAgain: WeChat Pay is asked again about what ended unpaid and may have left; about an open one it is asked by itself.
const mayAskAgain = (p) => p.final && p.status !== 'paid' && Boolean(p.times.pay_started_at);

function whenOf(state, time) {
  const at = new Date(time);
  const today = new Date(state.now).toDateString() === at.toDateString();
  return `${today ? '' : `${at.getDate()}.${at.getMonth() + 1}. `}${clockText(time)}`;
}

// lastOf are the newest payments, the newest first.
export const lastOf = (state, many) => [...state.payments].sort((a, b) => b.times.armed_at.localeCompare(a.times.armed_at)).slice(0, many);

function lastScreen(state) {
  const { finding } = state;
  const all = lastOf(state, lastMax);
  const pages = Math.max(1, Math.ceil(all.length / rowsMax));
  const at = finding.page % pages;
  finding.rows = all.slice(at * rowsMax, at * rowsMax + rowsMax);
  return {
    name: 'last_list', keys: { digits: 'find_row' },
    actions: [pages > 1 && { key: 'N', action: 'find_more', label: `${label(state, 'more_rows')} (${at + 1}/${pages})` }, another(state), back(state)].filter(Boolean),
    body: [
      h('h1', { class: 'message' }, label(state, 'last_payments')),
      h('p', { class: 'hint' }, label(state, all.length > 0 ? 'last_how' : 'no_payments')),
      finding.rows.map((p, i) => h('button', { type: 'button', class: 'row', key: p.id, 'data-action': `find_row:${i + 1}` },
        h('kbd', {}, String(i + 1)), h('span', { class: 'sum' }, grouped(p.amount_text)),
        h('span', { class: 'what' }, h('span', { class: 'sale' }, `${markOf(p)} ${standing(state, p)} · ${whenOf(state, p.times.armed_at)}`),
          h('span', { class: 'why' }, saleName(state, p, state.payments))))),
    ],
  };
}
