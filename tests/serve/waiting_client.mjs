// A program with the OpenAI client library (NODE_MODULES) whose streams wait for their turn at BASE_URL.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(process.env.NODE_MODULES + '/');
const { default: OpenAI } = require('openai');
const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: 'none', maxRetries: 0 });
const model = 'austen-dense-q4_0';
const messages = [{ role: 'user', content: 'It is a truth' }];

// Its only slot.
const long = await client.completions.create({ model, prompt: 'It is', max_tokens: 100000, stream: true, ignore_eos: true });
for await (const event of long) {
  assert(event);
  // Both wait: create() returns with the head.
  const plain = await client.chat.completions.create({ model, messages, max_tokens: 4, stream: true });
  const asking = await client.chat.completions.create({ model, messages, max_tokens: 4, stream: true, return_progress: true });
  let told = 0;
  for await (const each of asking) {
    if (each.waiting) { told += 1; long.controller.abort(); }
    assert(Array.isArray(each.choices));
  }
  assert(told > 0);
  let text = '';
  for await (const each of plain) { assert(!('waiting' in each)); text += each.choices[0]?.delta?.content ?? ''; }
  assert(text.length > 0);
  break;
}
console.log('all right');
