// A scanner that plays a keyboard types a whole code within milliseconds. KeyReader tells it from fingers: printable keys are held back
// for a moment, and a burst of many becomes one scan that no field ever sees. Time is given, not taken.

const fastGap = 60; // ms between two keys that no finger makes for long
const scanLength = 8; // keys of a burst that no hand types (the shortest barcode of a shop has 8)
const burstMax = 512;

export class KeyReader {
  #burst = [];
  #last = -Infinity;

  // press takes one key at a time in ms, and returns what it is sure of: {key} for each key that a hand pressed, {scan} for a scan.
  press(key, at) {
    const fast = at - this.#last <= fastGap;
    this.#last = at;
    const before = fast ? [] : this.#release();
    if (key.length === 1) {
      if (this.#burst.length < burstMax) this.#burst.push(key);
      return before;
    }
    const ends = key === 'Enter' || key === 'Tab';
    if (ends && this.#burst.length >= scanLength) return [...before, ...this.#release()];
    return [...before, ...this.#release(), { key }];
  }

  // quiet returns what was held back, once no key has followed for long enough.
  quiet(at) {
    return at - this.#last > fastGap ? this.#release() : [];
  }

  // holds reports that keys are held back, so that an Enter may be the end of a scan.
  get holds() {
    return this.#burst.length > 0;
  }

  #release() {
    const keys = this.#burst;
    this.#burst = [];
    return keys.length >= scanLength ? [{ scan: keys.join('') }] : keys.map((key) => ({ key }));
  }
}

export const quietAfter = fastGap + 10; // ms

// keyOf names the key of a keyboard event whatever the layout, the input method and NumLock make of it; '' for one that is not ours.
export function keyOf(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return '';
  const pad = /^(?:Numpad|Digit)([0-9])$/.exec(event.code);
  if (pad && (event.code.startsWith('Numpad') || !event.shiftKey)) return pad[1];
  if (event.code === 'NumpadEnter') return 'Enter';
  const letter = /^Key([A-Z])$/.exec(event.code);
  if (letter && !/^[!-~]$/.test(event.key)) return letter[1].toLowerCase(); // an input method has it
  if (event.key.length === 1) return event.key.toLowerCase();
  return ['Enter', 'Escape', 'Backspace', 'Tab'].includes(event.key) ? event.key : '';
}
