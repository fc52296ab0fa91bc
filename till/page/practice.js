import { h } from './dom.js';
import { both, label } from './texts.js';

// Training: what tells its till from the real one on every screen, and the customers who can be played.

const customers = ['pays', 'password', 'no_money', 'expired', 'lost', 'alipay'];

// trainingBar stands on every screen of a training till.
export function trainingBar(state) {
  if (!state.status || !state.status.training) return null;
  return h('div', { class: 'training', role: 'status' }, h('b', {}, `⚑ ${label(state, 'training_bar')}`),
    state.view !== 'customer' && h('button', { type: 'button', 'data-action': 'end_training', key: 'end' }, h('kbd', {}, 'X'), ` ${label(state, 'training_end')}`));
}

// practice adds the customers who can be played to the screen that waits for a code.
export function practice(state, screen) {
  if (!state.status || !state.status.training || state.codeOpen) return screen;
  const played = customers.map((name, i) => ({ key: String(i + 1), action: `practise:${name}`, label: label(state, `practise_${name}`) }));
  return { ...screen, keys: {}, actions: [...played, ...screen.actions.filter((a) => a.key === 'Esc')] };
}

// trainingQuestion asks once before training is begun.
export function trainingQuestion(state) {
  return {
    name: 'question', signs: ['person', 'question'], message: both(state, 'training_sure'), next: both(state, 'training_how'),
    actions: [{ key: 'Enter', action: 'begin_training', label: label(state, 'training_yes'), first: true }, { key: 'Esc', action: 'back', label: label(state, 'back') }],
  };
}
