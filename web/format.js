// Numbers for people.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
const three = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));

export function bytes(count) {
  if (count === null || count === undefined) return '–';
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit + 1 < UNITS.length) { value /= 1024; unit += 1; }
  return unit === 0 ? `${count} B` : `${three(value)} ${UNITS[unit]}`;
}

// Disks are sold in powers of ten.
export function perSecond(count) {
  if (count === null || count === undefined) return '–';
  return count >= 1e9 ? `${three(count / 1e9)} GB/s` : count > 0 ? `${three(count / 1e6)} MB/s` : '0 MB/s';
}

export function speed(value) {
  return value === null || value === undefined ? '–' : value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function seconds(value) {
  if (value === null || value === undefined) return '–';
  if (value < 1) return `${Math.max(1, Math.round(value * 1000))} ms`;
  if (value < 90) return `${value.toFixed(1)} s`;
  return value < 5400 ? `${(value / 60).toFixed(0)} min` : `${(value / 3600).toFixed(1)} h`;
}

export function percent(share) {
  return share === null || share === undefined ? '–' : `${(100 * share).toFixed(0)} %`;
}

export function parameters(count) {
  return count >= 1e9 ? `${(count / 1e9).toFixed(1)} B` : `${(count / 1e6).toFixed(1)} M`;
}

// Why a request waits ("waiting" of its events), and for how long it will.
export function waiting({ for: what, place, expected_s: expected, detail }) {
  const before = place > 1 ? `${place - 1} before you` : place === 1 ? 'you are next' : null;
  const reason = { load: 'Waiting for the model to be loaded', turn: 'Waiting in line' }[what] ?? 'Reading the prompt';
  const text = [before ? `${reason}: ${before}` : reason, expected > 0 ? `about ${seconds(Math.ceil(expected))} more` : null].filter(Boolean).join(', ');
  return detail ? `${text}; ${detail}` : text;
}

// How far llama-server is with a prompt ("prompt_progress"): what was in its cache took no time.
export function reading({ total, cache, processed, time_ms: ms }) {
  const text = `Reading the prompt: ${processed} of ${total} tokens`;
  const read = processed - (cache ?? 0);
  return read > 0 && processed < total && ms > 0 ? `${text}, about ${seconds(((total - processed) / read) * (ms / 1000))} left` : text;
}
