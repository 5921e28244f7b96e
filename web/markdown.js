// What models write, as elements: paragraphs, lists, headings, quotes, code, emphasis. Made of nodes and text only, so
// nothing in it can become markup, a link or a request.
import { el } from './dom.js';

const INLINE = /(`+)([\s\S]*?[^`])\1(?!`)|\*\*(?=\S)([\s\S]*?\S)\*\*|(?<![\w*])\*(?=[^\s*])([^*]*?[^\s*])\*(?![\w*])/;

function inline(text) {
  const nodes = [];
  let rest = text;
  for (let match = INLINE.exec(rest); match; match = INLINE.exec(rest)) {
    if (match.index > 0) nodes.push(rest.slice(0, match.index));
    if (match[2] !== undefined) nodes.push(el('code', {}, match[2]));
    else if (match[3] !== undefined) nodes.push(el('strong', {}, ...inline(match[3])));
    else nodes.push(el('em', {}, ...inline(match[4])));
    rest = rest.slice(match.index + match[0].length);
  }
  if (rest) nodes.push(rest);
  return nodes;
}

const lineKind = (line) => {
  if (/^\s*[-*+]\s+/.test(line)) return 'ul';
  if (/^\s*\d{1,4}[.)]\s+/.test(line)) return 'ol';
  if (/^\s*>/.test(line)) return 'blockquote';
  if (/^#{1,6}\s/.test(line)) return 'h3';
  return line.trim() === '' ? '' : 'p';
};

function block(kind, lines) {
  if (kind === 'ul' || kind === 'ol') {
    return el(kind, {}, lines.map((line) => el('li', {}, ...inline(line.replace(/^\s*([-*+]|\d{1,4}[.)])\s+/, '')))));
  }
  if (kind === 'blockquote') return el(kind, {}, ...inline(lines.map((line) => line.replace(/^\s*>\s?/, '')).join('\n')));
  if (kind === 'h3') return el(kind, {}, ...inline(lines[0].replace(/^#+\s+/, '')));
  return el('p', { class: 'plain' }, ...inline(lines.join('\n')));
}

export function render(text) {
  const nodes = [];
  let kind = '';
  let lines = [];
  const flush = () => {
    if (kind) nodes.push(block(kind, lines));
    kind = '';
    lines = [];
  };
  let code = null;
  for (const line of text.split('\n')) {
    const fence = /^\s*```/.test(line);
    if (code !== null) {
      if (fence) { nodes.push(el('pre', { tabindex: 0 }, el('code', {}, code.join('\n')))); code = null; } else code.push(line);
      continue;
    }
    if (fence) { flush(); code = []; continue; }
    const next = lineKind(line);
    // A line that follows a list's item is part of it.
    if (next === 'p' && (kind === 'ul' || kind === 'ol')) { lines[lines.length - 1] += `\n${line.trim()}`; continue; }
    if (next !== kind || next === 'h3') flush();
    kind = next;
    if (next) lines.push(line);
  }
  flush();
  if (code !== null) nodes.push(el('pre', { tabindex: 0 }, el('code', {}, code.join('\n'))));
  return nodes;
}
