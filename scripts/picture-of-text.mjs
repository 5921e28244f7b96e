// Draws the text on standard input as a terminal shows it, into the PNG file that is named.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(process.env.NODE_MODULES + '/');
const { chromium } = require('playwright-core');
const text = readFileSync(0, 'utf8').replace(/\s+$/, '');
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
const page = await browser.newPage({ deviceScaleFactor: 2, viewport: { width: 1600, height: 900 } });
await page.setContent(`<pre style="display: inline-block; margin: 0; padding: 18px 22px; border-radius: 10px; background: #14181f; color: #d7dde6; font: 14px/1.5 'DejaVu Sans Mono', monospace"></pre>`);
await page.evaluate((shown) => { document.body.style.background = 'transparent'; document.querySelector('pre').textContent = shown; }, text);
await page.locator('pre').screenshot({ path: process.argv[2], omitBackground: true });
await browser.close();
