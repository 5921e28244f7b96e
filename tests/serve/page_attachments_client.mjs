// What goes along with a message and what comes back beside text, on the page of a headrace server (BASE_URL) in Chromium: text, PDFs and images by
// button, paste and drop; thoughts and calls of tools; a tab that was asleep. Screenshots go to SHOTS.
import assert from 'node:assert/strict';
import { base, openPage } from './page_session.mjs';

const seeing = 'seeing/austen-dense-q4_0';
const blind = 'austen-draft-f16';
const { browser, page, until, shot, elsewhere, complaints } = await openPage(seeing, { height: 900, patience: 30_000 });
const choose = (model) => page.locator('#chat-model').selectOption(model);
const attach = (...files) => page.locator('#attach-file').setInputFiles(files.map(([name, mimeType, content]) => ({ name, mimeType, buffer: Buffer.from(content) })));
const status = page.locator('#chat-status');
const attached = page.locator('#attached li');
const send = async (text) => {
  await page.getByLabel('Message', { exact: true }).fill(text);
  const [request] = await Promise.all([page.waitForRequest('**/v1/chat/completions'), page.getByRole('button', { name: 'Send' }).click()]);
  await page.locator('#send:visible').waitFor();
  return request.postDataJSON().messages;
};
const picture = (colour) => page.evaluate((fill) => {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [2000, 1000];
  const context = canvas.getContext('2d');
  context.fillStyle = fill;
  context.fillRect(0, 0, 2000, 1000);
  return canvas.toDataURL('image/png').split(',')[1];
}, colour).then((text) => Buffer.from(text, 'base64'));
// As a paste or a drop of these files.
const give = (kind, where, files) => page.evaluate(([type, selector, list]) => {
  const data = new DataTransfer();
  for (const [name, mime, base64] of list) data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name, { type: mime }));
  const event = type === 'paste' ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }) : new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
  return !document.querySelector(selector).dispatchEvent(event);
}, [kind, where, files.map(([name, mime, content]) => [name, mime, Buffer.from(content).toString('base64')])]);

// A PDF of these pages, each a list of lines; `trailer` goes into its trailer.
function pdf(pages, trailer = '') {
  const objects = ['<< /Type /Catalog /Pages 2 0 R >>', `<< /Type /Pages /Count ${pages.length} /Kids [${pages.map((_, i) => `${4 + 2 * i} 0 R`).join(' ')}] >>`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>'];
  pages.forEach((lines, i) => {
    const content = lines.length > 0 ? `BT /F1 12 Tf 14 TL 40 700 Td ${lines.map((line) => `(${line}) Tj T*`).join(' ')} ET` : '10 10 100 100 re f';
    objects.push(`<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Resources << /Font << /F1 3 0 R >> >> /Contents ${5 + 2 * i} 0 R >>`,
      `<< /Length ${content.length} >>\nstream\n${content}\nendstream`);
  });
  let text = '%PDF-1.4\n';
  const places = objects.map((object, i) => { const at = text.length; text += `${i + 1} 0 obj\n${object}\nendobj\n`; return at; });
  const xref = text.length;
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${places.map((at) => `${String(at).padStart(10, '0')} 00000 n \n`).join('')}`;
  return `${text}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R ${trailer} >>\nstartxref\n${xref}\n%%EOF\n`;
}

await page.locator('#settings-menu summary').click();
await page.getByLabel('Most tokens').fill('6');
await page.keyboard.press('Escape');

// Images: not for a model that cannot see, which is said before anything is loaded.
await choose(blind);
await attach(['red.png', 'image/png', await picture('red')]);
await page.getByText(`${blind} cannot see images`).waitFor();
assert.match(await page.locator('#attach').getAttribute('title'), /no images/);
assert.equal(await attached.count(), 0);
await choose(seeing);
await until(() => document.getElementById('attach').title.endsWith(', images'));
await attach(['red.png', 'image/png', await picture('red')], ['broken.png', 'image/png', 'no image']);
await page.getByText('broken.png is no image that this browser can read.').waitFor();
assert(await give('paste', '#prompt', [['green.png', 'image/png', await picture('green')]]), 'the page takes what is pasted');
await until(() => document.querySelectorAll('#attached img').length === 2);
assert(await give('drop', '#thread', [['blue.png', 'image/png', await picture('blue')]]), 'the page takes what is dropped');
await until(() => document.querySelectorAll('#attached img').length === 3);
await shot('images-light');
await page.getByRole('button', { name: 'Remove green.png' }).click();
assert.equal(await attached.count(), 2);
const seen = (await send('What is it?')).at(-1).content;
assert.deepEqual(seen.map(({ type }) => type), ['image_url', 'image_url', 'text']);
for (const { image_url: { url } } of seen.slice(0, 2)) assert.match(url, /^data:image\/png;base64,/);
const answer = page.locator('.message.assistant').last();
assert.match(await answer.locator('.stats').textContent(), /6 tokens/);
assert.equal(await attached.count(), 0);
await page.reload();
await until(() => document.querySelectorAll('.message.user .files img').length === 2);
await until(() => [...document.querySelectorAll('.message.user .files img')].every((image) => image.naturalWidth === 1536));
await choose(blind);
await page.getByLabel('Message', { exact: true }).fill('And now?');
await page.keyboard.press('Enter');
await page.getByText(`${blind} cannot see images`).waitFor();

// Text by paste and drop; text that is only pasted as text stays what is written.
await page.getByRole('button', { name: 'New', exact: true }).click();
await page.locator('#settings-menu summary').click();
await page.getByLabel('Most tokens').fill('6');
await page.keyboard.press('Escape');
await choose(seeing);
assert(await give('paste', '#prompt', [['pasted.txt', 'text/plain', 'She was sorry.']]));
assert(await give('drop', '#thread', [['dropped.md', 'text/markdown', '# Dropped']]));
await until(() => document.querySelectorAll('#attached li').length === 2 && !document.getElementById('attached').textContent.includes('…'));
assert.match(await attached.first().textContent(), /^pasted\.txt\d+ tokens/);
const [withText] = await send('Go on.');
assert.equal(withText.content, 'File pasted.txt:\n```\nShe was sorry.\n```\n\nFile dropped.md:\n```\n# Dropped\n```\n\nGo on.');

// PDFs: their text, or what is wrong with them.
assert.equal(await page.evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => name.includes('/lib/pdf')).length), 0, 'the reader of PDFs is not loaded before');
await attach(['paper.pdf', 'application/pdf', pdf([['It was the best of times,', 'it was the worst of times.'], ['The second page']])]);
await page.locator('#attached').getByText(/^\d+ tokens$/).waitFor();
await attach(['broken.pdf', 'application/pdf', '%PDF-1.4 and nothing else']);
await page.getByText('broken.pdf is no PDF that can be read, or is damaged.').waitFor();
const encrypt = `/ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <${'41'.repeat(32)}> /U <${'42'.repeat(32)}> >>`;
await attach(['secret.pdf', 'application/pdf', pdf([['Hidden']], encrypt)]);
await page.getByText('secret.pdf is encrypted.').waitFor();
await attach(['scan.pdf', 'application/pdf', pdf([[], []])]);
await page.getByText('scan.pdf has no text: its pages are pictures').waitFor();
assert.equal(await attached.count(), 1, 'what was attached before stays');
await shot('pdf-light');
const withPaper = (await send('')).at(-1).content;
assert.equal(withPaper, 'File paper.pdf:\n```\nIt was the best of times,\nit was the worst of times.\n\nThe second page\n```');
await page.getByText('paper.pdf').last().click();
await page.getByText('it was the worst of times.').waitFor();

// Thoughts, as llama-server sends them, are folded away.
assert.notEqual(await answer.locator('.thoughts > div').textContent(), '');
assert.equal((await answer.locator('.text').textContent()).trim(), '');
assert.equal(await answer.locator('.thoughts').evaluate((part) => part.open), false);
assert.equal(await answer.locator('.thoughts > div').isVisible(), false);
await answer.getByText('Thoughts').click();
assert.equal(await answer.locator('.thoughts > div').isVisible(), true);
await shot('thoughts-light');

// Calls of tools come in pieces: events as llama-server sends them, read by the page's own code.
const called = await page.evaluate(async () => {
  const chunk = (delta, end = null) => `data: ${JSON.stringify({ choices: [{ finish_reason: end, index: 0, delta }], object: 'chat.completion.chunk' })}\n\n`;
  const piece = (index, text) => chunk({ tool_calls: [{ index, function: { arguments: text } }] });
  const begin = (index, name) => chunk({ tool_calls: [{ index, id: `call${index}`, type: 'function', function: { name, arguments: '' } }] });
  const body = [chunk({ role: 'assistant', content: null }), begin(0, 'weather'), piece(0, '{"place":'), piece(0, '"Bath"}'), begin(1, '<b>time</b>'), piece(1, '{}'), chunk({}, 'tool_calls'), 'data: [DONE]\n\n'].join('');
  const [{ complete }, { MessageView }, original] = [await import('./completion.js'), await import('./message.js'), window.fetch];
  const message = { id: 'x', role: 'assistant', content: '' };
  window.fetch = async () => new Response(body);
  try { await complete({ model: 'm', messages: [], sampling: {}, answer: message, changed: () => {}, progress: () => {} }); } finally { window.fetch = original; }
  const view = new MessageView(message, [message], {});
  return [...view.element.querySelectorAll('.calls details')].map((part) => [part.open, part.firstChild.textContent, part.lastChild.textContent]);
});
assert.deepEqual(called, [[false, 'Asks for the tool weather', '{"place":"Bath"}'], [false, 'Asks for the tool <b>time</b>', '{}']]);

// A tab that sleeps while an answer comes: the answer is whole afterwards, and what is live goes on. Its process is stopped, because
// Page.setWebLifecycleState does nothing to a tab under Playwright.
const { processInfo } = await (await browser.newBrowserCDPSession()).send('SystemInfo.getProcessInfo');
const signal = (name) => { for (const { id, type } of processInfo) if (type === 'renderer') process.kill(id, name); };
await page.getByRole('button', { name: 'New', exact: true }).click();
await page.locator('#settings-menu summary').click();
await page.getByLabel('Most tokens').fill('150');
await page.getByLabel('Temperature').fill('0');
await page.keyboard.press('Escape');
await page.getByLabel('Message', { exact: true }).fill('A long night');
await page.keyboard.press('Enter');
await until(() => document.querySelector('.message.assistant .thoughts > div')?.textContent.length > 0);
await page.evaluate(() => {
  [window.nap, window.last] = [0, performance.now()];
  setInterval(() => { const now = performance.now(); window.nap = Math.max(window.nap, now - window.last); window.last = now; }, 100);
});
signal('SIGSTOP');
await new Promise((resolve) => { setTimeout(resolve, 6000); });
signal('SIGCONT');
await page.locator('#send:visible').waitFor();
assert.match(await answer.locator('.stats').textContent(), / 150 tokens .* ended at the limit of tokens/);
assert.equal(await status.textContent(), '');
const kept = (await page.evaluate(async () => (await import('./store.js')).all())).find(({ title }) => title === 'A long night').messages[1];
assert.equal(kept.reasoning, await answer.locator('.thoughts > div').textContent());

assert(await page.evaluate(() => window.nap) > 3000, 'the tab was asleep');
const live = page.locator('#live > .note');
await live.getByText(`${seeing} is all in memory: nothing streams.`).waitFor();
assert((await fetch(`${base}/api/v1/models/unload`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ model: seeing }) })).ok);
await live.getByText('Nothing is loaded.').waitFor();

assert.deepEqual(elsewhere, [], 'no request leaves the origin');
assert.deepEqual(complaints, []);
const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
console.log(`first contentful paint: ${Math.round(paint)} ms`);
await browser.close();
console.log('all right');
