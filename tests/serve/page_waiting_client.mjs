// Messages on the page of a headrace server (BASE_URL) that have to wait: for a load, and in line. The server has one slot, and room for one model.
import assert from 'node:assert/strict';
import { base, openPage } from './page_session.mjs';

const model = 'austen-dense-q4_0';
const other = 'austen-moe-q4_0';
const { browser, page, shot, complaints } = await openPage(model, { height: 900, patience: 60_000 });
const waits = page.locator('.message.assistant .waits');
const stop = page.getByRole('button', { name: 'Stop' });

const found = async (id) => (await (await fetch(`${base}/api/v1/models`)).json()).models.find((each) => each.id === id);
const becomes = async (condition) => {
  for (let i = 0; i < 600; i += 1) {
    if (await condition()) return;
    await page.waitForTimeout(100);
  }
  throw new Error(`never: ${condition}`);
};
// A stream that goes on until it is ended.
async function ask(id) {
  const abort = new AbortController();
  const response = await fetch(`${base}/v1/completions`, { method: 'POST', signal: abort.signal, headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ model: id, prompt: 'It is', max_tokens: 100000, ignore_eos: true, stream: true }) });
  assert.equal(response.status, 200);
  response.text().catch(() => {});
  return abort;
}

// Another model has to finish its answer before this one is loaded.
await page.locator('#chat-model').selectOption(model);
const first = await ask(other);
await page.getByLabel('Message').fill('What is a truth?');
await page.keyboard.press('Enter');
await waits.getByText('Waiting for its turn').waitFor();
await stop.click();
await page.getByText('Stopped. The model goes on loading.').waitFor();
await page.locator('#send:visible').waitFor();
first.abort();
await becomes(async () => (await found(model)).state === 'loaded');

// Two are before it in line.
const running = await ask(model);
const line = [await ask(model), await ask(model)];
await page.getByRole('button', { name: 'Regenerate' }).click();
await waits.getByText(/^Waiting in line: 2 before you/).waitFor();
await shot('waiting-light');
assert.equal((await found(model)).loaded.requests_waiting, 3);
line[0].abort();
await waits.getByText(/^Waiting in line: 1 before you/).waitFor();
await stop.click();
await page.getByText('Stopped.', { exact: true }).waitFor();
await becomes(async () => (await found(model)).loaded.requests_waiting === 1);
line[1].abort();
running.abort();

// And then it is answered.
await page.getByRole('button', { name: 'Regenerate' }).click();
await page.locator('.message.assistant .text').filter({ hasText: /\w/ }).waitFor();
await stop.click();
assert.deepEqual(complaints, []);
await browser.close();
console.log('all right');
