// Conversations in this browser: IndexedDB, whole ones and beside them what the list shows. Tabs that write the same conversation lose nothing: what
// is there is merged (tree.js).
import { el } from './dom.js';
import { merge, read } from './tree.js';

const OLD_PREFIX = 'headrace.conversation.';       // localStorage, the first version
const channel = new BroadcastChannel('headrace.conversations');
let opening = null;

const done = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

function open() {
  opening ??= (async () => {
    const request = indexedDB.open('headrace', 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore('conversations', { keyPath: 'id' });
      request.result.createObjectStore('summaries', { keyPath: 'id' });
    };
    return done(request);
  })();
  return opening;
}

// Runs `work(conversations, summaries)` in one transaction; resolves when it is written.
async function write(work) {
  const transaction = (await open()).transaction(['conversations', 'summaries'], 'readwrite', { durability: 'relaxed' });
  const written = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error);
  });
  written.catch(() => {});
  await work(transaction.objectStore('conversations'), transaction.objectStore('summaries'));
  await written;
}

const reading = async (name) => (await open()).transaction(name).objectStore(name);
const summary = ({ id, title, updated }) => ({ id, title, updated });

async function put(conversation, conversations, summaries) {
  const stored = await done(conversations.get(conversation.id));
  if (stored) merge(conversation, stored);
  await done(conversations.put(conversation));
  await done(summaries.put(summary(conversation)));
}

// {id, title, updated} of each, the newest first.
export async function list() {
  return (await done((await reading('summaries')).getAll())).sort((a, b) => b.updated - a.updated);
}

export const get = async (id) => done((await reading('conversations')).get(id));
export const all = async () => done((await reading('conversations')).getAll());

// Ids of those that have the words in their title or a message.
export async function search(words) {
  const wanted = words.toLowerCase();
  const found = new Set();
  const request = (await reading('conversations')).openCursor();
  await new Promise((resolve, reject) => {
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (!cursor) { resolve(); return; }
      const { id, title, messages } = cursor.value;
      if ([title, ...messages.map(({ content }) => content)].some((text) => text.toLowerCase().includes(wanted))) found.add(id);
      cursor.continue();
    };
  });
  return found;
}

// "" or why it could not be kept.
export async function save(conversation) {
  conversation.updated = Date.now();
  const now = structuredClone(conversation);      // it may go on while this is written
  try {
    await write((conversations, summaries) => put(now, conversations, summaries));
    merge(conversation, now);
    channel.postMessage(conversation.id);
    return '';
  } catch (error) {
    return `This browser does not keep the conversation (${error?.name ?? 'unknown reason'}): export it, and delete others if there is no more room.`;
  }
}

export async function remove(id) {
  await write((conversations, summaries) => { conversations.delete(id); summaries.delete(id); });
  channel.postMessage(id);
}

// `changed(id)` when another tab has written or deleted one; null: several.
export function watch(changed) {
  channel.addEventListener('message', ({ data }) => changed(data));
}

// The conversations of an exported file, kept beside those that are here. Returns how many, or throws what is wrong with the file.
export async function importText(json) {
  let value = null;
  try { value = JSON.parse(json); } catch { throw new Error('The file is no JSON.'); }
  if (!Array.isArray(value?.conversations)) throw new Error('The file is no export of conversations from this page.');
  const found = value.conversations.map(read);
  const wrong = found.indexOf(null);
  if (wrong >= 0) throw new Error(`Conversation ${wrong + 1} of the file is not understood. Nothing was imported.`);
  await write(async (conversations, summaries) => { for (const conversation of found) await put(conversation, conversations, summaries); });
  channel.postMessage(null);
  return found.length;
}

// As a file that the browser saves.
export function download(conversations) {
  const json = JSON.stringify({ program: 'headrace', version: 2, conversations }, null, 2);
  const link = el('a', { href: URL.createObjectURL(new Blob([json], { type: 'application/json' })), download: `headrace-${new Date().toISOString().slice(0, 10)}.json` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// Takes in what the first version kept. What cannot be read stays where it is.
export async function takeOld() {
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(OLD_PREFIX));
  for (const key of keys) {
    let conversation = null;
    try { conversation = read(JSON.parse(localStorage.getItem(key))); } catch { /* no JSON */ }
    if (!conversation) continue;
    await write((conversations, summaries) => put(conversation, conversations, summaries));
    localStorage.removeItem(key);
  }
}
