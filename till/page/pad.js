import { h } from './dom.js';
import { label } from './texts.js';

const keys = (extra) => ['7', '8', '9', '4', '5', '6', '1', '2', '3', extra, '0', '⌫'];

// numberPad is a keypad for what is typed without a keyboard: each key is the action with its digit behind it, and ⌫ stands last as everywhere.
// extra stands left of the 0; '' leaves its place empty.
export function numberPad(state, { action, extra }) {
  return h('div', { class: 'keypad' }, keys(extra || '').map((k) => (k === '' ? h('span', { key: 'none' }) : h('button', {
    type: 'button', key: k, 'data-action': k === '⌫' ? 'erase' : `${action}:${k}`, 'aria-label': k === '⌫' ? label(state, 'erase') : k,
  }, k))));
}
