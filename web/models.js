// The list of models: what there is, how large, and whether it fits in this machine's memory.
import { get, post } from './api.js';
import { $, announce, ask, el, width } from './dom.js';
import { bytes, parameters } from './format.js';
import { Setup } from './setup.js';
import * as state from './state.js';

export const VERDICTS = { fits: 'Fits', streams: 'Streams', too_small: 'Too small', unknown: '…' };
const STATES = { loaded: 'Loaded', loading: 'Loading', stopping: 'Stopping', crashed: 'Crashed', invalid: 'Broken' };
const cards = new Map();

class Card {
  constructor(model) {
    this.id = model.id;
    this.badge = el('span', { class: 'badge' });
    this.facts = el('span', { class: 'facts' });
    this.verdict = el('span', {}, VERDICTS.unknown);
    this.bar = el('span', { class: 'bar', 'aria-hidden': 'true' }, el('i'), el('i', { class: 'over' }));
    this.size = el('span', { class: 'size unknown' }, this.bar, this.verdict);
    const body = `body-${cards.size}`;
    this.title = el('button', { type: 'button', class: 'title', 'aria-expanded': 'false', 'aria-controls': body, onclick: () => this.toggle() },
      el('span', { class: 'name' }, model.id, this.badge), this.facts, this.size);
    this.body = el('div', { id: body, hidden: true });
    this.trouble = el('p', { class: 'status wrong', role: 'status' });
    this.removal = el('div', { class: 'body' }, el('button', { type: 'button', class: 'quiet', onclick: () => this.delete() }, 'Delete from disk'), this.trouble);
    this.element = el('li', { class: 'card' }, this.title, this.body);
  }

  update(model) {
    this.model = model;
    this.element.dataset.state = model.state;
    this.badge.dataset.state = model.state;
    this.badge.textContent = STATES[model.state] ?? '';
    this.badge.hidden = !(model.state in STATES);
    const kind = model.kind === 'text' ? null : model.kind;
    this.facts.textContent = [kind, model.parameters ? parameters(model.parameters) : null, model.quantization, bytes(model.size_bytes),
                              model.files > 1 ? `${model.files} files` : null].filter(Boolean).join(' · ');
    this.size.hidden = model.kind === 'projector' || model.state === 'invalid';
    this.error = model.error;
    this.removal.hidden = !model.deletable;
  }

  async delete() {
    this.trouble.textContent = '';
    if (!await ask({ title: `Delete ${this.id}?`, text: `${bytes(this.model.size_bytes)} of this machine's disk become free. The model can be fetched again.`, yes: 'Delete' })) return;
    try {
      await post('api/v1/models/delete', { model: this.id });
      announce(`${this.id} is deleted`);
      $('rescan').focus();
      await state.refresh();
    } catch (error) {
      this.trouble.textContent = error.message;
    }
  }

  // The bar's whole is the larger of the memory, with what devices would have, and the model; what lies beyond the memory is hatched.
  showVerdict({ verdict, memory }) {
    const limit = memory.limit_bytes === null ? memory.everything_bytes ?? memory.weight_bytes : memory.limit_bytes + memory.device_weight_bytes;
    const needed = memory.everything_bytes ?? memory.weight_bytes;
    const whole = Math.max(limit, needed);
    this.size.className = `size ${verdict}`;
    this.verdict.textContent = VERDICTS[verdict];
    width(this.bar.firstChild, Math.min(needed, limit) / whole);
    width(this.bar.lastChild, limit / whole, '--x');
    width(this.bar.lastChild, Math.max(0, needed - limit) / whole);
    this.size.title = `${bytes(needed)} with everything in memory, ${bytes(limit)} to be had`;
  }

  toggle(open = this.body.hidden) {
    this.body.hidden = !open;
    this.title.setAttribute('aria-expanded', String(open));
    if (!open || this.body.firstChild) return;
    if (this.model.kind === 'projector') this.body.append(el('p', { class: 'body small soft' }, 'Lets a model see images. It is used when it lies beside its model in a folder of its own.'));
    else if (this.model.state === 'invalid') this.body.append(el('p', { class: 'body note wrong' }, this.error));
    else this.body.append(new Setup(this.id).element);
    this.body.append(this.removal);
  }
}

export function open(id) {
  cards.get(id)?.toggle(true);
}

let judging = false;
let again = false;

// One after the other: each may let the engine simulate its allocations.
async function judgeAll() {
  again = true;
  if (judging) return;
  judging = true;
  while (again) {
    again = false;
    for (const card of [...cards.values()]) {
      if (card.size.hidden) continue;
      try {
        const estimate = await get(`api/v1/models/estimate?${new URLSearchParams({ model: card.id })}`);
        card.showVerdict(estimate);
        state.estimates.set(card.id, estimate);
        state.tell('judged', card.id);
      } catch (error) {
        card.verdict.textContent = error.status === 0 ? VERDICTS.unknown : 'Unknown';
        card.size.title = error.message;
      }
      if (again) break;
    }
  }
  judging = false;
}

function showMachine() {
  const { memory } = state;
  if (!memory?.total_bytes) return;
  const used = memory.total_bytes - memory.available_bytes;
  const meter = el('span', { class: 'bar meter', 'aria-hidden': 'true' }, width(el('i'), used / memory.total_bytes));
  $('machine').replaceChildren(el('span', { class: 'number', title: memory.limited_by }, `${bytes(memory.available_bytes)} of memory free`), meter,
    ...memory.devices.map((device) => el('span', { class: 'number free-device', title: device.description }, `${bytes(device.free_bytes)} of ${device.name} free`)));
}

export function start() {
  $('rescan').addEventListener('click', () => state.refresh().then(judgeAll));
  state.on('models', ({ changed }) => {
    showMachine();
    for (const [id, card] of cards) {
      if (state.find(id)) continue;
      card.element.remove();
      cards.delete(id);
      state.estimates.delete(id);
    }
    for (const model of state.models) {
      if (!cards.has(model.id)) {
        cards.set(model.id, new Card(model));
        $('models').append(cards.get(model.id).element);
      }
      cards.get(model.id).update(model);
    }
    if (state.models.length === 0 && !$('models').firstChild) {
      $('models').append(el('li', { class: 'note', id: 'no-models' }, state.downloadsRefused
        ? 'There are no GGUF files in the folder of models. Put one there, then look again.' : 'There is no model on this machine yet. Get one: the search above finds it.'));
    } else if (state.models.length > 0) {
      $('no-models')?.remove();
    }
    if (changed) judgeAll();
  });
}
