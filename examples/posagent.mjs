// posagent for JavaScript: the same file in a browser and in node (18 or newer). In a browser the page's origin must stand in cors_origins.
//   const till = new Till({ url: 'http://127.0.0.1:7080', token });
//   const payment = await till.sell({ sale: 'A-1001', minor: 1250, show: (p) => { … } });
// sell throws Refused where nothing was armed (other means only where its mayUseOtherMeans says so), and Unknown where the result is not known: then no goods, no other means, and sell again
// with the same sale and amount, after a crash too: it is the same payment.

export class Refused extends Error {
  constructor(problem) { super(problem.next_step?.en ?? problem.detail ?? problem.code); this.problem = problem; this.mayUseOtherMeans = problem.code === 'not_ready'; }
}

export class Unknown extends Error {
  constructor(payment) { super('not known yet: hand over nothing, charge nothing again'); this.payment = payment; }
}

class Away extends Error {}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export class Till {
  constructor({ url = 'http://127.0.0.1:7080', token, rounds = 20 }) { Object.assign(this, { url, token, rounds }); }

  // #call returns status and answer; it throws Away where nobody answered, and whether the call was carried out is not known then.
  async #call(method, path, body, key) {
    const headers = { Authorization: `Bearer ${this.token}` };
    if (body) headers['Content-Type'] = 'application/json';
    if (key) headers['Idempotency-Key'] = key;
    try {
      const answer = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body), cache: 'no-store', signal: AbortSignal.timeout(30000) });
      return { status: answer.status, answer: await answer.json() };
    } catch (lost) {
      throw new Away(lost.message);
    }
  }

  // arm: the key is made of the sale alone, so that a till that has crashed makes the same one.
  async arm(sale, minor) {
    for (const wait of [0, 1000, 2000, 3000, 4000]) {
      await pause(wait);
      const got = await this.#call('POST', '/v1/payments', { sale_ref: sale, amount: minor }, `js-${sale}-${minor}`).catch(away);
      if (!got || got.status === 500 || got.answer.code === 'stopping') continue;
      if (got.status === 201) return got.answer;
      throw new Refused(got.answer); // 503 not_ready: take cash. 409: already_paid, sale_open (no other means!), till_busy
    }
    throw new Unknown();
  }

  // follow waits for the end. A daemon that is away meanwhile knows the payment when it is back.
  async follow(id, show) {
    let payment;
    for (let i = 0; i < this.rounds; i++) {
      const got = await this.#call('GET', `/v1/payments/${id}?since=${payment?.version ?? 0}&wait=10`).catch(away);
      if (got?.status !== 200) { await pause(1000); continue; }
      if (got.answer.version !== payment?.version) show?.(got.answer);
      payment = got.answer;
      if (payment.final) return payment;
    }
    throw new Unknown(payment);
  }

  // acknowledge says that the cashier was told, and, of a paid payment, that the goods are given.
  async acknowledge(id) {
    const got = await this.#call('POST', `/v1/payments/${id}/acknowledge`, {}).catch(away);
    if (got?.status !== 200) throw new Unknown();
    return got.answer;
  }

  async cancel(id) { return (await this.#call('POST', `/v1/payments/${id}/cancel`, {})).answer; }

  async sell({ sale, minor, code, show }) {
    const armed = await this.arm(sale, minor);
    if (code && armed.status === 'waiting') await this.#call('POST', `/v1/payments/${armed.id}/code`, { code }).catch(away); // follow sees what became of it
    const payment = await this.follow(armed.id, show);
    return this.acknowledge(payment.id);
  }
}

function away(error) { if (!(error instanceof Away)) throw error; return undefined; }
