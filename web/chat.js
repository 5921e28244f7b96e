// The conversation that is open: its messages, sending, stopping, answering again.
import { complete } from './completion.js';
import * as conversations from './conversations.js';
import { $, announce, el } from './dom.js';
import { load } from './loading.js';
import { MessageView } from './message.js';
import * as settings from './settings.js';
import * as state from './state.js';
import * as store from './store.js';

let conversation = store.create();
let showSettings = () => {};
let running = null;           // the AbortController of the answer that is made

function say(text, wrong = false) {
  $('chat-status').textContent = text;
  $('chat-status').classList.toggle('wrong', wrong);
}

function keep() {
  const wrong = store.save(conversation);
  if (wrong) say(wrong, true);
}

// Follows the text unless its reader has scrolled away.
function follow() {
  const thread = $('thread');
  const near = thread.scrollHeight - thread.scrollTop - thread.clientHeight < 120;
  return () => { if (near) thread.scrollTop = thread.scrollHeight; };
}

function append(message) {
  $('thread').querySelector('.empty')?.remove();
  const view = new MessageView(message);
  $('thread').append(view.element);
  $('thread').scrollTop = $('thread').scrollHeight;
  return view;
}

function show(next) {
  running?.abort();
  conversation = next ?? store.create();
  $('chat-title').textContent = conversation.title;
  $('thread').replaceChildren();
  conversation.messages.forEach(append);
  if (conversation.messages.length === 0) {
    $('thread').append(el('div', { class: 'empty' }, el('h3', {}, 'What would you like to talk about?'),
      el('p', {}, 'Everything stays on this machine. A model that is not loaded is loaded with the first message.')));
  }
  if (conversation.model && state.find(conversation.model)) $('chat-model').value = conversation.model;
  showSettings(conversation);
  say('');
  buttons();
}

function buttons() {
  $('stop').hidden = running === null;
  $('send').hidden = running !== null;
  $('send').disabled = $('prompt').value.trim() === '' || !$('chat-model').value;
  $('regenerate').disabled = running !== null || !conversation.messages.some(({ role }) => role === 'user');
}

async function answer() {
  const model = $('chat-model').value;
  const own = conversation;
  const messages = own.messages.map(({ role, content }) => ({ role, content }));
  if (own.system.trim()) messages.unshift({ role: 'system', content: own.system });
  const abort = new AbortController();
  running = abort;
  own.model = model;
  const message = { role: 'assistant', content: '', model };
  own.messages.push(message);
  const view = append(message);
  view.busy = true;
  buttons();
  let text = '';
  let wrong = false;
  try {
    if (state.find(model)?.state !== 'loaded') await load(model);
    if (!abort.signal.aborted) {
      view.onDraw = () => {};
      const changed = () => { const scroll = follow(); view.draw(); scroll(); };
      let frame = null;
      const soon = () => { frame ??= requestAnimationFrame(() => { frame = null; changed(); }); };
      await complete({ model, messages, sampling: own.sampling, answer: message, changed: soon, progress: say, signal: abort.signal });
    }
    announce(message.content);
  } catch (error) {
    wrong = error.name !== 'AbortError';
    text = wrong ? error.message : 'Stopped.';
  }
  view.draw();
  view.busy = false;
  if (message.content === '' && !message.reasoning) {
    own.messages.splice(own.messages.indexOf(message), 1);
    view.element.remove();
  }
  if (running === abort) running = null;
  const failure = store.save(own);
  if (own === conversation) say(failure || text, Boolean(failure) || wrong);
  buttons();
}

function send() {
  const text = $('prompt').value.trim();
  if (running || !text || !$('chat-model').value) return;
  $('prompt').value = '';
  grow();
  const message = { role: 'user', content: text };
  conversation.messages.push(message);
  if (conversation.messages.length === 1) {
    conversation.title = text.length > 48 ? `${text.slice(0, 47)}…` : text;
    $('chat-title').textContent = conversation.title;
  }
  append(message);
  keep();
  answer();
}

function regenerate() {
  if (running) return;
  while (conversation.messages.at(-1)?.role === 'assistant') {
    conversation.messages.pop();
    $('thread').lastElementChild.remove();
  }
  answer();
}

function grow() {
  $('prompt').style.height = 'auto';
  $('prompt').style.height = `${$('prompt').scrollHeight + 2}px`;
  buttons();
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
  conversations.start(() => conversation.id, show);
  state.on('models', showModels);
  state.on('progress', ({ model, text }) => { if (running && model === $('chat-model').value) say(text === null ? '' : `${model}: ${text}`); });
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
  show(store.all()[0] ?? null);
}
