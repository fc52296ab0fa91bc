import { h } from './dom.js';
import { amountOf, ring, sign } from './signs.js';
import { hasSlip, screenOf, warningsFor } from './screens.js';
import { customerPage } from './customer.js';
import { trainingBar } from './practice.js';
import { managerScreen } from './manager.js';
import { signInScreen, whoIsHere } from './signin.js';
import { amountText, clockText, grouped, label, labelIn, languages, secondOf } from './texts.js';

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
//   state.operator   typed so far, in the question about setting aside
//   state.finding    what is being looked up, or null (finding.js)
//   state.muted, theme   this page's settings: no sound; '', light or dark
//   state.recovered  the result is older than this page
//   state.otherMeans the cashier has taken other means for the payment that is being taken back
//   state.lost       nothing has come from the agent for too long
//   state.refused    why the last scan or wish was refused (a key of notices), while it is said
//   state.note       a label that is said for a moment
//   state.session, state.signin   who has signed in, and the screen for it (signin.js)
//
// It returns {tree, keys, name, sound}: keys maps a key to the action that it stands for.
export function render(state) {
  if (state.view === 'customer') return customerPage(state);
  const screen = (!state.lost && signInScreen(state)) || (!state.lost && state.view === 'manager' && managerScreen(state)) || screenOf(state);
  const tree = h('div', { class: `page ${screen.name} ${screen.frame || ''}`, 'data-screen': screen.name, lang: state.language },
    header(state, screen.name), trainingBar(state), screen.name !== 'warnings' && banners(state, screen.name), stage(state, screen), footer(state, screen), slip(state));
  return { tree, keys: keysOf(screen, state.status && state.status.training), name: screen.name, sound: screen.sound || '', spoken: screen.spoken };
}

// header names the till, what is open on the side, and the languages.
function header(state, name) {
  const { status } = state;
  const till = status ? [status.store, `${label(state, 'till')} ${status.till}`].filter(Boolean).join(' · ') : 'posagent';
  const aside = state.payments.filter((p) => p.set_aside && !p.final).length;
  return h('header', {},
    h('div', { class: 'name' }, till),
    name === 'idle' && h('button', { type: 'button', 'data-action': 'ask:options', key: 'options', 'aria-label': label(state, 'options') }, h('kbd', {}, 'O'), ' ☰'),
    name === 'idle' && h('button', { type: 'button', 'data-action': 'manage', key: 'manage' }, h('kbd', {}, 'M'), ` ${label(state, 'manager')}`),
    state.view === 'manager' && status && status.holding && h('div', { class: 'aside' }, `⚠ ${label(state, 'payment_in_progress')}`),
    aside > 0 && h('div', { class: 'aside' }, `⚠ ${label(state, 'set_aside_open')}: ${aside}`),
    whoIsHere(state, name),
    h('nav', {}, languages.map(([language, short]) => h('button', {
      type: 'button', 'data-action': `language:${language}`, lang: language, 'aria-pressed': String(language === state.language),
      'aria-label': labelIn(state, language, 'language'),
    }, short))));
}

// banners name the worst of what is away or will go wrong, what to do about it, and how many more there are. What only others can mend
// stands there beside the keypad alone.
const actOnBanner = ['idle', 'waiting', 'wrong_code']; // on any other screen there is something more urgent to do

function banners(state, name) {
  const own = warningsFor(state, 'cashier');
  const [worst, ...more] = own.length > 0 || name !== 'idle' ? own : warningsFor(state, 'all');
  if (!worst) return h('div', { class: 'banners', role: 'status' });
  const whose = own.length > 0 ? '' : `${label(state, 'manager')}: `;
  return h('div', { class: 'banners', role: 'status' }, h('div', { class: `banner ${worst.severity} ${whose ? 'others' : ''}`, key: worst.code },
    h('b', {}, worst.severity === 'red' ? '✖ ' : '⚠ ', whose, worst.title[state.language], more.length > 0 && ` +${more.length}`),
    actOnBanner.includes(name) && h('p', {}, [bannerNext(state, worst), worst.detail].filter(Boolean).join(' · '))));
}

// bannerNext is what the cashier does about a warning without leaving the screen.
function bannerNext(state, warning) {
  return warning.code === 'scanner_away' ? label(state, 'scanner_away_next') : warning.next_step[state.language];
}

const shortMessage = 26; // columns that fit in large letters; a Chinese character takes two

const isShort = (text) => text.replace(/[^\x00-\xff]/g, 'xx').length <= shortMessage;

// stage is the state itself: sign, amount, what happened, what to do now.
function stage(state, screen) {
  if (screen.body) return h('main', { class: 'stage', key: screen.name }, screen.body);
  const second = secondOf(state.language, currencyOf(state));
  const lead = screen.lead && h('p', { class: 'lead' }, screen.lead);
  return h('main', { class: 'stage', key: screen.name, 'aria-live': 'assertive' },
    h('div', { class: 'top' },
      h('div', { class: 'signs' }, screen.signs.map(sign)),
      screen.amount && amountOf(screen.amount),
      screen.beside && h('p', { class: 'beside' }, h('b', {}, screen.beside[0]), ' ', h('span', {}, screen.beside[1])),
      !screen.amount && lead,
      screen.ring && ring(screen.ring.seconds, screen.ring.part, screen.ring.label)),
    screen.amount && lead,
    h('h1', { class: isShort(screen.message[state.language]) ? 'message short' : 'message' }, screen.message[state.language]),
    h('p', { class: 'second', lang: second }, screen.message[second]),
    h('p', { class: 'next' }, h('span', { class: 'arrow', 'aria-hidden': 'true' }, '➜'), h('span', {}, screen.next[state.language])),
    (screen.facts || []).map((fact) => h('p', { class: 'fact' }, fact)));
}

// footer holds the keys that do something now, each also a button.
function footer(state, screen) {
  return h('footer', {}, screen.actions.map((a) => h('button', {
    type: 'button', 'data-action': a.action, class: a.first ? 'first' : a.aux ? 'aux' : '', disabled: a.disabled || false, key: a.action,
  }, h('kbd', {}, a.key), h('span', {}, a.label))),
  state.note && h('span', { class: 'note', role: 'status' }, label(state, state.note)));
}

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
    h('table', {}, row('customer_paid', payer), row('sale', p.sale_ref), row('order_number', p.id), row('transaction_id', p.transaction_id),
      row('till', state.status ? state.status.till : ''), row('time', at ? `${p.store_day || ''} ${clockText(at)}` : '')),
    p.status !== 'paid' && h('p', {}, p.message[state.language], ' ', labelIn(state, state.language, 'slip_money_back')));
}
