// The page of a headrace server (BASE_URL) for people who see little, use no mouse, or have a small or a huge screen: axe-core on every view in both
// themes, the keyboard alone, widths from 320 to 3840 pixels. Pictures of every view go to SHOTS/views.
import assert from 'node:assert/strict';
import { base, openPage, require } from './page_session.mjs';

const axe = require('axe-core').source;
const model = 'austen-dense-q4_0';
const { browser, page, title, until, shot, elsewhere, complaints } = await openPage(model, { height: 900, patience: 30_000 });

const ANSWER = `# Rivers

A *river* **flows**; see [the source](https://example.org/source). It has \`depth\`, $e^{i\\pi} + 1 = 0$ and

$$
\\int_0^1 x^2\\,dx = \\frac{1}{3} + \\sum_{n=1}^{\\infty} \\frac{1}{n^2} + a_1 + a_2 + a_3 + a_4 + a_5 + a_6 + a_7 + a_8 + a_9 + a_{10} + a_{11} + a_{12}
$$

| River | Length | Countries that it flows through | Where it ends |
|:------|-------:|---------------------------------|---------------|
| Nile  | 6650   | Uganda, South Sudan, Sudan, Egypt, and parts of others | Mediterranean |

> A quotation

\`\`\`python
def flow(x: int) -> str:
    """A long line."""; return "water" * x   # much ${'and more '.repeat(20)}
\`\`\`

- [x] ${'averylongwordwithoutanyplacetobreakit'.repeat(6)}
`;
const dot = 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const messages = [{ id: 'a', parent: null, role: 'user', content: 'Say it.', attachments: [{ kind: 'text', name: 'notes.txt', text: 'Some notes' }, { kind: 'image', name: 'dot.png', url: dot }] },
  { id: 'b', parent: 'a', role: 'assistant', content: 'Another version' },
  { id: 'c', parent: 'a', role: 'assistant', model, content: ANSWER, reasoning: 'First I think.', calls: [{ name: 'weather', arguments: '{"place": "Bath"}' }], stats: '3.1 tokens/s · 12 tokens' }];
const conversation = (id, heading) => ({ version: 2, id, title: heading, created: 1, updated: 1, model, system: '', sampling: {}, leaf: 'c', messages });

const post = (path, body) => fetch(`${base}${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
const show = async (view) => {
  const tab = page.locator(`[data-show="${view}"]`);
  if (await tab.isVisible()) await tab.click();
};
const menu = (name) => page.locator(`#${name}-menu summary`);
const openMenu = async (name) => {
  await show('chat');
  await menu(name).click();
};

// Each view: how to get there, and what says that it is there.
const card = page.locator('.card', { has: page.locator('.body') });
const toggle = () => title.click();
const VIEWS = {
  models: { open: () => show('models'), ready: title },
  setup: { open: async () => { await show('models'); await toggle(); await page.locator('details.more summary').first().click(); }, ready: card.locator('.headline'),
           close: async () => { await page.locator('details.more summary').first().click(); await toggle(); } },
  chat: { open: async () => { await show('chat'); await page.evaluate(() => { for (const part of document.querySelectorAll('.message details')) part.open = true; }); },
          ready: page.locator('.message .katex').nth(1) },
  edit: { open: async () => { await show('chat'); await page.locator('.message.user').getByRole('button', { name: 'Edit' }).click(); }, ready: page.getByLabel('The message'),
          close: () => page.keyboard.press('Escape') },
  settings: { open: () => openMenu('settings'), ready: page.getByLabel('System prompt'), close: () => page.keyboard.press('Escape') },
  conversations: { open: () => openMenu('conversations'), ready: page.getByRole('button', { name: /^Rename / }).first(), close: () => page.keyboard.press('Escape') },
  dialog: { open: async () => { await openMenu('conversations'); await page.getByRole('button', { name: /^Rename / }).first().click(); }, ready: page.getByRole('dialog'),
            close: async () => { await page.keyboard.press('Escape'); await page.keyboard.press('Escape'); } },
  attached: { open: async () => { await show('chat'); await page.locator('#attach-file').setInputFiles({ name: `${'long'.repeat(30)}.txt`, mimeType: 'text/plain', buffer: Buffer.from('Notes') }); },
              ready: page.locator('#attached').getByText(/tokens/), close: () => page.getByRole('button', { name: /^Remove / }).click() },
  live: { open: () => show('live'), ready: page.locator('#read-in-all') },
};

// What can be used lies on the screen; what is further down can be scrolled to. Nothing but code, tables and formulas scrolls sideways.
const cut = () => {
  const found = [];
  const scrolls = (element, axis) => {
    for (let around = element.parentElement; around; around = around.parentElement) {
      if (['auto', 'scroll'].includes(getComputedStyle(around)[`overflow${axis}`])) return around;
    }
    return null;
  };
  const dialog = document.querySelector('dialog[open]');
  for (const part of [document.documentElement, document.body, ...document.querySelectorAll('.column, .thread, .sheet, dialog')]) {
    if (part.checkVisibility({ contentVisibilityAuto: true }) && part.scrollWidth > part.clientWidth) found.push(`${part.id || part.className || part.localName} is ${part.scrollWidth - part.clientWidth} pixels too wide`);
  }
  for (const control of (dialog ?? document).querySelectorAll('a, button, input, select, textarea, summary')) {
    if (!control.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true }) || control.matches('.skip, .katex *')) continue;
    const { left, right, top, bottom, width, height } = control.getBoundingClientRect();
    if (width === 0 || height === 0) continue;
    const name = `${control.localName} “${control.getAttribute('aria-label') ?? control.textContent}”`;
    const sideways = scrolls(control, 'X');
    if ((left < -0.5 || right > innerWidth + 0.5) && !sideways?.matches('.block table, pre')) found.push(`${name} lies at ${left} to ${right} of ${innerWidth}`);
    if ((top < -0.5 || bottom > innerHeight + 0.5) && !scrolls(control, 'Y')) found.push(`${name} lies at ${top} to ${bottom} of ${innerHeight} in height`);
    if (control.localName === 'button' && control.scrollWidth > control.clientWidth + 1 && getComputedStyle(control).textOverflow !== 'ellipsis') found.push(`${name} is cut`);
  }
  return found;
};

async function violations() {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  return found.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target} ${failureSummary}`));
}

await page.getByRole('button', { name: 'New', exact: true }).click();
await menu('conversations').click();
await page.getByLabel('File to import').setInputFiles({ name: 'export.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify({ conversations:
  [conversation('rich', 'Rivers'), conversation('other', 'A conversation whose title is long enough to need an end')] })) });
await page.getByRole('button', { name: 'Rivers', exact: true }).click();
assert((await post('/api/v1/models/load', { model, flash_mode: 'on' })).ok);
await until(() => Number(document.getElementById('read-in-all').dataset.bytes) > 0);
await until(() => [...document.querySelectorAll('.size:not([hidden])')].every((size) => !size.classList.contains('unknown')));

// No animation: axe-core and the pictures see what stays.
await page.emulateMedia({ reducedMotion: 'reduce' });
const wrong = [];
for (const colorScheme of ['light', 'dark']) {
  await page.emulateMedia({ colorScheme });
  for (const [width, height] of [[1280, 800], [320, 568], [768, 1024], [3840, 2160]]) {
    await page.setViewportSize({ width, height });
    for (const [name, view] of Object.entries(VIEWS)) {
      const here = `${name}, ${colorScheme}, ${width} pixels`;
      await view.open();
      await view.ready.waitFor({ state: 'visible' });
      wrong.push(...(await page.evaluate(cut)).map((what) => `${here}: ${what}`));
      if (width <= 1280) await shot(`views/${name}-${colorScheme}-${width}`);
      if (width === 1280 || width === 320) wrong.push(...(await violations()).map((what) => `${here}: ${what}`));
      await view.close?.();
    }
  }
}
assert.equal(wrong.join('\n'), '');

// The keyboard alone. Each control is reached with Tab, and shows that it is.
const focused = () => page.evaluate(() => {
  const { activeElement: held } = document;
  return held.getAttribute('aria-label') ?? held.labels?.[0]?.textContent ?? held.textContent;
});
const press = async (...keys) => { for (const key of keys) await page.keyboard.press(key); };
const tabTo = async (wanted) => {
  for (let i = 0; i < 200; i += 1) {
    await press('Tab');
    if (await page.evaluate((selector) => document.activeElement.matches(selector), wanted)) {
      assert(await page.evaluate(() => { const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement); return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2; }), `the focus on ${wanted} is seen`);
      return;
    }
  }
  throw new Error(`Tab never comes to ${wanted}`);
};
const holds = async (selector) => until((wanted) => document.activeElement.matches(wanted), selector);
await page.emulateMedia({ colorScheme: 'light' });
await page.setViewportSize({ width: 1280, height: 800 });
await title.click();
await page.evaluate(() => document.activeElement.blur());
const all = await page.evaluate(() => {
  const controls = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
    .filter((control) => !control.disabled && control.checkVisibility({ visibilityProperty: true }));
  controls.forEach((control) => { control.dataset.met = 'no'; });
  document.addEventListener('focusin', ({ target }) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(target);
    target.dataset.met = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 ? 'yes' : 'unseen';
  });
  return controls.length;
});
assert(all > 25, `${all} controls`);
for (let i = 0; i < all + 5; i += 1) await press('Tab');
assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('[data-met]:not([data-met="yes"])')].map(({ outerHTML, dataset }) => `${dataset.met} ${outerHTML.slice(0, 120)}`)), []);

// Menus: Escape closes them, and the focus is where it was.
await tabTo('#conversations-menu summary');
await press('Enter');
await tabTo('[aria-label="Rename Rivers"]');
await press('Enter');
await page.getByRole('dialog').waitFor();
await press('Escape');
await holds('[aria-label="Rename Rivers"]');
await press('Enter');
await page.keyboard.type('Streams');
await press('Enter');
await page.getByRole('button', { name: 'Rename Streams' }).waitFor();
await holds('[aria-label="Search conversations"]');
await press('Escape');
await holds('#conversations-menu summary');
assert.equal(await page.locator('details.menu[open]').count(), 0);
await tabTo('.message.user .tools button');
await press('Enter');
await holds('[aria-label="The message"]');
await press('Escape');
await holds('.message.user .tools button');
await tabTo('.message.assistant .turner button');
await press('Enter');
await page.getByText('Another version').waitFor();
assert.equal(await focused(), 'The next version');

// Send, stop, look elsewhere: as on a small screen, where one view is seen at a time.
await page.setViewportSize({ width: 768, height: 1024 });
await tabTo('[data-show="chat"]');
await press('Enter');
await tabTo('#new');
await press('Enter');
await holds('#prompt');
await page.keyboard.type('It is a truth');
await tabTo('#send');
await press('Enter');
await holds('#stop');
await until(() => document.querySelector('.message.assistant .text')?.textContent.length > 0);
assert.equal(await page.evaluate(() => document.getAnimations().length), 0, 'nothing moves for who wants that');
await press('Enter');
await page.getByText('Stopped.').waitFor();
await holds('#prompt');
await tabTo('[data-show="live"]');
await press('Space');
await page.locator('#read-in-all').waitFor();
await tabTo('#skip');
await press('Enter');
await holds('#prompt');
assert(await page.locator('#prompt').isVisible());
await tabTo('[data-show="models"]');
await press('Enter');
await tabTo('.card .title[aria-expanded="true"]');
await tabTo('.card .actions button:not(.primary)');
assert.equal(await focused(), 'Unload');
await press('Enter');
await until(() => document.querySelector('.card[data-state="loaded"]') === null);
await holds('.card .actions .primary');

assert.deepEqual(elsewhere, [], 'no request leaves the origin');
assert.deepEqual(complaints, []);
await browser.close();
console.log('all right');
