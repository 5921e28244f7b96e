// Files that go with the next message: text, code and the text of PDFs as context, images for models with a projector.
import { post } from './api.js';
import { $, el } from './dom.js';
import { bytes } from './format.js';

const MOST_TEXT = 2 ** 20;
const MOST_PDF = 2 ** 26;
const MOST_PIXELS = 1536;     // the longer side: vision models scale images down themselves
let waiting = [];
let hooks = null;

export const empty = () => waiting.length === 0;

export function take() {
  const taken = waiting.map(({ tokens, ...attachment }) => attachment);
  waiting = [];
  draw();
  return taken;
}

// A message as the API takes it.
export function content(text, files = []) {
  const fence = (body) => '`'.repeat(Math.max(3, ...[...body.matchAll(/`+/g)].map(([run]) => run.length + 1)));
  const parts = files.filter(({ kind }) => kind === 'text').map(({ name, text: body }) => `File ${name}:\n${fence(body)}\n${body}\n${fence(body)}`);
  const whole = [...parts, text].filter(Boolean).join('\n\n');
  const images = files.filter(({ kind }) => kind === 'image').map(({ url }) => ({ type: 'image_url', image_url: { url } }));
  // Images first: llama-server 0.7.0 ends where one is the last thing that it reads.
  return images.length === 0 ? whole : [...images, ...(whole ? [{ type: 'text', text: whole }] : [])];
}

function mustSee(model) {
  if (!model?.sees_images) throw new Error(`${model?.id ?? 'No model is chosen that'} cannot see images: it has no projector. Choose one that has, or send text.`);
}

// What the chosen model can be shown.
export const kinds = () => `Text, code and PDF files${hooks?.model()?.sees_images ? ', images' : '; no images: this model cannot see them'}`;

// Throws where a model cannot see what it is shown.
export function check(messages, model) {
  if (messages.some(({ content: parts }) => Array.isArray(parts))) mustSee(model);
}

async function shrink(file) {
  const image = await createImageBitmap(file);
  const scale = Math.min(1, MOST_PIXELS / Math.max(image.width, image.height));
  const canvas = el('canvas');
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL(file.type === 'image/png' ? 'image/png' : 'image/jpeg', 0.9);
}

const tooMuch = (name, size) => new Error(`${name} has ${bytes(size)} of text; ${bytes(MOST_TEXT)} are the most.`);

async function readPdf(file) {
  if (file.size > MOST_PDF) throw new Error(`${file.name} has ${bytes(file.size)}; a PDF may have ${bytes(MOST_PDF)}.`);
  hooks.say(`Reading ${file.name}`);
  const { textOf } = await import('./pdftext.js');
  const text = await textOf(file.name, await file.arrayBuffer(), (page, pages) => hooks.say(`Reading ${file.name}: page ${page} of ${pages}`));
  hooks.say('');
  const size = new TextEncoder().encode(text).length;
  if (size > MOST_TEXT) throw tooMuch(file.name, size);
  return text;
}

async function read(file) {
  if (file.type.startsWith('image/') && file.type !== 'image/svg+xml') {
    mustSee(hooks.model());
    try { return { kind: 'image', name: file.name, url: await shrink(file) }; } catch { throw new Error(`${file.name} is no image that this browser can read.`); }
  }
  if (file.type === 'application/pdf' || /\.pdf$/i.test(file.name)) return { kind: 'text', name: file.name, text: await readPdf(file) };
  if (file.size > MOST_TEXT) throw tooMuch(file.name, file.size);
  let text = '';
  try { text = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer()); } catch { throw new Error(`${file.name} is no text in UTF-8.`); }
  if (text.includes('\0')) throw new Error(`${file.name} is no text.`);
  return { kind: 'text', name: file.name, text };
}

// How many tokens it will take. Only a loaded model is asked: counting loads none.
async function count(attachment) {
  const model = hooks.model();
  if (attachment.kind !== 'text') return 'image';
  if (model?.state !== 'loaded') return `about ${Math.ceil(attachment.text.length / 4)} tokens`;
  try {
    const { tokens } = await post('tokenize', { model: model.id, content: attachment.text });
    const room = model.loaded.configuration.context_length;
    return tokens.length > room ? `${tokens.length} tokens: more than the context of ${room}` : `${tokens.length} tokens`;
  } catch {
    return `about ${Math.ceil(attachment.text.length / 4)} tokens`;
  }
}

async function add(files) {
  for (const file of files) {
    try {
      const attachment = await read(file);
      waiting.push(attachment);
      draw();
      attachment.tokens = await count(attachment);
      draw();
    } catch (error) {
      hooks.say(error.message, true);
    }
  }
}

function draw() {
  $('attached').replaceChildren(...waiting.map((attachment) => el('li', {},
    attachment.kind === 'image' ? el('img', { src: attachment.url, alt: '' }) : null, el('span', {}, attachment.name), el('span', { class: 'soft' }, attachment.tokens ?? '…'),
    el('button', { type: 'button', class: 'quiet', 'aria-label': `Remove ${attachment.name}`, onclick: () => remove(attachment) }, '×'))));
  hooks.changed();
}

function remove(attachment) {
  waiting = waiting.filter((other) => other !== attachment);
  draw();
  ($('attached').querySelector('button') ?? $('attach')).focus();
}

// `model()` is the one that is chosen, `changed()` is told, `say(text, wrong)` shows a line.
export function start(with_) {
  hooks = with_;
  $('attach').addEventListener('click', () => $('attach-file').click());
  $('attach-file').addEventListener('change', async () => {
    await add([...$('attach-file').files]);
    $('attach-file').value = '';
  });
  $('prompt').addEventListener('paste', (event) => {
    if (event.clipboardData.files.length === 0) return;
    event.preventDefault();
    add([...event.clipboardData.files]);
  });
  $('chat-view').addEventListener('dragover', (event) => { if (event.dataTransfer.types.includes('Files')) event.preventDefault(); });
  $('chat-view').addEventListener('drop', (event) => {
    if (event.dataTransfer.files.length === 0) return;
    event.preventDefault();
    add([...event.dataTransfer.files]);
  });
}
