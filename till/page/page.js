import { agent, base, ProblemError, Stream } from './agent.js';
import { Actions } from './actions.js';
import { patch } from './dom.js';
import { Guard, rowsMoved } from './guard.js';
import { KeyReader, keyOf, quietAfter } from './keys.js';
import { again, Sounds } from './sound.js';
import { choose } from './choose.js';
import { Manage, newManage } from './manage.js';
import { listsOf } from './manager.js';
import { newSignin, SignIn } from './signin.js';
import { labelIn } from './texts.js';
import { render } from './view.js';

// The page: it keeps the plain state that render shows, hears the agent, and turns keys and clicks into actions. It holds no state of
// its own about money: what a payment is, it is told.

const query = new URLSearchParams(location.search);
const root = document.getElementById('page');
const sounds = new Sounds();
const reader = new KeyReader();
const known = new Map(); // payments by id, each in its newest form

const state = {
  base,
  words: null, language: '', view: query.get('view') || '', now: Date.now(), status: null, payment: null, payments: [],
  typed: '', codeOpen: false, codeLength: 0, asking: '', warning: 0, operator: '', recovered: false, otherMeans: false, finding: null, muted: setting('muted'), theme: setting('theme'), lost: false, refused: '', refusedAt: 0, refusals: 0, note: '', noteAmount: '', manage: newManage(), session: null, signin: newSignin(),
};

let ahead = 0; // the agent's clock minus this page's, in ms
let screen = { keys: {}, name: '', sound: '' };
let told = ''; // the result whose tone was heard last
let own = false; // a key or a touch is being carried out
const guard = new Guard(root);
let heardAt = 0; // when the screen's tone was last heard

const managing = state.view === 'manager';
const parts = { state, agent, ProblemError, learn, settle, show, language: setLanguage, setting: set, openCustomer, print: () => window.print(), go: (where) => { location.href = where; }, reasonText, offers: (action) => Object.values(screen.keys).includes(action) };
applySettings();
const actions = managing ? new Manage(parts) : new Actions(parts);
const signin = new SignIn(parts);

function show() {
  if (!state.words) return;
  state.now = Date.now() + ahead;
  if (!managing) choose(state, known, actions.mine);
  const shut = signin.watch();
  const before = screen;
  screen = { ...render(state), id: state.payment?.id };
  if (!state.view || rowsMoved(before, screen)) guard.watch(before, screen, own || (actions.open > 0 && !shut), shut); // the wish that asked for a PIN has not led here
  patch(root, [screen.tree]);
  document.documentElement.lang = state.language;
  sound(before);
}

const results = ['paid', 'declined', 'reversed']; // each is heard once

// sound plays the tone of a screen when it comes, and of some again while they stay.
function sound(before) {
  const now = performance.now();
  if (screen.alert && screen.alert !== before.alert) sounds.play('wrong_code');
  const came = screen.name !== before.name || screen.sound !== before.sound;
  if (!screen.sound) return;
  if (!came && !(again[screen.sound] && now - heardAt > again[screen.sound] * 1000)) return;
  const result = results.includes(screen.sound) ? `${screen.sound} ${screen.id}` : '';
  if (result && result === told) return; // it was looked up in between
  told = result || told;
  heardAt = now;
  sounds.play(screen.sound);
  if (came && screen.sound === 'paid') sounds.say(`${labelIn(state, state.language, screen.spoken || 'spoken_paid')} ${state.payment.amount_text}`, state.language);
}

// learn takes a payment from the agent; an older form than the one that is known changes nothing.
function learn(payment) {
  const old = known.get(payment.id);
  if (old && (old.version > payment.version || (old.version === payment.version && old.acknowledged && !payment.acknowledged))) return;
  known.set(payment.id, payment);
  if (!payment.final && !managing) actions.mine.add(payment.id);
  ahead = Date.parse(payment.times.now) - Date.now();
}

const shownMax = 400; // payments that the page keeps

function dropOldest() {
  const final = [...known.values()].filter((p) => p.final).sort((a, b) => a.sequence - b.sequence);
  for (const p of final.slice(0, shownMax / 2)) known.delete(p.id);
}

const recentMany = 200; // payments that a page which has just opened looks at: one that was set aside may be old
const recentFew = 20; // and later, when it has heard of all others

// settle reads anew all that the page shows.
async function settle() {
  if (managing) return settleManager();
  const [session, status, recent, unannounced] = await Promise.all([agent.session(), agent.status(), agent.recent(known.size ? recentFew : recentMany), agent.unannounced()]);
  signin.took(session);
  takeStatus(status);
  if (known.size > shownMax) dropOldest();
  const read = [...recent, ...unannounced];
  const ids = new Set(read.map((p) => p.id));
  const missed = [...known.values()].filter((p) => !p.final && !ids.has(p.id)).map((p) => p.id);
  if (status.holding && !ids.has(status.holding)) missed.push(status.holding);
  read.push(...await Promise.all([...new Set(missed)].map(agent.payment)));
  read.forEach(learn);
  state.untold = unannounced.map((p) => p.id);
  show();
}

// settleManager reads anew the manager's lists, and the payment that is looked at.
async function settleManager() {
  const { manage } = state;
  const { open } = manage;
  const [session, status, concerns, unannounced, recent, payment] = await Promise.all([agent.session(), agent.status(), agent.attention(), agent.unannounced(), agent.recent(recentMany), open ? agent.payment(open) : null]);
  signin.took(session);
  takeStatus(status);
  manage.lists = listsOf(concerns, unannounced, recent);
  if (payment && manage.open === open) manage.payment = payment;
  show();
}

// reasonText is a refund's reason as the customer reads it, in the page's language.
function reasonText(why) {
  return labelIn(state, state.language, `refund_why_${why}`);
}

function takeStatus(status) {
  state.status = status;
  ahead = Date.parse(status.now) - Date.now();
  if (!state.language) setLanguage(setting('language') || status.language);
}

function setLanguage(language) {
  state.language = language;
  keep('language', language);
}

// keep remembers a setting of this page; a browser without storage forgets it with the page.
function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch { /* forgotten */ }
}

function setting(name) {
  try {
    return localStorage.getItem(name) || '';
  } catch {
    return '';
  }
}

function set(name, value) {
  state[name] = value;
  keep(name, value);
  applySettings();
}

function applySettings() {
  document.documentElement.dataset.theme = state.theme;
  sounds.muted = Boolean(state.muted);
}

function openCustomer() {
  window.open(`${base}/?view=customer`, 'posagent-customer', 'popup,width=1024,height=768');
}

let settling = null;

// refresh settles once, however many ask for it.
function refresh() {
  settling ||= anew();
  return settling;
}

// anew settles without waiting for what was asked before: behind a line that hung, that may take ten seconds to fail.
function anew() {
  const mine = settle().catch(refusedCall).finally(() => { if (settling === mine) settling = null; });
  settling = mine;
  return mine;
}

const reloadPause = 10000; // ms

// refusedCall loads the page again where its session has ended, as it does with every start of the agent.
function refusedCall(error) {
  if (base && error instanceof ProblemError && error.problem.status === 404) location.href = '/'; // training has ended
  if (!(error instanceof ProblemError) || error.problem.status !== 401) return;
  let last = 0;
  try {
    last = Number(sessionStorage.getItem('reloaded'));
    sessionStorage.setItem('reloaded', String(Date.now()));
  } catch { /* then it is loaded again each time */ }
  if (Date.now() - last > reloadPause) location.reload();
}

function heard(kind, data) {
  if (kind === 'payment') {
    learn(data);
    if (!managing) actions.heard(data);
    show();
    if (data.final || managing) refresh();
    return;
  }
  if (kind === 'refund') {
    if (managing) refresh();
    return;
  }
  ahead = Date.parse(data.now) - Date.now();
  if (!managing) {
    actions.noticed(data.notice);
    actions.looking(data.bill_looking);
  }
  const { status } = state;
  if (!status || status.ready !== data.ready || status.warnings.length !== data.warnings) refresh();
}

const refreshEvery = 5000; // ms: what no event tells, such as which device is away

async function start() {
  state.words = await agent.words();
  await refresh();
  new Stream({ heard, opened: anew, broken: refresh, lost: (lost) => { Object.assign(state, { lost, asking: state.asking === 'lost' ? '' : state.asking }); show(); } });
  setInterval(refresh, refreshEvery);
  setInterval(show, 250);
}

// ownDoing carries out what a hand has done, and shows it as such.
function ownDoing(act) {
  own = true;
  try {
    act();
    show();
  } finally {
    own = false;
  }
}

// actionOf is what a key stands for, a row's number among them; typed digits stand for nothing yet.
function actionOf(key) {
  return screen.keys[key] || (screen.keys.digits === 'row' && /^[1-9]$/.test(key) ? `row:${key}` : '');
}

// pressed carries out what the reader is sure of.
function pressed(events) {
  for (const event of events) {
    if (signin.active) { // a scan is nobody's PIN
      if (event.key !== undefined) signin.key(event.key);
      show();
      continue;
    }
    if (event.scan === undefined && guard.holds(actionOf(event.key), event.key)) continue;
    ownDoing(() => (event.scan === undefined ? actions.key(event.key, screen.keys) : actions.scanned(event.scan)));
  }
}

document.addEventListener('keydown', (event) => {
  sounds.allow();
  signin.here();
  if (state.view === 'customer' || event.repeat) return;
  const key = keyOf(event);
  if (key === '' || focusOwns(key)) return;
  event.preventDefault();
  pressed(reader.press(key, event.timeStamp));
  setTimeout(released, quietAfter);
}, { capture: true });

// released carries out what was held back, once it is quiet.
function released() {
  pressed(reader.quiet(performance.now()));
  if (reader.holds) setTimeout(released, quietAfter); // a clock of the browser's that runs ahead must keep nothing back
}

// afterKeys acts behind the keys that were pressed before it and are held back: on a busy PC that is longer than a hand needs to the mouse.
function afterKeys(act) {
  if (!reader.holds) act();
  else setTimeout(() => { released(); afterKeys(act); }, quietAfter);
}

// focusOwns leaves Tab to the browser, and Enter and blank to a button that was reached by Tab; a scan's end is never theirs.
function focusOwns(key) {
  if (reader.holds) return false;
  return key === 'Tab' || ((key === 'Enter' || key === ' ') && document.activeElement instanceof HTMLButtonElement);
}

document.addEventListener('click', (event) => {
  sounds.allow();
  signin.here();
  const button = event.target.closest('[data-action]');
  if (!button) return;
  button.blur(); // the next Enter is the screen's, not this button's
  const { action } = button.dataset;
  if (!signin.active && guard.holds(action)) return;
  afterKeys(() => {
    if (!button.isConnected || button.dataset.action !== action) return; // a key has led to another screen
    ownDoing(() => (action.startsWith('signin_') ? signin : actions).carry(action));
  });
});

document.addEventListener('paste', (event) => event.preventDefault()); // a code from a clipboard has no business here
document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });

start().catch(() => setTimeout(() => location.reload(), 2000));
