// The page's start: views, menus, and what is asked again and again.
import * as chat from './chat.js';
import { $, announce } from './dom.js';
import * as hub from './hub.js';
import * as live from './live.js';
import * as models from './models.js';
import * as state from './state.js';
import * as theme from './theme.js';

const REFRESH_MS = 5000;

function showView(name) {
  document.body.dataset.view = name;
  for (const button of document.querySelectorAll('[data-show]')) button.setAttribute('aria-current', String(button.dataset.show === name));
}

// A menu closes with Escape and with a click elsewhere.
function closeMenus(except = null) {
  for (const menu of document.querySelectorAll('details.menu[open]')) {
    if (menu.contains(except)) continue;
    if (except === null) menu.querySelector('summary').focus();
    menu.open = false;
  }
}

theme.start();
for (const button of document.querySelectorAll('[data-show]')) button.addEventListener('click', () => showView(button.dataset.show));
$('skip').addEventListener('click', (event) => {
  event.preventDefault();
  showView('chat');
  $('prompt').focus();
});
showView(matchMedia('(max-width: 1099px)').matches ? 'models' : 'chat');
document.addEventListener('click', (event) => { if (document.contains(event.target) && !$('ask').open) closeMenus(event.target); });
document.addEventListener('keydown', (event) => { if (event.key === 'Escape' && !$('ask').open) closeMenus(); });

const banner = (text) => {
  $('banner').hidden = text === '';
  if ($('banner').textContent !== text) $('banner').textContent = text;
};
state.on('find', () => showView('models'));
state.on('begin', () => showView('chat'));
state.on('unreachable', (error) => banner(error.status === 0
  ? `${error.message} What you typed stays here, and this page goes on by itself when the server is back.` : `${error.message} This page tries again.`));
state.on('reachable', () => { banner(state.configurationError ?? ''); announce('The server answers again.'); });
state.on('models', () => banner(state.configurationError ?? ''));

models.start();
hub.start();
chat.start();
state.refresh();
setInterval(() => { if (!document.hidden) state.refresh(); }, REFRESH_MS);
live.start();
