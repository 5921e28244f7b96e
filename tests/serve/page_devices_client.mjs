// Puts a model on a device on the page of a headrace server (BASE_URL), in Chromium. Screenshots go to SHOTS.
import assert from 'node:assert/strict';
import { base, openPage } from './page_session.mjs';

const model = 'austen-moe-q4_0';
const { browser, page, title, until, shot, complaints } = await openPage(model, { height: 1000, patience: 60_000 });

await title.click();
const card = page.locator('.card', { has: page.locator('.body') });
await card.locator('.headline').waitFor();
await page.getByText(/of Vulkan0 free/).waitFor();

// A device without memory of its own is used only where a size is given, and the estimate says why.
const choice = card.getByRole('combobox', { name: 'Graphics cards' });
assert.equal(await choice.inputValue(), 'auto');
await card.getByText(/uses the machine's memory and is ignored/).waitFor();
assert.equal(await card.locator('.device').count(), 0);
const slider = card.getByRole('slider', { name: 'Memory of graphics cards' });
assert.equal(await slider.isVisible(), false);

// A size, by the slider: the bars follow. All that there is holds all layers.
await choice.selectOption('size');
const there = card.locator('.device[data-device="Vulkan0"] .sum b');
await there.waitFor();
await slider.focus();
await page.keyboard.press('Home');
const texts = new Set();
for (let step = 0; step < 6; step += 1) {
  await until(() => document.querySelector('.card .estimate')?.getAttribute('aria-busy') === 'false');
  texts.add(await there.textContent());
  await page.keyboard.press('PageUp');
  await page.waitForTimeout(300);
}
assert(texts.size >= 3, `the device's bar follows the slider: ${[...texts]}`);
await until(() => document.querySelector('.card .estimate')?.getAttribute('aria-busy') === 'false');
await shot('devices-light');

// More than there is, as another program may have taken it meanwhile: the reason, and a remedy as a button.
await page.route('**/models/estimate?*', async (route) => {
  const url = new URL(route.request().url());
  if (Number(url.searchParams.get('vram_gb')) > 0) url.searchParams.set('vram_gb', '1000');
  await route.continue({ url: url.href });
});
await page.keyboard.press('PageUp');
await card.getByText(/is more than is free on Vulkan0/).waitFor();
assert.equal(await card.getByRole('button', { name: 'Load' }).isDisabled(), true);
await card.getByRole('button', { name: 'Without the graphics card' }).click();
await until(() => document.querySelector('.card .estimate .note.wrong') === null);
assert.equal(await choice.inputValue(), 'off');
assert.equal(await card.locator('.device').count(), 0);
await page.unroute('**/models/estimate?*');

// Loaded with a size, which is remembered.
await choice.selectOption('size');
await there.waitFor();
await slider.focus();
await page.keyboard.press('Home');
await until(() => document.querySelector('.card .estimate')?.getAttribute('aria-busy') === 'false');
await page.waitForTimeout(500);
await until(() => document.querySelector('.card .estimate')?.getAttribute('aria-busy') === 'false');
await card.getByRole('button', { name: 'Load' }).click();
// The driver may have to compile everything for the first time.
await page.locator('.card[data-state="loaded"]').waitFor({ timeout: 150_000 }).catch(async (error) => {
  throw new Error(`not loaded: ${await card.locator('.status').textContent()}; ${error}`);
});
const found = (await (await fetch(`${base}/api/v1/models`)).json()).models.find(({ id }) => id === model);
assert(found.remembered.vram_gb > 0 && found.remembered.vram_gb < 0.1, JSON.stringify(found.remembered));
assert(found.loaded.decision.devices[0].weight_bytes > 0);
await page.reload();
await title.waitFor();
await title.click();
await there.waitFor();
assert.equal(await choice.inputValue(), 'size');
await page.setViewportSize({ width: 375, height: 740 });
await page.getByRole('button', { name: 'Models', exact: true }).click();
await page.waitForTimeout(400);
await card.locator('.device').scrollIntoViewIfNeeded();
const wide = await page.evaluate(() => Math.max(...[document.documentElement, ...document.querySelectorAll('.column')].map((part) => part.scrollWidth - part.clientWidth)));
assert(wide <= 0, `${wide} pixels too wide`);
await shot('phone-devices-light');
assert.deepEqual(complaints, []);
await browser.close();
console.log('all right');
