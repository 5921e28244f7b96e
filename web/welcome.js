// What stands where a conversation has not begun: what this is, and the models to begin with.
import { el } from './dom.js';
import { speedText } from './estimate.js';
import { parameters } from './format.js';
import { VERDICTS } from './models.js';
import * as state from './state.js';

const OFFERED = 3;
const USABLE = 5;             // tokens per second, about as fast as people read

const speedOf = (id) => state.estimates.get(id)?.prediction?.decode_tokens_per_s ?? 0;

// The largest that are fast enough, then the fastest of the others. Those that are not judged yet, or are too small, are left out.
export function best(models) {
  const usable = (id) => speedOf(id) >= USABLE;
  return models.filter(({ id, kind, state: now }) => kind === 'text' && now !== 'invalid' && state.estimates.get(id)?.fits)
    .sort((a, b) => usable(b.id) - usable(a.id) || (usable(a.id) ? b.parameters - a.parameters || b.size_bytes - a.size_bytes : speedOf(b.id) - speedOf(a.id)))
    .slice(0, OFFERED);
}

function starter({ id, parameters: count, quantization }) {
  const { verdict, prediction } = state.estimates.get(id);
  const speed = prediction?.decode_tokens_per_s ? `about ${speedText(prediction.decode_tokens_per_s_range)} tokens/s` : null;
  const facts = [VERDICTS[verdict], count ? parameters(count) : null, quantization, speed].filter(Boolean).join(' · ');
  return el('li', {}, el('button', { type: 'button', class: 'starter', onclick: () => state.begin(id) }, el('b', {}, id), el('span', { class: 'soft small' }, facts)));
}

function next() {
  const some = state.models.some(state.canChat);
  const offered = best(state.models);
  const get = el('button', { type: 'button', class: offered.length > 0 ? 'quiet' : 'primary', onclick: () => state.tell('find') }, 'Get a model');
  if (!state.memory) return [];
  if (offered.length > 0) return [el('p', {}, 'Begin with one of these:'), el('ul', { class: 'starters' }, offered.map(starter))];
  if (some && state.models.filter(state.canChat).some(({ id }) => !state.estimates.has(id))) return [el('p', {}, 'Looking at the models of this machine…')];
  const missing = some ? 'None of the models here works with the memory that is free.' : 'There is no model here yet.';
  return [el('p', {}, `${missing} ${state.downloadsRefused ? `To get one: ${state.downloadsRefused}.` : ''}`), state.downloadsRefused ? null : get];
}

export const welcome = () => el('div', { class: 'empty' }, el('h3', {}, 'What would you like to talk about?'),
  el('p', {}, 'This page runs language models on your own machine, also those that are larger than its memory: what does not fit is read from disk while they answer. Nothing that you write leaves this machine.'),
  next());
