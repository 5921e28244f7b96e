// A model's own card, opened: the switch, the sliders of memory and of graphics cards with their estimate, loading and unloading.
import { get } from './api.js';
import { announce, el, width } from './dom.js';
import * as estimate from './estimate.js';
import { bytes } from './format.js';
import { load, unload } from './loading.js';
import { find, measuredSpeed, models, on } from './state.js';

const STEPS = 1000;
const DEBOUNCE_MS = 90;
const GIB = 2 ** 30;
const MIB = 2 ** 20;
const CACHE_TYPES = ['f16', 'q8_0', 'q4_0'];

let setups = 0;

export class Setup {
  constructor(id) {
    this.id = id;
    this.changes = {};          // of the configuration, as POST /api/v1/models/load takes them
    this.range = null;          // of the slider: {key, least, most}
    this.build();
    on('progress', (progress) => { if (progress.model === id) this.showProgress(progress); });
    on('models', ({ changed }) => { if (changed) this.refresh(); });
    on('measured', (measured) => { if (measured === id && !this.element.parentElement?.hidden) this.refresh(); });
    this.refresh();
  }

  get model() { return find(this.id); }
  // What a load starts from: the remembered configuration, with what was changed here.
  setting(key) { return key in this.changes ? this.changes[key] : this.model?.remembered?.[key]; }

  build() {
    this.about = `about-${setups += 1}`;
    this.flash = el('input', { type: 'checkbox', role: 'switch', 'aria-describedby': this.about, onchange: () => this.toggle() });
    this.slider = el('input', { type: 'range', min: 0, max: STEPS, step: 1, value: STEPS, oninput: () => this.slide(), 'aria-label': 'Memory for this model' });
    this.sliderValue = el('output', {});
    this.ends = el('span', { class: 'hint' }, el('span', {}), el('span', {}));
    this.budget = el('div', { class: 'field' }, el('div', { class: 'label' }, el('span', {}, 'Memory for this model'), this.sliderValue), this.slider, this.ends);
    this.vram = el('select', { onchange: () => this.chooseVram(this.vram.value), 'aria-label': 'Graphics cards' },
      el('option', { value: 'auto' }, 'What is free'), el('option', { value: 'off' }, 'Nothing'), el('option', { value: 'size' }, 'A size'));
    this.vramSlider = el('input', { type: 'range', min: 0, max: STEPS, step: 1, value: STEPS, oninput: () => this.slideVram(), 'aria-label': 'Memory of graphics cards' });
    this.vramValue = el('output', {});
    this.vramSize = el('div', {}, this.vramSlider);
    this.cards = el('div', { class: 'field', hidden: true }, el('div', { class: 'label' }, el('span', {}, 'Graphics cards'), this.vramValue, this.vram), this.vramSize);
    this.context = el('input', { type: 'number', min: 1, step: 1, inputmode: 'numeric', onchange: () => this.change('context_length', Number(this.context.value) || null) });
    this.cache = el('select', { onchange: () => this.change('kv_cache_type', this.cache.value || null) },
      el('option', { value: '' }, 'Default'), CACHE_TYPES.map((type) => el('option', {}, type)));
    this.draft = el('select', { onchange: () => this.change('draft_model', this.draft.value || null) });
    const field = (name, control) => el('label', { class: 'field' }, el('span', { class: 'label' }, name), control);
    this.estimate = el('div', { class: 'estimate', 'aria-busy': 'true' });
    this.status = el('p', { class: 'status', role: 'status' });
    this.bar = el('progress', { max: 1, hidden: true, 'aria-label': 'Loading' });
    this.loadButton = el('button', { type: 'button', class: 'primary', onclick: () => this.load() }, 'Load');
    this.unloadButton = el('button', { type: 'button', onclick: () => this.unload() }, 'Unload');
    this.element = el('div', { class: 'body' },
      el('label', { class: 'switch' }, '⚡ Enable Flash Weight Streaming', this.flash),
      el('p', { class: 'small soft about', id: this.about }, 'Keeps a part of the weights in memory and reads the rest from disk while the model computes: it runs in less memory than it is large, slower, with the same text.'),
      this.budget, this.cards,
      el('details', { class: 'more' }, el('summary', {}, 'Context, KV cache, draft model'),
        el('div', { class: 'pair' }, field('Context in tokens', this.context), field('KV cache', this.cache)), field('Draft model', this.draft)),
      this.estimate, this.bar, this.status, el('div', { class: 'actions' }, this.loadButton, this.unloadButton));
  }

  change(key, value) {
    this.changes[key] = value;
    this.range = null;
    this.refresh();
  }

  toggle() {
    this.change('flash_mode', this.flash.checked ? 'on' : 'off');
  }

  slide() {
    const { key, least, most } = this.range;
    const at = Number(this.slider.value) / STEPS;
    this.changes[key] = (least + (most - least) * at) / GIB;
    this.showSlider(this.changes[key] * GIB);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), DEBOUNCE_MS);
  }

  chooseVram(mode) {
    this.change('vram_gb', mode === 'size' ? this.vramBytes(1) / GIB : mode);
  }

  // Whole MiB, so that no rounding makes it more than is free.
  vramBytes(at) {
    const { least, most } = this.vramRange;
    return Math.max(MIB, Math.floor((least + (most - least) * at) / MIB) * MIB);
  }

  slideVram() {
    const size = this.vramBytes(Number(this.vramSlider.value) / STEPS);
    this.changes.vram_gb = size / GIB;
    this.range = null;
    this.showVramSize(size);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), DEBOUNCE_MS);
  }

  showVramSize(size) {
    const { least, most } = this.vramRange;
    this.vramValue.textContent = bytes(size);
    this.vramSlider.setAttribute('aria-valuetext', bytes(size));
    return width(this.vramSlider, Math.min(1, Math.max(0, (size - least) / Math.max(1, most - least))), '--at');
  }

  // Where there is none nothing is asked; a size that was remembered is in the way then, and the estimate says so.
  showVram({ vram, model, memory, devices }) {
    this.cards.hidden = vram.free_bytes === null;
    if (this.cards.hidden) return;
    const least = Math.min(vram.least_bytes === null ? MIB : vram.least_bytes + MIB, vram.free_bytes);
    // More than all of it would be of no use.
    const context = devices.reduce((bytesThere, { context_bytes: there }) => bytesThere + (there ?? 0), memory.context_bytes ?? 0);
    this.vramRange = { least, most: vram.least_bytes === null ? vram.free_bytes : Math.min(vram.free_bytes, least + model.weight_bytes + context) };
    this.vram.value = vram.mode;
    this.vramSize.hidden = vram.mode !== 'size';
    this.vramValue.textContent = '';
    if (vram.mode !== 'size') return;
    this.showVramSize(vram.limit_bytes);
    const { most } = this.vramRange;
    if (document.activeElement !== this.vramSlider) this.vramSlider.value = Math.round((STEPS * (vram.limit_bytes - least)) / Math.max(1, most - least));
  }

  showSlider(size) {
    const share = (size - this.range.least) / Math.max(1, this.range.most - this.range.least);
    this.sliderValue.textContent = bytes(Math.round(size));
    this.slider.setAttribute('aria-valuetext', bytes(Math.round(size)));
    width(this.slider, share, '--at');
    return share;
  }

  query(skip = null) {
    const query = new URLSearchParams({ model: this.id });
    for (const [key, value] of Object.entries(this.changes)) if (key !== skip) query.set(key, value ?? 'null');
    return `api/v1/models/estimate?${query}`;
  }

  async refresh() {
    const { model } = this;
    if (!model) return;
    this.showModel(model);
    this.request?.abort();
    this.request = new AbortController();
    const { signal } = this.request;
    this.estimate.setAttribute('aria-busy', 'true');
    try {
      const found = await get(this.query(), signal);
      if (!this.range) await this.findRange(found, signal);
      this.show(found);
    } catch (error) {
      if (error.name === 'AbortError') return;
      this.estimate.replaceChildren(el('p', { class: 'note wrong' }, error.message));
    }
    this.estimate.setAttribute('aria-busy', 'false');
  }

  // From what just works to what holds everything, or to what there is.
  async findRange(found, signal) {
    const key = found.memory.least_bytes ? 'ram_gb' : 'flash_ram_gb';
    const whole = key in this.changes || this.setting(key) ? await get(`${this.query(key)}&${key}=null`, signal) : found;
    const least = key === 'ram_gb' ? found.memory.least_bytes : found.smallest_budget_bytes;
    // What devices have is not in memory.
    const everything = key === 'ram_gb' ? found.memory.everything_bytes - found.memory.device_weight_bytes : found.memory.weight_bytes;
    const most = Math.min(everything, whole.memory.limit_bytes ?? everything);
    this.range = { key, least, most };
    this.slider.disabled = most <= least;
    this.ends.firstChild.textContent = bytes(least);
    this.ends.lastChild.textContent = most < everything ? `${bytes(most)}: all there is` : `${bytes(most)}: all of it`;
    const set = this.setting(key);
    const size = Math.min(Math.max(set ? set * GIB : most, least), Math.max(most, least));
    this.slider.value = Math.round(STEPS * this.showSlider(size));
  }

  show(found) {
    const mode = this.setting('flash_mode') ?? 'auto';
    this.flash.checked = mode === 'on' || (mode === 'auto' && (found.streams || !found.fits));
    this.budget.hidden = !this.flash.checked;
    this.showVram(found);
    this.estimate.replaceChildren(...estimate.draw(found, (remedy) => {
      Object.assign(this.changes, remedy);
      this.range = null;
      this.flash.focus();
      this.refresh();
    }, measuredSpeed(this.id)));
    this.loadButton.disabled = this.busy || found.devices_problem !== null || (!found.fits && found.reason !== null && found.streams);
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => { if (this.element.contains(document.activeElement)) announce(estimate.summary(found)); }, 700);
  }

  showModel(model) {
    const loaded = model.state === 'loaded';
    this.loadButton.textContent = loaded ? 'Load again' : 'Load';
    this.unloadButton.hidden = model.state === 'unloaded';
    this.context.placeholder = String(Math.min(model.context_length ?? 4096, 4096));
    this.context.value = this.setting('context_length') ?? '';
    this.cache.value = this.setting('kv_cache_type') ?? '';
    const others = models.filter(({ id, kind, state }) => id !== this.id && kind === 'text' && state !== 'invalid');
    this.draft.replaceChildren(el('option', { value: '' }, 'None'), ...others.map(({ id }) => el('option', { value: id }, id)));
    this.draft.value = this.setting('draft_model') ?? '';
  }

  showProgress({ text, share }) {
    this.busy = text !== null;
    this.bar.hidden = !this.busy;
    this.loadButton.disabled = this.busy;
    if (share === null) this.bar.removeAttribute('value'); else this.bar.value = share;
    this.say(text ?? '');
  }

  say(text, wrong = false) {
    this.status.textContent = text;
    this.status.classList.toggle('wrong', wrong);
  }

  async load() {
    const held = document.activeElement === this.loadButton;      // it cannot be used meanwhile, and loses the focus
    try {
      const { configuration, remembered, remember_error: error } = await load(this.id, this.changes);
      this.changes = {};
      this.range = null;
      this.say(remembered || !error ? `Loaded with ${configuration.context_length} tokens of context.` : error);
      this.refresh();
    } catch (error) {
      this.say(error.message, true);
    }
    if (held && document.activeElement === document.body) this.loadButton.focus();
  }

  async unload() {
    this.say('Unloading: its requests finish first.');
    try {
      await unload(this.id);
      this.say('');
      if (this.unloadButton.hidden && document.activeElement === document.body) this.loadButton.focus();
    } catch (error) {
      this.say(error.message, true);
    }
  }
}
