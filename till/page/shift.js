import { h } from './dom.js';
import { inSeconds, label, labelIn, languages, notice } from './texts.js';

// The opening line of a shift, each part's fault and what to do about it, and the page's own settings.

const partsOf = {
  network: ['gateway_unreachable', 'captive_portal', 'not_verified_yet', 'credentials_refused'],
  clock: ['clock_unset', 'clock_off_much', 'clock_off'],
  scanner: ['scanner_away', 'scanner_no_permission', 'scanner_unsupported'],
  printer: ['printer_away'],
  certificate: ['certificate_expired', 'certificate_not_yet_valid', 'certificate_1_day', 'certificate_7_days', 'certificate_14_days', 'certificate_30_days', 'certificate_60_days', 'client_certificate_missing', 'client_certificate_refused', 'key_mismatch', 'key_unreadable'],
  journal: ['journal_unwritable', 'journal_finding', 'disk_full', 'disk_nearly_full', 'key_folder_unwritable'],
};

const offsetMax = 60; // s, as the agent warns

// parts are what a till is made of, each with whether it is good, a word about it, and where it is not good what to do now.
export function parts(state) {
  const { status } = state;
  const printers = status.devices.filter((d) => d.kind === 'printer');
  const scanners = status.devices.filter((d) => d.kind !== 'printer');
  const merchant = status.certificates.find((c) => c.name === 'merchant');
  const network = status.gateway.reachable && status.gateway.verified;
  const offset = Math.abs(status.clock.offset_seconds || 0);
  return [
    part(state, 'network', network, '', status.not_ready ? status.not_ready.reason : 'not_verified'),
    part(state, 'clock', status.clock.known && offset < offsetMax, offset >= offsetMax ? `${label(state, 'clock_differs')} ${inSeconds(state, offset)}` : '', 'clock'),
    scanners.length > 0 && part(state, 'scanner', scanners.every((d) => d.ready), '', ''),
    printers.length > 0 && part(state, 'printer', printers.every((d) => d.ready), '', ''),
    merchant && part(state, 'certificate', merchant.days_left > 0, `${merchant.days_left} ${label(state, 'days')}`, 'certificate'),
    part(state, 'journal', !status.journal.read_only && !status.journal.finding, '', 'journal'),
  ].filter(Boolean);
}

// part joins what the status says of a part with the warnings about it, the worst first.
function part(state, name, good, detail, reason) {
  const warning = state.status.warnings.find((w) => partsOf[name].includes(w.code));
  const kind = good && !(warning && warning.severity === 'red') ? (warning ? 'warn' : 'good') : 'bad';
  let next = '';
  if (warning) next = warning.cashier_step[state.language];
  else if (kind === 'bad' && reason) next = notice(state, reason).next_step[state.language];
  else if (kind === 'bad') next = label(state, 'scanner_away_next');
  return { name, kind, detail, next, title: warning ? warning.title[state.language] : '' };
}

const signOf = { good: '✓', warn: '⚠', bad: '✖' };

// shiftLine says in one line whether the till can sell, and leads to its parts.
export function shiftLine(state) {
  const all = parts(state);
  const faults = all.filter((p) => p.kind !== 'good');
  const bad = all.some((p) => p.kind === 'bad');
  const named = (p) => `${label(state, `part_${p.name}`)}${p.name === 'certificate' ? ` ${p.detail}` : ''}`;
  const text = faults.length > 0
    ? faults.map((p) => `${signOf[p.kind]} ${named(p)}`).join('  ')
    : `✓ ${label(state, 'ready')}: ${all.map(named).join(', ')}`;
  return h('button', { type: 'button', class: `shift ${bad ? 'bad' : ''}`, 'data-action': 'ask:shift', key: 'shift' }, h('kbd', {}, 'S'), h('span', {}, ` ${text}`));
}

// shiftScreen lists the parts, those with a fault first and with what to do.
export function shiftScreen(state) {
  const order = { bad: 0, warn: 1, good: 2 };
  const all = parts(state).sort((a, b) => order[a.kind] - order[b.kind]);
  const good = all.every((p) => p.kind === 'good');
  return {
    name: 'shift_parts', actions: [{ key: 'Esc', pad: 'Enter', action: 'back', label: label(state, 'back'), first: true }],
    body: [
      h('h1', { class: 'message' }, `${good ? '✓' : '⚠'} ${label(state, good ? 'shift_ready' : 'shift_faults')}`),
      h('ul', { class: 'parts' }, all.map((p) => h('li', { key: p.name, class: p.kind },
        h('b', {}, `${signOf[p.kind]} ${label(state, `part_${p.name}`)}`), h('span', {}, [p.title, p.detail].filter(Boolean).join(' · ')), p.next && h('p', {}, `➜ ${p.next}`)))),
    ],
  };
}

const themes = ['', 'light', 'dark'];

// nextTheme is the colours that follow.
export const nextTheme = (theme) => themes[(themes.indexOf(theme) + 1) % themes.length];

// optionsScreen is what this page can be set to; nothing of it is about money.
export function optionsScreen(state) {
  const options = [
    ['find_bill', label(state, 'check_bill')],
    ['find_last', label(state, 'last_payments')],
    ['ask:shift', label(state, 'option_shift')],
    [`language:${languages[(languages.findIndex(([l]) => l === state.language) + 1) % languages.length][0]}`, `${label(state, 'option_language')}: ${labelIn(state, state.language, 'language')}`],
    ['sound', `${label(state, 'option_sound')}: ${label(state, state.muted ? 'off' : 'on')}`],
    ['theme', `${label(state, 'option_colours')}: ${label(state, `theme_${state.theme || 'auto'}`)}`],
    ['customer_window', label(state, 'option_customer')],
    state.status && state.status.may_train && ['ask:training', label(state, 'option_training')],
  ].filter(Boolean);
  return {
    name: 'options', keys: Object.fromEntries(options.map(([action], i) => [String(i + 1), action])),
    actions: [{ key: 'Esc', pad: 'Enter', action: 'back', label: label(state, 'back'), first: true }],
    body: [
      h('h1', { class: 'message' }, label(state, 'options')),
      h('div', { class: 'rows' }, options.map(([action, text], i) => h('button', { type: 'button', class: 'row', key: String(i), 'data-action': action }, h('kbd', {}, String(i + 1)), h('span', { class: 'what' }, text)))),
    ],
  };
}
