// Conversations in this browser: localStorage, one key for each, so that two tabs do not overwrite each other's.

const PREFIX = 'headrace.conversation.';
const VERSION = 1;

export const DEFAULT_SAMPLING = { temperature: null, top_p: null, top_k: null, min_p: null, max_tokens: null, seed: null };

export function create() {
  const now = Date.now();
  return { version: VERSION, id: crypto.randomUUID?.() ?? `${now}-${Math.random()}`, title: 'New conversation', created: now, updated: now,
           model: null, system: '', sampling: { ...DEFAULT_SAMPLING }, messages: [] };
}

// What cannot be read, or is of a later version, is left alone and not shown.
function read(key) {
  try {
    const value = JSON.parse(localStorage.getItem(key));
    return value?.version === VERSION && Array.isArray(value.messages) ? value : null;
  } catch {
    return null;
  }
}

export function all() {
  const found = [];
  for (let i = 0; i < localStorage.length; i += 1) {
    const key = localStorage.key(i);
    if (!key.startsWith(PREFIX)) continue;
    const conversation = read(key);
    if (conversation) found.push(conversation);
  }
  return found.sort((a, b) => b.updated - a.updated);
}

// "" or why it could not be kept.
export function save(conversation) {
  conversation.updated = Date.now();
  try {
    localStorage.setItem(PREFIX + conversation.id, JSON.stringify(conversation));
    return '';
  } catch {
    return 'This browser has no more room for conversations: export and delete some. This one is not kept.';
  }
}

export function remove(id) {
  localStorage.removeItem(PREFIX + id);
}

export function watch(changed) {
  window.addEventListener('storage', (event) => { if (event.key === null || event.key.startsWith(PREFIX)) changed(); });
}

// As a file that the browser saves.
export function download(conversations) {
  const json = JSON.stringify({ program: 'headrace', version: VERSION, conversations }, null, 2);
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([json], { type: 'application/json' }));
  link.download = `headrace-${new Date().toISOString().slice(0, 10)}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
