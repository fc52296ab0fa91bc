// Guard keeps a hand that was meant for one screen from acting on another: what is pressed or touched in the moment after the page has changed by
// itself does nothing. Scans and typed digits are not touched by it.

const stillFor = 700; // ms
const staleFor = 10000; // ms that the answer to a question which is gone may still come

export class Guard {
  #until = -Infinity;
  #stale = null; // the keys of a question that is gone, each of which is kept back once
  #staleUntil = 0;

  constructor(root) { this.root = root; }

  // watch is told each screen that follows another, whether the cashier's own hand has led to it, and whether it has come over a PIN that was being
  // typed: the Enter behind that PIN is none for the screen.
  watch(before, screen, own, overPIN) {
    if (!before.tree || formOf(before) === formOf(screen)) return;
    this.#stale = null;
    const mine = own || (!overPIN && before.name === 'signin' && screen.name === 'idle'); // the PIN has led there
    this.#hold(mine ? -Infinity : performance.now() + stillFor);
    if (own || (before.name !== 'question' && !overPIN)) return;
    this.#stale = new Set(overPIN ? ['Enter'] : Object.keys(before.keys).filter((key) => before.keys[key] !== 'back'));
    this.#staleUntil = performance.now() + staleFor;
  }

  // holds reports that an act must not be carried out now; key is what was pressed for it, if it was a key.
  holds(action, key) {
    if (!action || action === 'erase' || action.startsWith('digit:') || action.startsWith('language:')) return false;
    const now = performance.now();
    if (now < this.#until) return true;
    const stale = this.#stale?.has(key) && now < this.#staleUntil;
    this.#stale = null;
    return Boolean(stale);
  }

  #hold(until) {
    this.#until = until;
    this.root.toggleAttribute('data-still', until > performance.now());
    if (until > performance.now()) setTimeout(() => this.root.toggleAttribute('data-still', performance.now() < this.#until), stillFor + 20);
  }
}

// formOf is what makes one screen another for a hand: what it is about, what its keys do, and which row stands where. Beside the keypad a warning may
// come and go.
function formOf({ name, id, acts, rows }) {
  return name === 'idle' ? name : [name, id, ...acts, ...(rows || [])].join(' ');
}

// rowsMoved reports a list in which another row stands where one stood before.
export function rowsMoved(before, screen) {
  return Boolean(before.rows && screen.rows && before.rows.some((row, i) => screen.rows[i] !== row));
}
