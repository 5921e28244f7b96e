// The system prompt and the sampling of the conversation that is open.
import { $, el } from './dom.js';
import { DEFAULT_SAMPLING } from './store.js';

const FIELDS = [['temperature', 'Temperature', 0, 5, 0.05, '0.8'], ['max_tokens', 'Most tokens', 1, 1e6, 1, 'no limit'], ['top_p', 'Top p', 0, 1, 0.01, '0.95'],
                ['top_k', 'Top k', 0, 1000, 1, '40'], ['min_p', 'Min p', 0, 1, 0.01, '0.05'], ['seed', 'Seed', 0, 2 ** 32 - 1, 1, 'random']];

// `changed(system, sampling)` is called with what the form says now.
export function start(changed) {
  const form = $('settings');
  const system = el('textarea', { name: 'system', placeholder: 'What the model should know or be' });
  const inputs = FIELDS.map(([name, label, min, max, step, otherwise]) => {
    const input = el('input', { type: 'number', name, min, max, step, inputmode: 'decimal', placeholder: otherwise });
    return [name, input, el('label', { class: 'field' }, el('span', { class: 'label' }, label), input)];
  });
  const tell = () => {
    const sampling = { ...DEFAULT_SAMPLING };
    for (const [name, input] of inputs) {
      sampling[name] = input.value === '' || !input.validity.valid ? null : Number(input.value);
      input.setAttribute('aria-invalid', String(!input.validity.valid));
    }
    changed(system.value, sampling);
  };
  form.append(el('label', { class: 'field' }, el('span', { class: 'label' }, 'System prompt'), system), el('div', { class: 'pair' }, inputs.map(([, , label]) => label)),
    el('div', { class: 'row' }, el('button', { type: 'button', class: 'quiet', onclick: () => { for (const [, input] of inputs) input.value = ''; tell(); } }, 'Default sampling')));
  form.addEventListener('input', tell);
  form.addEventListener('submit', (event) => event.preventDefault());
  return (conversation) => {
    system.value = conversation.system;
    for (const [name, input] of inputs) input.value = conversation.sampling[name] ?? '';
  };
}
