// Sells one thing in node: POSAGENT_TOKEN=… node pay.mjs SALE MINOR [CODE]. Exit status as pay.py.
import { Refused, Till, Unknown } from './posagent.mjs';

const [sale, minor, code] = process.argv.slice(2);
const till = new Till({ url: process.env.POSAGENT_URL, token: process.env.POSAGENT_TOKEN, rounds: Number(process.env.POSAGENT_ROUNDS ?? 20) });
try {
  const payment = await till.sell({ sale, minor: Number(minor), code, show: (p) => console.log(`${p.message.en} - ${p.next_step.en}`) });
  console.log(payment.status, payment.transaction_id);
  process.exitCode = payment.status === 'paid' ? 0 : 1;
} catch (error) {
  console.error(error.problem ? `${error.problem.code}: ${error.message}` : error.message);
  if (!(error instanceof Refused || error instanceof Unknown)) throw error;
  const free = error.mayUseOtherMeans || error.payment?.sale_may_use_other_means;
  process.exitCode = free ? 1 : error instanceof Refused ? 2 : 3;
}
