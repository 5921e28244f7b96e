// Asks a headrace server (HOST) with the Ollama client library in NODE_MODULES.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(process.env.NODE_MODULES + '/');
const { Ollama } = require('ollama');
const model = 'austen-dense-q4_0';
const client = new Ollama({ host: process.env.HOST });
const messages = [{ role: 'user', content: 'It is a truth' }];
const options = { num_predict: 8, temperature: 0 };

const listed = (await client.list()).models;
const one = listed.find((each) => each.name === model);
assert(one, JSON.stringify(listed));
assert.equal(one.details.quantization_level, 'Q4_0');
assert.equal(one.digest.length, 64);
assert.deepEqual((await client.ps()).models, []);

const whole = await client.chat({ model, messages, options });
assert(whole.message.content.length > 0);
assert.equal(whole.message.role, 'assistant');
assert.equal(whole.done, true);
assert.equal(whole.done_reason, 'length');
assert.equal(whole.eval_count, 8);
assert(whole.prompt_eval_count > 0);
for (const key of ['total_duration', 'load_duration', 'prompt_eval_duration', 'eval_duration']) assert(Number.isInteger(whole[key]) && whole[key] > 0, key);
assert(whole.total_duration >= whole.load_duration);

let text = '';
let pieces = 0;
let last;
for await (const part of await client.chat({ model, messages, options, stream: true })) {
  assert.equal(last?.done ?? false, false, 'nothing follows the last');
  text += part.message.content;
  pieces += 1;
  last = part;
}
assert.equal(text, whole.message.content);
assert(pieces > 2, `${pieces} pieces`);
assert.equal(last.done, true);
assert.equal(last.eval_count, 8);

const told = await client.generate({ model, prompt: 'It is a truth', options });
assert.equal(told.response, whole.message.content, 'generate uses the same template');
const raw = await client.generate({ model, prompt: 'It is a truth', raw: true, options });
assert.equal(raw.eval_count, 8);
text = '';
for await (const part of await client.generate({ model, prompt: 'It is a truth', raw: true, stream: true, options })) text += part.response;
assert.equal(text, raw.response);
const word = raw.response.trim().split(' ')[1];
const stopped = await client.generate({ model, prompt: 'It is a truth', raw: true, options: { ...options, stop: [word] } });
assert(!stopped.response.includes(word));
assert.equal(stopped.done_reason, 'stop');

const schema = { type: 'object', properties: { kind: { enum: ['yes', 'no'] } }, required: ['kind'], additionalProperties: false };
for (const ask of [(more) => client.chat({ model, messages, ...more }), (more) => client.generate({ model, prompt: 'It is', ...more }), (more) => client.generate({ model, prompt: 'It is', raw: true, ...more })]) {
  const answer = await ask({ format: schema, options: { temperature: 0, num_predict: 100 } });
  const content = answer.message?.content ?? answer.response;
  assert(['yes', 'no'].includes(JSON.parse(content).kind), content);
}
// Blanks may come first.
assert.match((await client.generate({ model, prompt: 'It is', format: 'json', options })).response, /^\s*(\{|$)/);

const running = (await client.ps()).models;
assert.equal(running.length, 1);
assert.equal(running[0].name, model);
assert(running[0].context_length > 0);

const shown = await client.show({ model });
assert.equal(shown.details.family, 'llama');
assert.equal(shown.model_info['general.architecture'], 'llama');
assert(shown.model_info['llama.context_length'] > 0);
assert(shown.capabilities.includes('completion'));

const embedded = await client.embed({ model, input: ['It is a truth', 'universally'] });
assert.equal(embedded.embeddings.length, 2);
assert.equal(embedded.embeddings[0].length, 512);
assert(embedded.prompt_eval_count > 0);
const single = await client.embeddings({ model, prompt: 'It is a truth' });
const cosine = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0) / Math.hypot(...a) / Math.hypot(...b);
assert(cosine(single.embedding, embedded.embeddings[0]) > 0.999);
assert.equal((await client.embed({ model, input: 'x', dimensions: 16 })).embeddings[0].length, 16);
assert.equal((await client.chat({ model, messages, options })).message.content, whole.message.content, 'it writes text still');

const said = async (promise, status) => {
  const error = await promise.then(() => assert.fail('no error'), (each) => each);
  assert.equal(error.status_code, status, error.message);
  assert.equal(typeof error.error, 'string');
  return error.error;
};
assert((await said(client.chat({ model: 'austen-dence', messages }), 404)).includes(model), 'the nearest is named');
await said(client.show({ model: 'none' }), 404);
await said(client.embed({ model: 'none', input: 'x' }), 404);
assert((await said(client.delete({ model }), 403)).includes('delete'));
await said(client.copy({ source: model, destination: 'x' }), 403);
await said(client.generate({ model, prompt: 'x', options: { temperature: 'hot' } }), 400);
await said(client.chat({ model, messages, format: 'xml' }), 400);
await said(client.chat({ model, messages, keep_alive: 'soon' }), 400);

// Nothing to say: loaded, and unloaded.
assert.equal((await client.generate({ model, prompt: '', keep_alive: 0 })).done_reason, 'unload');
assert.deepEqual((await client.ps()).models, []);
assert.equal((await client.generate({ model, prompt: '', keep_alive: '10m' })).done_reason, 'load');
assert(new Date((await client.ps()).models[0].expires_at) < new Date(Date.now() + 3_600_000));
console.log('all right');
