// The page of a headrace server (BASE_URL), open in Chromium, for the scripts that use it as a person would. Screenshots go to SHOTS.
import { createRequire } from 'node:module';

export const require = createRequire(process.env.NODE_MODULES + '/');
const { chromium } = require('playwright-core');
const { BASE_URL, SHOTS, CHROMIUM: executablePath } = process.env;
export const base = BASE_URL;

// Each step may take `patience` milliseconds. The model's card is there, and closed; null: there is none.
export async function openPage(model, { height, patience }) {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'] });
  const context = await browser.newContext({ viewport: { width: 1440, height }, colorScheme: 'light', acceptDownloads: true });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  const elsewhere = [];
  const complaints = [];
  page.on('request', (request) => { if (!request.url().startsWith(base) && !/^(blob|data):/.test(request.url())) elsewhere.push(request.url()); });
  page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
  page.on('pageerror', (error) => complaints.push(String(error)));
  const shot = (name) => page.screenshot({ path: `${SHOTS}/${name}.png` });
  // The page's policy forbids eval, which a function that waits inside of the page would need.
  const until = async (condition, argument) => {
    const end = Date.now() + patience;
    while (!await page.evaluate(condition, argument)) {
      if (Date.now() > end) throw new Error(`never: ${condition}`);
      await page.waitForTimeout(50);
    }
  };
  await page.goto(base);
  const title = page.locator('#models').getByRole('button', { name: new RegExp(`^${model}`) });
  if (model) await title.waitFor();
  return { browser, page, title, until, shot, elsewhere, complaints };
}
