// Asks a headrace server (BASE_URL) with the OpenAI client library in NODE_MODULES.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(process.env.NODE_MODULES + '/');
const { default: OpenAI } = require('openai');
const model = 'austen-dense-q4_0';
const make = (apiKey) => new OpenAI({ baseURL: process.env.BASE_URL, apiKey, maxRetries: 0 });
const client = make('secret');
const messages = [{ role: 'user', content: 'It is a truth' }];

const ids = [];
for await (const one of client.models.list()) ids.push(one.id);
assert(ids.includes(model), ids.join());
assert.equal((await client.models.retrieve(model)).id, model);

const whole = await client.chat.completions.create({ model, messages, max_tokens: 8, temperature: 0 });
assert(whole.choices[0].message.content.length > 0);
assert.equal(whole.usage.completion_tokens, 8);

let pieces = 0;
let text = '';
for await (const event of await client.chat.completions.create({ model, messages, max_tokens: 8, temperature: 0, stream: true })) {
  const piece = event.choices[0]?.delta?.content;
  if (piece) { pieces += 1; text += piece; }
}
assert.equal(text, whole.choices[0].message.content);
assert(pieces > 1, `${pieces} pieces`);

const completion = await client.completions.create({ model, prompt: 'It is', max_tokens: 4, logprobs: 2 });
assert(completion.choices[0].logprobs);

// Stopping to listen ends the request.
const stream = await client.completions.create({ model, prompt: 'It is', max_tokens: 1500, stream: true });
for await (const event of stream) { assert(event); break; }

await assert.rejects(make('wrong').models.list(), OpenAI.AuthenticationError);
await assert.rejects(client.chat.completions.create({ model: 'none', messages }), OpenAI.NotFoundError);
await assert.rejects(client.chat.completions.create({ model }), OpenAI.BadRequestError);
console.log('all right');
