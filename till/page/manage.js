import { decider, eraseOperator, typeOperator } from './signin.js';
import { listsOf, reasons, rowsOf, tabs, toBeSeen } from './manager.js';

const digitsMax = 9; // of an amount, as at the keypad
const refundTries = 20; // of one refund with one key, while the agent does not answer

// newManage is what the manager's page holds at its beginning.
export function newManage() {
  return { tab: 'late', page: 0, open: '', concern: null, payment: null, asking: '', operator: '', pinLike: false, refund: null, lists: listsOf([], [], []) };
}

// Manage carries out what the manager wants. Every wish is one call of the agent; a refund that was sent is never sent under another key.
export class Manage {
  constructor(parts) {
    Object.assign(this, parts);
  }

  // key carries out a key of the screen.
  key(key, keys) {
    if (/^[0-9]$/.test(key) && keys.digits === 'row') return this.carry(`row:${key}`);
    if (/^[0-9]$/.test(key) && keys.digits === 'refund_amount') return this.carry(`refund_digit:${key}`);
    if (/^[0-9a-z_-]$/.test(key) && keys.text === 'manager') return this.carry(`operator_key:${key}`);
    if (key === 'Backspace') return this.carry('erase');
    if (keys[key]) this.carry(keys[key]);
  }

  // scanned drops a scan: nothing on this page takes a code.
  scanned() {}

  carry(action) {
    const [name, argument] = action.split(':');
    const wish = this.#wishes[name];
    if (wish) wish.call(this, argument);
  }

  #wishes = {
    language(language) { this.language(language); },
    to_till() { this.go(`${this.state.base}/`); },
    tab(tab) { if (tabs.some(([known]) => known === tab)) Object.assign(this.state.manage, { tab, page: 0 }); },
    next_rows() { this.state.manage.page++; },
    row(number) { this.#open(Number(number)); },
    back() { this.#back(); },
    refund() { this.#begin(); },
    refund_digit(digits) { for (const digit of digits) this.#digit(this.state.manage.refund, digit); },
    operator_key(key) { this.#operator(key); },
    refund_step(step) { this.state.manage.refund.step = step; },
    refund_why(why) { Object.assign(this.state.manage.refund, { why, step: 'sure', problem: '' }); },
    refund_send() { this.#send(); },
    erase() { this.#erase(); },
    next_warning() { this.state.warning++; },
    ask(question) {
      if (question === 'warnings') return void Object.assign(this.state, { asking: question, warning: 0 });
      Object.assign(this.state.manage, { asking: question, operator: '', pinLike: false });
    },
    answer(how) { this.#answer(how); },
  };

  #open(number) {
    const { manage } = this.state;
    const rows = manage.lists[manage.tab];
    const many = rowsOf(manage.tab);
    const pages = Math.max(1, Math.ceil(rows.length / many));
    const row = rows[(manage.page % pages) * many + number - 1];
    if (number < 1 || number > many || !row) return;
    Object.assign(manage, { open: row.payment.id, payment: row.payment, concern: row.message ? row : null, refund: null });
    this.settle();
  }

  #back() {
    const { manage } = this.state;
    if (this.state.asking) this.state.asking = '';
    else if (manage.asking) manage.asking = '';
    else if (!manage.refund) Object.assign(manage, { open: '', payment: null, concern: null });
    else if (manage.refund.sending) return;
    else if (manage.refund.step === 'amount' || manage.refund.problem) manage.refund = null; // what was not taken is looked at first
    else manage.refund.step = manage.refund.step === 'sure' ? 'reason' : 'amount';
  }

  // begin makes the refund's one key out of the payment and how many refunds it has: a second press, a second window and a page that was
  // loaded again while the first is under way all mean the same refund.
  #begin() {
    const { payment } = this.state.manage;
    if (!payment || !(payment.refundable > 0)) return;
    this.state.manage.refund = {
      key: `page-${payment.id}-${(payment.refunds || []).length + 1}`, step: 'amount', amount: String(payment.refundable), fresh: true, why: '1', operator: '', pinLike: false, sending: false, problem: '',
    };
  }

  #digit(refund, digit) {
    const amount = ((refund.fresh ? '' : refund.amount) + digit).replace(/^0+/, '');
    if (amount.length <= digitsMax) Object.assign(refund, { amount, fresh: false });
  }

  #operator(key) {
    const { manage } = this.state;
    if (decider(this.state) || manage.refund?.sending) return;
    typeOperator(manage.refund || manage, key);
  }

  // operatorNow is who decides: the agent looks at who has given a PIN, and at a number only where nobody has one.
  #operatorNow(of) {
    return decider(this.state)?.id || of.operator;
  }

  #erase() {
    const { manage } = this.state;
    const { refund } = manage;
    if (manage.asking) eraseOperator(manage);
    if (!refund || refund.sending) return;
    if (refund.step === 'amount') Object.assign(refund, { amount: refund.fresh ? '' : refund.amount.slice(0, -1), fresh: false });
    if (refund.step === 'sure' && !refund.problem) eraseOperator(refund);
  }

  // send asks for the refund until the agent answers: the same key with the same body is the same refund. Its screen stays until the payment was
  // read anew: another refund takes its key from that.
  async #send() {
    const { manage } = this.state;
    const { refund, payment } = manage;
    const operator = refund && this.#operatorNow(refund);
    if (!operator || refund.sending || Number(refund.why) > reasons) return;
    Object.assign(refund, { sending: true, problem: '' });
    const body = { amount: Number(refund.amount), reason: this.reasonText(refund.why), operator };
    try {
      await this.#until(() => this.agent.refund(payment.id, body, refund.key));
      await this.settle().catch(() => {}); // the agent is asked again in a moment
      if (manage.refund === refund) manage.refund = null;
    } catch (error) {
      refund.problem = error instanceof this.ProblemError ? error.problem.reason || error.problem.code : 'refund_unheard';
    } finally {
      refund.sending = false;
      this.show();
      await this.settle();
      this.show();
    }
  }

  async #until(wish) {
    for (let tries = 1; ; tries++) {
      try {
        return await wish();
      } catch (error) {
        if (error instanceof this.ProblemError || tries === refundTries) throw error;
        await new Promise((done) => { setTimeout(done, 500); });
      }
    }
  }

  // seen ends what needed a person, by that person's word.
  #seen(manage) {
    const { payment } = manage;
    const operator = this.#operatorNow(manage);
    const what = toBeSeen(payment) || {};
    if (what.refund) return this.agent.refundSeen(what.refund, operator);
    return what.late && this.agent.settleLate(what.late, operator, 'seen to, at the manager\'s page');
  }

  async #answer(how) {
    const { manage } = this.state;
    if (this.answering || !manage.payment || (how === 'seen' && !this.#operatorNow(manage))) return;
    this.answering = true;
    manage.asking = '';
    try {
      await (how === 'seen' ? this.#seen(manage) : this.agent.acknowledge(manage.payment.id, how));
    } catch { /* the payment, read anew, says what is so */ } finally {
      this.answering = false;
      await this.settle();
      this.show();
    }
  }
}
