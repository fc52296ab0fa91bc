// Renders every story in every language in the window as it is, and returns what is wrong with each.
(async () => {
  const { patch } = await import('/page/dom.js');
  const { render } = await import('/page/view.js');
  const { stateOf } = await import('/page/storybook.js');
  const load = async (name) => (await fetch(`/page/${name}`)).json();
  const [words, stories] = [await load('words.json'), await load('stories.json')];
  const root = document.getElementById('page');
  const faults = [];

  const numbers = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const solid = (color) => { const [, , , alpha = 1] = numbers(color); return alpha === 1; };

  function ground(element) {
    for (let e = element; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (solid(color)) return color;
    }
    return 'rgb(255, 255, 255)';
  }

  function contrast(element) {
    const [a, b] = [luminance(numbers(getComputedStyle(element).color)), luminance(numbers(ground(element)))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  }

  const phone = innerWidth < 560; // there a state's texts may scroll
  // The amount is as large as its width lets it be on a phone, and where more than 99,999.99 is being typed.
  const amountMin = (e) => (phone ? (e.closest('.of12') ? 42 : 46) : e.closest('.idle .of12') ? 50 : e.closest('.idle :is(.of8, .of9, .of10)') ? 60 : e.closest('.of12') ? 58 : e.closest('.of10') ? 68 : e.closest('.of9') ? 76 : e.closest('.of8') ? 86 : 96);

  const ownText = (e) => [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim() !== '');

  function check(where) {
    const say = (what) => faults.push(`${where}: ${what}`);
    const page = document.documentElement;
    if (page.scrollWidth > innerWidth || page.scrollHeight > innerHeight) say(`the window scrolls: ${page.scrollWidth}x${page.scrollHeight}`);
    for (const e of root.querySelectorAll('.page, main, footer, header nav, .banners, .desk, .keypad, .last, .refused, .top, .amount, .message, .next')) {
      if (phone && e.matches('main') && e.scrollWidth <= e.clientWidth + 2) continue;
      if (e.scrollHeight > e.clientHeight + 2 || e.scrollWidth > e.clientWidth + 2) say(`${e.className || e.tagName} overflows: ${e.scrollWidth}x${e.scrollHeight} in ${e.clientWidth}x${e.clientHeight}`);
    }
    for (const e of root.querySelectorAll('*')) {
      if (!ownText(e) || e.closest('.slip')) continue;
      const style = getComputedStyle(e);
      const box = e.getBoundingClientRect();
      const text = e.textContent.slice(0, 30);
      if (parseFloat(style.fontSize) < 24) say(`"${text}" is ${style.fontSize}`);
      if (contrast(e) < 4.5) say(`"${text}" has a contrast of ${contrast(e).toFixed(2)}`);
      if (style.display === 'none' || box.width === 0) continue;
      if (box.left < 0 || box.right > innerWidth + 1 || (!(phone && e.closest('main')) && (box.top < 0 || box.bottom > innerHeight + 1))) say(`"${text}" lies outside`);
      if (e.scrollWidth > e.clientWidth + 2 && style.display !== 'inline') say(`"${text}" is cut off`);
      if (/undefined|null|NaN|\[object/.test(e.textContent)) say(`"${text}" is no text`);
    }
    for (const e of root.querySelectorAll('.amount .number')) {
      if (parseFloat(getComputedStyle(e).fontSize) < amountMin(e)) say('the amount is too small');
    }
    if (!root.querySelector('svg, .keypad, .tabs, .row, .parts, .hint') && !root.querySelector('.customer')) say('it has no sign');
  }

  // A refund that is refused, under way or uncertain is the news: its amount is the largest number, and no other refund comes first.
  function refunds(name, { manage }, screen, language) {
    const say = (what) => faults.push(`${name} ${language}: ${what}`);
    if (manage?.refund?.problem && Object.values(screen.keys).includes('refund_send')) say('a refund that was not taken is sent again by a key');
    const open = (manage?.payment?.refunds || []).filter((r) => r.status !== 'refunded');
    if (open.length === 0 || manage.refund || manage.asking) return;
    const [first, ...rest] = root.querySelectorAll('footer button');
    if (first.dataset.action === 'refund') say('another refund stands first');
    const shown = root.querySelector('.amount').textContent.replaceAll(',', '');
    if (!open.some((r) => r.amount_text === shown)) say(`the largest number is ${shown}, and no refund's`);
    const label = (key) => words.languages[language].labels[key];
    if (!root.querySelector('.beside').textContent.includes(label('refund'))) say('the number does not say that it is a refund');
    const uncertain = (manage.payment.refunds || []).some((r) => ['requested', 'processing', 'abnormal'].includes(r.status));
    if (uncertain && ![...root.querySelectorAll('.fact')].some((f) => f.textContent.includes(label('refund_uncertain')))) say('what is not certain is not named apart');
    if (rest.length === 0) say('there is no way on');
  }

  const signsOf = () => [...root.querySelectorAll('.sign')].map((s) => s.getAttribute('class').replace('sign ', ''));
  const has = (text, key, language) => text.includes(words.languages[language].labels[key]);

  // What people misread is so no more.
  function verdicts(story, screen, language) {
    const say = (what) => faults.push(`${story.name} ${language}: ${what}`);
    const signs = signsOf();
    const verdict = root.querySelector('.message')?.textContent || '';
    if (screen.name === 'reversed' && signs.length !== 1 && !story.payment.attention) say(`it shows ${signs.length} signs: ${signs}`);
    if (signs.includes('cross') && (signs.includes('tick') || signs.includes('returned'))) say('a cross stands beside a sign of success');
    if (story.page.otherMeans && !has(verdict, 'other_means_done', language)) say('it does not say first that it was taken by other means');
    if (story.page.otherMeans && screen.name === 'reversed' && screen.keys.r) say('a sale that was taken by other means can be scanned again');
    if (story.payment?.attention === 'amount_mismatch' && screen.name === 'unknown' && !verdict.includes('12.51')) say('the amount that WeChat Pay shows is not there');
    if (story.status?.training && story.payment?.status === 'paid' && (signs.includes('tick') || !has(verdict, 'practice_paid', language))) say('practice looks like a sale');
    const said = [screen.name === 'signin' ? '' : verdict, root.querySelector('.next')?.textContent, root.querySelector('.banner p')?.textContent].join(' ');
    const plain = !story.view && !screen.keys.text && screen.name !== 'manager' && story.page.asking !== 'lost';
    if (plain && /manager|店长|經理/i.test(said) && !screen.keys.m && screen.name !== 'signin') say('it asks for the manager and has no key M');
    if (!story.view && /\/dev\/|systemctl|timedatectl|posagent (check|journal|restore|backup|certificate|operator)|chmod|\.pem|merchant: |[+]\d|☰/.test(root.querySelector('.page').textContent)) say('it shows a cashier what only an installer understands');
    if ((story.status?.warnings || []).length > 0 && screen.name !== 'warnings' && !story.view && !story.page.asking && !root.querySelector('.banner')) say('a warning is hidden');
    if (screen.name === 'signin' && story.status && !story.status.ready && !root.querySelector('.banner.red')) say('a sign-in hides that no payment can be taken');
    if (story.status?.ready && !story.status.gateway.reachable && !root.querySelector('.banner.red')) say('the network is away, and it does not say so');
    const waits = story.payment?.status === 'waiting' && story.status && !story.status.ready && !story.view;
    if (waits && (screen.keys.k !== 'end_for_other_means' || screen.name !== 'unreached')) say('a payment waits that no code can reach, and there is no K that ends it');
    if (story.payment && root.querySelector('.page').textContent.includes(words.languages[language].notices.no_network.message)) say('it says that no payment follows, and one is armed');
    const written = [...root.querySelectorAll('footer button')].filter((b) => [...b.querySelectorAll('kbd')].some((k) => k.textContent === 'Enter'));
    if (!story.view && screen.name !== 'signin' && screen.keys.Enter && !written.some((b) => b.dataset.action === screen.keys.Enter)) say(`Enter does ${screen.keys.Enter}, and no button says so`);
    const paidSince = story.payment && !story.view && (story.payments || []).some((p) => p.sale_ref === story.payment.sale_ref && p.status === 'paid' && p.id !== story.payment.id);
    if (paidSince && (Object.values(screen.keys).includes('scan_again') || !has(root.querySelector('.lead').textContent, 'sale_paid_since', language))) say('it does not say that its sale was paid since, or would take it again');
    if (!story.view && story.payment?.late?.money_seen && story.payment.status !== 'paid' && !story.page.finding && !has(root.querySelector('.lead')?.textContent || '', 'earlier_sale', language)) say('it does not say that it is an earlier sale');
    // Advice names no key that is not there.
    for (const [, key] of said.matchAll(/[(（]([A-Z])[)）]/g)) {
      if (!screen.keys[key.toLowerCase()] && !(key === 'M' && story.view) && ![...root.querySelectorAll('footer kbd')].some((k) => k.textContent === key)) say(`it names the key ${key}, which is not there`);
    }
    const arrow = root.querySelector('.next');
    if (arrow && arrow.lastChild.textContent === '') say('an arrow leads to nothing');
    // What is typed can be touched, and a number that names who decides is asked for only where nobody gave a PIN.
    const types = ['amount', 'refund_amount', 'code'].includes(screen.keys.digits) || screen.keys.text;
    if (types && (screen.keys.digits !== 'code' || story.page.codeOpen) && !root.querySelector('.keypad')) say('what is typed can not be touched');
    if (story.page.session?.manager && ['manager', 'operator'].includes(screen.keys.text)) say('it asks for a number of a manager who has given a PIN');
    const { refund } = story.page.manage || {};
    if (refund?.step === 'amount' && has(said, 'refund_amount_how', language) !== Boolean(refund.fresh)) say('it says that all goes back where that is not so');
    if (refund?.pinLike && Object.values(screen.keys).includes('refund_send')) say('what may be a PIN is sent');
    const shownRing = root.querySelector('.ring .count')?.textContent;
    if (/^0\b/.test(shownRing || '') && screen.name === 'unknown') say('its seconds stand at 0');
    if (language !== 'en' && / s$/.test(shownRing || '')) say('its seconds are English');
    // The bent arrow is for money that was seen to be taken.
    const p = story.payment || story.page.finding?.bill?.payment;
    const taken = p && (p.status === 'paid' || p.money_return?.was_taken || p.late?.money_seen);
    if (signs.includes('returned') && !story.view && p && !taken && !['taking_back'].includes(story.page.finding?.bill?.answer)) say('money goes back that was not seen to be taken');
    const keypad = [...root.querySelectorAll('.keypad button')].map((b) => b.dataset.action);
    if (keypad.length > 0 && !/erase$/.test(keypad[keypad.length - 1])) say('⌫ is not the last key of the keypad');
  }

  for (const story of stories) {
    for (const language of Object.keys(words.languages)) {
      const screen = render(stateOf(story, words, language));
      root.replaceChildren();
      patch(root, [screen.tree]);
      check(`${story.name} ${language} ${innerWidth}x${innerHeight}`);
      verdicts(story, screen, language);
      refunds(story.name, story.page, screen, language);
      if (story.payment && root.querySelector('.sign.tick') && !['paid', 'customer_paid'].includes(screen.name)) faults.push(`${story.name}: it shows the tick of a payment that has just been made`);
      if (screen.name === 'not_announced' && root.querySelector('button.first')) faults.push(`${story.name}: one answer stands before the other`);
    }
  }
  return { stories: stories.length, faults };
})()
