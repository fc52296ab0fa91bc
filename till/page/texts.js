// What the page says comes from the agent: labels and notices from words.json, the words of a payment with the payment itself.

// languages are the page's, in the order of its switch.
export const languages = [['en', 'EN'], ['zh-Hans', '简'], ['zh-Hant', '繁']];

const traditional = ['HKD', 'MOP', 'TWD'];

// secondOf is the language that stands below the first: English below Chinese, and below English the script of the till's place.
export function secondOf(language, currency) {
  if (language !== 'en') return 'en';
  return traditional.includes(currency) ? 'zh-Hant' : 'zh-Hans';
}

// label returns a short word in the page's language.
export function label(state, key) {
  return labelIn(state, state.language, key);
}

export function labelIn(state, language, key) {
  const words = state.words.languages[language] || state.words.languages.en;
  return words.labels[key] || key;
}

// filled is a label with a number put in.
export function filled(state, key, n) {
  return label(state, key).replace('{n}', n);
}

// noteText is what is said for a moment, with the amount that it is about.
export function noteText(state) {
  return state.note ? label(state, state.note).replace('{amount}', grouped(state.noteAmount || '')) : '';
}

// both returns a label in every language, as the texts of a payment come.
export function both(state, key) {
  return Object.fromEntries(languages.map(([language]) => [language, labelIn(state, language, key)]));
}

// notice returns what is said of a refused scan, or of why no payment is taken, in every language.
export function notice(state, kind) {
  const texts = { message: {}, next_step: {} };
  for (const [language] of languages) {
    const notices = state.words.languages[language].notices;
    const pair = notices[kind] || notices.other;
    texts.message[language] = pair.message;
    texts.next_step[language] = pair.next_step;
  }
  return texts;
}

// amountText writes minor units as a person reads them: 1250 HKD is "HK$ 12.50".
export function amountText(state, minor, currency) {
  const { sign, decimals } = state.words.currencies[currency] || { sign: currency, decimals: 2 };
  const digits = String(minor).padStart(decimals + 1, '0');
  if (decimals === 0) return grouped(`${sign} ${digits}`);
  return grouped(`${sign} ${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`);
}

// grouped writes an amount's thousands apart: "HK$ 12345.67" is "HK$ 12,345.67".
export function grouped(amount) {
  return amount.replace(/\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ','));
}

// withAmount writes the amount that a text names as the screen does.
export function withAmount(texts, amount) {
  return Object.fromEntries(Object.entries(texts).map(([language, text]) => [language, text.replaceAll(amount, () => grouped(amount))]));
}

// amountAlone finds an amount, and no larger one that begins as it does.
function amountAlone(amount) {
  return new RegExp(`${amount.replace(/[^\w ]/g, '\\$&')}(?![\\d.,]*\\d)`);
}

// withoutAmount takes out of a message the amount that stands beside it in larger letters.
export function withoutAmount(texts, amount) {
  const bare = (text) => text.replace(amountAlone(amount), '').replace(/^[\s\-–:：，,]+|[\s\-–:：，,]+$/g, '').replace(/\s+/g, ' ');
  return Object.fromEntries(Object.entries(texts).map(([language, text]) => [language, bare(text)]));
}

// forManager is a text without the words that call the manager: it is read by the manager.
export function forManager(state, texts) {
  const bare = (language, text) => text.replace(labelIn(state, language, 'call_first'), '');
  return texts && Object.fromEntries(Object.entries(texts).map(([language, text]) => [language, bare(language, text)]));
}

// inSeconds writes seconds in the page's language.
export function inSeconds(state, seconds) {
  const unit = label(state, 'seconds');
  return `${seconds}${/^[a-z]/.test(unit) ? ' ' : ''}${unit}`;
}

// until is how many whole seconds lie between now and a time, at least 0; null without one.
export function until(state, time) {
  return time ? Math.max(0, Math.ceil((Date.parse(time) - state.now) / 1000)) : null;
}

// since is how many whole seconds have gone by from a time; null without one.
export function since(state, time) {
  return time ? Math.max(0, Math.floor((state.now - Date.parse(time)) / 1000)) : null;
}

// clockText writes a time as hours and minutes of this machine.
export function clockText(time) {
  const at = new Date(time);
  return `${String(at.getHours()).padStart(2, '0')}:${String(at.getMinutes()).padStart(2, '0')}`;
}
