import { h } from './dom.js';
import { markOf, saleName, standing } from './refunds.js';
import { amountOf } from './signs.js';
import { whoDecides } from './signin.js';
import { findScreens, lastOf } from './find.js';
import { practice, trainingQuestion } from './practice.js';
import { optionsScreen, shiftLine, shiftScreen } from './shift.js';
import { amountText, both, clockText, filled, forManager, grouped, inSeconds, label, notice, noteText, since, until, withAmount, withoutAmount } from './texts.js';

// screenOf chooses the one screen of a state: its name, signs, texts, and the keys that do something now. What binds the cashier most
// comes first: a lost agent, then the payment, then why none can be taken, then the keypad.
export function screenOf(state) {
  if (state.lost) return state.asking === 'lost' ? lostManager(state) : lost(state);
  if (state.asking && questions[state.asking] && state.payment) return questions[state.asking](state, state.payment);
  if (state.payment && !(state.finding && looksUpFrom(state.payment))) return paymentScreen(state, state.payment);
  if (!state.status) return starting(state);
  if (state.finding) return findScreens[state.finding.step](state);
  if (aside[state.asking]) return aside[state.asking](state);
  if (!state.status.ready) return offline(state);
  return idle(state);
}

// aside are the screens that stand beside the keypad, and about no payment.
const aside = { warnings, shift: shiftScreen, options: optionsScreen, training: trainingQuestion };

// looksUpFrom reports a result whose bill may be looked up before it is answered: not paid here, and the customer's phone may say paid.
const looksUpFrom = (p) => p.status === 'declined';

const noticeSeconds = 12; // how long a refused scan is said

// paymentScreen is the screen of a payment's status, with the texts that came with it.
function paymentScreen(state, p) {
  const screen = statuses[p.status](state, p);
  screen.amount ??= p.amount_text;
  screen.message ??= withoutAmount(p.message, p.amount_text);
  screen.next ??= withAmount(p.next_step, p.amount_text);
  if (p.attention) needsPerson(state, p, screen);
  if (p.final && p.status !== 'paid' && p.late?.money_seen) earlierSale(state, p, screen);
  if (p.status !== 'waiting') alsoRefused(state, p, screen);
  if (state.note) screen.facts = [noteText(state), ...(screen.facts || [])];
  return screen;
}

// needsPerson shows that a person must look, whatever the status.
function needsPerson(state, p, screen) {
  screen.frame = 'attention';
  screen.signs = ['person', screen.signs.find((s) => s !== 'person')];
  if (p.attention === 'paid_after_the_end') paidAfterTheEnd(state, p, screen);
  if (p.attention === 'amount_mismatch') Object.assign(screen, { signs: ['person', 'unequal'], facts: [] }); // nobody waits for seconds: a person decides
  screen.ring = null;
  if (p.final && p.status !== 'paid') screen.actions = [seen(state), hasSlip(p) && print(state, 'print_slip')].filter(Boolean); // no new try before a person has looked
  screen.actions = [manager(state), ...screen.actions.filter((a) => a.action !== 'ask:manager')];
}

// paidAfterTheEnd: the cross of the status that it ended with would say that the customer still has to pay.
function paidAfterTheEnd(state, p, screen) {
  screen.lead = saleLead(state, p);
  screen.signs = ['person', 'question'];
}

// earlierSale says first that the page is about a sale of before, and takes no money for one that another try has paid.
function earlierSale(state, p, screen) {
  screen.lead = `${label(state, 'earlier_sale')} · ${clockText(p.times.armed_at)} · ${grouped(p.amount_text)}`;
  if (!p.attention) screen.actions = [seen(state), ...screen.actions.filter((a) => a.action !== 'other_means')]; // its customer is hardly here
  if (!state.payments.some((q) => q.id !== p.id && q.sale_ref === p.sale_ref && q.status === 'paid')) return;
  screen.lead += ` · ${label(state, 'sale_paid_since')}`;
  if (p.attention) return;
  screen.facts = [];
  screen.next = both(state, 'sale_paid_since_next');
  screen.actions = [seen(state), hasSlip(p) && print(state, 'print_slip')].filter(Boolean);
}

// hasSlip reports that something true can stand on paper: NOT PAID is not true of what was paid after the end.
export function hasSlip(p) {
  return ['paid', 'declined', 'reversing', 'reversed'].includes(p.status) && p.attention !== 'paid_after_the_end';
}

// alsoRefused says beside a payment that a scan was not taken; where R comes before the next one, in the place of what to do.
function alsoRefused(state, p, screen) {
  const kind = state.refused || (!p.final && recent(state, p.notice) && !(p.notice.at < p.times.scanned_at) && p.notice.kind);
  if (!kind || (!state.refused && unreadyKinds.includes(kind))) return; // what kept an earlier scan of it back is over
  if (kind === 'scan_again_first') {
    screen.next = Object.fromEntries(Object.entries(notice(state, kind).message).map(([language, text]) => [language, `${text}${language === 'en' ? '. ' : '。'}${p.next_step[language]}`]));
    screen.alert = `${kind} ${state.refusals || 0}`;
    return;
  }
  screen.facts = [`✖ ${notice(state, kind).message[state.language]}`, ...(screen.facts || [])];
}

function recent(state, refused) {
  return refused && since(state, refused.at) < noticeSeconds;
}

const statuses = { waiting, paying, confirming, reversing, paid, declined, reversed, cancelled };

function waiting(state, p) {
  const kind = state.refused || (recent(state, p.notice) && p.notice.kind);
  const unready = unreadyFor(state, p, kind);
  if (unready) return unreached(state, unready, kind && `${kind} ${state.refused ? state.refusals : p.notice.at}`);
  const screen = kind && !unreadyKinds.includes(kind) ? wrongCode(state, kind) : { name: 'waiting', signs: ['barcode'], sound: 'waiting' };
  const left = until(state, p.times.scan_until);
  const whole = (Date.parse(p.times.scan_until) - Date.parse(p.times.armed_at)) / 1000;
  if (left !== null) screen.ring = { seconds: left, part: Math.min(1, left / whole), label: label(state, 'left') };
  screen.actions = state.codeOpen
    ? [{ key: 'Enter', action: 'send_code', label: label(state, 'send_code'), first: true, disabled: !state.codeLength }, { key: 'Esc', action: 'close_code', label: label(state, 'back') }]
    : [otherWallets.includes(kind) && endByOtherMeans(state), { key: 'Esc', action: 'cancel', label: label(state, 'cancel') }, { key: 'T', action: 'type_code', label: label(state, 'type_code') }].filter(Boolean);
  screen.keys = { digits: 'code' };
  if (state.codeOpen) screen.pad = { action: 'code_digit' };
  if (state.codeOpen) screen.typed = `${label(state, 'type_code')}: ${'●'.repeat(Math.min(state.codeLength, 24))} (${state.codeLength}/18)`;
  return practice(state, screen);
}

const unreachedKinds = ['no_network', 'captive_portal', 'not_verified', 'clock_unset'];
const unreadyKinds = [...unreachedKinds, 'stopping', 'clock', 'journal', 'key_mismatch', 'certificate', 'certificate_refused', 'certificate_early', 'no_certificate'];

// unreadyFor is why a code would not be taken for a payment that waits for one: as the status says, or a refused scan that is newer than the status.
function unreadyFor(state, p, kind) {
  const { status } = state;
  if (status && !status.ready) return status.not_ready?.reason || 'other';
  if (!unreadyKinds.includes(kind)) return '';
  const at = state.refused ? state.refusedAt : Date.parse(p.notice.at);
  return status && Date.parse(status.now) > at ? '' : kind;
}

// unreached is a payment that is still armed while no code can be taken: it ends by K, or goes on by itself.
function unreached(state, kind, alert) {
  const away = unreachedKinds.includes(kind);
  return {
    name: 'unreached', signs: ['plug'], sound: 'offline', alert, message: away ? both(state, 'armed_unreached') : notice(state, kind).message,
    next: both(state, away ? 'armed_unreached_next' : 'armed_unready_next'),
    actions: [endByOtherMeans(state), { key: 'Esc', action: 'cancel', label: label(state, 'cancel') }],
  };
}

// endByOtherMeans ends a payment that waits for a code, and says that its amount is taken by other means.
const endByOtherMeans = (state) => ({ key: 'K', action: 'end_for_other_means', label: label(state, 'other_means') });

const otherWallets = ['alipay', 'unionpay', 'wrong_prefix']; // the customer may want to pay with what was scanned

function wrongCode(state, kind) {
  const texts = notice(state, kind);
  return { name: 'wrong_code', signs: ['struck'], message: texts.message, next: texts.next_step, sound: 'wrong_code' };
}

const startOf = (p) => p.times.pay_started_at || p.times.scanned_at;

function seconds(state, p) {
  const gone = since(state, startOf(p));
  return gone === null ? null : { seconds: gone, part: null, label: label(state, 'so_far') };
}

function paying(state, p) {
  return { name: 'paying', signs: ['hourglass'], ring: seconds(state, p), actions: [] };
}

// confirming is two screens: the customer is seen to be typing, or nothing is known.
function confirming(state, p) {
  if (p.sale_may_use_other_means) return notOurs(state);
  if (p.reason === 'customer_enters_password' && !p.cancel_asked && !p.attention && !p.set_aside) return password(state, p);
  return unknown(state, p);
}

function password(state, p) {
  const early = until(state, p.times.cancel_from);
  const text = early ? filled(state, 'cancel_in', early) : label(state, 'cancel_now');
  return { name: 'password', signs: ['phone'], ring: seconds(state, p), sound: 'password', facts: endsByItself(state, p), actions: [{ key: 'C', pad: 'Escape', action: 'ask:cancel', label: text, disabled: early > 0 }] };
}

// endsByItself is when the till takes back what has no result by then.
function endsByItself(state, p) {
  const left = until(state, p.times.reverse_at);
  return left > 0 && !p.attention && !p.set_aside ? [filled(state, 'ends_itself', left)] : [];
}

const soundAfter = 4; // s that an answer is open: before that it would be heard as a failure of what is paid a moment later

function unknown(state, p) {
  const wait = until(state, p.times.next_step_at);
  const gone = seconds(state, p);
  return {
    name: 'unknown', frame: 'striped', signs: ['triangle'], sound: p.attention || !gone || gone.seconds >= soundAfter ? 'unknown' : '', actions: [manager(state)],
    ring: wait > 0 ? { seconds: wait, part: null, label: label(state, 'to_answer') } : { seconds: null, part: null, label: label(state, 'asking') },
    facts: [[gone && `${inSeconds(state, gone.seconds)} ${gone.label}`, wait > 0 ? `${label(state, 'asked_again')} ${inSeconds(state, wait)}` : label(state, 'asking_now'), ...endsByItself(state, p)].filter(Boolean).join(' · ')],
  };
}

function notOurs(state) {
  return withOtherMeans(state, { name: 'another', frame: 'attention', signs: ['person', 'cross'], sound: 'declined', actions: [manager(state), otherMeans(state)] });
}

function reversing(state) {
  return withOtherMeans(state, { name: 'reversing', signs: ['back'], sound: 'declined', actions: [otherMeans(state), print(state, 'print_slip')] });
}

// withOtherMeans says first that the sale was taken by other means, once that was noted: NOT PAID would have the cashier ask again.
function withOtherMeans(state, screen) {
  if (!state.otherMeans) return screen;
  return { ...screen, frame: 'elsewhere', signs: ['cash'], sound: '', message: both(state, 'other_means_done'), next: both(state, 'other_means_taken'), actions: screen.actions.filter((a) => a.action !== 'other_means') };
}

function paid(state, p) {
  if (state.status?.training) return practised(state);
  if (p.refunds?.length && p.refundable === 0) return goneBack(state, p);
  const screen = { name: 'paid', signs: ['tick'], sound: 'paid', facts: payerFacts(state, p) };
  if (!state.recovered) {
    screen.actions = [{ key: 'Enter', action: 'next', label: label(state, 'next'), first: true }, print(state, 'print')];
    return screen;
  }
  // The result is older than this page: goods may have gone or not, and only a person knows.
  const others = unanswered(state).length;
  return {
    ...screen, name: 'not_announced', signs: ['question'], message: both(state, 'not_announced'), next: both(state, 'not_announced_next'), sound: '',
    lead: saleLead(state, p), facts: others > 0 ? [`${label(state, 'older_unanswered')}: ${others}`] : [],
    actions: [...whatBecame(state), print(state, 'print')],
  };
}

// goneBack: all of the money went back, or is on its way, before anybody said what became of the goods.
function goneBack(state, p) {
  return { name: 'not_announced', signs: ['returned'], facts: [saleLead(state, p)], actions: whatBecame(state) };
}

// whatBecame are the two answers about goods and money, each of which asks once more, and whoever knows better.
function whatBecame(state) {
  return [
    { key: 'A', pad: 'Enter', action: 'ask:goods_given', label: label(state, 'goods_given') },
    { key: 'B', pad: '0', action: 'ask:money_back', label: label(state, 'money_given_back') },
    { ...manager(state), label: label(state, 'manager') },
  ];
}

// practised is what would be PAID: at a glance it must be no real sale's screen.
function practised(state) {
  return {
    name: 'paid', frame: 'practice', signs: ['flag'], sound: 'paid', spoken: 'practice_paid', message: both(state, 'practice_paid'), next: both(state, 'practice_paid_next'),
    actions: [{ key: 'Enter', action: 'next', label: label(state, 'next'), first: true }, print(state, 'print')],
  };
}

const saleLead = (state, p) => `${label(state, 'sale')} ${p.sale_ref} · ${clockText(p.times.final_at)}`;

// unanswered are the other results that wait for an answer.
function unanswered(state) {
  return state.payments.filter((q) => q.final && !q.acknowledged && q.id !== state.payment.id && ['paid', 'reversed'].includes(q.status));
}

function payerFacts(state, p) {
  if (!p.payer_amount || p.payer_currency === p.currency) return [];
  return [`${label(state, p.payer_currency === 'CNY' ? 'paid_yuan' : 'customer_paid')}: ${amountText(state, p.payer_amount, p.payer_currency)}`];
}

function declined(state, p) {
  const other = otherMeans(state);
  if (p.reason === 'no_network') return { name: 'declined', signs: ['cross', 'plug'], sound: 'declined', actions: [other, scanAgain(state)] };
  const again = p.reason === 'configuration' ? [other, scanAgain(state)] : [{ ...scanAgain(state), pad: 'Enter' }, other]; // another scan would meet the same
  return {
    name: 'declined', signs: ['cross'], sound: 'declined', facts: [label(state, 'phone_says_paid')],
    actions: [...again, { key: 'B', action: 'find_bill', label: label(state, 'check_bill') }],
  };
}

// reversed is two screens: money goes back or may go back, or none was ever taken.
function reversed(state, p) {
  if (state.otherMeans) return reversedElsewhere(state);
  const untaken = p.reason === 'never_arrived' && !p.attention && !(p.late && p.late.money_seen); // one that shows up after its end has arrived after all
  const taken = p.money_return?.was_taken || p.late?.money_seen; // the bent arrow is for money that was seen to be taken
  return {
    name: 'reversed', frame: untaken ? 'untaken' : '', signs: untaken ? ['zero'] : taken ? ['returned'] : ['cross'], sound: 'reversed',
    actions: [otherMeans(state), print(state, 'print_slip'), scanAgain(state)], // the first two where they were while it was taken back
  };
}

// reversedElsewhere: the sale was taken by other means while WeChat Pay was still being asked; there is nothing to scan or to take again.
function reversedElsewhere(state) {
  return {
    name: 'reversed', frame: 'elsewhere', signs: ['cash'], message: both(state, 'other_means_done'), next: both(state, 'other_means_back'),
    actions: [{ key: 'Enter', pad: 'Escape', action: 'other_means', label: label(state, 'next'), first: true }, print(state, 'print_slip')],
  };
}

function cancelled(state) {
  return { name: 'cancelled', signs: ['cross'], actions: [scanAgain(state), { key: 'Enter', pad: 'Escape', action: 'next', label: label(state, 'next'), first: true }] };
}

const seen = (state) => ({ key: 'Enter', action: 'seen', label: label(state, 'seen') });
const scanAgain = (state) => ({ key: 'R', action: 'scan_again', label: label(state, 'scan_again') });
const otherMeans = (state) => ({ key: 'K', pad: 'Escape', action: 'other_means', label: label(state, 'other_means') });
const manager = (state) => ({ key: 'M', action: 'ask:manager', label: label(state, 'call_manager') });
const print = (state, name) => ({ key: 'P', action: 'print', label: label(state, name) });
const back = (state) => ({ key: 'Esc', action: 'back', label: label(state, 'back') });

const questions = {
  cancel: (state, p) => ({
    name: 'question', signs: ['question'], amount: p.amount_text, message: both(state, 'cancel_sure'), next: both(state, 'cancel_what'),
    actions: [{ key: 'Enter', action: 'cancel', label: label(state, 'cancel_yes') }, back(state)],
  }),
  goods_given: (state, p) => ({
    name: 'question', signs: ['question'], amount: p.amount_text, lead: saleLead(state, p), message: both(state, 'goods_given_sure'), next: both(state, 'goods_given_how'),
    actions: [{ key: 'Enter', action: 'goods_given', label: label(state, 'goods_given_yes') }, back(state)],
  }),
  money_back: (state, p) => ({
    name: 'question', signs: ['question'], amount: p.amount_text, lead: saleLead(state, p), message: both(state, 'money_back_sure'), next: both(state, 'money_back_how'),
    actions: [{ key: 'Enter', action: 'money_back', label: label(state, 'money_back_yes') }, back(state)],
  }),
  manager: managerScreen,
  set_aside: setAside,
};

// managerScreen is what a manager needs to look a payment up. Nothing on it forces a result.
function managerScreen(state, p) {
  const from = p.attention ? 0 : until(state, p.times.set_aside_from);
  const possible = !p.final && !p.set_aside && from !== null && p.status !== 'waiting';
  const text = from > 0 ? `${label(state, 'set_aside')} (${label(state, 'in')} ${inSeconds(state, from)})` : label(state, 'set_aside');
  const waits = !p.final && !p.attention && p.status === 'confirming';
  return {
    name: 'manager', signs: ['person'], amount: p.amount_text, message: p.message, next: waits ? both(state, 'manager_waits') : withAmount(forManager(state, p.next_step), p.amount_text),
    facts: [[`${label(state, 'sale')} ${saleName(state, p, state.payments)}`, clockText(p.times.armed_at)].filter(Boolean).join(' · '), `${label(state, 'order_number')} ${p.id}`,
      p.transaction_id && `${label(state, 'transaction_id')} ${p.transaction_id}`, p.wechat_code && `${label(state, 'wechat_code')} ${p.wechat_code}`].filter(Boolean),
    actions: [possible && { key: 'S', action: 'ask:set_aside', label: text, disabled: from > 0 }, back(state)].filter(Boolean),
  };
}

function setAside(state, p) {
  const who = whoDecides(state, state, 'operator');
  return {
    name: 'question', frame: 'undecided', signs: ['person', 'question'], amount: p.amount_text, message: both(state, 'set_aside_sure'), next: both(state, 'set_aside_what'),
    facts: [], typed: who.said, keys: who.keys, pad: who.pad,
    actions: [{ key: 'Enter', action: 'set_aside', label: label(state, 'set_aside'), disabled: !who.ready }, back(state)],
  };
}

function lost(state) {
  const { payment } = state;
  const screen = { name: 'lost', signs: ['blank'], message: both(state, 'agent_lost'), next: both(state, 'agent_lost_idle'), sound: 'lost', actions: state.view === 'manager' ? [] : [{ ...manager(state), action: 'ask:lost' }] };
  if (!payment) return screen;
  return { ...screen, frame: 'striped', signs: ['triangle', 'blank'], amount: payment.amount_text, message: both(state, 'agent_lost_wait'), next: both(state, 'agent_lost_next') };
}

// lostManager is what a manager does where the agent itself is not heard.
function lostManager(state) {
  const p = state.payment;
  return {
    ...lost(state), signs: ['person', 'blank'], message: both(state, 'lost_manager'), next: both(state, 'lost_manager_next'),
    facts: p && [`${label(state, 'sale')} ${p.sale_ref} · ${clockText(p.times.armed_at)}`, `${label(state, 'order_number')} ${p.id}`], actions: [back(state)],
  };
}

function starting(state) {
  const texts = notice(state, 'starting');
  return { name: 'starting', signs: ['hourglass'], message: texts.message, next: texts.next_step, actions: [] };
}

function offline(state) {
  const why = state.status.not_ready || { reason: 'other' };
  const texts = notice(state, why.reason);
  const waits = ['stopping', 'recovering'].includes(why.reason);
  return { name: 'offline', lead: noteText(state) || (!waits && nothingOpen(state) ? label(state, 'nothing_charged') : ''), signs: [waits ? 'hourglass' : 'plug'], message: texts.message, next: texts.next_step, sound: waits ? '' : 'offline', actions: [!waits && { key: 'K', pad: 'Escape', action: 'clear', label: label(state, 'other_means') }, askWarnings(state)].filter(Boolean), keys: lookUpKeys };
}

// nothingOpen reports that no payment is under way, not even one that was set aside.
function nothingOpen(state) {
  return !state.status.holding && state.payments.every((p) => p.final);
}

// warningsFor returns the warnings that a reader sees, the worst first; 'all' is every reader. What is paid and not announced has a
// screen of its own.
export function warningsFor(state, reader) {
  const all = (state.status && state.status.warnings) || [];
  return all.filter((w) => w.code !== 'paid_not_announced' && (reader === 'all' || w.readers.includes(reader)));
}

// withManager gives the key M wherever the words ask for the manager: to the payment's facts, or to the manager's page.
export function withManager(state, screen, banner) {
  const said = [screen.message?.en, screen.next?.en, banner].join(' ');
  if (state.view || screen.body || screen.keys?.text || screen.name === 'manager' || state.asking === 'lost' || !/manager/i.test(said) || screen.actions.some((a) => a.key === 'M')) return screen;
  return { ...screen, actions: [...screen.actions, { ...manager(state), ...(!state.payment && { action: 'manage', label: label(state, 'manager') }) }] };
}

const lookUpKeys = { b: 'find_bill', l: 'find_last' };

// lookUps lead to what was sold before; they work without network too.
function lookUps(state) {
  return [{ key: 'B', action: 'find_bill', aux: true, label: label(state, 'check_bill') }, { key: 'L', action: 'find_last', aux: true, label: label(state, 'last_payments') }];
}

export function askWarnings(state) {
  const { length } = warningsFor(state, 'all');
  return length > 0 && { key: 'W', action: 'ask:warnings', label: `${label(state, 'warnings')} (${length})` };
}

// warnings says of one warning after another what happened and what to do now; W goes to the next.
function warnings(state) {
  const all = warningsFor(state, 'all');
  if (all.length === 0) return { name: 'warnings', signs: ['tick'], message: both(state, 'no_warnings'), next: both(state, 'back'), actions: [back(state)] };
  const at = state.warning % all.length;
  const here = state.view === 'manager'; // commands, files and devices are for the manager's page alone
  const next = { key: 'W', pad: 'Enter', action: 'next_warning', label: label(state, 'next_warning') };
  return {
    name: 'warnings', frame: all[at].severity, signs: [all[at].severity === 'red' ? 'cross' : 'triangle'], message: all[at].title, next: here ? all[at].next_step : all[at].cashier_step,
    facts: [here && all[at].detail && `${label(state, 'warning_detail')}: ${all[at].detail}`, `${label(state, 'warnings')}: ${at + 1}/${all.length}`].filter(Boolean), actions: [all.length > 1 && next, back(state)].filter(Boolean),
  };
}

const pad = ['7', '8', '9', '4', '5', '6', '1', '2', '3', '00', '0', '⌫'];
const recentMax = 4;

// idle is the keypad. Digits shift in from the right, as on every till: 1 2 5 0 is 12.50.
function idle(state) {
  const { currency } = state.status;
  const typed = state.typed || '';
  const next = state.refused ? notice(state, state.refused) : null;
  const enter = { key: 'Enter', action: 'arm', label: label(state, 'take_payment'), first: true, disabled: !/[1-9]/.test(typed) };
  return {
    name: 'idle', keys: { digits: 'amount', m: 'manage', s: 'ask:shift', o: 'ask:options' }, sound: state.refused ? 'wrong_code' : '',
    actions: [enter, { key: 'Esc', action: 'clear', label: label(state, 'clear') }, ...lookUps(state), askWarnings(state)].filter(Boolean),
    body: [
      h('h1', { class: 'message' }, label(state, 'enter_amount'), ' ', h('span', { class: 'second', lang: other(state) }, both(state, 'enter_amount')[other(state)])),
      amountOf(amountText(state, typed || '0', currency), { 'aria-live': 'polite' }, said(state)),
      h('div', { class: 'desk' },
        h('div', { class: 'keypad' }, pad.map((k) => h('button', { type: 'button', key: k, 'data-action': k === '⌫' ? 'erase' : `digit:${k}`, 'aria-label': k === '⌫' ? label(state, 'erase') : k }, k))),
        next ? refusedNote(state, next) : lastPayments(state)),
      shiftLine(state),
    ],
  };
}

// said stands over the empty amount for a moment, so that no key moves.
function said(state) {
  return noteText(state) && !state.typed && h('p', { class: 'noted', role: 'status' }, noteText(state));
}

function other(state) {
  if (state.language !== 'en') return 'en';
  return ['HKD', 'MOP', 'TWD'].includes(state.status.currency) ? 'zh-Hant' : 'zh-Hans';
}

function refusedNote(state, texts) {
  return h('div', { class: 'refused', role: 'alert' }, h('b', {}, `✖ ${texts.message[state.language]}`), h('p', {}, texts.next_step[state.language]));
}

function lastPayments(state) {
  const last = lastOf(state, recentMax);
  return h('div', { class: 'last' }, last.length > 0 && h('h2', {}, label(state, 'last_payments')),
    last.map((p) => h('button', { type: 'button', key: p.id, 'data-action': `look:${p.id}` }, h('span', { class: 'mark' }, markOf(p)), `${clockText(p.times.armed_at)} ${grouped(p.amount_text)} `, h('b', {}, standing(state, p, true)))));
}
