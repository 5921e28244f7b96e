// Blocks of code: the language's name, a button that copies, and colours by highlight.js, which is loaded when the first block with a language comes.
import { announce, el } from './dom.js';
import { sanitizeSpans } from './markdown.js';

const MOST = 100_000;      // characters that are coloured: more would hold the page up

let loading = null;

function load() {
  loading ??= import('./lib/highlight.min.js').then(() => {
    window.hljs.configure({ hideUpgradeWarningAcceptNoSupportOrSecurityUpdates: true });
    return window.hljs;
  });
  return loading;
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    announce('Copied');
  } catch {
    announce('The browser did not allow copying');
  }
}

// Frames each block of code of `root`.
export function frameCode(root) {
  for (const code of root.querySelectorAll('pre > code')) {
    const pre = code.parentElement;
    const frame = el('div', { class: 'code' });
    pre.replaceWith(frame);
    pre.tabIndex = 0;
    frame.append(el('div', { class: 'bar-of-code' }, el('span', {}, code.dataset.language || 'text'),
      el('button', { type: 'button', class: 'quiet', 'aria-label': 'Copy this code', onclick: () => copy(code.textContent) }, 'Copy')), pre);
  }
}

export async function colourCode(root) {
  const blocks = [...root.querySelectorAll('pre > code[data-language]')].filter((code) => code.dataset.language && code.textContent.length <= MOST);
  if (blocks.length === 0) return;
  let hljs;
  try { hljs = await load(); } catch { return; }
  for (const code of blocks) {
    if (!hljs.getLanguage(code.dataset.language)) continue;
    code.replaceChildren(sanitizeSpans(hljs.highlight(code.dataset.language, code.textContent, true).value));
  }
}
