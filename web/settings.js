// The system prompt and the sampling of the conversation that is open, and presets of both under a name.
import { $, ask, el } from './dom.js';
import { DEFAULT_SAMPLING, readSampling } from './tree.js';

const PRESETS = 'headrace.presets';

const FIELDS = [['temperature', 'Temperature', 0, 5, 0.05, '0.8'], ['max_tokens', 'Most tokens', 1, 1e6, 1, 'no limit'], ['top_p', 'Top p', 0, 1, 0.01, '0.95'],
                ['top_k', 'Top k', 0, 1000, 1, '40'], ['min_p', 'Min p', 0, 1, 0.01, '0.05'], ['seed', 'Seed', 0, 2 ** 32 - 1, 1, 'random']];

function readPresets() {
  try {
    const value = JSON.parse(localStorage.getItem(PRESETS));
    return new Map(Object.entries(value ?? {}).map(([name, preset]) => [name, { system: String(preset?.system ?? ''), sampling: readSampling(preset?.sampling) }]));
  } catch {
    return new Map();
  }
}

// `changed(system, sampling)` is called with what the form says now.
export function start(changed) {
  const form = $('settings');
  const system = el('textarea', { name: 'system', placeholder: 'What the model should know or be' });
  const inputs = FIELDS.map(([name, label, min, max, step, otherwise]) => {
    const input = el('input', { type: 'number', name, min, max, step, inputmode: 'decimal', placeholder: otherwise });
    return [name, input, el('label', { class: 'field' }, el('span', { class: 'label' }, label), input)];
  });
  const now = () => {
    const sampling = { ...DEFAULT_SAMPLING };
    for (const [name, input] of inputs) {
      sampling[name] = input.value === '' || !input.validity.valid ? null : Number(input.value);
      input.setAttribute('aria-invalid', String(!input.validity.valid));
    }
    return sampling;
  };
  const tell = () => changed(system.value, now());
  const show = (values) => {
    system.value = values.system;
    for (const [name, input] of inputs) input.value = values.sampling[name] ?? '';
  };
  const choice = el('select', { 'aria-label': 'Preset', onchange: (event) => {
    event.stopPropagation();
    const preset = readPresets().get(choice.value);
    forget.disabled = !preset;
    if (preset) { show(preset); tell(); }
  } });
  const listPresets = (chosen = '') => {
    choice.replaceChildren(el('option', { value: '' }, 'No preset'), ...[...readPresets().keys()].sort().map((name) => el('option', { value: name }, name)));
    choice.value = chosen;
    forget.disabled = !choice.value;
  };
  const writePresets = (change, chosen) => {
    const presets = readPresets();        // another tab may have written some
    change(presets);
    localStorage.setItem(PRESETS, JSON.stringify(Object.fromEntries(presets)));
    listPresets(chosen);
    choice.focus();
  };
  const keepAs = async () => {
    const name = await ask({ title: 'Save as a preset', text: 'The system prompt and the sampling, under this name:', value: choice.value, yes: 'Save' });
    if (name) writePresets((presets) => presets.set(name, { system: system.value, sampling: now() }), name);
  };
  const forget = el('button', { type: 'button', class: 'quiet', onclick: () => writePresets((presets) => presets.delete(choice.value)) }, 'Delete preset');
  listPresets();
  $('settings-menu').addEventListener('toggle', () => { if ($('settings-menu').open) listPresets(choice.value); });
  form.append(choice, el('div', { class: 'row presets' }, forget, el('button', { type: 'button', class: 'quiet', onclick: keepAs }, 'Save as preset')), el('label', { class: 'field' }, el('span', { class: 'label' }, 'System prompt'), system), el('div', { class: 'pair' }, inputs.map(([, , label]) => label)),
    el('div', { class: 'row' }, el('button', { type: 'button', class: 'quiet', onclick: () => { for (const [, input] of inputs) input.value = ''; tell(); } }, 'Default sampling')));
  form.addEventListener('input', (event) => { if (event.target !== choice) tell(); });
  form.addEventListener('submit', (event) => event.preventDefault());
  return show;
}
