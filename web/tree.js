// A conversation: messages, each with the one before it as `parent`, so that an edited message and an answer that was given again stand beside the
// earlier ones. `leaf` is the last message of the branch that is shown.

const VERSION = 2;
const ROLES = ['user', 'assistant'];
export const DEFAULT_SAMPLING = { temperature: null, top_p: null, top_k: null, min_p: null, max_tokens: null, seed: null };

export const newId = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;

export function create() {
  const now = Date.now();
  return { version: VERSION, id: newId(), title: 'New conversation', created: now, updated: now, model: null, system: '',
           sampling: { ...DEFAULT_SAMPLING }, messages: [], leaf: null };
}

// The messages of the branch that is shown, from the first on.
export function path({ messages, leaf }) {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const found = [];
  for (let message = byId.get(leaf); message; message = byId.get(message.parent)) {
    byId.delete(message.id);           // whatever a file says, this ends
    found.unshift(message);
  }
  return found;
}

export function add(conversation, parent, message) {
  const added = { id: newId(), parent, ...message };
  conversation.messages.push(added);
  conversation.leaf = added.id;
  return added;
}

// Takes back one that nothing follows.
export function takeBack(conversation, message) {
  conversation.messages = conversation.messages.filter(({ id }) => id !== message.id);
  if (conversation.leaf === message.id) conversation.leaf = message.parent;
}

// All that stand at the place of a message, the earliest first.
export const versions = ({ messages }, { parent, role }) => messages.filter((other) => other.parent === parent && other.role === role);

// Shows a version, and what came last after it.
export function choose(conversation, { id }) {
  const last = new Map(conversation.messages.map((message) => [message.parent, message.id]));
  const seen = new Set();
  for (conversation.leaf = id; last.has(conversation.leaf) && !seen.has(conversation.leaf); conversation.leaf = last.get(conversation.leaf)) seen.add(conversation.leaf);
}

// What another tab has added since.
export function merge(conversation, other) {
  const known = new Set(conversation.messages.map(({ id }) => id));
  conversation.messages.push(...other.messages.filter(({ id }) => !known.has(id)));
}

const text = (value, otherwise = '') => (typeof value === 'string' ? value : otherwise);
const number = (value) => (Number.isFinite(value) ? value : null);

export const readSampling = (value) => Object.fromEntries(Object.keys(DEFAULT_SAMPLING).map((name) => [name, number(value?.[name])]));

function readAttachment(value) {
  if (value?.kind === 'text' && typeof value.text === 'string') return { kind: 'text', name: text(value.name, 'file'), text: value.text };
  if (value?.kind === 'image' && /^data:image\/(png|jpeg|webp|gif);base64,/.test(value.url)) return { kind: 'image', name: text(value.name, 'image'), url: value.url };
  return null;
}

function readMessage(value, id, parent) {
  if (!ROLES.includes(value?.role) || typeof value.content !== 'string') return null;
  const message = { id, parent, role: value.role, content: value.content };
  for (const name of ['reasoning', 'stats', 'model', 'cut']) if (typeof value[name] === 'string') message[name] = value[name];
  const attachments = Array.isArray(value.attachments) ? value.attachments.map(readAttachment).filter(Boolean) : [];
  if (attachments.length > 0) message.attachments = attachments;
  const calls = Array.isArray(value.calls) ? value.calls.map((call) => ({ name: text(call?.name), arguments: text(call?.arguments) })) : [];
  if (calls.length > 0) message.calls = calls;
  return message;
}

// A conversation as storage or a file has it, also of the first version, whose messages were a list. Null where it is none.
export function read(value) {
  if (![1, VERSION].includes(value?.version) || typeof value.id !== 'string' || !Array.isArray(value.messages)) return null;
  const first = value.version === 1;
  const messages = value.messages.map((message, i) => (first
    ? readMessage(message, `${value.id}-${i}`, i > 0 ? `${value.id}-${i - 1}` : null)
    : typeof message?.id === 'string' ? readMessage(message, message.id, text(message.parent, null)) : null));
  if (messages.includes(null)) return null;
  return { ...create(), id: value.id, title: text(value.title, 'Conversation').slice(0, 200), created: number(value.created) ?? Date.now(),
           updated: number(value.updated) ?? Date.now(), model: text(value.model, null), system: text(value.system), sampling: readSampling(value.sampling),
           messages, leaf: first ? messages.at(-1)?.id ?? null : text(value.leaf, null) };
}
