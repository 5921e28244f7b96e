// The panel of what is going on: one stream of statistics, six plots.
import { events, PATIENCE_MS, silence } from './api.js';
import { $, el, width } from './dom.js';
import { bytes, percent, perSecond, speed } from './format.js';
import { Plot } from './plots.js';
import * as state from './state.js';

const RETRY_MS = 3000;
const plots = {
  read_bytes_per_s: new Plot('Disk', perSecond),
  decode_tokens_per_s: new Plot('Tokens per second', speed),
  tokens_per_pass: new Plot('Tokens for each pass', speed),
  wait_share: new Plot('Waiting for the disk', percent, 1),
  expert_hit_share: new Plot('Experts in memory', percent, 1),
};
const residency = residencyBlock();
const note = el('p', { class: 'note' }, 'Nothing is loaded.');
let chosen = null;
let shown = null;
let known = '';

function residencyBlock() {
  const resident = el('b', {}, '–');
  const total = el('b', { id: 'read-in-all' }, '–');
  const per = el('b', {}, '–');
  const uploaded = el('b', {}, '–');
  const bar = el('div', { class: 'stack', role: 'img' }, el('i', { class: 'part-resident' }), el('i', { class: 'part-streamed' }));
  const row = (kind, name, value) => el('li', {}, kind ? el('i', { class: `part-${kind}` }) : null, name, value);
  const drives = el('li', {});
  const uploads = row(null, 'Copied to the graphics card in all', uploaded);
  const element = el('div', { class: 'plot' }, el('div', { class: 'label' }, el('span', {}, 'Weights')), bar,
    el('ul', { class: 'legend' }, row('resident', 'In memory', resident), row('streamed', 'Streamed for each pass', per), row(null, 'Read from disk in all', total), drives, uploads));
  return { element, show(flash) {
    const held = flash.resident_bytes + flash.expert_resident_bytes;
    const whole = Math.max(1, held + flash.streamed_bytes_per_pass);
    width(bar.firstChild, held / whole);
    width(bar.lastChild, flash.streamed_bytes_per_pass / whole);
    bar.setAttribute('aria-label', `${bytes(held)} in memory, ${bytes(flash.streamed_bytes_per_pass)} streamed for each pass`);
    resident.textContent = bytes(held);
    per.textContent = bytes(flash.streamed_bytes_per_pass);
    total.textContent = bytes(flash.bytes_read);
    total.dataset.bytes = flash.bytes_read;
    const read = (flash.drives ?? []).reduce((sum, drive) => sum + drive.bytes_read, 0);
    drives.hidden = !read;
    drives.textContent = (flash.drives ?? []).map((drive) => `${drive.name}: ${Math.round(100 * drive.bytes_read / Math.max(1, read))} %, ${(drive.bytes_per_s / 1e9).toFixed(2)} GB/s`).join(' · ');
    uploads.hidden = !flash.uploaded_bytes;
    uploaded.textContent = bytes(flash.uploaded_bytes);
  } };
}

function choose(models) {
  const ids = models.map(({ id }) => id);
  if (ids.join('\n') !== known) {
    known = ids.join('\n');
    $('live-model').replaceChildren(...ids.map((id) => el('option', {}, id)));
    $('live-which').hidden = ids.length < 2;
  }
  const model = models.find(({ id }) => id === chosen) ?? models.find(({ flash }) => flash) ?? models[0];
  if (model) $('live-model').value = model.id;
  return model;
}

function show({ models }) {
  state.heldBytes.clear();
  for (const { id, flash } of models) if (flash?.weight_bytes > 0) state.heldBytes.set(id, flash.resident_bytes + flash.expert_resident_bytes);
  for (const { id, flash } of models) {
    if (flash?.decode_tokens >= state.ENOUGH_TOKENS && flash.decode_s > 0 && state.measuredSpeed(id) === undefined) state.noteSpeed(id, flash.decode_tokens / flash.decode_s);
  }
  const model = choose(models);
  if (model?.id !== shown) {
    shown = model?.id;
    for (const plot of Object.values(plots)) plot.clear();
  }
  const flash = model?.flash;
  const streaming = flash && flash.weight_bytes > 0;
  const placed = flash && !streaming && flash.uploaded_bytes > 0;
  note.hidden = Boolean(streaming);
  note.textContent = !model ? 'Nothing is loaded.' : placed ? `All layers of ${model.id} are on the graphics card: nothing streams.`
    : flash ? `${model.id} is being prepared.` : `${model.id} is all in memory: nothing streams.`;
  residency.element.hidden = !streaming;
  for (const [name, plot] of Object.entries(plots)) {
    plot.element.hidden = !streaming || (name === 'expert_hit_share' && !flash.expert_bytes);
    if (streaming && model.rates) plot.add(model.rates[name]);
  }
  if (streaming) residency.show(flash);
  const now = models.map(({ id, state: is }) => `${id} ${is}`).join('\n');
  if (now !== show.last) state.refresh();
  show.last = now;
}

export async function start() {
  $('live').append(note, residency.element, ...Object.values(plots).map(({ element }) => element));
  show({ models: [] });
  $('live-model').addEventListener('change', () => { chosen = $('live-model').value; });
  while (true) {
    const quiet = new AbortController();
    let timer = null;
    const wait = () => { clearTimeout(timer); timer = setTimeout(() => quiet.abort(), PATIENCE_MS); };
    wait();
    try {
      for await (const { data } of events('api/v1/flash/stats?interval_ms=1000', { signal: quiet.signal })) {
        wait();
        state.answers();
        show(data);
      }
    } catch (error) {
      state.lost(error.name === 'AbortError' ? silence() : error);
    }
    clearTimeout(timer);
    await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
  }
}
