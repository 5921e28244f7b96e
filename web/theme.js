// Light, dark, or as the system.
import { $ } from './dom.js';

const KEY = 'headrace.theme';
const NAMES = { system: 'as the system', light: 'light', dark: 'dark' };
const PATHS = { light: 'M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6l1.4 1.400M17 17l1.4 1.400M18.4 5.600L17 7M7 17l-1.4 1.400M12 8a4 4 0 100 8 4 4 0 000-8z',
                dark: 'M20 14.500A8.5 8.5 0 019.5 4a8.5 8.5 0 1010.5 10.500z', system: 'M3 5h18v11H3zM8 20h8M12 16v4' };
const dark = matchMedia('(prefers-color-scheme: dark)');

const chosen = () => (localStorage.getItem(KEY) in NAMES ? localStorage.getItem(KEY) : 'system');

function show() {
  const theme = chosen();
  document.documentElement.dataset.theme = theme === 'system' ? (dark.matches ? 'dark' : 'light') : theme;
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.appendChild(document.createElementNS('http://www.w3.org/2000/svg', 'path')).setAttribute('d', PATHS[theme]);
  $('theme').replaceChildren(svg);
  $('theme').setAttribute('aria-label', `Colours: ${NAMES[theme]}`);
  $('theme').title = `Colours: ${NAMES[theme]}`;
}

export function start() {
  show();
  dark.addEventListener('change', show);
  $('theme').addEventListener('click', () => {
    const names = Object.keys(NAMES);
    localStorage.setItem(KEY, names[(names.indexOf(chosen()) + 1) % names.length]);
    show();
  });
}
