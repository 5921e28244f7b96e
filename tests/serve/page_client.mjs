// Uses the page of a headrace server (BASE_URL) in Chromium as a person would. Screenshots go to SHOTS.
import assert from 'node:assert/strict';
import { base, openPage } from './page_session.mjs';

const model = 'austen-dense-q4_0';
const { browser, page, title, until, shot, elsewhere, complaints } = await openPage(model, { height: 900, patience: 30_000 });

await until(() => [...document.querySelectorAll('.size:not([hidden])')].every((size) => !size.classList.contains('unknown')));

// Where memory is short, each remedy is a button that says what it does.
await page.route('**/models/estimate?*', async (route) => {
  const url = new URL(route.request().url());
  for (const [name, value] of Object.entries({ flash_mode: 'on', flash_ram_gb: '0.004', draft_model: 'austen-draft-f16' })) url.searchParams.set(name, value);
  await route.continue({ url: url.href });
});
await title.click();
await page.getByRole('button', { name: 'No draft model' }).waitFor();
await page.getByRole('button', { name: /GiB for weights|MiB for weights/ }).waitFor();
await page.unroute('**/models/estimate?*');
await page.reload();
await title.waitFor();
await until(() => [...document.querySelectorAll('.size:not([hidden])')].every((size) => !size.classList.contains('unknown')));

// The switch, by keyboard; the slider changes the estimate.
await title.focus();
await page.keyboard.press('Enter');
const card = page.locator('.card', { has: page.locator('.body') });
const flash = card.getByRole('switch', { name: /Enable Flash Weight Streaming/ });
await card.locator('.headline').waitFor();
assert.equal(await flash.isChecked(), false, 'a model that fits does not stream by itself');
await flash.focus();
await page.keyboard.press('Space');
const streamed = card.locator('[data-field="streamed"]');
await streamed.waitFor();
const slider = card.getByRole('slider', { name: 'Memory for this model' });
const box = await slider.boundingBox();
const texts = new Set();
await page.mouse.move(box.x + box.width - 10, box.y + box.height / 2);
await page.mouse.down();
for (let step = 9; step >= 3; step -= 1) {
  const before = await streamed.textContent();
  await page.mouse.move(box.x + (box.width * step) / 10, box.y + box.height / 2);
  await until(([selector, old]) => document.querySelector(selector)?.textContent !== old, ['[data-field="streamed"]', before]);
  texts.add(await streamed.textContent());
}
await page.mouse.up();
assert(texts.size >= 4, `the estimate followed the slider: ${[...texts]}`);
await shot('models-light');

await card.getByRole('button', { name: 'Load' }).click();
await page.locator('.card[data-state="loaded"]').waitFor();
const configuration = (await (await fetch(`${base}/api/v1/models`)).json()).models.find(({ id }) => id === model).loaded;
assert.equal(configuration.configuration.flash_mode, 'on');
assert.equal(configuration.decision.streams, true);

// Chat: text arrives, bytes are streamed.
const bytesRead = () => page.locator('#read-in-all').getAttribute('data-bytes').then(Number);
await until(() => Number(document.getElementById('read-in-all').dataset.bytes) > 0);
const before = await bytesRead();
await page.locator('#settings-menu summary').click();
await page.getByLabel('System prompt').fill('Write like a novelist.');
await page.getByLabel('Most tokens').fill('48');
await page.getByLabel('Temperature').fill('0');
await page.keyboard.press('Escape');
await page.locator('#chat-model').selectOption(model);
await page.getByLabel('Message').fill('It is a truth universally acknowledged, <img src=x onerror=alert(1)> that');
await page.keyboard.press('Enter');
await until(() => document.querySelector('.message.assistant .text')?.textContent.length > 0);
await page.locator('#send:visible').waitFor();
const answer = page.locator('.message.assistant').last();
assert.match(await answer.locator('.stats').textContent(), /tokens\/s.*iB of weights in memory/);
assert.equal(await page.locator('.thread img').count(), 0, 'text stays text');
await until((old) => Number(document.getElementById('read-in-all').dataset.bytes) > old, before);
const first = await answer.locator('.text').textContent();
await shot('chat-light');

// Again: the same answer, as the temperature is 0, and only one.
await page.getByRole('button', { name: 'Regenerate' }).click();
await page.locator('#stop').waitFor();
await page.locator('#send:visible').waitFor();
assert.equal(await page.locator('.message.assistant').count(), 1);
assert.equal(await answer.locator('.text').textContent(), first);

// A long prompt: how far it is, and how long it will take. Stop.
await page.evaluate(() => {
  window.said = [];
  const waits = () => window.said.push(document.querySelector('.message.busy .waits')?.textContent);
  new MutationObserver(waits).observe(document.getElementById('thread'), { childList: true, characterData: true, subtree: true });
});
await page.locator('#settings-menu summary').click();
await page.getByLabel('Most tokens').fill('2000');
await page.keyboard.press('Escape');
await page.getByLabel('Message').fill(`And a very long story. ${'She was sorry for it. '.repeat(100)}`);
await page.getByRole('button', { name: 'Send' }).click();
await until(() => document.querySelectorAll('.message.assistant').length === 2 && [...document.querySelectorAll('.message.assistant .text')].at(-1).textContent.length > 20);
await page.getByRole('button', { name: 'Stop' }).click();
await page.getByText('Stopped.').waitFor();
const said = await page.evaluate(() => window.said);
assert(said.some((text) => /^Reading the prompt: \d+ of \d+ tokens, about [\d.]+ \w+ left$/.test(text)), `progress of the prompt: ${said}`);
const idle = async () => (await (await fetch(`${base}/api/v1/models`)).json()).models.find(({ id }) => id === model).loaded.requests === 0;
for (let i = 0; i < 100 && !(await idle()); i += 1) await page.waitForTimeout(100);
assert(await idle(), 'the model stopped too');

// Conversations are kept, exported and deleted.
await page.reload();
await page.locator('.message.user').nth(1).waitFor();
assert.equal(await page.locator('.message').count(), 4);
await page.getByRole('button', { name: 'New', exact: true }).click();
await page.locator('.empty').waitFor();
await page.locator('#conversations-menu summary').click();
const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export all' }).click()]);
assert.match(download.suggestedFilename(), /^headrace-.*\.json$/);
await page.getByRole('button', { name: /^It is a truth/ }).click();
await page.locator('.message.user').nth(1).waitFor();

// Dark, and as narrow as a phone: nothing is wider than the screen.
await page.emulateMedia({ colorScheme: 'dark' });
await page.getByLabel('Message').fill('Tell me more.');
await page.keyboard.press('Enter');
await page.locator('#stop').waitFor();
await page.waitForTimeout(3000);
await shot('chat-dark');
if (await page.locator('#stop').isVisible()) await page.locator('#stop').click();
await page.locator('#send:visible').waitFor();
await page.setViewportSize({ width: 375, height: 740 });
for (const [view, name] of [['Models', 'models'], ['Chat', 'chat'], ['Live', 'live']]) {
  await page.getByRole('button', { name: view, exact: true }).click();
  if (view === 'Models' && await page.locator('.card .body:visible').count() === 0) await title.click();
  await page.waitForTimeout(400);
  const wide = await page.evaluate(() => Math.max(...[document.documentElement, ...document.querySelectorAll('.column, .thread')]
    .map((part) => part.scrollWidth - part.clientWidth)));
  assert(wide <= 0, `${view}: ${wide} pixels too wide`);
  await shot(`phone-${name}-dark`);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.waitForTimeout(300);
  await shot(`phone-${name}-light`);
  await page.emulateMedia({ colorScheme: 'dark' });
}
await page.getByRole('button', { name: 'Chat', exact: true }).click();
await page.locator('#conversations-menu summary').click();
await page.getByRole('button', { name: /^Delete/ }).click();
await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
await page.getByText('Conversations are kept in this browser').waitFor();
assert.deepEqual(await page.evaluate(async () => (await import('./store.js')).all()), []);

// Unload.
await page.setViewportSize({ width: 1440, height: 900 });
if (await page.locator('.card .body:visible').count() === 0) await title.click();
await page.getByRole('button', { name: 'Unload' }).click();
await until(() => document.querySelector('.card[data-state="loaded"]') === null);
await shot('models-dark');

// A control without a name is none for a screen reader.
const nameless = await page.evaluate(() => [...document.querySelectorAll('button, input, select, textarea')].filter((control) =>
  !control.hidden && !(control.textContent.trim() || control.labels?.length || control.getAttribute('aria-label'))).map((control) => control.outerHTML));
assert.deepEqual(nameless, []);
assert.deepEqual(elsewhere, [], 'no request leaves the origin');
assert.deepEqual(complaints, []);
await browser.close();
console.log('all right');
