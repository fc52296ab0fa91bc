// The total that an old till shows on its customer display, offered over the amount of the idle screen: the scan of the customer's code takes it, and so does
// Enter. What is offered is the agent's to say, and so is whether it still is when it is taken.

const lookEvery = 300; // ms
const handsApart = 300; // ms: an Enter that follows another key sooner ends what a scanner has typed

let offer = null;
let words = null;
let busy = false;
let lastKey = -Infinity;

const idle = () => document.querySelector('[data-screen="idle"]');
const untyped = () => document.querySelector('[data-screen="idle"] [data-action="arm"]')?.disabled;

const line = document.createElement('button');
line.type = 'button';
line.className = 'pole';
line.hidden = true;
line.addEventListener('click', take);

function show() {
  const open = offer !== null && idle() !== null && untyped();
  if (open && line.dataset.offer !== offer.id) {
    const language = document.documentElement.lang;
    line.dataset.offer = offer.id;
    line.lang = language;
    line.textContent = `${offer.amount_text} ${words.languages[language]?.labels.pole_offer ?? ''}`;
  }
  if (!open) delete line.dataset.offer;
  line.hidden = !open;
  if (open) cover(document.querySelector('[data-screen="idle"] .amount'));
}

// cover lies over the amount, in which nothing is typed, so that every key stays in reach.
function cover(place) {
  const { left, top, width, height } = place.getBoundingClientRect();
  Object.assign(line.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
}

async function take() {
  if (offer === null || busy) return;
  busy = true;
  const body = JSON.stringify({ offer: offer.id });
  await fetch('/v1/pole/arm', { method: 'POST', credentials: 'same-origin', headers: { 'Content-Type': 'application/json', 'X-Posagent': 'page' }, body }).catch(() => null);
  offer = null; // taken or gone: the page shows the payment, and the next look what is offered now
  busy = false;
  show();
}

async function look() {
  const answer = await fetch('/v1/pole', { credentials: 'same-origin', cache: 'no-store', signal: AbortSignal.timeout(2000) }).catch(() => null);
  const state = answer?.ok ? await answer.json().catch(() => null) : null;
  offer = state?.offer ?? null;
  show();
  return state;
}

addEventListener('keydown', (event) => {
  const alone = event.timeStamp - lastKey > handsApart;
  if (event.key !== 'Escape') lastKey = event.timeStamp; // no scanner types that
  if (event.key !== 'Enter' || !alone || line.hidden || event.repeat || event.target === line) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  take();
}, { capture: true });

async function begin() {
  if (location.pathname.startsWith('/training/')) return; // an old till's total is real
  const view = new URLSearchParams(location.search).get('view');
  const state = view ? null : await look();
  if (view || (state && !state.tapped)) return;
  words ??= await fetch('/page/words.json').then((answer) => answer.json()).catch(() => null);
  if (!state || !words) {
    setTimeout(begin, 5000);
    return;
  }
  document.body.append(line);
  for (;;) {
    await new Promise((done) => setTimeout(done, lookEvery));
    await look();
  }
}

begin();
