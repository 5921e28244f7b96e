// Gets a model and deletes it, on the page of a headrace server (BASE_URL) without a model and with a hub on this machine (HUB_FILE: its configuration).
import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { openPage } from './page_session.mjs';

const { browser, page, until, shot, elsewhere, complaints } = await openPage(null, { height: 900, patience: 60_000 });
const status = page.locator('#find-status');
const download = page.locator('.download');
// Replaced in one step: the hub reads it at any time.
const { HUB_FILE } = process.env;
function delay(seconds) {
  writeFileSync(`${HUB_FILE}.new`, JSON.stringify({ ...JSON.parse(readFileSync(HUB_FILE)), delay: seconds }));
  renameSync(`${HUB_FILE}.new`, HUB_FILE);
}
const search = async (words) => {
  await page.getByRole('searchbox').fill(words);
  await page.getByRole('button', { name: 'Search', exact: true }).click();
};

// No model: the way to one.
await page.getByText('There is no model here yet.').waitFor();
await shot('no-model-light');
await page.locator('#thread').getByRole('button', { name: 'Get a model' }).click();
assert.equal(await page.evaluate(() => document.activeElement.id), 'find-words');

// What is wrong is said.
await search('hf:u/none-GGUF');
await status.getByText('there is no such repository (404)').waitFor();
await search('u/secret-GGUF:Q4_0');
await status.getByText('set HF_TOKEN').waitFor();
await search('no such words');
await status.getByText('The hub found nothing').waitFor();

// Words, a repository, its models.
await search('austen');
await page.getByRole('button', { name: /^u\/austen-GGUF/ }).click();
const offer = page.locator('.offer', { hasText: 'Q4_0' });
await offer.getByText(/11\.3 MiB · fits/).waitFor();
await shot('find-light');

// A download that is stopped goes on, after a reload too.
delay(0.05);
await page.getByRole('button', { name: 'Download hf:u/austen-GGUF:Q4_0' }).click();
await download.getByText(/MiB of 11\.3 MiB/).waitFor();
await until(() => document.querySelector('.download progress').value > 0.05);
await shot('download-light');
await download.getByRole('button', { name: 'Cancel' }).click();
await download.getByText('Stopped. What came is kept.').waitFor();
await page.reload();
await download.getByText('Not finished.').waitFor();
await download.getByRole('button', { name: 'Go on' }).click();
await until(() => document.querySelector('.download progress').value > 0.05);
delay(0);
await download.getByText('u/austen-GGUF:Q4_0 is here').waitFor();
await page.locator('#models').getByRole('button', { name: /^u\/austen-GGUF:Q4_0/ }).waitFor();

// Full disk.
await page.getByRole('button', { name: 'Get a model' }).first().click();
await search('u/large-GGUF');
await page.locator('.offer', { hasText: 'more than the disk has free' }).getByRole('button').click();
const large = page.locator('.download', { hasText: 'large' });
await large.getByText('free some space').waitFor();
await large.getByRole('button', { name: 'Remove from this list' }).click();
await large.waitFor({ state: 'detached' });

// It can be talked to.
await download.getByRole('button', { name: 'Talk to it' }).click();
await page.locator('.card[data-state="loaded"]').waitFor();
assert.equal(await download.count(), 0);
await page.getByLabel('Message').fill('It is a truth');
await page.keyboard.press('Enter');
await page.locator('.message.assistant .text').filter({ hasText: /\w/ }).waitFor();
const stop = page.getByRole('button', { name: 'Stop' });
if (await stop.isVisible()) await stop.click();
await page.locator('#send:visible').waitFor();

// Deleting asks, and a loaded model stays.
await page.locator('#models').getByRole('button', { name: /^u\/austen-GGUF:Q4_0/ }).click();
const remove = page.getByRole('button', { name: 'Delete from disk' });
const dialog = page.getByRole('dialog');
await remove.click();
await dialog.getByRole('button', { name: 'Delete' }).click();
await page.getByText('unload it first').waitFor();
await page.getByRole('button', { name: 'Unload' }).click();
await until(() => document.querySelector('.card[data-state="loaded"]') === null);
await remove.click();
await dialog.getByRole('button', { name: 'Cancel' }).click();
assert.equal(await page.locator('#models .card').count(), 1);
await remove.click();
await dialog.getByRole('button', { name: 'Delete' }).click();
await page.locator('#models .card').waitFor({ state: 'detached' });
await page.getByRole('button', { name: 'New', exact: true }).click();
await page.getByText('There is no model here yet.').waitFor();

assert.deepEqual(elsewhere, [], 'no request leaves the origin');
assert.deepEqual(complaints.filter((text) => !/Failed to load resource/.test(text)), []);
await browser.close();
console.log('all right');
