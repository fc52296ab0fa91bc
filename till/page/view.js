import { h } from './dom.js';
import { amountOf, ring, sign } from './signs.js';
import { hasSlip, screenOf, warningsFor, withManager } from './screens.js';
import { customerPage } from './customer.js';
import { numberPad } from './pad.js';
import { trainingBar } from './practice.js';
import { managerScreen } from './manager.js';
import { signInScreen, whoIsHere } from './signin.js';
import { amountText, both, clockText, grouped, inSeconds, label, labelIn, languages, notice, secondOf } from './texts.js';

// render makes of a state, a plain object, what the page shows and what its keys do. It is pure: the same state gives the same screen,
// whether it comes from a till or from the storybook.
//
//   state.words      labels, notices and currencies (words.json)
//   state.language   en, zh-Hans, zh-Hant
//   state.view       "customer" for the window that faces the customer, "manager" for the manager's page (manager.js)
//   state.now        the agent's time, in ms
//   state.status     the agent's status report, or null before the first
//   state.payment    the payment that the screen is about, or null
//   state.payments   all payments that the page knows
//   state.typed      digits of the amount so far
//   state.codeOpen, codeLength   typing a code: how many keys so far, never which
//   state.asking     the question that waits for an answer: cancel, manager, set_aside, goods_given, money_back, warnings, shift, options
//   state.warning    which warning its screen is about, counting from 0
//   state.operator   typed so far, in the question about setting aside; pinLike: what was typed may be a PIN, and was dropped
//   state.finding    what is being looked up, or null (finding.js)
//   state.muted, theme   this page's settings: no sound; '', light or dark
//   state.recovered  the result is older than this page
//   state.otherMeans the cashier has taken other means for the payment that is being taken back
//   state.lost       nothing has come from the agent for too long
//   state.refused    why the last scan or wish was refused (a key of notices), while it is said
//   state.note, noteAmount   a label that is said for a moment, and the amount in it
//   state.refusedAt, refusals   when it was refused, in ms, and how often that has happened
//   state.session, state.signin   who has signed in, and the screen for it (signin.js)
//
// It returns {tree, keys, name, sound, alert}: keys maps a key to the action that it stands for; another alert is a scan that was refused.
export function render(state) {
  if (state.view === 'customer') return customerPage(state);
  const made = (!state.lost && signInScreen(state)) || (!state.lost && state.view === 'manager' && managerScreen(state)) || screenOf(state);
  const banner = made.name !== 'warnings' && bannerOf(state, made.name);
  const screen = withManager(state, made, banner && banner.next && banner.next.en);
  const tree = h('div', { class: `page ${screen.name} ${screen.frame || ''}`, 'data-screen': screen.name, lang: state.language },
    header(state, screen.name), trainingBar(state), banner !== false && banners(state, banner), stage(state, screen), footer(state, screen), slip(state));
  return { tree, keys: keysOf(screen, state.status && state.status.training), name: screen.name, sound: screen.sound || '', spoken: screen.spoken, alert: screen.alert || '', acts: screen.actions.map((a) => a.action), rows: screen.rows };
}

// header names the till, what is open on the side, and the languages.
function header(state, name) {
  const { status } = state;
  const till = status ? [status.store, `${label(state, 'till')} ${status.till}`].filter(Boolean).join(' · ') : 'posagent';
  const aside = state.payments.filter((p) => p.set_aside && !p.final).length;
  return h('header', {},
    h('div', { class: 'name' }, till),
    name === 'idle' && h('button', { type: 'button', 'data-action': 'ask:options', key: 'options' }, h('kbd', {}, 'O'), ` ${label(state, 'options')}`),
    name === 'idle' && h('button', { type: 'button', 'data-action': 'manage', key: 'manage' }, h('kbd', {}, 'M'), ` ${label(state, 'manager')}`),
    state.view === 'manager' && status && status.holding && h('div', { class: 'aside' }, `⚠ ${label(state, 'payment_in_progress')}`),
    aside > 0 && h('div', { class: 'aside' }, `⚠ ${label(state, 'set_aside_open')}: ${aside}`),
    whoIsHere(state, name),
    h('nav', {}, languages.map(([language, short]) => h('button', {
      type: 'button', 'data-action': `language:${language}`, lang: language, 'aria-pressed': String(language === state.language),
      'aria-label': labelIn(state, language, 'language'),
    }, short))));
}

// What is done about a warning is said on the screens that leave room for it: on any other there is something more urgent to do.
const actOnBanner = ['idle', 'waiting', 'wrong_code'];

// bannerOf is the worst of what is away or will go wrong, what to do about it, and how many more there are. What only others can mend stands there
// beside the keypad alone. The manager's page counts them all at its key W.
function bannerOf(state, name) {
  if (state.view === 'manager' && name !== 'signin') return null;
  const own = [...away(state, name), ...warningsFor(state, 'cashier')];
  const [worst, ...more] = own.length > 0 || name !== 'idle' ? own : warningsFor(state, 'all');
  if (!worst) return null;
  return { ...worst, whose: own.length > 0 ? '' : `${label(state, 'manager')}: `, more: more.length, next: actOnBanner.includes(name) ? stepOf(state, worst) : null };
}

// stepOf is what to do about a warning: a payment that waits for a code must be ended before cash is taken.
function stepOf(state, warning) {
  return state.payment && networkWarnings.includes(warning.code) ? both(state, 'armed_unreached_next') : warning.cashier_step;
}

const networkWarnings = ['gateway_unreachable', 'captive_portal', 'not_verified_yet'];

// away says that WeChat Pay is not reached before a warning does: a cashier at the keypad has to know it before the next customer. Over a sign-in,
// which stands in its screen's place, it says why no payment can be taken.
function away(state, name) {
  const { status } = state;
  if (!status || status.warnings.some((w) => networkWarnings.includes(w.code))) return [];
  if (status.ready ? status.gateway.reachable : name !== 'signin') return [];
  const texts = state.payment ? { message: both(state, 'unreached'), next_step: both(state, 'armed_unreached_next') } : notice(state, status.ready ? 'no_network' : status.not_ready?.reason); // no cash beside a payment that is under way
  return [{ code: 'network_away', severity: 'red', title: texts.message, cashier_step: texts.next_step }];
}

function banners(state, banner) {
  if (!banner) return h('div', { class: 'banners', role: 'status' });
  const { severity, whose, title, more, next } = banner;
  return h('div', { class: 'banners', role: 'status' }, h('div', { class: `banner ${severity} ${whose ? 'others' : ''}`, key: banner.code },
    h('b', {}, severity === 'red' ? '✖ ' : '⚠ ', whose, title[state.language], more > 0 && ` · ${label(state, 'more_warnings')} ${more}`),
    next && h('p', {}, next[state.language])));
}

const shortMessage = 26; // columns that fit in large letters; a Chinese character takes two

const isShort = (text) => text.replace(/[^\x00-\xff]/g, 'xx').length <= shortMessage;

// stage is the state itself: sign, amount, what happened, what to do now.
function stage(state, screen) {
  if (screen.body) return h('main', { class: 'stage', key: screen.name }, screen.body);
  const second = secondOf(state.language, currencyOf(state));
  const lead = screen.lead && h('p', { class: 'lead' }, screen.lead);
  const next = screen.next && screen.next[state.language];
  const said = [
    h('h1', { class: isShort(screen.message[state.language]) ? 'message short' : 'message' }, screen.message[state.language]),
    h('p', { class: 'second', lang: second }, screen.message[second]),
    next && h('p', { class: 'next' }, h('span', { class: 'arrow', 'aria-hidden': 'true' }, '➜'), h('span', {}, next)),
    (screen.facts || []).map((fact) => h('p', { class: 'fact' }, fact)),
  ];
  return h('main', { class: screen.pad ? 'stage padded' : 'stage', key: screen.name, 'aria-live': 'assertive' },
    h('div', { class: 'top' },
      h('div', { class: 'signs' }, screen.signs.map(sign)),
      screen.amount && amountOf(screen.amount),
      screen.beside && h('p', { class: 'beside' }, h('b', {}, screen.beside[0]), ' ', h('span', {}, screen.beside[1])),
      !screen.amount && lead,
      screen.ring && ring(screen.ring.seconds, screen.ring.part, screen.ring.label, inSeconds(state, screen.ring.seconds))),
    screen.amount && lead,
    screen.typed && h('p', { class: 'fact typing' }, screen.typed),
    screen.pad ? h('div', { class: 'desk' }, h('div', { class: 'told' }, said), numberPad(state, screen.pad)) : said);
}

// footer holds the keys that do something now, each also a button.
function footer(state, screen) {
  return h('footer', {}, screen.actions.map((a) => h('button', {
    type: 'button', 'data-action': a.action, class: a.first ? 'first' : a.aux ? 'aux' : a.alarm ? 'alarm' : '', disabled: a.disabled || false, key: a.action,
  }, h('kbd', {}, a.key), !state.view && padNames[a.pad] && h('kbd', {}, padNames[a.pad]), h('span', {}, a.label))));
}

const padNames = { Enter: 'Enter', Escape: 'Esc', 0: '0' }; // a keypad without letters has these
const keyNames = { Enter: 'Enter', Esc: 'Escape', '⌫': 'Backspace' };

function keysOf(screen, training) {
  const keys = { ...(training && { x: 'end_training' }), ...screen.keys };
  for (const a of screen.actions) {
    if (a.disabled) continue;
    keys[keyNames[a.key] || a.key.toLowerCase()] = a.action;
    if (a.pad) keys[a.pad] = a.action;
  }
  return keys;
}

export function currencyOf(state) {
  if (state.payment) return state.payment.currency;
  return state.status ? state.status.currency : '';
}

// slip is what P prints: it stands on paper only. PAID stands on none but a paid payment's.
function slip(state) {
  const p = state.payment;
  if (!p || !hasSlip(p)) return null;
  const second = secondOf(state.language, p.currency);
  const row = (key, value) => value && h('tr', {}, h('th', {}, labelIn(state, state.language, key)), h('td', {}, value));
  const payer = p.payer_amount && p.payer_currency !== p.currency ? amountText(state, p.payer_amount, p.payer_currency) : '';
  const at = p.times.final_at || p.times.reversing_at;
  return h('section', { class: 'slip', 'aria-hidden': 'true' },
    state.status && state.status.training && h('h1', {}, labelIn(state, state.language, 'slip_training')),
    h('h2', {}, state.status ? state.status.store : ''),
    h('h1', {}, `${labelIn(state, state.language, p.status === 'paid' ? 'slip_paid' : 'slip_not_paid')} ${grouped(p.amount_text)}`),
    h('p', { lang: second }, labelIn(state, second, p.status === 'paid' ? 'slip_paid' : 'slip_not_paid')),
    h('table', {}, row(p.payer_currency === 'CNY' ? 'paid_yuan' : 'customer_paid', payer), row('sale', p.sale_ref), row('order_number', p.id), row('transaction_id', p.transaction_id),
      row('till', state.status ? state.status.till : ''), row('time', at ? `${p.store_day || ''} ${clockText(at)}` : '')),
    p.status !== 'paid' && h('p', {}, p.message[state.language], ' ', labelIn(state, state.language, 'slip_money_back')));
}
