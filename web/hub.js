// Models of the hub: searching, what a repository has, downloads. The server asks the hub, and only when somebody presses a button here.
import { events, get } from './api.js';
import { $, announce, el } from './dom.js';
import { bytes, perSecond, seconds } from './format.js';
import { VERDICTS } from './models.js';
import * as state from './state.js';

const UNFINISHED = 'headrace.downloads';
// hf:USER/NAME:QUANTIZATION in the ways in which people write it.
const SOURCE = /^(?:hf:|(?:https:\/\/)?(?:hf\.co|huggingface\.co)\/)?([\w.-]+\/[\w.-]+)(?::([\w.-]+))?\/?$/;
const downloads = new Map();

function say(text, wrong = false) {
  $('find-status').textContent = text;
  $('find-status').classList.toggle('wrong', wrong);
}

// A download, from the button to the model's card. The server stops when its client goes away, and goes on where it was.
class Download {
  constructor(source) {
    this.source = source;
    this.bar = el('progress', { max: 1, 'aria-label': `Download of ${source}` });
    this.text = el('p', { class: 'status', role: 'status' });
    this.stop = el('button', { type: 'button', onclick: () => this.abort.abort() }, 'Cancel');
    this.again = el('button', { type: 'button', onclick: () => this.start() }, 'Go on');
    this.away = el('button', { type: 'button', class: 'quiet', onclick: () => this.remove() }, 'Remove from this list');
    this.use = el('button', { type: 'button', class: 'primary' }, 'Talk to it');
    this.element = el('li', { class: 'card download' }, el('b', {}, source), this.bar, this.text, el('div', { class: 'row' }, this.use, this.stop, this.again, this.away));
    downloads.set(source, this);
    $('downloads').append(this.element);
    keepUnfinished();
    this.show('Not finished. What came is kept.');
  }

  show(text, { running = false, wrong = false, model = null } = {}) {
    this.running = running;
    this.text.textContent = text;
    this.text.classList.toggle('wrong', wrong);
    this.bar.hidden = this.stop.hidden = !running;
    this.again.hidden = running || model !== null;
    this.away.hidden = running;
    this.use.hidden = model === null;
    this.use.onclick = () => { state.begin(model); this.remove(); };
  }

  progress({ phase, done_bytes: done, total_bytes: total }) {
    if (total) this.bar.value = done / total; else this.bar.removeAttribute('value');
    if (phase === 'waiting') { this.text.textContent = 'Waiting for the hub'; return; }
    if (phase === 'checking') { this.text.textContent = `Checking ${bytes(total)}`; return; }
    const now = performance.now() / 1000;
    this.from ??= { now, done };
    const speed = (done - this.from.done) / (now - this.from.now);
    this.text.textContent = [`${bytes(done)} of ${bytes(total)}`, ...(speed > 0 ? [perSecond(speed), `${seconds((total - done) / speed)} left`] : [])].join(', ');
  }

  async start() {
    this.abort = new AbortController();
    this.from = null;
    this.lost = false;
    this.show('Waiting for the hub', { running: true });
    try {
      for await (const { event, data } of events('api/v1/models/pull', { body: { model: this.source, stream: true }, signal: this.abort.signal })) {
        if (event === 'progress') this.progress(data);
        if (event === 'error') throw new Error(data.error.message);
        if (event !== 'pulled') continue;
        await state.refresh();
        this.finished = true;
        keepUnfinished();
        this.show(`${data.model} is here, ${bytes(data.size_bytes)}.`, { model: data.model });
        announce(`${data.model} is here`);
        return;
      }
      throw new Error('The server broke the download off.');
    } catch (error) {
      this.lost = error.status === 0;
      const stopped = error.name === 'AbortError';
      this.show(stopped ? 'Stopped. What came is kept.' : error.message, { wrong: !stopped });
    }
  }

  remove() {
    downloads.delete(this.source);
    this.element.remove();
    keepUnfinished();
  }
}

const keepUnfinished = () => localStorage.setItem(UNFINISHED, JSON.stringify([...downloads.values()].filter(({ finished }) => !finished).map(({ source }) => source)));

function fetchModel(source) {
  const download = downloads.get(source) ?? new Download(source);
  if (!download.running) download.start();
  download.element.scrollIntoView({ block: 'nearest' });
}

function offer({ source, quantization, size_bytes: size, verdict, model }, free) {
  const facts = el('span', { class: 'soft small' }, [bytes(size), VERDICTS[verdict].toLowerCase(), size > free ? 'more than the disk has free' : null].filter(Boolean).join(' · '));
  const button = model
    ? el('button', { type: 'button', 'aria-label': `Talk to ${model}`, onclick: () => state.begin(model) }, 'Talk to it')
    : el('button', { type: 'button', 'aria-label': `Download ${source}`, onclick: () => fetchModel(source) }, 'Download');
  return el('li', { class: 'offer' }, el('span', {}, el('b', {}, quantization || source), ' ', facts), button);
}

// What a repository has; with a quantization only that.
async function look(name, quantization = '') {
  const found = await get(`api/v1/hub/repository?${new URLSearchParams({ name })}`);
  const wanted = found.models.filter((model) => !quantization || model.quantization.toLowerCase() === quantization.toLowerCase());
  const shown = wanted.length > 0 ? wanted : found.models;
  const note = found.models.length === 0 ? `${name} has no model in GGUF.`
    : wanted.length === 0 ? `${name} has no ${quantization}. It has:` : `Of ${bytes(found.disk_free_bytes)} that the disk has free. Whether a model fits or streams is judged by its size alone.`;
  return [el('p', { class: 'soft small' }, note), el('ul', {}, shown.map((model) => offer(model, found.disk_free_bytes)))];
}

function repository({ name, downloads: fetched, gated }) {
  const inner = el('div', { hidden: true });
  const button = el('button', { type: 'button', class: 'title', 'aria-expanded': 'false', onclick: async () => {
    inner.hidden = !inner.hidden;
    button.setAttribute('aria-expanded', String(!inner.hidden));
    if (inner.hidden || inner.firstChild) return;
    say(`Asking the hub for ${name}`);
    try {
      inner.append(...await look(name));
      say('');
    } catch (error) {
      inner.hidden = true;
      button.setAttribute('aria-expanded', 'false');
      say(error.message, true);
    }
  } }, el('span', { class: 'name' }, name), el('span', { class: 'facts' }, [`fetched ${fetched.toLocaleString()} times`, gated ? 'asks for consent to its conditions' : null].filter(Boolean).join(' · ')));
  return el('li', { class: 'card repository' }, button, inner);
}

async function search() {
  const words = $('find-words').value.trim();
  if (!words) return;
  $('found').replaceChildren();
  $('find-search').disabled = true;
  say('Asking the hub');
  try {
    const direct = SOURCE.exec(words);
    if (direct) {
      const nodes = await look(direct[1], direct[2]);
      $('found').append(el('li', { class: 'card repository' }, el('div', {}, el('b', {}, direct[1]), ...nodes)));
      say('');
    } else {
      const { repositories } = await get(`api/v1/hub/search?${new URLSearchParams({ query: words })}`);
      $('found').append(...repositories.map(repository));
      say(repositories.length === 0 ? 'The hub found nothing for these words.' : `${repositories.length} repositories`);
    }
  } catch (error) {
    say(error.message, true);
  }
  $('find-search').disabled = false;
}

function toggle(open) {
  $('find').hidden = !open;
  $('find-open').setAttribute('aria-expanded', String(open));
  if (open) $('find-words').focus();
}

export function start() {
  $('find-open').addEventListener('click', () => toggle($('find').hidden));
  $('find-form').addEventListener('submit', (event) => { event.preventDefault(); search(); });
  state.on('find', () => toggle(true));
  state.on('models', () => { $('find-open').hidden = state.downloadsRefused !== null; });
  state.on('reachable', () => { for (const download of downloads.values()) if (download.lost) download.start(); });
  let unfinished = [];
  try { unfinished = JSON.parse(localStorage.getItem(UNFINISHED) ?? '[]'); } catch { /* somebody else's */ }
  for (const source of unfinished) if (typeof source === 'string') new Download(source);
}
