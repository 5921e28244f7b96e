// What models write, as elements: Markdown (markdown-it), mathematics (math.js), code. All of it is hostile until DOMPurify has let it
// through: no script, form, picture, style, id or class comes out, and no link but to other sites and to mail.
import './lib/markdown-it.js';
import DOMPurify from './lib/purify.es.js';
import { readsMath } from './math.js';

const POLICY = {
  ALLOWED_TAGS: ['p', 'br', 'hr', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'ul', 'ol', 'li', 'blockquote', 'pre', 'code', 'em', 'strong', 's', 'a', 'span',
                 'table', 'thead', 'tbody', 'tr', 'th', 'td'],
  ALLOWED_ATTR: ['href', 'title', 'start', 'align', 'data-language', 'data-math'],
  ADD_URI_SAFE_ATTR: ['title', 'start', 'align', 'data-language', 'data-math'],
  ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  RETURN_DOM_FRAGMENT: true,
};
// Debian 12's DOMPurify (2.4.1, +deb12u1) looks up a variable in sanitize() that it only has in another function. This one means: nested in nothing.
// Each node's own depth is checked later, by the right name.
window.shadowNode ??= { __depth: 0 };
DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.nodeName === 'TABLE') node.setAttribute('tabindex', '0');       // the keyboard scrolls it
  if (node.nodeName !== 'A') return;
  node.setAttribute('target', '_blank');
  node.setAttribute('rel', 'noopener noreferrer');
});

const markdown = window.markdownit({ html: false, linkify: true, breaks: true });
markdown.linkify.set({ fuzzyLink: false });
markdown.use(readsMath);
const { escapeHtml } = markdown.utils;
const code = (text, language) => `<pre><code data-language="${escapeHtml(language)}">${escapeHtml(text)}</code></pre>`;
markdown.renderer.rules.fence = (tokens, i) => code(tokens[i].content, tokens[i].info.trim().split(/\s+/)[0]);
markdown.renderer.rules.code_block = (tokens, i) => code(tokens[i].content, '');
// A picture would be a request: it is shown as a link.
markdown.renderer.rules.image = (tokens, i) => {
  const text = escapeHtml(tokens[i].content || 'picture');
  return `<a href="${escapeHtml(tokens[i].attrGet('src'))}">${text}</a>`;
};
for (const name of ['th_open', 'td_open']) {
  markdown.renderer.rules[name] = (tokens, i, options, env, self) => {
    const side = /text-align:(\w+)/.exec(tokens[i].attrGet('style') ?? '')?.[1];
    tokens[i].attrs = side ? [['align', side]] : null;
    return self.renderToken(tokens, i, options);
  };
}

// The blocks of a text that may go on: [{begin, fragment()}], `begin` the place in the text. `env` keeps the links that the blocks before defined.
export function blocks(text, env) {
  const tokens = markdown.parse(text, env);
  const lines = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.push(at + 1);
  const found = [];
  for (let i = 0; i < tokens.length; i += 1) {
    const first = i;
    for (let depth = tokens[i].nesting; depth > 0; depth += tokens[i].nesting) i += 1;
    const part = tokens.slice(first, i + 1);
    found.push({ begin: lines[part[0].map?.[0] ?? 0], fragment: () => DOMPurify.sanitize(markdown.renderer.render(part, markdown.options, env), POLICY) });
  }
  return found;
}

// Colours of code are spans with classes of highlight.js, which nothing else may have.
export function sanitizeSpans(html) {
  return DOMPurify.sanitize(html, { ALLOWED_TAGS: ['span'], ALLOWED_ATTR: ['class'], ADD_URI_SAFE_ATTR: ['class'], ALLOW_DATA_ATTR: false,
                                    ALLOW_ARIA_ATTR: false, RETURN_DOM_FRAGMENT: true });
}
