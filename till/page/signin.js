import { agent, onPersonNeeded, ProblemError } from './agent.js';
import { h } from './dom.js';
import { sign } from './signs.js';
import { inSeconds, label } from './texts.js';

// Signing in with a PIN, and a manager's PIN for what takes one. The PIN is in no state, no element and no log: what is shown is how many
// digits there are.
//
//   state.session        who has signed in, as the agent says; null before it was read, and all of it is off where set_up is false
//   state.signin.open    '' (shut), sign_in, manager
//   state.signin.chosen  the id of who types the PIN; '' while that is chosen
//   state.signin.digits  how many were typed
//   state.signin.page    which page of the names, counting from 0
//   state.signin.said    a label that says why the last PIN was not taken; state.signin.wait: in how many seconds one is tried again
//   state.signin.busy    the PIN is being tried

export const newSignin = () => ({ open: '', chosen: '', digits: 0, page: 0, said: '', wait: 0, busy: false });

const digitsMin = 4;
const digitsMax = 8;
const namesMax = 6; // that fit in the smallest window

// signInScreen is the screen of a sign-in that is open, or that must come before anything else; null where there is none.
export function signInScreen(state) {
  const kind = wanted(state);
  if (!kind) return null;
  const signin = state.signin || newSignin();
  const names = namesOf(state, kind);
  const who = names.find((p) => p.id === chosenOf(signin, names));
  return who ? pinScreen(state, signin, kind, who, names.length > 1) : namesScreen(state, signin, kind, names);
}

// wanted is what must be signed in for: what somebody asked for; the manager's page; selling, where the store wishes it. A payment that is on the
// screen stays there: a result is shown to whoever stands at the till.
function wanted(state) {
  const { session, signin } = state;
  if (!session || !session.set_up || state.view === 'customer') return '';
  if (signin && signin.open) return signin.open;
  if (state.view === 'manager') return session.manager || session.operator?.role === 'manager' ? '' : 'manager';
  return session.pin_to_sell && !session.operator && !state.payment && state.status ? 'sign_in' : '';
}

const namesOf = (state, kind) => state.session.operators.filter((p) => kind === 'sign_in' || p.role === 'manager');

const chosenOf = (signin, names) => (names.length === 1 ? names[0].id : signin.chosen);

const titles = { sign_in: 'signin_title', manager: 'signin_manager' };

// shuts reports that the screen can be left without a PIN.
const shuts = (state, signin) => signin.open !== '' || state.view === 'manager';

function namesScreen(state, signin, kind, names) {
  const pages = Math.max(1, Math.ceil(names.length / namesMax));
  const from = (signin.page % pages) * namesMax;
  return {
    name: 'signin', keys: {}, frame: kind,
    actions: [
      pages > 1 && { key: 'N', pad: 'Enter', action: 'signin_more', label: `${label(state, 'signin_more')} (${signin.page % pages + 1}/${pages})` },
      shuts(state, signin) && { key: 'Esc', action: 'signin_shut', label: label(state, 'back') },
    ].filter(Boolean),
    body: [
      h('div', { class: 'top' }, sign('person'), h('h1', { class: 'message' }, label(state, titles[kind]))),
      h('p', { class: 'hint' }, label(state, 'signin_choose')),
      h('div', { class: 'names' }, names.slice(from, from + namesMax).map((p, i) => h('button', {
        type: 'button', class: 'name', key: p.id, 'data-action': `signin_choose:${i + 1}`,
      }, h('kbd', {}, String(i + 1)), h('span', { class: 'who' }, p.name), h('span', { class: 'role' }, `${p.id} · ${label(state, `signin_role_${p.role}`)}`)))),
    ],
  };
}

const pad = ['7', '8', '9', '4', '5', '6', '1', '2', '3', '↵', '0', '⌫']; // ⌫ where the amount's keypad has it

function pinScreen(state, signin, kind, who, several) {
  const full = signin.digits >= digitsMin && !signin.busy;
  const doing = { '⌫': ['signin_erase', 'erase'], '↵': ['signin_enter', 'signin_go'] };
  const said = signin.said && [label(state, signin.said), signin.wait > 0 && inSeconds(state, signin.wait)].filter(Boolean).join(' ');
  return {
    name: 'signin', keys: {}, frame: kind,
    actions: [
      { key: 'Enter', action: 'signin_enter', label: label(state, 'signin_go'), first: true, disabled: !full },
      { key: '⌫', action: 'signin_erase', label: label(state, 'erase') },
      (several || shuts(state, signin)) && { key: 'Esc', action: several ? 'signin_other' : 'signin_shut', label: label(state, several ? 'signin_other' : 'back') },
    ].filter(Boolean),
    body: [
      h('div', { class: 'top' }, sign('person'), h('h1', { class: 'message' }, label(state, kind === 'manager' ? 'signin_manager' : 'signin_pin'))),
      h('p', { class: 'whose' }, h('b', {}, who.name), ` ${who.id} · ${label(state, `signin_role_${who.role}`)}`),
      h('div', { class: 'desk' },
        h('div', { class: 'keypad' }, pad.map((k) => h('button', {
          type: 'button', key: k, 'data-action': doing[k] ? doing[k][0] : `signin_digit:${k}`, 'aria-label': doing[k] ? label(state, doing[k][1]) : k, disabled: k === '↵' && !full,
        }, k))),
        h('div', { class: 'typed' },
          h('p', { class: 'dots', 'aria-label': `${label(state, 'signin_pin')}: ${signin.digits}` }, '●'.repeat(signin.digits) || '–'),
          said && h('p', { class: 'refused', role: 'alert' }, `✖ ${said}`))),
    ],
  };
}

// whoIsHere stands in the header: who has signed in, and the way out; or the way in.
export function whoIsHere(state, name) {
  const { session } = state;
  if (!session || !session.set_up || name === 'signin' || state.view === 'customer') return [];
  const who = (state.view === 'manager' && session.manager) || session.operator; // who decides there stands at its top
  const idle = name === 'idle' || name === 'manage_list';
  if (!who) return [idle && state.view !== 'manager' && h('button', { type: 'button', class: 'way', key: 'signin_open', 'data-action': 'signin_open' }, label(state, 'signin_go'))];
  return [h('div', { class: 'person', key: 'person' }, who.name), idle && h('button', { type: 'button', key: 'signin_out', 'data-action': 'signin_out' }, label(state, 'signin_out'))];
}

// operatorOf is whom the page names in a wish where nobody types a number: the agent looks at who has signed in, and at nothing else.
export function operatorOf(state) {
  const { session } = state;
  if (!session || !session.set_up) return '';
  return (session.manager || session.operator || { id: 'PIN' }).id;
}

const operatorMax = 8;

// likePIN is what can be no operator's number, such as M001, and may be a PIN: a digit at the front, or four in a row.
const likePIN = (typed) => /^[0-9]|[0-9]{4}/.test(typed);

// typeOperator takes a key of an operator's number into of.operator. Of what may be a PIN nothing stays, and nothing more is taken before it was erased.
export function typeOperator(of, key) {
  if (of.pinLike) return;
  const typed = of.operator + key.toUpperCase();
  if (likePIN(typed)) Object.assign(of, { operator: '', pinLike: true });
  else if (typed.length <= operatorMax) of.operator = typed;
}

export function eraseOperator(of) {
  Object.assign(of, { operator: of.pinLike ? '' : of.operator.slice(0, -1), pinLike: false });
}

// decider is who has decided, as the journal will have it: at a till with operators the manager whose PIN was given, and nobody types anything; null where
// a number is typed.
export function decider(state) {
  const { session } = state;
  if (!session || !session.set_up) return null;
  return session.manager || (session.operator?.role === 'manager' && session.operator) || { id: 'PIN', name: '' };
}

// whoDecides is the part of a question that says who decides, or takes the number of who does.
export function whoDecides(state, of, text) {
  const who = decider(state);
  if (who) return { said: who.name ? `${label(state, 'decided_by')}: ${who.name} (${who.id})` : label(state, 'decided_by_pin'), keys: {}, ready: true };
  return {
    said: of.pinLike ? `✖ ${label(state, 'operator_only')}` : `${label(state, 'operator')}: ${of.operator || '…'}`,
    keys: { text }, pad: { action: 'operator_key', extra: 'M' }, ready: Boolean(of.operator),
  };
}

// SignIn carries out what is done on that screen.
export class SignIn {
  #pin = '';
  #waiting = null; // a wish that waits for the PIN: {resolve, reject, seen}
  #toldAt = 0;

  constructor(parts) {
    Object.assign(this, parts);
    onPersonNeeded((problem) => this.#ask(problem));
  }

  // active reports that the screen is the sign-in's.
  get active() {
    return Boolean(wanted(this.state)) && !this.state.lost;
  }

  // took keeps what the agent says of the session. Whoever comes finds nothing that another has typed.
  took(session) {
    const before = this.state.session?.operator?.id;
    this.state.session = session;
    if (before && before !== session.operator?.id) this.state.typed = '';
  }

  // here tells the agent now and then that somebody is at the page, so that nobody is signed out meanwhile.
  here() {
    const { session } = this.state;
    if (!session?.operator || performance.now() - this.#toldAt < Math.min(30, session.lock_after / 4) * 1000) return;
    this.#toldAt = performance.now();
    agent.stay().catch(() => {});
  }

  // watch leaves the screen where the payment that it was opened on has moved on: its result must be seen. It reports that, and that another screen has
  // come over a PIN that was half typed, of which nothing stays.
  watch() {
    const moved = Boolean(this.#waiting) && this.#waiting.seen !== this.#shown();
    const over = this.#pin !== '' && !wanted(this.state);
    if (moved) this.#shut();
    else if (over) this.#drop();
    return moved || over;
  }

  #shown() {
    const p = this.state.view === 'manager' ? null : this.state.payment;
    return p ? `${p.id} ${p.status}` : '';
  }

  #ask(problem) {
    this.#drop();
    Object.assign(this.state.signin, newSignin(), { open: problem.problem.code === 'manager_needed' ? 'manager' : 'sign_in' });
    this.#waiting?.reject(problem);
    const asked = new Promise((resolve, reject) => { this.#waiting = { resolve, reject: () => reject(problem), seen: this.#shown() }; });
    this.show();
    return asked;
  }

  key(key) {
    const { signin } = this.state;
    const names = namesOf(this.state, wanted(this.state));
    const choosing = !names.some((p) => p.id === chosenOf(signin, names));
    if (/^[0-9]$/.test(key)) return this.carry(`${choosing ? 'signin_choose' : 'signin_digit'}:${key}`);
    if (choosing && (key === 'n' || key === 'Enter')) return this.carry('signin_more');
    if (key === 'Enter') return this.carry('signin_enter');
    if (key === 'Backspace') return this.carry('signin_erase');
    if (key === 'Escape') return this.carry(choosing || names.length === 1 ? 'signin_shut' : 'signin_other');
  }

  carry(action) {
    const [name, argument] = action.split(':');
    this.#wishes[name]?.call(this, argument);
  }

  #wishes = {
    signin_open() { this.#drop(); Object.assign(this.state.signin, newSignin(), { open: 'sign_in' }); },
    signin_choose(number) { this.#choose(Number(number)); },
    signin_more() { this.state.signin.page++; },
    signin_other() { this.#drop(); Object.assign(this.state.signin, { chosen: '', said: '' }); },
    signin_digit(digit) { if (!this.state.signin.busy && this.#pin.length < digitsMax) this.#keep(this.#pin + digit); },
    signin_erase() { if (!this.state.signin.busy) this.#keep(this.#pin.slice(0, -1)); },
    signin_enter() { this.#enter(); },
    signin_shut() { this.#leave(); },
    signin_out() { agent.signOut().then((session) => { this.took(session); this.show(); }).catch(() => {}); },
  };

  #choose(number) {
    const { signin } = this.state;
    const names = namesOf(this.state, wanted(this.state));
    const pages = Math.max(1, Math.ceil(names.length / namesMax));
    const who = names[(signin.page % pages) * namesMax + number - 1];
    if (number < 1 || number > namesMax || !who) return;
    this.#drop();
    Object.assign(signin, { chosen: who.id, said: '' });
  }

  #keep(pin) {
    this.#pin = pin;
    Object.assign(this.state.signin, { digits: pin.length, said: '' });
  }

  #drop() {
    this.#pin = '';
    this.state.signin.digits = 0;
  }

  #leave() {
    if (!this.state.signin.open && this.state.view === 'manager') return this.go('/');
    this.#shut();
  }

  #shut() {
    this.#drop();
    Object.assign(this.state.signin, newSignin());
    this.#waiting?.reject();
    this.#waiting = null;
  }

  // enter has the PIN tried, once, and forgets it whatever comes of it.
  async #enter() {
    const { signin } = this.state;
    const kind = wanted(this.state);
    const names = namesOf(this.state, kind);
    const id = chosenOf(signin, names);
    const pin = this.#pin;
    if (signin.busy || !id || pin.length < digitsMin) return;
    this.#drop();
    signin.busy = true;
    try {
      this.took(await (kind === 'manager' ? agent.managerPIN(id, pin) : agent.signIn(id, pin)));
      const waiting = this.#waiting;
      this.#waiting = null;
      Object.assign(signin, newSignin());
      waiting?.resolve();
      this.settle().catch(() => {});
    } catch (error) {
      this.#refused(error);
    } finally {
      signin.busy = false;
      this.show();
    }
  }

  #refused(error) {
    const problem = error instanceof ProblemError ? error.problem : { code: 'internal' };
    const said = { wrong_pin: 'signin_wrong', pin_waits: 'signin_wait', too_many_wrong: 'signin_wait', not_a_manager: 'signin_no_manager' }[problem.code] || 'signin_failed';
    const wait = problem.wait || 0;
    Object.assign(this.state.signin, { said: wait > 0 ? 'signin_wait' : said, wait });
  }
}
