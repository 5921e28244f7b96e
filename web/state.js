// What the server said last about its models, and who wants to know.
import { get } from './api.js';

const bus = new EventTarget();
export let models = [];
export let memory = null;
export let configurationError = null;

// Bytes of weights that a model which streams holds in memory, by id (live.js).
export const heldBytes = new Map();

export const find = (id) => models.find((model) => model.id === id);
export const canChat = (model) => (model.kind === 'text' || model.kind === 'embedding') && model.state !== 'invalid';

export function on(name, handler) {
  bus.addEventListener(name, (event) => handler(event.detail));
}

export function tell(name, detail) {
  bus.dispatchEvent(new CustomEvent(name, { detail }));
}

let running = null;

// Asks for the list; one request at a time. Tells 'models', or 'unreachable' with the error.
export function refresh() {
  running ??= (async () => {
    try {
      const answer = await get('api/v1/models');
      const changed = JSON.stringify(states(answer.models)) !== JSON.stringify(states(models));
      ({ models, memory } = answer);
      configurationError = answer.configuration_file.error;
      tell('models', { changed });
    } catch (error) {
      tell('unreachable', error);
    } finally {
      running = null;
    }
  })();
  return running;
}

const states = (list) => list.map(({ id, state, size_bytes, error }) => [id, state, size_bytes, error]);
