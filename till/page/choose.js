const oldAfter = 10 * 60 * 1000; // ms: a refusal older than that is nobody's news

// choose puts into the state the payment that the screen is about: the one that holds the till; else the newest result that waits for an
// answer; else none, and the keypad is free. mine are the payments that this page saw before their end; those in done it has answered.
export function choose(state, known, mine) {
  state.payments = [...known.values()];
  const holding = state.payments.find((p) => !p.final && !p.set_aside);
  const shown = holding || newest(state.payments.filter((p) => waitsForAnswer(state, p, mine)));
  if ((state.payment && state.payment.id) !== (shown && shown.id)) forget(state, shown);
  if (shown && state.payment && shown.status !== state.payment.status) state.asking = '';
  if (shown && state.payment?.status === 'waiting' && shown.status !== 'waiting') state.refused = ''; // it was of a scan before the one that was taken
  state.payment = shown || null;
  state.recovered = Boolean(shown && shown.final && !mine.has(shown.id));
}

// waitsForAnswer: a result that goods or money may depend on waits until it is answered, whoever armed it; a refusal or a cancelled
// payment only where this page saw it happen, or where it is what a crash left behind.
function waitsForAnswer(state, p, mine) {
  if (!p.final || p.acknowledged) return false;
  if ((state.untold || []).includes(p.id) || p.status === 'paid' || p.status === 'reversed') return true;
  if (mine.has(p.id)) return true;
  return p === newest(state.payments) && p.status === 'declined' && state.now - Date.parse(p.times.final_at) < oldAfter;
}

function newest(payments) {
  return payments.reduce((best, p) => (!best || p.sequence > best.sequence ? p : best), null);
}

// forget drops what belonged to the screen before: nothing typed for one payment reaches another.
function forget(state, shown) {
  if (shown) Object.assign(state, { note: '', finding: null });
  Object.assign(state, { codeOpen: false, codeLength: 0, asking: '', operator: '', otherMeans: false, refused: '' });
}
