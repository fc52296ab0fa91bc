import { reasonOf } from './agent.js';

const scanWait = 8; // s that one question for a scan lasts
const pauseAfterFault = 1000; // ms
// clockSeconds writes a time of the agent's as hours, minutes and seconds of this machine.
function clockSeconds(now) {
  return [new Date(now)].flatMap((at) => [at.getHours(), at.getMinutes(), at.getSeconds()]).map((n) => String(n).padStart(2, '0')).join(':');
}

const answerAfter = 1000; // ms at most between the end of a look and its answer

// Finding looks payments up: by the number on a customer's bill, which a scanner or a hand gives, or out of the last ones. It arms and
// changes nothing; the one wish that it sends is to ask WeChat Pay again.
export class Finding {
  #listening = null;

  constructor(parts) {
    Object.assign(this, parts);
  }

  scan() {
    this.state.asking = '';
    const finding = { step: 'scan', typed: '', bill: null, from: '' };
    this.state.finding = finding;
    this.#listen(finding);
  }

  last() {
    this.close();
    this.state.asking = '';
    this.state.finding = { step: 'last', page: 0, typed: '', bill: null, from: '' };
  }

  nextRows() { this.state.finding.page++; }

  row(n) {
    const payment = this.state.finding.rows?.[n - 1];
    if (payment) this.look(payment.id, 'last');
  }

  key(key) {
    const { finding } = this.state;
    if (finding.typed.length < 40) finding.typed += key.toUpperCase();
  }

  erase() {
    const { finding } = this.state;
    finding.typed = finding.typed.slice(0, -1);
  }

  back() {
    if (this.state.finding.from === 'last') this.last();
    else this.close();
  }

  close() {
    this.state.finding = null;
    this.#listening?.abort();
  }

  // look asks the agent what a number means, and stays ready for the next scan.
  async look(number, from = '', scanned = false) {
    if (!number) return;
    const finding = { step: 'asking', typed: '', bill: null, from, scanned };
    this.state.finding = finding;
    this.#show(finding, await this.#ask(number));
  }

  // looking says at once that the till's own scanner has read a bill: what comes of it may take seconds. Where the answer goes to another window,
  // this one goes back to what it showed.
  looking(is) {
    const { finding } = this.state;
    if (is && finding && ['scan', 'answer'].includes(finding.step)) {
      this.state.finding = { step: 'asking', typed: '', bill: null, from: finding.from, before: finding };
      this.show();
    }
    if (is || !finding?.before) return;
    setTimeout(() => {
      if (this.state.finding !== finding) return;
      this.state.finding = finding.before;
      this.show();
    }, answerAfter);
  }

  // heard looks again where the payment on the screen has moved on.
  async heard(payment) {
    const { finding } = this.state;
    if (!finding || finding.step !== 'answer' || finding.bill.payment?.id !== payment.id) return;
    const bill = await this.#ask(payment.id);
    if (this.state.finding === finding && bill.answer) this.#show(finding, bill);
  }

  // again has WeChat Pay asked once more; what comes of it is heard.
  async again() {
    const { finding } = this.state;
    Object.assign(finding, { note: 'checking_again', refused: '' });
    this.show();
    try {
      const payment = await this.agent.lookAgain(finding.bill.payment.id);
      this.learn(payment);
      Object.assign(finding, { note: '', asked: clockSeconds(this.state.now), bill: { ...finding.bill, payment } });
    } catch (error) {
      finding.note = '';
      if (error instanceof this.ProblemError) finding.refused = reasonOf(error.problem);
    }
    this.show();
  }

  async #ask(number) {
    try {
      return await this.agent.bill(number);
    } catch (error) {
      return { answer: '', refused: error instanceof this.ProblemError ? reasonOf(error.problem) : 'bill_not_asked' };
    }
  }

  #show(finding, bill) {
    if (this.state.finding !== finding) return; // the cashier has gone on
    if (bill.payment) this.learn(bill.payment);
    Object.assign(finding, { step: 'answer', bill, note: '' });
    this.#listen(finding);
    this.show();
  }

  // listen takes the scanner's codes for bills as long as this finding is on the screen.
  async #listen(finding) {
    if (this.#listening && !this.#listening.signal.aborted) return;
    const listening = new AbortController();
    this.#listening = listening;
    while (this.state.finding && ['scan', 'answer', 'asking'].includes(this.state.finding.step) && !listening.signal.aborted) {
      try {
        const bill = await this.agent.billScan(scanWait, listening.signal);
        if (bill.answer === 'no_scan' || !this.state.finding) continue;
        this.state.finding = { step: 'asking', typed: '', bill: null, from: finding.from, scanned: true };
        this.#show(this.state.finding, bill);
      } catch {
        await new Promise((done) => { setTimeout(done, pauseAfterFault); });
      }
    }
    listening.abort();
  }
}
