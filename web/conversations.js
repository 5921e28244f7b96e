// The menu of conversations: open, export, delete.
import { $, ask, el } from './dom.js';
import * as store from './store.js';

// `current` returns the id of the one that is open, `open` takes one, or null for a new one.
export function start(current, open) {
  const menu = $('conversations-menu');
  const draw = () => {
    const list = store.all();
    const items = list.map((conversation) => el('li', { class: 'conversation', 'aria-current': String(conversation.id === current()) },
      el('button', { type: 'button', class: 'open', onclick: () => { open(conversation); menu.open = false; } }, conversation.title),
      el('button', { type: 'button', class: 'quiet', 'aria-label': `Export ${conversation.title}`, onclick: () => store.download([conversation]) }, 'Export'),
      el('button', { type: 'button', class: 'quiet', 'aria-label': `Delete ${conversation.title}`, onclick: () => drop(conversation) }, 'Delete')));
    $('conversations').replaceChildren(
      items.length > 0 ? el('ul', { 'aria-label': 'Conversations' }, items) : el('p', { class: 'soft small' }, 'Conversations are kept in this browser, nowhere else.'),
      el('div', { class: 'row' }, items.length > 0 ? el('button', { type: 'button', onclick: () => store.download(list) }, 'Export all') : null));
  };
  const drop = async (conversation) => {
    const sure = await ask({ title: 'Delete this conversation?', text: `“${conversation.title}” is kept in this browser only. It cannot be brought back.`, yes: 'Delete' });
    if (!sure) return;
    store.remove(conversation.id);
    if (conversation.id === current()) open(null);
    draw();
  };
  menu.addEventListener('toggle', () => { if (menu.open) draw(); });
  store.watch(() => { if (menu.open) draw(); });
}
