import { h } from './dom.js';
import { grouped } from './texts.js';

// The signs of the states, so that none is told by its colour alone. Each is drawn in a square of 100 by 100.

const line = { fill: 'none', stroke: 'currentColor', 'stroke-width': 8, 'stroke-linecap': 'round', 'stroke-linejoin': 'round' };
const path = (d, more) => h('path', { ...line, ...more, d });
const bars = 'M22 30V70M34 30V70M44 30V70M56 30V70M66 30V70M78 30V70';
const frame = 'M10 26V10H26M74 10H90V26M90 74V90H74M26 90H10V74';

const drawings = {
  barcode: () => [path(bars, { 'stroke-width': 6 }), h('g', { class: 'pulse' }, path(frame))],
  struck: () => [path(bars, { 'stroke-width': 6 }), path(frame), path('M8 92L92 8', { 'stroke-width': 10 })],
  hourglass: () => [path('M24 10H76M24 90H76M30 10C30 40 70 60 70 90M70 10C70 40 30 60 30 90')],
  phone: () => [h('rect', { ...line, x: 26, y: 6, width: 48, height: 88, rx: 10 }), path('M38 46h.1M50 46h.1M62 46h.1', { 'stroke-width': 11 }), path('M44 82H56', { 'stroke-width': 6 })],
  triangle: () => [path('M50 10L94 88H6Z'), path('M50 38V60M50 74v.1', { 'stroke-width': 10 })],
  list: () => [path('M30 22H90M30 50H90M30 78H90M10 22h.1M10 50h.1M10 78h.1')],
  bill: () => [path('M20 8V92L32 82L44 92L56 82L68 92L80 82V8ZM34 28H66M34 44H66M34 60H54', { 'stroke-width': 7 })],
  equal: () => [path('M18 36H82M18 64H82', { 'stroke-width': 14 })],
  tick: () => [path('M12 54L40 82L88 20', { 'stroke-width': 14 })],
  cross: () => [path('M20 20L80 80M80 20L20 80', { 'stroke-width': 14 })],
  back: () => [path('M90 50H14M44 18L12 50L44 82', { 'stroke-width': 11 })],
  returned: () => [path('M30 12L8 36L30 60M8 36H60C82 36 92 46 92 62S82 88 60 88H36', { 'stroke-width': 11 })],
  unequal: () => [path('M18 36H82M18 64H82', { 'stroke-width': 12 }), path('M70 12L30 88', { 'stroke-width': 9 })],
  cash: () => [h('rect', { ...line, x: 6, y: 24, width: 88, height: 52, rx: 6 }), h('circle', { ...line, cx: 50, cy: 50, r: 13 }), path('M20 50h.1M80 50h.1')],
  flag: () => [path('M22 94V10H86L70 32L86 54H22', { 'stroke-width': 10 })],
  plug: () => [path('M34 8V30M66 8V30M22 30H78V46C78 64 66 72 50 72C34 72 22 64 22 46ZM50 72V94'), path('M8 94L92 8', { 'stroke-width': 6 })],
  person: () => [h('circle', { ...line, cx: 50, cy: 28, r: 18 }), path('M14 92C14 64 30 56 50 56C70 56 86 64 86 92')],
  zero: () => [h('circle', { ...line, cx: 50, cy: 50, r: 42 }), h('ellipse', { ...line, cx: 50, cy: 50, rx: 13, ry: 21 })],
  blank: () => [h('rect', { ...line, x: 6, y: 12, width: 88, height: 58, rx: 6 }), path('M50 70V90M28 90H72'), path('M38 29L62 53M62 29L38 53')],
  question: () => [path('M30 32C30 6 70 6 70 32C70 50 50 48 50 66M50 86v.1', { 'stroke-width': 11 })],
};

// sign draws one of the signs; its words for those who hear the page are in the message beside it.
export function sign(name) {
  return h('svg', { key: name, class: `sign ${name}`, viewBox: '0 0 100 100', 'aria-hidden': 'true' }, drawings[name]());
}

const longNumber = 6; // characters, from 100.00 on
const widths = [6, 8, 9, 10, 12]; // characters up to which a number has the letters of that size where room is short

// amountOf writes an amount: its number large, what it is counted in before it.
export function amountOf(text, attrs, over) {
  const [unit, number] = grouped(text).split(' ');
  const size = number.length < 6 ? '' : ` of${widths.find((w) => number.length <= w) || 12}`;
  return h('div', { class: `amount${number.length >= longNumber ? ' long' : ''}${size}`, ...attrs }, h('span', { class: 'unit' }, unit), ' ', h('span', { class: 'number' }, number), over);
}

const round = 2 * Math.PI * 42;

// ring draws seconds: the arc is the part that is left (0 to 1) or, without one, only the number is shown. The label
// says which seconds they are: left, or gone by. written is the seconds with their unit. Without seconds something is being done now.
export function ring(seconds, part, label, written) {
  const arc = part === null ? null : h('circle', { ...line, class: 'arc', cx: 50, cy: 50, r: 42, 'stroke-dasharray': `${(round * part).toFixed(1)} ${round.toFixed(1)}`, transform: 'rotate(-90 50 50)' });
  return h('div', { class: 'ring', role: 'timer', 'aria-label': seconds === null ? label : `${written} ${label}` },
    h('div', { class: 'round' },
      h('svg', { viewBox: '0 0 100 100', 'aria-hidden': 'true' }, h('circle', { ...line, class: 'track', cx: 50, cy: 50, r: 42 }), arc),
      h('div', { class: 'count' }, seconds === null ? '…' : written)),
    h('div', { class: 'of' }, label));
}
