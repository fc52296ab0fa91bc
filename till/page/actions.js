import { base, reasonOf } from './agent.js';
import { Finding } from './finding.js';
import { nextTheme } from './shift.js';
import { decider, eraseOperator, operatorOf, typeOperator } from './signin.js';

const digitsMax = 9; // of an amount: 9,999,999.99 is more than a till sells at once
const codeMax = 64; // keys
const refusedFor = 8000; // ms that a refusal is said
const noticedWithin = 5000; // ms: an older refusal is no news to a page that was just opened
const noteFor = 8000; // ms
const armTries = 20; // of one payment with one key, while the agent does not answer

// Actions carries out what the cashier wants. Every wish is one call of the agent; what comes of it arrives as the payment's news.
export class Actions {
  #code = ''; // what was typed of a code: it is in no state, no element and no log
  #busy = false;
  #refusal = 0;
  #note = 0;
  #noticedAt = '';

  constructor(parts) {
    Object.assign(this, parts);
    this.mine = new Set(); // payments that this page saw before their end
    this.finding = new Finding(parts);
    this.open = 0; // wishes under way: what changes meanwhile is the cashier's doing
  }

  // key carries out a key of the screen: its action, or a digit or letter of what is being typed.
  key(key, keys) {
    if (/^[0-9]$/.test(key) && keys.digits === 'amount') return this.#digits(key);
    if (/^[0-9]$/.test(key) && keys.digits === 'code') return this.#codeKey(key);
    if (/^[0-9]$/.test(key) && keys.digits === 'find_row') return this.finding.row(Number(key));
    if (/^[0-9a-z_-]$/.test(key) && keys.text === 'bill') return this.finding.key(key);
    if (/^[0-9a-z_-]$/.test(key) && keys.text === 'operator') return this.carry(`operator_key:${key}`);
    if (key === 'Backspace') return this.carry('erase');
    if (keys[key]) this.carry(keys[key]);
  }

  // scanned takes what a scanner typed as a keyboard: to the payment that waits for a code, and nowhere else.
  scanned(text) {
    this.state.typed = '';
    const { payment } = this.state;
    if (this.state.finding) return void this.finding.look(text, this.state.finding.from, true);
    if (payment && payment.status === 'waiting' && !this.state.lost) return this.#give(payment.id, text);
    this.#refuse(payment && !payment.final ? 'busy' : this.offers('scan_again') ? 'scan_again_first' : 'nothing_armed');
  }

  // carry carries out an action by its name.
  carry(action) {
    const [name, argument] = action.split(':');
    const wish = this.#wishes[name];
    if (wish) wish.call(this, argument);
  }

  #wishes = {
    language(language) { this.language(language); },
    digit(digits) { this.#digits(digits); },
    erase() { this.#erase(); },
    clear() { this.state.typed = ''; this.state.refused = ''; },
    arm() { this.#arm({ amount: Number(this.state.typed), currency: this.state.status.currency, sale_ref: newSale(this.state) }); },
    code_digit(digit) { this.#codeKey(digit); },
    bill_digit(digit) { this.finding.key(digit); },
    operator_key(key) { if (!decider(this.state)) typeOperator(this.state, key); },
    find_bill() { this.finding.scan(); },
    find_last() { this.finding.last(); },
    find_typed() { this.finding.look(this.state.finding.typed, '', true); },
    find_row(n) { this.finding.row(Number(n)); },
    find_more() { this.finding.nextRows(); },
    find_again() { this.finding.again(); },
    find_back() { this.finding.back(); },
    look(id) { this.finding.look(id); },
    sound() { this.setting('muted', this.state.muted ? '' : 'yes'); },
    theme() { this.setting('theme', nextTheme(this.state.theme)); },
    begin_training() { this.#train(() => this.agent.beginTraining(), '/training/'); },
    end_training() { this.#train(() => this.agent.endTraining(), '/'); },
    practise(customer) { this.state.refused = ''; this.#on((id) => this.agent.practise(id, customer), () => {}); },
    customer_window() { this.openCustomer(); },
    type_code() { this.state.codeOpen = true; },
    close_code() { this.#dropCode(); },
    send_code() { this.#sendCode(); },
    ask(question) { Object.assign(this.state, { asking: question, operator: operatorOf(this.state), pinLike: false, warning: 0 }); },
    next_warning() { this.state.warning++; },
    back() { this.state.asking = ''; this.state.operator = ''; },
    cancel() { this.state.asking = ''; this.#on((id) => this.agent.cancel(id), (p) => this.#leaveCancelled(p, 'cancelled_note')); },
    end_for_other_means() { this.#on((id) => this.agent.cancel(id), (p) => this.#leaveCancelled(p, 'other_means_note')); },
    next() { this.#answer(this.state.payment.status === 'paid' ? 'goods_given' : 'seen'); },
    seen() { this.#answer('seen'); },
    goods_given() { this.state.asking = ''; this.#answer('goods_given'); },
    money_back() { this.state.asking = ''; this.#answer('money_given_back'); },
    other_means() { this.#otherMeans(); },
    scan_again() { this.#scanAgain(); },
    set_aside() { this.#setAside(); },
    manage() { this.go(`${base}/?view=manager`); },
    print() { this.#say('printing'); this.show(); setTimeout(() => this.print(), 50); }, // first the word, then the browser's own window over it
  };

  #digits(digits) {
    const typed = (this.state.typed + digits).replace(/^0+/, '');
    this.state.refused = '';
    this.state.note = '';
    if (typed.length <= digitsMax) this.state.typed = typed;
  }

  #erase() {
    if (this.state.finding) this.finding.erase();
    else if (this.state.asking === 'set_aside') eraseOperator(this.state);
    else if (this.state.codeOpen) this.#keepCode(this.#code.slice(0, -1));
    else this.state.typed = this.state.typed.slice(0, -1);
  }

  #codeKey(key) {
    this.state.codeOpen = true;
    this.state.refused = '';
    if (this.#code.length < codeMax) this.#keepCode(this.#code + key);
  }

  #keepCode(code) {
    this.#code = code;
    this.state.codeLength = code.length;
  }

  #dropCode() {
    this.#keepCode('');
    this.state.codeOpen = false;
  }

  #sendCode() {
    const code = this.#code;
    this.#dropCode();
    if (code && this.state.payment) this.#give(this.state.payment.id, code);
  }

  // give hands a code to the agent, once: a code that may have been taken is not sent again.
  #give(id, code) {
    this.#dropCode();
    this.state.refused = '';
    this.#do(() => this.agent.code(id, code));
  }

  // arm asks for a payment until the agent answers: the same key is the same payment, so that a lost answer arms nothing twice.
  #arm(request) {
    const key = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2) + Date.now();
    this.#do(async () => {
      for (let tries = 1; ; tries++) {
        try {
          const payment = await this.agent.arm(request, key);
          this.state.typed = '';
          this.mine.add(payment.id);
          return payment;
        } catch (error) {
          if (error instanceof this.ProblemError || tries === armTries) throw error;
          await new Promise((done) => { setTimeout(done, 500); });
        }
      }
    });
  }

  #scanAgain() {
    const p = this.state.payment;
    const request = { amount: p.amount, currency: p.currency, sale_ref: p.sale_ref };
    if (p.description) request.description = p.description;
    if (p.operator) request.operator = p.operator;
    if (p.additional_tender) request.additional_tender = true;
    this.#answer('seen', () => this.#arm(request));
  }

  // otherMeans: a payment that is over is answered; one that is being taken back goes on to its proof on the screen.
  #otherMeans() {
    const p = this.state.payment;
    if (!p.final) this.state.otherMeans = true;
    else if (this.state.otherMeans) this.#answer('seen');
    else this.#answer('seen', () => this.#say('other_means_note', p.amount_text));
  }

  #setAside() {
    const { operator, payment } = this.state;
    if (!operator) return;
    this.state.asking = '';
    this.#do(() => this.agent.setAside(payment.id, operator, 'set aside at the page'), () => this.#say('set_aside_done'));
  }

  async #train(wish, where) {
    this.state.asking = '';
    try {
      await wish();
      this.go(where);
    } catch (error) {
      this.#failed(error);
      this.show();
    }
  }

  // leaveCancelled says that it has ended only where it has: a code that was scanned in the same moment may have been faster.
  #leaveCancelled(payment, note) {
    if (payment.status !== 'cancelled') return;
    this.#answerFor(payment.id, 'seen', () => this.#say(note, payment.amount_text));
  }

  #on(call, then) {
    const { payment } = this.state;
    if (payment) this.#do(() => call(payment.id), (p) => then.call(this, p));
  }

  #answer(how, then) {
    this.#answerFor(this.state.payment.id, how, then);
  }

  #answerFor(id, how, then) {
    this.#busy = false;
    this.#do(() => this.agent.acknowledge(id, how), () => { this.settle(); if (then) then(); });
  }

  // do carries out one wish at a time, and says why one was refused.
  async #do(wish, then) {
    if (this.#busy) return;
    this.#busy = true;
    this.open++;
    try {
      const payment = await wish();
      this.learn(payment);
      this.#busy = false;
      if (then) then(payment);
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#busy = false;
      this.show();
      this.open--;
    }
  }

  #failed(error) {
    if (!(error instanceof this.ProblemError)) return; // the agent is not heard: the page says so by itself
    const { problem } = error;
    if (problem.payment) this.learn(problem.payment);
    this.#refuse(reasonOf(problem));
    this.settle().catch(() => {});
  }

  // heard is told each payment that moves.
  heard(payment) { this.finding.heard(payment); }

  // looking is told whether the till's own scanner has read a bill that is being looked up.
  looking(is) { this.finding.looking(Boolean(is)); }

  // noticed is told the scan that the till's own scanner gave while no payment held the till, as often as the agent says so; it is said once.
  noticed(notice) {
    if (!notice || notice.at === this.#noticedAt) return;
    this.#noticedAt = notice.at;
    const { payment, finding, now } = this.state;
    if (finding || now - Date.parse(notice.at) > noticedWithin) return;
    if (payment && !(payment.final && this.offers('scan_again'))) return;
    this.#refuse(payment ? 'scan_again_first' : notice.kind);
    this.show();
  }

  #refuse(kind) {
    Object.assign(this.state, { refused: kind, refusedAt: this.state.now, refusals: this.state.refusals + 1, note: '' });
    clearTimeout(this.#refusal);
    this.#refusal = setTimeout(() => { this.state.refused = ''; this.show(); }, refusedFor);
  }

  #say(note, amount = '') {
    Object.assign(this.state, { note, noteAmount: amount });
    this.show();
    clearTimeout(this.#note);
    this.#note = setTimeout(() => { this.state.note = ''; this.show(); }, noteFor);
  }
}

// newSale names a sale that was begun on this page: its day, time and a random end, with no run of digits that could be a code.
function newSale(state) {
  const at = new Date(state.now).toISOString().replace(/[-:]/g, '');
  const random = [...crypto.getRandomValues(new Uint8Array(3))].map((b) => b.toString(36).padStart(2, '0')).join('');
  return `PAGE-${at.slice(2, 8)}-${at.slice(9, 15)}-${random}`.toUpperCase();
}
