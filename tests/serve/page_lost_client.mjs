// The page of a headrace server (BASE_URL, SERVER_PID) that dies, is started again, and is held, in Chromium.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { base, openPage } from './page_session.mjs';

const model = 'austen-dense-q4_0';
const { browser, page, until, shot, complaints } = await openPage(model, { height: 900, patience: 60_000 });
const banner = page.locator('#banner');
const prompt = page.getByLabel('Message');

// An answer that is on its way, and a message that is being written.
await page.locator('#chat-model').selectOption(model);
await page.locator('#settings-menu summary').click();
await page.getByLabel('Most tokens').fill('1000');
await page.keyboard.press('Escape');
await prompt.fill('A very long story.');
await page.keyboard.press('Enter');
await until(() => document.querySelector('.message.assistant .text')?.textContent.length > 10);
await prompt.fill('half a thought');
process.kill(Number(process.env.SERVER_PID), 'SIGKILL');
await banner.getByText('The server does not answer.').waitFor();
const cut = page.locator('.message.assistant .cut');
await cut.getByText('This answer was cut off.').waitFor();
const rest = await page.locator('.message.assistant .text').textContent();
assert(rest.length > 10, 'what had come stays');
assert.equal(await prompt.inputValue(), 'half a thought');
await shot('lost-light');

// What is sent now is kept too.
await page.keyboard.press('Enter');
await page.getByText('Your message is kept').waitFor();
assert.equal(await page.locator('.message.user').count(), 2);
await prompt.fill('another thought');

// It comes back by itself.
const server = spawn(process.env.HEADRACE, JSON.parse(process.env.SERVER_ARGUMENTS), { stdio: ['ignore', 'inherit', 'inherit'] });
try {
  await banner.waitFor({ state: 'hidden' });
  assert.equal(await prompt.inputValue(), 'another thought');
  await cut.getByRole('button', { name: 'Ask again' }).click();
  await page.getByText('2/2').waitFor();
  await until(() => document.querySelector('.message.assistant .text')?.textContent.length > 10);
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByText('Stopped.').waitFor();
  assert.equal(await page.locator('.cut:visible').count(), 0);

  // A reload keeps the draft, and what was cut off says so still.
  await page.reload();
  await page.getByRole('button', { name: 'The version before' }).first().click();
  await page.getByText('This answer was cut off.').waitFor();
  assert.equal(await page.locator('.message.assistant .text').first().textContent(), rest);
  assert.equal(await prompt.inputValue(), 'another thought');

  // One that is there and says nothing.
  await page.getByText('Nothing is loaded.').waitFor({ state: 'hidden' });
  server.kill('SIGSTOP');
  await banner.getByText('The server does not answer.').waitFor();
  server.kill('SIGCONT');
  await banner.waitFor({ state: 'hidden' });
} finally {
  server.kill('SIGCONT');
  server.kill('SIGTERM');
}
assert.deepEqual(complaints.filter((text) => !/Failed to load resource|net::ERR/.test(text)), []);
await browser.close();
assert(base);
console.log('all right');
