// What the server said last about its models, and who wants to know.
import { get, PATIENCE_MS } from './api.js';

const bus = new EventTarget();
export let models = [];
export let memory = null;
export let configurationError = null;
export let downloadsRefused = null;       // why this server fetches no models, null where it does

// Bytes of weights that a model which streams holds in memory, by id (live.js).
export const heldBytes = new Map();

// By id: the last estimate of each model (models.js), and the tokens per second that were seen since it was loaded.
export const estimates = new Map();
const measured = new Map();
export const ENOUGH_TOKENS = 8;       // to tell a speed by
export const measuredSpeed = (id) => measured.get(id);
export function noteSpeed(id, tokensPerSecond) {
  measured.set(id, tokensPerSecond);
  tell('measured', id);
}

export const find = (id) => models.find((model) => model.id === id);
export const canChat = (model) => (model.kind === 'text' || model.kind === 'embedding') && model.state !== 'invalid';

export function on(name, handler) {
  bus.addEventListener(name, (event) => handler(event.detail));
}

export function tell(name, detail) {
  bus.dispatchEvent(new CustomEvent(name, { detail }));
}

let running = null;
let reachable = true;

// Tells 'unreachable' with the error, until `answers`.
export function lost(error) {
  reachable = false;
  tell('unreachable', error);
}

// The server answers. After it was lost all that is shown is asked for anew.
export function answers() {
  if (reachable) return;
  tell('reachable');
  refresh();
}

// Asks for the list; one request at a time. Tells 'models', or that the server is lost.
export function refresh() {
  running ??= (async () => {
    try {
      const answer = await get('api/v1/models', AbortSignal.timeout(PATIENCE_MS));
      const changed = !reachable || JSON.stringify(states(answer.models)) !== JSON.stringify(states(models));
      ({ models, memory } = answer);
      configurationError = answer.configuration_file.error;
      downloadsRefused = answer.downloads_refused;
      reachable = true;
      tell('models', { changed });
    } catch (error) {
      lost(error);
    } finally {
      running = null;
    }
  })();
  return running;
}

const states = (list) => list.map(({ id, state, size_bytes, error }) => [id, state, size_bytes, error]);

// A model that somebody wants to talk to: its card opens, and the chat takes it.
export const begin = (id) => tell('begin', id);
