// npm install openai; node openai.mjs MODEL      A headrace server with OpenAI's library, answers token by token.
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: process.env.BASE_URL ?? 'http://127.0.0.1:8080/v1', apiKey: process.env.API_KEY ?? 'none' });
const model = process.argv[2];
const messages = [{ role: 'user', content: 'It is a truth' }];
const stream = await client.chat.completions.create({ model, messages, max_tokens: 16, temperature: 0, stream: true, stream_options: { include_usage: true } });
for await (const event of stream) {
  process.stdout.write(event.choices[0]?.delta?.content ?? '');
  if (event.usage) console.log(`\n${event.usage.prompt_tokens} tokens read, ${event.usage.completion_tokens} written`);
}
