// One answer of a model, as it is made.
import { events } from './api.js';
import { reading, seconds, speed } from './format.js';

// Fills `answer` {content, reasoning, stats}; calls `changed` after each piece and `progress(text)` while the prompt is read.
export async function complete({ model, messages, sampling, answer, changed, progress, signal }) {
  const body = { model, messages, stream: true, stream_options: { include_usage: true }, timings_per_token: true, return_progress: true };
  for (const [name, value] of Object.entries(sampling)) if (value !== null) body[name] = value;
  const begin = performance.now();
  let first = null;
  let end = null;
  for await (const { event, data } of events('/v1/chat/completions', { body, signal })) {
    if (event === 'error' || data.error) throw new Error(data.error?.message ?? 'The model broke its answer off.');
    const read = data.prompt_progress;
    if (read && first === null) progress(reading(read));
    const choice = data.choices?.[0];
    end = choice?.finish_reason ?? end;
    const { content, reasoning_content: reasoning } = choice?.delta ?? {};
    if (content || reasoning) {
      if (first === null) progress('');
      first ??= (performance.now() - begin) / 1000;
      answer.content += content ?? '';
      answer.reasoning = (answer.reasoning ?? '') + (reasoning ?? '');
    }
    if (data.timings && first !== null) {
      answer.stats = `${speed(data.timings.predicted_per_second)} tokens/s · first token after ${seconds(first)} · ${data.timings.predicted_n} tokens`
        + (end === 'length' ? ' · ended at the limit of tokens' : '');
    }
    if (content || reasoning || data.timings) changed();
  }
  if (end === null) throw new Error('The answer ended before it was complete.');
}
