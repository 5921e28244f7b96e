// The drives that a model with a copy is read from, on the page of a headrace server (BASE_URL), in Chromium.
import assert from 'node:assert/strict';
import { base, openPage } from './page_session.mjs';

const model = 'austen-dense-q4_0';
const { browser, page, until, complaints } = await openPage(model, { height: 900, patience: 60_000 });

const post = (path, body) => fetch(`${base}${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
assert.equal((await post('/api/v1/models/load', { model })).status, 200);
assert.equal((await post('/v1/completions', { model, prompt: 'It is', max_tokens: 30 })).status, 200);

// Both, each with its share of the bytes and its speed.
const line = page.locator('#live li').filter({ hasText: /%, [0-9.]+ GB\/s/ });
await line.waitFor();
await until(() => [...document.querySelectorAll('#live li')].some((each) => / · /.test(each.textContent)));
const drives = (await line.textContent()).split(' · ').map((text) => text.match(/^(.+): (\d+) %, (\d+\.\d\d) GB\/s$/));
assert.equal(drives.length, 2, await line.textContent());
assert(drives.every(Boolean), await line.textContent());
const shares = drives.reduce((sum, [, , share]) => sum + Number(share), 0);
assert(shares >= 99 && shares <= 101, `${shares} % in all`);
const { models } = await (await fetch(`${base}/api/v1/flash/stats?once=1`)).json();
assert.deepEqual(drives.map(([, name]) => name), models.find(({ id }) => id === model).flash.drives.map(({ name }) => name));

assert.deepEqual(complaints, []);
await browser.close();
console.log('all right');
