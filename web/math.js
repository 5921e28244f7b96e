// Mathematics in Markdown: $…$, $$…$$, \(…\) and \[…\], shown by KaTeX, which is loaded when the first formula comes.

const MOST = 8000;
// KaTeX 0.16.4 bounds what macros make of a formula, but not in all cases (CVE-2024-28243, CVE-2024-28244): a formula that defines some is shown as it is written.
const DEFINES = /\\(?:[egx]?def|let|futurelet|global|long|(?:re)?newcommand|providecommand)(?![a-zA-Z])/;
const OPTIONS = { throwOnError: true, trust: false, strict: false, maxSize: 20, maxExpand: 200 };

// A plug-in of markdown-it: formulas become <span data-math="block or inline">TeX</span>.
export function readsMath(markdown) {
  markdown.inline.ruler.before('escape', 'math', inline);
  markdown.block.ruler.before('fence', 'math', block, { alt: ['paragraph', 'reference', 'blockquote', 'list'] });
  const render = (tokens, i) => {
    const { content, markup, block: apart } = tokens[i];
    const text = `<span data-math="${markup}">${markdown.utils.escapeHtml(content)}</span>`;
    return apart ? `<p>${text}</p>` : text;
  };
  markdown.renderer.rules.math = render;
}

const PAIRS = [['$$', '$$', true], ['\\[', '\\]', true], ['\\(', '\\)', false], ['$', '$', false]];

function push(state, content, display) {
  const token = state.push('math', 'span', 0);
  token.content = content.trim();
  token.markup = display ? 'block' : 'inline';
  return token;
}

function inline(state, silent) {
  const { src, pos } = state;
  const mark = src[pos];
  if (mark !== '$' && mark !== '\\') return false;
  const pair = PAIRS.find(([open]) => src.startsWith(open, pos));
  if (!pair) return false;
  const [open, close, display] = pair;
  const from = pos + open.length;
  // A formula is short: an end that is further away is that of another one.
  let end = src.slice(from, Math.min(from + MOST, state.posMax)).indexOf(close);
  if (end <= 0) return false;
  end += from;
  // Prices: a formula between dollars touches them, and no figure follows.
  if (open === '$' && (/\s/.test(src[from]) || /\s/.test(src[end - 1]) || /\d/.test(src[end + 1] ?? '') || src[end - 1] === '\\')) return false;
  if (!silent) push(state, src.slice(from, end), display);
  state.pos = end + close.length;
  return true;
}

// One that begins a line and ends one.
function block(state, begin, last, silent) {
  const line = (n) => state.src.slice(state.bMarks[n] + state.tShift[n], state.eMarks[n]);
  const first = line(begin);
  const pair = PAIRS.find(([open, , display]) => display && first.startsWith(open));
  if (!pair || state.sCount[begin] - state.blkIndent >= 4) return false;
  const [open, close] = pair;
  const parts = [];
  for (let n = begin; n < last; n += 1) {
    const text = n === begin ? first.slice(open.length) : line(n);
    if (n > begin && state.sCount[n] < state.blkIndent) return false;
    const end = text.trimEnd();
    if (end.endsWith(close)) {
      if (silent) return true;
      parts.push(end.slice(0, -close.length));
      const token = push(state, parts.join('\n'), true);
      token.block = true;
      token.map = [begin, n + 1];
      state.line = n + 1;
      return true;
    }
    if (end.includes(close)) return false;
    parts.push(text);
    if (parts.length > 200) return false;
  }
  return false;
}

let loading = null;

function load() {
  loading ??= (async () => {
    const style = document.createElement('link');
    style.rel = 'stylesheet';
    style.href = new URL('./lib/katex.min.css', import.meta.url).href;
    document.head.append(style);
    await import('./lib/katex.js');
    return window.katex;
  })();
  return loading;
}

const asWritten = (place) => {
  const apart = place.dataset.math === 'block';
  return `${apart ? '\\[' : '\\('}${place.textContent}${apart ? '\\]' : '\\)'}`;
};

// Puts formulas where their text is, in place.
export async function showMath(root) {
  const places = [...root.querySelectorAll('span[data-math]')];
  if (places.length === 0) return;
  let katex = null;
  try { katex = await load(); } catch { /* the text stays */ }
  for (const place of places) {
    const tex = place.textContent;
    const formula = document.createElement('span');
    formula.className = place.dataset.math === 'block' ? 'formula apart' : 'formula';
    formula.dataset.tex = asWritten(place);
    if (place.dataset.math === 'block') formula.tabIndex = 0;       // the keyboard scrolls it
    try {
      if (!katex || tex.length > MOST || DEFINES.test(tex)) throw new Error('as written');
      katex.render(tex, formula, { ...OPTIONS, displayMode: place.dataset.math === 'block' });
    } catch {
      const code = document.createElement('code');
      code.textContent = formula.dataset.tex;
      formula.replaceChildren(code);
    }
    place.replaceWith(formula);
  }
}
