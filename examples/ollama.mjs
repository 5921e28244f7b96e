// npm install ollama; node ollama.mjs MODEL      A headrace server with Ollama's library; the model streams within 4 MB for its weights.
import { Ollama } from 'ollama';

const client = new Ollama({ host: process.env.HOST ?? 'http://127.0.0.1:8080' });
const model = process.argv[2];
const options = { num_predict: 16, temperature: 0, flash_mode: 'on', flash_ram_gb: 0.004 };
const stream = await client.chat({ model, messages: [{ role: 'user', content: 'It is a truth' }], options, stream: true });
for await (const part of stream) {
  process.stdout.write(part.message.content);
  if (part.done) console.log(`\n${part.eval_count} tokens in ${(part.eval_duration / 1e9).toFixed(2)} s, loading took ${(part.load_duration / 1e9).toFixed(2)} s`);
}
for (const loaded of (await client.ps()).models) console.log(`${loaded.name} is loaded`);
