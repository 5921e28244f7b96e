// What a model would take and how fast it would be: what is on each device, in memory and on disk, and the three numbers.
import { el, width } from './dom.js';
import { bytes, seconds, speed } from './format.js';

const REMEDIES = {
  context_length: (value) => `A context of ${value} tokens`,
  kv_cache_type: (value) => `A ${value} KV cache`,
  ram_gb: (value) => `${bytes(value * 2 ** 30)} of memory`,
  vram_gb: (value) => (value === 'auto' ? 'What is free on the graphics card' : value === 'off' ? 'Without the graphics card' : `${bytes(value * 2 ** 30)} of the graphics card`),
  flash_ram_gb: (value) => `${bytes(value * 2 ** 30)} for weights`,
  flash_mode: () => 'Stream what does not fit',
  draft_model: (id) => (id ? `${id} as draft model` : 'No draft model'),
};

// [name, class, bytes] of what the process holds.
export function parts({ memory, plan, streams }) {
  const list = streams && plan
    ? [['Weights in memory', 'resident', plan.resident_bytes + plan.expert_cache_bytes],
       ['Streaming buffers', 'buffers', plan.ring_bytes + plan.scratch_bytes + memory.streaming_bytes]]
    : [['Weights', 'resident', streams ? memory.weights_budget_bytes : memory.weight_bytes]];
  return [...list, ['KV cache', 'kv', memory.context_bytes], ['Compute buffers', 'compute', memory.compute_bytes],
          ['Engine', 'engine', (memory.engine_bytes ?? 0) + (memory.prompt_cache_bytes ?? 0)],
          ['Projector', 'projector', memory.projector_bytes]].filter(([, , size]) => size > 0);
}

// The same of a device.
const deviceParts = (device) => [['Weights', 'resident', device.weight_bytes], ['KV cache', 'kv', device.context_bytes],
  ['Compute buffers', 'compute', device.compute_bytes]].filter(([, , size]) => size > 0);
// Those that would have something.
const usedDevices = (estimate) => (estimate.devices ?? []).filter((device) => deviceParts(device).length > 0);
const sum = (list) => list.reduce((all, [, , size]) => all + size, 0);
const names = (devices) => devices.map(({ name }) => name).join(', ');

export function speedText(range) {
  const [low, high] = range ?? [];
  if (!low || !high) return 'unknown';
  const round = (value) => (value >= 10 ? value.toFixed(0) : speed(value));
  return round(low) === round(high) ? round(high) : `${round(low)} – ${round(high)}`;
}

function fact(name, value, unit) {
  return el('div', {}, el('dt', {}, name), el('dd', {}, value, el('small', {}, unit)));
}

// One sentence for screen readers.
export function summary(estimate) {
  if (!estimate.fits) return `Too small. ${estimate.reason ?? ''}`;
  const devices = usedDevices(estimate);
  const there = devices.map((device) => `${bytes(sum(deviceParts(device)))} on ${device.name}, `).join('');
  const streamed = there + (estimate.streams ? `${bytes(estimate.plan.streamed_bytes_per_pass)} streamed for each token` : there ? 'the rest in memory' : 'all in memory');
  return `${speedText(estimate.prediction.decode_tokens_per_s_range)} tokens per second, first token after `
    + `${seconds(estimate.prediction.first_token_s)}, ${streamed}.`;
}

// A bar by parts with its legend; `more` are lines below it.
function stack(label, list, whole, more = []) {
  const held = sum(list);
  const bar = el('div', { class: 'stack', role: 'img', 'aria-label': `${bytes(held)} of ${bytes(whole)} of ${label}` });
  for (const [, kind, size] of list) bar.append(width(el('i', { class: `part-${kind}` }), size / whole));
  const legend = el('ul', { class: 'legend' });
  for (const [name, kind, size] of list) legend.append(el('li', {}, el('i', { class: `part-${kind}` }), name, el('b', {}, bytes(size))));
  legend.append(...more);
  return [bar, legend];
}

function deviceStack(device) {
  const list = deviceParts(device);
  const whole = Math.max(sum(list), device.room_bytes ?? device.free_bytes);
  return el('section', { class: 'device', 'data-device': device.name },
    el('div', { class: 'label' }, el('span', {}, device.name), el('span', { class: 'soft' }, device.description)),
    ...stack(device.name, list, whole, [el('li', { class: 'sum' }, `On ${device.name}, of ${bytes(whole)}`, el('b', {}, bytes(sum(list))))]));
}

// `apply` takes a part of a configuration: a remedy that was chosen. `measured`: tokens/s that were seen as the model is loaded, if any were.
export function draw(estimate, apply, measured) {
  const list = parts(estimate);
  const held = sum(list);
  const devices = usedDevices(estimate);
  const whole = Math.max(held, estimate.memory.limit_bytes ?? 0);
  const streamed = estimate.plan?.streamed_bytes_per_pass ?? 0;
  const more = [el('li', { class: 'sum' }, 'In memory', el('b', {}, bytes(held)))];
  if (estimate.streams && estimate.plan) {
    more.push(el('li', {}, 'Weights only on disk', el('b', { 'data-field': 'disk' }, bytes(estimate.plan.disk_bytes))),
      el('li', {}, el('i', { class: 'part-streamed' }), 'Streamed for each token', el('b', { 'data-field': 'streamed' }, bytes(streamed))));
  }
  const rest = estimate.streams && streamed > 0 ? 'rest streams' : 'all in memory';
  const nodes = [];
  if (estimate.fits) {
    const { prediction } = estimate;
    nodes.push(el('dl', { class: 'headline' },
      fact('Speed', speedText(prediction.decode_tokens_per_s_range), 'tokens/s'),
      fact('First token', `${prediction.prompt_tokens_per_s || !prediction.first_token_s ? '' : '≥ '}${seconds(prediction.first_token_s)}`, `prompt of ${prediction.prompt_tokens}`),
      fact('Memory', bytes(held), devices.length > 0 ? `beside ${names(devices)}` : rest)));
  }
  if (measured) nodes.push(el('p', { class: 'small' }, 'Measured, as it is loaded now: ', el('b', {}, `${speed(measured)} tokens/s`)));
  nodes.push(...devices.map(deviceStack));
  if (devices.length > 0) nodes.push(el('div', { class: 'label' }, el('span', {}, 'Memory')));
  nodes.push(...stack('memory', list, whole, more));
  if (devices.length === 0 && estimate.devices_decision && !estimate.devices_problem) nodes.push(el('p', {}, el('small', {}, `${estimate.devices_decision}.`)));
  if (!estimate.fits) nodes.push(shortage(estimate, apply));
  if (estimate.fits && estimate.sharing?.slots > 1) {
    nodes.push(el('p', {}, el('small', {}, `Up to ${estimate.sharing.slots} requests at a time share each pass.`)));
  }
  if (estimate.makes_room.length > 0) nodes.push(el('p', { class: 'note' }, `Loading it unloads ${estimate.makes_room.join(', ')}.`));
  return nodes;
}

function shortage(estimate, apply) {
  const note = el('div', { class: 'note wrong' }, el('strong', {}, estimate.devices_problem ? 'Not on the graphics card as it is set. ' : 'Too little memory. '), estimate.reason ?? '');
  const buttons = estimate.remedies.map((remedy) => {
    const [key, value] = Object.entries(remedy)[0];
    return el('button', { type: 'button', onclick: () => apply(remedy) }, REMEDIES[key]?.(value) ?? key);
  });
  if (buttons.length > 0) note.append(el('div', {}, ...buttons));
  return note;
}
