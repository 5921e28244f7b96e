// One answer of a model, as it is made.
import { events } from './api.js';
import { reading, seconds, speed, waiting } from './format.js';

// Fills `answer` {content, reasoning, stats}; returns llama-server's timings. Calls `changed` after each piece and `progress(text)` while it waits and the prompt is read.
export async function complete({ model, messages, sampling, answer, changed, progress, signal }) {
  const body = { model, messages, stream: true, stream_options: { include_usage: true }, timings_per_token: true, return_progress: true };
  for (const [name, value] of Object.entries(sampling)) if (value !== null) body[name] = value;
  const begin = performance.now();
  let first = null;
  let end = null;
  let timings = null;
  for await (const { event, data } of events('v1/chat/completions', { body, signal })) {
    if (event === 'error' || data.error) throw new Error(data.error?.message ?? 'The model broke its answer off.');
    if (data.waiting && first === null) progress(waiting(data.waiting));
    const read = data.prompt_progress;
    if (read && first === null) progress(reading(read));
    const choice = data.choices?.[0];
    end = choice?.finish_reason ?? end;
    const { content, reasoning_content: reasoning, tool_calls: calls } = choice?.delta ?? {};
    if (content || reasoning || calls) {
      if (first === null) progress('');
      first ??= (performance.now() - begin) / 1000;
      answer.content += content ?? '';
      answer.reasoning = (answer.reasoning ?? '') + (reasoning ?? '');
      for (const call of calls ?? []) addCall(answer, call);
    }
    timings = data.timings ?? timings;
    if (data.timings && first !== null) answer.stats = statistics(timings, first, end);
    if (content || reasoning || calls || data.timings) changed();
  }
  if (end === null) throw new Error('The answer ended before it was complete.');
  return timings;
}

// Calls of tools come in pieces.
function addCall(answer, { index = 0, function: piece }) {
  answer.calls ??= [];
  answer.calls[index] ??= { name: '', arguments: '' };
  answer.calls[index].name += piece?.name ?? '';
  answer.calls[index].arguments += piece?.arguments ?? '';
}

function statistics(timings, first, end) {
  const cached = timings.cache_n > 0 ? `, ${timings.cache_n} were there` : '';
  return [`${speed(timings.predicted_per_second)} tokens/s`, `${timings.predicted_n} tokens`, `first token after ${seconds(first)}`,
          `prompt of ${timings.prompt_n} tokens in ${seconds(timings.prompt_ms / 1000)}${cached}`, end === 'length' ? 'ended at the limit of tokens' : null]
    .filter(Boolean).join(' · ');
}
