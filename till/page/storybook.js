import { h, patch } from './dom.js';
import { render } from './view.js';

// The storybook shows the page in every state with prepared data: ?state=NAME shows one, &lang=zh-Hant in another language, without a
// name it lists them all. Keys and buttons are named and do nothing, but for the languages.

const query = new URLSearchParams(location.search);

async function load(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer.json();
}

function list(stories) {
  const link = (s, language) => h('a', { href: `?state=${s.name}&lang=${language}` }, language);
  return h('main', { class: 'storybook' }, h('h1', {}, 'Every state of the page'),
    h('ul', {}, stories.map((s) => h('li', {}, `${s.name} `, ['en', 'zh-Hans', 'zh-Hant'].map((language) => [link(s, language), ' '])))));
}

// stateOf makes the plain state that render takes of a prepared one.
export function stateOf(story, words, language) {
  return { words, language, view: story.view, now: Date.parse(story.now), status: story.status, payment: story.payment, payments: story.payments || [], ...story.page };
}

async function show() {
  const [words, stories] = await Promise.all([load('/page/words.json'), load('/page/stories.json')]);
  const root = document.getElementById('page');
  document.documentElement.dataset.theme = query.get('theme') || '';
  root.replaceChildren();
  const story = stories.find((s) => s.name === query.get('state'));
  if (!story) return patch(root, [list(stories)]);
  const screen = render(stateOf(story, words, query.get('lang') || 'en'));
  patch(root, [screen.tree]);
  root.dataset.keys = JSON.stringify(screen.keys);
  root.addEventListener('click', (event) => {
    const [kind, language] = (event.target.closest('[data-action]')?.dataset.action || '').split(':');
    if (kind === 'language') location.search = `?state=${story.name}&lang=${language}`;
  });
}

show();
