// The page's calls of the local API. A write carries the header that only this page can send; a code goes into a body and nowhere else.

const answerWithin = 10000; // ms
const scanAnswerWithin = 20000; // ms: a scan is waited for, and then looked up

// base is where the till of this page stands: training has one of its own beside the real one.
export const base = location.pathname.startsWith('/training/') ? '/training' : '';

// ProblemError is an answer of the agent that says no; problem is its problem+json.
export class ProblemError extends Error {
  constructor(problem) {
    super(problem.code || 'internal');
    this.problem = problem;
  }
}

// reasonOf is what a refusal is said by.
export const reasonOf = (problem) => problem.reason || problem.code;

async function call(path, options) {
  const answer = await fetch(path.startsWith('/v1/') ? base + path : path, { credentials: 'same-origin', cache: 'no-store', signal: AbortSignal.timeout(answerWithin), ...options });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ProblemError({ ...body, status: answer.status });
  return body;
}

function write(path, body, headers, signal) {
  return call(path, { ...(signal && { signal: AbortSignal.any ? AbortSignal.any([signal, AbortSignal.timeout(scanAnswerWithin)]) : signal }), method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json', 'X-Posagent': 'page', ...headers } });
}

let askPerson = null;

// onPersonNeeded has a wish that takes a PIN wait for it: ask is given the refusal, and its promise is kept once the PIN was given.
export function onPersonNeeded(ask) {
  askPerson = ask;
}

const personNeeded = ['sign_in_needed', 'manager_needed'];

async function post(path, body, headers, signal) {
  for (;;) {
    try {
      return await write(path, body, headers, signal);
    } catch (error) {
      if (!askPerson || !(error instanceof ProblemError) || !personNeeded.includes(error.problem.code)) throw error;
      await askPerson(error);
    }
  }
}

// none stands for a list that only a manager sees.
function none(error) {
  if (error instanceof ProblemError && error.problem.code === 'manager_needed') return [];
  throw error;
}

const of = (id) => `/v1/payments/${encodeURIComponent(id)}`;

export const agent = {
  words: () => call('/page/words.json'),
  status: () => call('/v1/status'),
  recent: (limit) => call(`/v1/payments?limit=${limit}`).then((list) => list.payments),
  unannounced: () => call('/v1/payments?unannounced=true&limit=200').then((list) => list.payments),
  payment: (id) => call(of(id)),
  arm: (request, key) => post('/v1/payments', request, { 'Idempotency-Key': key }),
  code: (id, code) => post(`${of(id)}/code`, { code }),
  cancel: (id) => post(`${of(id)}/cancel`, {}),
  bill: (number) => post('/v1/bills', { number }),
  billScan: (wait, signal) => write('/v1/bills/scan', { wait }, {}, signal),
  lookAgain: (id) => post(`${of(id)}/look-again`, { operator: 'page' }),
  beginTraining: () => post('/v1/training/begin', {}),
  endTraining: () => post('/v1/training/end', {}),
  practise: (payment, customer) => post('/v1/training/scan', { payment, customer }),
  setAside: (id, operator, reason) => post(`${of(id)}/set-aside`, { operator, reason }),
  attention: () => call('/v1/attention').then((list) => list.concerns).catch(none),
  session: () => call('/v1/session'),
  stay: () => write('/v1/session/active'),
  signIn: (operator, pin) => write('/v1/session/sign-in', { operator, pin }),
  managerPIN: (operator, pin) => write('/v1/session/manager', { operator, pin }),
  signOut: () => write('/v1/session/sign-out'),
  refund: (id, request, key) => post(`${of(id)}/refunds`, request, { 'Idempotency-Key': key }),
  refundSeen: (id, operator) => post(`/v1/refunds/${encodeURIComponent(id)}/acknowledge`, { operator }),
  settleLate: (id, operator, note) => post(`${of(id)}/settle-late`, { operator, note }),
  acknowledge: (id, how) => post(`${of(id)}/acknowledge`, { how }),
};

const lostAfter = 1700; // ms without a sign of life; the agent gives one each second, and a person must be told within 2 s
const againAfter = 500; // ms
const aliveWithin = 1500; // ms that a new stream has to begin

// Stream keeps the event stream open. heard is told each event, lost each change of whether the agent is heard, opened each new stream,
// so that what was missed is read again.
export class Stream {
  #source = null;
  #seen = 0;
  #lost = false;
  #again = 0;

  constructor(handlers) {
    this.handlers = handlers;
    this.#seen = performance.now();
    this.#open();
    setInterval(() => this.#watch(), 100);
  }

  #open() {
    this.#source = new EventSource(`${base}/v1/events`);
    for (const kind of ['payment', 'refund', 'alive']) {
      this.#source.addEventListener(kind, (event) => {
        this.#alive();
        this.handlers.heard(kind, JSON.parse(event.data));
      });
    }
    this.#source.addEventListener('journal', () => this.#alive());
    this.#source.addEventListener('open', () => this.handlers.opened());
    this.#source.addEventListener('error', () => this.#broken());
    this.#again = performance.now() + aliveWithin;
  }

  #alive() {
    this.#seen = performance.now();
    if (this.#lost) this.#tell(false);
  }

  // broken closes the stream and tries again by itself: a browser gives up for good after an answer that is no stream.
  #broken() {
    this.#source.close();
    this.#again = performance.now() + againAfter;
    this.handlers.broken();
  }

  #watch() {
    const now = performance.now();
    if (!this.#lost && now - this.#seen > lostAfter) this.#tell(true);
    if (now < this.#again) return;
    if (this.#source.readyState === EventSource.CLOSED) this.#open();
    else if (now - this.#seen > lostAfter + aliveWithin) this.#broken();
  }

  #tell(lost) {
    this.#lost = lost;
    this.handlers.lost(lost);
  }
}
