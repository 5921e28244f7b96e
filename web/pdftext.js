// The text of a PDF, by pdf.js in a worker; loaded when the first one comes. Nothing of it is drawn or run.
import { el } from './dom.js';

let loading = null;

// A classic script: what it makes global is all that it gives.
function load() {
  loading ??= new Promise((resolve, reject) => {
    const script = el('script', { src: new URL('./lib/pdf.js', import.meta.url).href, onload: resolve, onerror: () => reject(new Error('The reader of PDFs could not be loaded. Try again.')) });
    document.head.append(script);
  }).then(() => {
    const { pdfjsLib } = window;
    pdfjsLib.GlobalWorkerOptions.workerSrc = new URL('./lib/pdf.worker.js', import.meta.url).href;
    return pdfjsLib;
  }).catch((error) => { loading = null; throw error; });
  return loading;
}

const REASONS = { PasswordException: 'is encrypted. Save it without its password and attach that' };

// Of all pages, a line for each line. Throws what is wrong, in words. `progress(page, of)` is told how far it is.
export async function textOf(name, data, progress) {
  const pdfjs = await load();
  // The page's policy allows no eval.
  const task = pdfjs.getDocument({ data, isEvalSupported: false, verbosity: pdfjs.VerbosityLevel.ERRORS });
  try {
    const file = await task.promise;
    const pages = [];
    for (let number = 1; number <= file.numPages; number += 1) {
      progress(number, file.numPages);
      const page = await file.getPage(number);
      const { items } = await page.getTextContent();
      pages.push(items.map(({ str, hasEOL }) => (hasEOL ? `${str}\n` : str)).join('').trim());
      page.cleanup();
    }
    if (pages.every((text) => text === '')) throw new Error(`${name} has no text: its pages are pictures, or its letters are of a kind that is not read here.`);
    return pages.filter(Boolean).join('\n\n');
  } catch (error) {
    if (error.constructor === Error) throw error;
    throw new Error(`${name} ${REASONS[error.name] ?? 'is no PDF that can be read, or is damaged'}.`);
  } finally {
    task.destroy();
  }
}
