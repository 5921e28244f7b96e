// The page of a headrace server (BASE_URL) as somebody sees it first: one click to begin, with a model that suits the machine.
import assert from 'node:assert/strict';
import { openPage } from './page_session.mjs';

const { browser, page, until, shot, complaints } = await openPage('austen-dense-q4_0', { height: 900, patience: 60_000 });

await page.getByText('This page runs language models on your own machine').waitFor();
const starters = page.locator('.starter');
await until(() => document.querySelectorAll('.starter').length === 3);
const names = await starters.locator('b').allTextContents();
assert.deepEqual(names, ['austen-moe-q4_0', 'austen-dense-q4_0', 'austen-draft-f16'], 'the largest first');
assert.match(await starters.first().textContent(), /Fits.*tokens\/s/);
await shot('welcome-light');
await starters.first().click();
assert.equal(await page.locator('#chat-model').inputValue(), names[0]);
assert.equal(await page.evaluate(() => document.activeElement.id), 'prompt');
await page.locator('.card[data-state="loaded"]', { hasText: names[0] }).waitFor();
await page.locator('#settings-menu summary').click();
await page.getByLabel('Most tokens').fill('24');
await page.keyboard.press('Escape');
await page.getByLabel('Message').fill('It is a truth');
await page.keyboard.press('Enter');
await page.locator('.message.assistant .stats', { hasText: 'tokens/s' }).waitFor();
await page.locator('#send:visible').waitFor();
assert.equal(await page.locator('.starter').count(), 0);

// The speed that was seen stands beside the estimate.
await page.locator('#models').getByRole('button', { name: /^austen-moe/ }).click();
const card = page.locator('.card', { has: page.locator('.body:visible') });
await card.getByText(/Measured, as it is loaded now: [\d.]+ tokens/).waitFor();
await card.getByText('Keeps a part of the weights in memory').waitFor();
await shot('estimate-measured-light');

// A model that is too slow to read along comes behind those that are not, however large it is.
const order = await page.evaluate(async () => {
  const state = await import('./state.js');
  const { best } = await import('./welcome.js');
  const estimate = (id, decode_tokens_per_s) => state.estimates.set(id, { fits: true, verdict: 'streams', prediction: { decode_tokens_per_s } });
  estimate('huge', 0.4);
  estimate('large', 6);
  estimate('small', 80);
  const model = (id, parameters, kind = 'text') => ({ id, parameters, kind, state: 'unloaded', size_bytes: parameters });
  return best([model('small', 1), model('huge', 70), model('large', 8), model('vectors', 9, 'embedding')]).map(({ id }) => id);
});
assert.deepEqual(order, ['large', 'small', 'huge']);
assert.deepEqual(complaints, []);
await browser.close();
console.log('all right');
