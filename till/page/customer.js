import { h } from './dom.js';
import { trainingBar } from './practice.js';
import { amountOf, sign } from './signs.js';
import { amountText, both, label, languages } from './texts.js';

// customerPage is the window that faces the customer: amount and state, nothing that only the cashier needs.
export function customerPage(state) {
  const { name, signs, texts } = facing(state);
  const p = state.payment;
  const shown = languages.map(([language]) => language).filter((language) => !chinese(language) || language === scriptOf(state));
  const first = state.language === 'en' ? 'en' : scriptOf(state);
  const tree = h('div', { class: `page customer ${name} ${state.status?.training ? 'practice' : ''}`, 'data-screen': name, lang: state.language },
    h('header', {}, h('div', { class: 'name' }, state.status ? state.status.store : '')),
    trainingBar(state),
    h('main', { class: 'stage', key: name },
      h('div', { class: 'top' }, h('div', { class: 'signs' }, signs.map(sign)), p && amountOf(p.amount_text)),
      [...shown].sort((a, b) => (b === first) - (a === first)).map((language, i) => h('p', { class: i === 0 ? 'message' : 'second', lang: language }, texts[language])),
      name === 'paid' && otherWallet(state, p),
      name === 'paid' && !state.status?.training && receipt(state, p)));
  return { tree, keys: {}, name: `customer_${name}`, sound: '' };
}

const chinese = (language) => language.startsWith('zh');

function scriptOf(state) {
  if (chinese(state.language)) return state.language;
  const currency = state.payment ? state.payment.currency : state.status && state.status.currency;
  return ['HKD', 'MOP', 'TWD'].includes(currency) ? 'zh-Hant' : 'zh-Hans';
}

function facing(state) {
  const say = (name, ...signs) => ({ name, signs, texts: both(state, `customer_${name}`) });
  if (state.lost) return say('wait', 'hourglass');
  const p = state.payment;
  if (!p) return state.status && state.status.ready ? say('welcome') : say('closed', 'plug');
  switch (p.status) {
    case 'waiting': return state.status && !state.status.ready ? say('wait', 'hourglass') : say('scan', 'barcode');
    case 'paying': return say('wait', 'hourglass');
    case 'confirming': return p.reason === 'customer_enters_password' && !p.attention ? say('password', 'phone') : say('wait', 'hourglass');
    case 'paid': return state.status?.training ? { name: 'paid', signs: ['flag'], texts: both(state, 'practice_paid') } : { name: 'paid', signs: ['tick'], texts: both(state, 'customer_paid_done') };
    case 'reversing':
    case 'reversed': return say('taken_back', 'returned');
  }
  return say('not_paid', 'cross');
}

// receipt is the payment's receipt for the customer's phone: the same numbers as on the bill in WeChat.
function receipt(state, p) {
  return h('div', { class: 'receipt' }, h('img', { src: state.receiptCode || `${state.base || ''}/v1/payments/${encodeURIComponent(p.id)}/receipt.svg`, alt: label(state, 'customer_receipt') }), h('span', {}, label(state, 'customer_receipt')));
}

function otherWallet(state, p) {
  if (!p.payer_amount || p.payer_currency === p.currency) return null;
  return h('p', { class: 'second' }, [p.payer_currency === 'CNY' && `${label(state, 'paid_yuan')}:`, amountText(state, p.payer_amount, p.payer_currency)].filter(Boolean).join(' '));
}
