// The server's API: JSON, and server-sent events as they arrive.
import { ask } from './dom.js';

const KEY = 'headrace.key';
let asking = null;
let declined = false;     // who does not want to give a key is not asked again
const SILENT = 'The server does not answer.';
export const PATIENCE_MS = 15_000;      // a server that is well says something within this time

export class ApiError extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

async function send(path, { body, signal, accept } = {}) {
  const headers = { Accept: accept ?? 'application/json' };
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response;
  try {
    response = await fetch(path, { method: body === undefined ? 'GET' : 'POST', headers, signal, cache: 'no-store',
                                   body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(0, SILENT);
  }
  if (response.ok) return response;
  if (response.status === 401 && await askForKey()) return send(path, { body, signal, accept });
  let message = `The server answered with status ${response.status}.`;
  try { message = (await response.json()).error.message ?? message; } catch { /* no JSON: the status says enough */ }
  throw new ApiError(response.status, message);
}

// Once for all requests that wait for it.
async function askForKey() {
  if (declined) return false;
  const wrong = sessionStorage.getItem(KEY) ? 'That key is not right. ' : '';
  asking ??= ask({ title: 'API key', text: `${wrong}This server asks for a key. It is kept until this tab is closed.`, yes: 'Use it', secret: true })
    .finally(() => { asking = null; });
  const key = await asking;
  declined = !key;
  if (key) sessionStorage.setItem(KEY, key);
  return Boolean(key);
}

// What is read of an answer. One that breaks off is as none.
async function whole(reading) {
  try {
    return await reading;
  } catch (error) {
    throw error.name === 'AbortError' ? error : silence();
  }
}

export const silence = () => new ApiError(0, SILENT);
export const get = async (path, signal) => whole((await send(path, { signal })).json());
export const post = async (path, body, signal) => whole((await send(path, { body, signal })).json());

// Yields {event, data} of a stream until it ends; data is parsed JSON.
export async function* events(path, { body, signal } = {}) {
  const response = await send(path, { body, signal, accept: 'text/event-stream' });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  try {
    while (true) {
      const { value, done } = await whole(reader.read());
      if (done) return;
      text += value.replaceAll('\r', '');
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const parsed = parse(text.slice(0, end));
        text = text.slice(end + 2);
        if (parsed) yield parsed;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parse(block) {
  let event = 'message';
  const data = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('event:')) event = line.slice(6).trim();
    if (line.startsWith('data:')) data.push(line.slice(5).trimStart());
  }
  const text = data.join('\n');
  if (!text || text === '[DONE]') return null;
  return { event, data: JSON.parse(text) };
}
