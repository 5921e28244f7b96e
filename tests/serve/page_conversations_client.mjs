// Answers and conversations on the page of a headrace server (BASE_URL), in Chromium. Screenshots go to SHOTS.
import assert from 'node:assert/strict';
import { base, openPage } from './page_session.mjs';

const model = 'austen-dense-q4_0';
const { browser, page, until, shot, elsewhere, complaints } = await openPage(model, { height: 900, patience: 30_000 });

const RICH = `# Rivers

A *river* **flows**; see [the source](https://example.org/source) and https://example.net/auto.

| River | Length |
|:------|-------:|
| Nile  | 6650   |

1. One
   - nested
     - deeper
2. Two

> A quotation

\`\`\`python
def flow(x: int) -> str:
    return "water" * x   # much
\`\`\`

Euler wrote $e^{i\\pi} + 1 = 0$, it costs $5 and $6, and \\(a_1 < a_2\\).

$$
\\int_0^1 x^2\\,dx = \\frac{1}{3}
$$

\\[ \\sum_{n=1}^{\\infty} \\frac{1}{n^2} = \\frac{\\pi^2}{6} \\]
`;
const HOSTILE = `<script>window.pwned = 1</script> <img src=x onerror="window.pwned = 2"> <form action="/api/v1/models/unload"><input></form>
<style>body { display: none }</style> <p id="prompt" class="banner">x</p>

![picture](http://127.0.0.1:1/p.png) ![own](props?model=austen-dense-q4_0) [script](javascript:window.pwned=3) [data](data:text/html,x) [relative](/props) [two](//evil.example/x)

[title](https://example.org/a "x\\" onmouseover=\\"window.pwned=4")

\`\`\`html"onmouseover=window.pwned=5
<script>window.pwned = 6</script>
\`\`\`

\`\`\`xml
<script>window.pwned = 7</script><img src=x onerror=alert(1)>
\`\`\`

$\\href{javascript:window.pwned=8}{x}$ $\\includegraphics{http://127.0.0.1:1/q.png}$ $\\htmlId{prompt}{x}$ $\\def\\a{\\a\\a}\\a$ $<img src=x onerror=window.pwned=9>$ $\\rule{9999em}{9999em}$

[a]: https://example.org "b"
<math><mtext><table><mglyph><style><img src=x onerror=window.pwned=10>
`;

const message = (id, parent, role, content) => ({ id, parent, role, content });
const conversation = (id, content, updated) => ({ version: 2, id, title: `About ${id}`, created: 1, updated, model, system: '', sampling: {}, leaf: `${id}-b`,
  messages: [message(`${id}-a`, null, 'user', 'Say it.'), message(`${id}-b`, `${id}-a`, 'assistant', content)] });
const importJson = async (conversations, say) => {
  if (!await page.locator('#conversations-menu[open]').count()) await page.locator('#conversations-menu summary').click();
  await page.getByLabel('File to import').setInputFiles({ name: 'export.json', mimeType: 'application/json', buffer: Buffer.from(typeof conversations === 'string' ? conversations : JSON.stringify({ conversations })) });
  await page.locator('#conversations').getByText(say).waitFor();
};
const openConversation = async (name) => {
  if (!await page.locator('#conversations-menu[open]').count()) await page.locator('#conversations-menu summary').click();
  await page.getByLabel('Search conversations').fill(name);
  await page.getByRole('button', { name, exact: true }).click();
};
const text = page.locator('.message.assistant > .text').last();

// What models write, as people know it.
await importJson('no JSON', 'The file is no JSON.');
await importJson([conversation('rich', RICH, 1), { version: 2 }], 'Conversation 2 of the file is not understood. Nothing was imported.');
await importJson([conversation('rich', RICH, 1), conversation('hostile', HOSTILE, 1), conversation('long', `${'A word of many. '.repeat(40)}\n\n`.repeat(300), 1)], '3 conversations were imported.');
await openConversation('About rich');
await text.locator('.katex').nth(3).waitFor();
await text.locator('.hljs-keyword').first().waitFor();
assert.equal(await text.locator('.katex').count(), 4);
assert.match(await text.textContent(), /it costs \$5 and \$6/);
assert.equal(await text.locator('td[align="right"]').textContent(), '6650');
assert.equal(await text.locator('ol > li > ul > li > ul > li').textContent(), 'deeper');
for (const link of await text.locator('a').all()) assert.deepEqual([await link.getAttribute('target'), await link.getAttribute('rel')], ['_blank', 'noopener noreferrer']);
assert.equal(await text.locator('a').count(), 2);
await page.evaluate(() => { navigator.clipboard.writeText = (copied) => { window.copied = copied; return Promise.resolve(); }; });
await text.getByRole('button', { name: 'Copy this code' }).click();
assert.equal(await page.evaluate(() => window.copied), 'def flow(x: int) -> str:\n    return "water" * x   # much\n');
await page.evaluate(() => document.fonts.ready);
await shot('answer-light');
await page.emulateMedia({ colorScheme: 'dark' });
await page.setViewportSize({ width: 320, height: 740 });
await page.getByRole('button', { name: 'Chat', exact: true }).click();
const wide = await page.evaluate(() => Math.max(...[document.documentElement, ...document.querySelectorAll('.column, .thread')].map((part) => part.scrollWidth - part.clientWidth)));
assert(wide <= 0, `${wide} pixels too wide`);
await page.waitForTimeout(300);
await shot('phone-answer-dark');
await page.locator('#conversations-menu summary').click();
await page.waitForTimeout(300);
await shot('phone-conversations-dark');
await page.keyboard.press('Escape');
await page.setViewportSize({ width: 1440, height: 900 });
await page.emulateMedia({ colorScheme: 'light' });

// A model's text is no script, no form, no request, and no name of the page's own.
await openConversation('About hostile');
await text.locator('.hljs-tag').first().waitFor();
await page.waitForTimeout(500);
const allowed = new Set(await text.evaluate((element) => [...element.querySelectorAll(':not(.formula *):not(.formula)')].map(({ localName }) => localName)));
for (const name of allowed) assert(['div', 'p', 'br', 'a', 'pre', 'code', 'span', 'button'].includes(name), name);
assert.deepEqual(await text.evaluate((element) => [...element.querySelectorAll('a')].map((link) => link.getAttribute('href')).filter(Boolean)),
                 ['http://127.0.0.1:1/p.png', 'https://example.org/a']);
assert.deepEqual(await text.evaluate((element) => [...element.querySelectorAll('*')].flatMap(({ attributes }) => [...attributes].map(({ name }) => name)).filter((name) => name.startsWith('on') || name === 'id')), []);
assert.equal(await page.evaluate(() => window.pwned), undefined);
assert.equal(await text.locator('.formula img, .formula a').count(), 0);

// A long answer, whole and as it grows: drawn as far as it is settled, the same in the end.
await openConversation('About long');
assert.equal(await text.locator('p').count(), 300);
const grown = await page.evaluate(async (rich) => {
  const { AnswerText } = await import('./answer.js');
  const all = `${rich}\n\n\`\`\`js\n${'let x = 1;\n'.repeat(2000)}\`\`\`\n\n${rich}`.repeat(9);
  const [growing, whole] = ['div', 'div'].map((name) => document.createElement(name));
  const answer = new AnswerText(growing);
  let kept = null;
  let draws = 0;
  new MutationObserver((records) => { draws += records.length; }).observe(growing, { childList: true });
  for (let end = 500; end < all.length; end += 500) {
    answer.draw(all.slice(0, end), false);
    kept ??= growing.children.length > 4 ? growing.firstChild : null;
    await new Promise((resolve) => { setTimeout(resolve); });
  }
  const stays = growing.firstChild === kept;
  answer.draw(all, true);
  answer.draw(all, false);      // a frame that comes late
  answer.draw(all, true);
  new AnswerText(whole).draw(all, true);
  await new Promise((resolve) => { setTimeout(resolve, 1500); });
  return { size: all.length, stays, same: growing.textContent === whole.textContent, markup: growing.innerHTML === whole.innerHTML, blocks: growing.children.length };
}, RICH);
assert(grown.size > 200_000, grown.size);
assert(grown.stays && grown.same && grown.markup, JSON.stringify(grown));

// A message that is edited, and an answer that is given again: the earlier ones stay within reach.
await page.getByRole('button', { name: 'New', exact: true }).click();
await page.locator('#settings-menu summary').click();
await page.getByLabel('System prompt').fill('Be brief.');
await page.getByLabel('Most tokens').fill('8');
await page.getByLabel('Temperature').fill('0');
await page.getByRole('button', { name: 'Save as preset' }).click();
await page.getByRole('dialog').getByRole('textbox').fill('Brief');
await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
await page.waitForTimeout(300);
await shot('presets-light');
await page.keyboard.press('Escape');
await page.locator('#chat-model').selectOption(model);
// The button of sending is gone as soon as something is sent.
const answered = () => page.locator('#send:visible').waitFor();
await page.getByLabel('Message', { exact: true }).fill('It was a fine day');
await page.keyboard.press('Enter');
await answered();
assert.match(await page.locator('.message.assistant .stats').textContent(), /tokens\/s · 8 tokens · .*prompt of \d+ tokens in/);
assert.equal((await text.textContent()).trim(), (await page.evaluate(async () => (await import('./store.js')).all())).find(({ title }) => title === 'It was a fine day').messages[1].content.trim());
const user = page.locator('.message.user');
await user.hover();
await user.getByRole('button', { name: 'Edit' }).click();
await page.getByLabel('The message').fill('It was a dark night');
await shot('edit-light');
await page.getByRole('button', { name: 'Send anew' }).click();
await answered();
assert.equal(await user.locator('.text').textContent(), 'It was a dark night');
await page.getByRole('button', { name: 'Regenerate' }).click();
await answered();
assert.equal(await page.locator('.message.assistant .turner').textContent(), '‹2/2›');
await user.getByRole('button', { name: 'The version before' }).click();
assert.equal(await user.locator('.text').textContent(), 'It was a fine day');
assert.equal(await page.locator('.message').count(), 2);
await shot('versions-light');

// A file goes along, and its tokens were counted.
await page.locator('#attach-file').setInputFiles([{ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('She was sorry for it.') },
  { name: 'wrong.bin', mimeType: 'application/octet-stream', buffer: Buffer.from([0xff, 0xfe, 0]) }]);
await page.getByText('wrong.bin is no text in UTF-8.').waitFor();
await page.locator('#attached').getByText(/^\d+ tokens$/).waitFor();
await page.locator('#attach-file').setInputFiles({ name: 'paper.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF') });
await page.getByText('paper.pdf is no PDF that can be read').waitFor();
await page.locator('#attach-file').setInputFiles({ name: 'dot.png', mimeType: 'image/png', buffer: Buffer.from('iVBORw0KGgo=', 'base64') });
await page.getByText('cannot see images').waitFor();
await shot('attached-light');
const [request] = await Promise.all([page.waitForRequest('**/v1/chat/completions'), page.getByRole('button', { name: 'Send' }).click()]);
assert.match(request.postDataJSON().messages.at(-1).content, /^File notes.txt:\n```\nShe was sorry for it.\n```$/);
assert.equal(request.postDataJSON().messages[0].content, 'Be brief.');
await answered();

// Two tabs write one conversation: neither loses what the other wrote.
const second = await page.context().newPage();
second.setDefaultTimeout(30_000);
await second.goto(base);
await second.locator('.message.user').nth(1).waitFor();
await second.locator('#chat-model').selectOption(model);
await second.getByLabel('Message', { exact: true }).fill('From the second tab');
await second.keyboard.press('Enter');
await page.getByText('From the second tab').waitFor();
await second.locator('#send:visible').waitFor();
await second.close();
const both = await page.evaluate(async () => {
  const [store, tree] = [await import('./store.js'), await import('./tree.js')];
  const [{ id }] = await store.list();
  const tabs = [await store.get(id), await store.get(id)];
  for (const tab of tabs) tree.add(tab, tab.leaf, { role: 'assistant', content: 'At the same time' });
  for (const tab of tabs) await store.save(tab);
  const stored = await store.get(id);
  return stored.messages.filter(({ content }) => content === 'At the same time').length;
});
assert.equal(both, 2, 'what both tabs wrote is kept');
await page.reload();
await page.getByText('From the second tab').waitFor();
assert.equal(await page.locator('.message.user').count(), 3);

// A thousand conversations: found by words of a message, renamed, kept.
await importJson(Array.from({ length: 1000 }, (_, i) => conversation(`number ${i}`, i === 777 ? 'a rare heron' : 'water '.repeat(500), 2 + i)), '1000 conversations were imported.');
await page.getByLabel('Search conversations').fill('rare heron');
await until(() => document.querySelectorAll('.conversation').length === 1);
await page.getByRole('button', { name: 'Rename About number 777' }).click();
await page.getByRole('dialog').getByRole('textbox').fill('Birds');
await page.getByRole('dialog').getByRole('button', { name: 'Rename' }).click();
await page.getByRole('button', { name: 'Birds', exact: true }).waitFor();
await page.getByLabel('Search conversations').fill('');
await until(() => document.querySelectorAll('.conversation').length === 100);
await shot('conversations-light');
await page.reload();
await openConversation('Birds');
await page.getByText('a rare heron').waitFor();

// What the first version of the page kept comes along.
await page.evaluate(() => localStorage.setItem('headrace.conversation.old', JSON.stringify({ version: 1, id: 'old', title: 'Of old', created: 1, updated: 2, model: null, system: '',
  sampling: {}, messages: [{ role: 'user', content: 'Who?' }, { role: 'assistant', content: 'Nobody.' }] })));
await page.reload();
await openConversation('Of old');
assert.equal(await page.locator('.message').count(), 2);
assert.equal(await page.evaluate(() => localStorage.getItem('headrace.conversation.old')), null);

assert.deepEqual(elsewhere, [], 'no request leaves the origin');
assert.deepEqual(complaints, []);
await browser.close();
console.log('all right');
