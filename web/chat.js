// The conversation that is open: its messages, sending, stopping, answering again.
import * as attachments from './attachments.js';
import { complete } from './completion.js';
import * as conversations from './conversations.js';
import { $, announce, el } from './dom.js';
import { bytes } from './format.js';
import { load } from './loading.js';
import { MessageView } from './message.js';
import * as settings from './settings.js';
import * as state from './state.js';
import * as store from './store.js';
import * as tree from './tree.js';
import { welcome } from './welcome.js';

const DRAFT = 'headrace.draft';
let conversation = tree.create();
let showSettings = () => {};
let running = null;           // the AbortController of the answer that is made
let answering = null;         // its view

function say(text, wrong = false) {
  $('chat-status').textContent = text;
  $('chat-status').classList.toggle('wrong', wrong);
}

async function keep(own = conversation) {
  const wrong = await store.save(own);
  if (wrong && own === conversation) say(wrong, true);
  return wrong;
}

// Follows the text unless its reader has scrolled away.
function follow() {
  const thread = $('thread');
  const near = thread.scrollHeight - thread.scrollTop - thread.clientHeight < 120;
  return () => { if (near) thread.scrollTop = thread.scrollHeight; };
}

function append(message) {
  $('thread').querySelector('.empty')?.remove();
  const view = new MessageView(message, tree.versions(conversation, message), { edit, choose, repeat });
  $('thread').append(view.element);
  $('thread').scrollTop = $('thread').scrollHeight;
  return view;
}

function drawThread() {
  $('thread').replaceChildren();
  tree.path(conversation).forEach(append);
  if ($('thread').firstChild) return;
  $('thread').append(welcome());
}

function show(next) {
  running?.abort();
  conversation = next ?? tree.create();
  $('chat-title').textContent = conversation.title;
  drawThread();
  if (conversation.model && state.find(conversation.model)) $('chat-model').value = conversation.model;
  showSettings(conversation);
  say('');
  buttons();
}

// An edited message stands beside the earlier one, and what follows begins anew.
function edit(message, content) {
  if (running) { say('Stop the answer first.'); return; }
  const { role, model, attachments: files } = message;
  tree.add(conversation, message.parent, { role, content, ...(model ? { model } : {}), ...(files ? { attachments: files } : {}) });
  drawThread();
  keep();
  $('prompt').focus();
  if (role === 'user') answer();
}

function choose(message) {
  if (running) { say('Stop the answer first.'); return; }
  tree.choose(conversation, message);
  drawThread();
  $('thread').querySelector(`[data-id="${CSS.escape(message.id)}"] .turner button:not(:disabled)`)?.focus();
  keep();
  buttons();
}

// What is used and then cannot be used any more hands the focus on.
function buttons() {
  const held = document.activeElement;
  $('attach').title = attachments.kinds();
  $('stop').hidden = running === null;
  $('send').hidden = running !== null;
  $('send').disabled = ($('prompt').value.trim() === '' && attachments.empty()) || !$('chat-model').value;
  $('regenerate').disabled = running !== null || !conversation.messages.some(({ role }) => role === 'user');
  if (running && (held === $('send') || held === $('regenerate'))) $('stop').focus();
  if (!running && held === $('stop')) $('prompt').focus();
}

async function answer() {
  const model = $('chat-model').value;
  const own = conversation;
  const before = tree.path(own);
  const messages = before.map(({ role, content, attachments: files }) => ({ role, content: attachments.content(content, files) }));
  if (own.system.trim()) messages.unshift({ role: 'system', content: own.system });
  const abort = new AbortController();
  running = abort;
  own.model = model;
  const message = tree.add(own, before.at(-1)?.id ?? null, { role: 'assistant', content: '', model });
  const view = append(message);
  view.busy = true;
  answering = view;
  say('');
  buttons();
  let text = '';
  let wrong = false;
  let stopped = 'Stopped.';
  let frame = null;
  try {
    attachments.check(messages, state.find(model));
    if (state.find(model)?.state !== 'loaded') {
      stopped = 'Stopped. The model goes on loading.';
      await load(model, {}, abort.signal);
      stopped = 'Stopped.';
    }
    if (!abort.signal.aborted) {
      const changed = () => { const scroll = follow(); view.draw(false); scroll(); };
      const soon = () => { frame ??= requestAnimationFrame(() => { frame = null; changed(); }); };
      const timings = await complete({ model, messages, sampling: own.sampling, answer: message, changed: soon, progress: (now) => { view.waiting = now; }, signal: abort.signal });
      if (timings?.predicted_n >= state.ENOUGH_TOKENS) state.noteSpeed(model, timings.predicted_per_second);
    }
    if (message.stats && state.heldBytes.has(model)) message.stats += ` · ${bytes(state.heldBytes.get(model))} of weights in memory`;
    announce(message.content);
  } catch (error) {
    wrong = error.name !== 'AbortError';
    text = wrong ? error.message : stopped;
    if (wrong && message.content) {
      message.cut = error.message;
      text = '';
    } else if (error.status === 0) {
      text += ' Your message is kept: Regenerate asks again.';
    }
  }
  cancelAnimationFrame(frame);
  view.waiting = '';
  view.draw(true);
  view.busy = false;
  if (message.content === '' && !message.reasoning && !message.calls) {
    tree.takeBack(own, message);
    view.element.remove();
  }
  if (running === abort) running = answering = null;
  if (own === conversation) say(text, wrong);
  buttons();
  await keep(own);
}

function send() {
  const text = $('prompt').value.trim();
  if (running || (!text && attachments.empty()) || !$('chat-model').value) return;
  $('prompt').value = '';
  grow();
  const files = attachments.take();
  const first = conversation.messages.length === 0;
  const message = tree.add(conversation, conversation.leaf, { role: 'user', content: text, ...(files.length > 0 ? { attachments: files } : {}) });
  if (first) {
    const title = text || files[0].name;
    conversation.title = title.length > 48 ? `${title.slice(0, 47)}…` : title;
    $('chat-title').textContent = conversation.title;
  }
  append(message);
  keep();
  answer();
}

// Another answer in the place of this one, which stays a version.
function repeat({ parent }) {
  if (running) { say('Stop the answer first.'); return; }
  conversation.leaf = parent;
  drawThread();
  answer();
}

function regenerate() {
  const last = tree.path(conversation).findLast(({ role }) => role === 'user');
  repeat({ parent: last.id });
}

// What another tab did with the conversation that is open here.
async function follows(id) {
  if (running || (id !== null && id !== conversation.id)) return;
  const stored = await store.get(conversation.id);
  if (!stored || running || stored.id !== conversation.id) return;
  tree.merge(conversation, stored);
  conversation.title = stored.title;
  $('chat-title').textContent = conversation.title;
  tree.choose(conversation, { id: conversation.leaf });
  drawThread();
  buttons();
}

function grow() {
  $('prompt').style.height = 'auto';
  $('prompt').style.height = `${$('prompt').scrollHeight + 2}px`;
  sessionStorage.setItem(DRAFT, $('prompt').value);
  buttons();
}

// What has not changed stays: somebody may be about to press it.
function greet() {
  const shown = $('thread').querySelector('.empty');
  const now = welcome();
  if (shown && shown.textContent !== now.textContent) shown.replaceWith(now);
}

// Somebody wants to talk to this model: it is loaded while the first message is written.
async function begin(id) {
  $('chat-model').value = id;
  buttons();
  $('prompt').focus();
  if (running || state.find(id)?.state === 'loaded') return;
  try {
    await load(id);
    say('');
  } catch (error) {
    say(error.message, true);
  }
}

// The model that was chosen stays chosen; else the one that is loaded, else the first.
function showModels() {
  const select = $('chat-model');
  const list = state.models.filter(state.canChat);
  const chosen = list.find(({ id }) => id === select.value) ?? list.find(({ id }) => id === conversation.model)
    ?? list.find(({ state: now }) => now === 'loaded') ?? list.find(({ kind }) => kind === 'text') ?? list[0];
  const options = list.map(({ id, state: now }) => el('option', { value: id }, now === 'loaded' ? `${id} (loaded)` : id));
  if (options.map((option) => option.textContent).join() !== [...select.options].map((option) => option.textContent).join()) select.replaceChildren(...options);
  if (chosen) select.value = chosen.id;
  buttons();
}

export function start() {
  showSettings = settings.start((system, sampling) => {
    conversation.system = system;
    conversation.sampling = sampling;
    if (conversation.messages.length > 0) keep();
  });
  conversations.start({ current: () => conversation, open: async (id) => show(id === null ? null : await store.get(id)),
                        renamed: (title) => { conversation.title = title; $('chat-title').textContent = title; return keep(); } });
  store.watch(follows);
  attachments.start({ model: () => state.find($('chat-model').value), changed: buttons, say });
  state.on('models', showModels);
  $('chat-model').addEventListener('change', buttons);
  state.on('begin', begin);
  for (const news of ['models', 'judged']) state.on(news, greet);
  state.on('progress', ({ model, text }) => {
    if (answering?.message.model === model) answering.waiting = text ?? '';
    else if (!running && text && model === $('chat-model').value) say(`${model}: ${text}`);
  });
  $('composer').addEventListener('submit', (event) => { event.preventDefault(); send(); });
  $('prompt').addEventListener('input', grow);
  $('prompt').addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  $('stop').addEventListener('click', () => { running?.abort(); $('prompt').focus(); });
  $('regenerate').addEventListener('click', regenerate);
  $('new').addEventListener('click', () => { show(null); $('prompt').focus(); });
  show(null);
  $('prompt').value = sessionStorage.getItem(DRAFT) ?? '';
  grow();
  openLast();
}

async function openLast() {
  const begun = conversation;
  try {
    await store.takeOld();
    const [newest] = await store.list();
    const last = newest ? await store.get(newest.id) : null;
    if (last && conversation === begun && begun.messages.length === 0) show(last);
  } catch (error) {
    say(`This browser keeps no conversations here (${error.name}): they are gone with this tab.`, true);
  }
}
