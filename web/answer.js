// An answer's text on the page while it grows. Blocks that are followed by another one stay as they are; only the last one is made anew, and the longer
// that takes the more rarely.
import { colourCode, frameCode } from './code.js';
import { blocks } from './markdown.js';
import { showMath } from './math.js';

const SHARE = 4;          // making the last block anew takes one part of so many of the time, or less
const DEFINES_LINKS = /^ {0,3}\[[^\]\n]+\]:/m;

export class AnswerText {
  constructor(element) {
    this.element = element;
    this.reset();
  }

  reset() {
    this.settled = '';        // the text of the blocks that stay
    this.last = null;         // the element of the block that may change
    this.ended = false;
    this.env = {};
    this.next = 0;
    this.element.replaceChildren();
  }

  // The text as it is now. Without `whole` it goes on, and this call may leave it for a later one to draw.
  draw(written, whole) {
    if (!whole && performance.now() < this.next) return;
    const begin = performance.now();
    const text = written.replace(/\r\n?|[\u0085\u2028\u2424]/g, '\n');   // what markdown-it takes for ends of lines
    // A link may be defined below the place that uses it.
    if (this.ended || !text.startsWith(this.settled) || (whole && this.settled && DEFINES_LINKS.test(text))) this.reset();
    this.ended = whole;
    this.last?.remove();
    this.last = null;
    const found = blocks(text.slice(this.settled.length), this.env);
    const work = found.map((block, i) => {
      const stays = whole || i + 1 < found.length;
      const element = document.createElement('div');
      element.className = 'block';
      element.append(block.fragment());
      frameCode(element);
      this.element.append(element);
      if (!stays) this.last = element;
      return Promise.all([showMath(element), stays ? colourCode(element) : null]);
    });
    if (!whole && found.length > 1) this.settled = text.slice(0, this.settled.length + found.at(-1).begin);
    const rest = () => { this.next = performance.now() + (performance.now() - begin) * (SHARE - 1); };
    rest();
    if (found.length > 0 && !whole) work.at(-1).then(rest);
  }
}
