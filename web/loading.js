// Loading and unloading models, for the cards and for the chat.
import { events, post } from './api.js';
import { announce } from './dom.js';
import { bytes } from './format.js';
import { noteSpeed, refresh, tell } from './state.js';

const PHASES = { waiting: 'Waiting for its turn', starting: 'Starting', reading: 'Reading weights' };

// {text, share} of a progress event; share is null while nobody knows.
export function progressOf({ phase, done_bytes: done, total_bytes: total }) {
  const text = PHASES[phase] ?? phase;
  return total ? { text: `${text}: ${bytes(done)} of ${bytes(total)}`, share: done / total } : { text, share: null };
}

// Loads with a configuration, telling 'progress' {model, text, share}; returns what is in force. `signal` ends the wait: the load itself goes on.
export async function load(model, configuration = {}, signal = undefined) {
  announce(`Loading ${model}`);
  tell('progress', { model, text: 'Starting', share: null });
  try {
    for await (const { event, data } of events('api/v1/models/load', { body: { model, ...configuration, stream: true }, signal })) {
      if (event === 'progress') tell('progress', { model, ...progressOf(data) });
      if (event === 'error') throw new Error(data.error.message);
      if (event === 'loaded') {
        announce(`${model} is loaded. ${data.decision.reason}`);
        noteSpeed(model, undefined);
        await refresh();
        return data;
      }
    }
    throw new Error('The server broke off while it loaded the model.');
  } finally {
    tell('progress', { model, text: null, share: null });
    refresh();
  }
}

export async function unload(model) {
  await post('api/v1/models/unload', { model });
  announce(`${model} is unloaded`);
  await refresh();
}
