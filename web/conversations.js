// The menu of conversations: search, open, rename, import, export, delete.
import { $, ask, el } from './dom.js';
import * as store from './store.js';

const SHOWN = 100;         // more are found by searching

// `current` returns the one that is open, `open` takes an id, or null for a new one; `renamed` gives the open one another title.
export function start({ current, open, renamed }) {
  const menu = $('conversations-menu');
  const search = el('input', { type: 'search', 'aria-label': 'Search conversations', placeholder: 'Search', oninput: () => draw() });
  const items = el('ul', { 'aria-label': 'Conversations' });
  const note = el('p', { class: 'soft small', role: 'status' });
  const file = el('input', { type: 'file', accept: '.json,application/json', hidden: true, 'aria-label': 'File to import', onchange: () => importFile() });
  let drawing = 0;

  const item = (summary) => {
    const { id, title } = summary;
    const button = (name, onclick) => el('button', { type: 'button', class: 'quiet', 'aria-label': `${name} ${title}`, onclick }, name);
    return el('li', { class: 'conversation', 'aria-current': String(id === current().id) },
      el('button', { type: 'button', class: 'open', onclick: () => { open(id); menu.open = false; menu.querySelector('summary').focus(); } }, title),
      button('Rename', () => rename(summary)), button('Export', async () => store.download([await store.get(id)])), button('Delete', () => drop(summary)));
  };
  const draw = async (say = '') => {
    drawing += 1;
    const mine = drawing;
    const words = search.value.trim();
    const [all, found] = await Promise.all([store.list(), words ? store.search(words) : null]);
    if (mine !== drawing) return;
    const wanted = found ? all.filter(({ id }) => found.has(id)) : all;
    const held = items.contains(document.activeElement) ? document.activeElement.getAttribute('aria-label') : null;
    items.replaceChildren(...wanted.slice(0, SHOWN).map(item));
    note.textContent = say || (all.length === 0 ? 'Conversations are kept in this browser, nowhere else.' : wanted.length === 0 ? 'None has these words.'
      : wanted.length > SHOWN ? `The newest ${SHOWN} of ${wanted.length}.` : '');
    if (held !== null) ([...items.querySelectorAll('button')].find((button) => button.getAttribute('aria-label') === held) ?? search).focus();
  };
  const rename = async ({ id, title }) => {
    const name = await ask({ title: 'Rename this conversation', text: '', value: title, yes: 'Rename' });
    if (!name) return;
    if (id === current().id) await renamed(name);
    else {
      const conversation = await store.get(id);
      if (conversation) await store.save({ ...conversation, title: name });
    }
    draw();
  };
  const drop = async ({ id, title }) => {
    const sure = await ask({ title: 'Delete this conversation?', text: `“${title}” is kept in this browser only. It cannot be brought back.`, yes: 'Delete' });
    if (!sure) return;
    if (id === current().id) await open(null);
    await store.remove(id);
    draw();
  };
  const importFile = async () => {
    const [chosen] = file.files;
    if (!chosen) return;
    try {
      const count = await store.importText(await chosen.text());
      draw(count === 1 ? 'One conversation was imported.' : `${count} conversations were imported.`);
    } catch (error) {
      draw(error.message);
    }
    file.value = '';
  };
  $('conversations').append(search, items, note, el('div', { class: 'row' }, file, el('button', { type: 'button', onclick: () => file.click() }, 'Import'),
    el('button', { type: 'button', onclick: async () => store.download(await store.all()) }, 'Export all')));
  menu.addEventListener('toggle', () => { if (menu.open) draw(); });
  store.watch(() => { if (menu.open) draw(); });
}
