// One message on the page. While it streams, it is drawn at most once in a frame.
import { announce, el } from './dom.js';
import { render } from './markdown.js';

export class MessageView {
  constructor(message) {
    this.message = message;
    this.thoughts = el('details', { class: 'thoughts', hidden: true }, el('summary', {}, 'Thoughts'), el('div'));
    this.text = el('div', { class: 'text' });
    this.stats = el('p', { class: 'stats' });
    this.copy = el('button', { type: 'button', class: 'quiet', onclick: () => this.copyText() }, 'Copy');
    const user = message.role === 'user';
    this.element = el('article', { class: `message ${message.role}`, 'aria-label': user ? 'You' : 'The model' },
      el('div', { class: 'who' }, el('span', {}, user ? 'You' : message.model ?? 'Model'), this.copy), this.thoughts, this.text, this.stats);
    this.draw();
  }

  async copyText() {
    try {
      await navigator.clipboard.writeText(this.message.content);
      announce('Copied');
    } catch {
      announce('The browser did not allow copying');
    }
  }

  changed() {
    this.frame ??= requestAnimationFrame(() => { this.frame = null; this.draw(); });
  }

  draw() {
    const { role, content, reasoning, stats } = this.message;
    if (role === 'user') this.text.replaceChildren(el('p', { class: 'plain' }, content));
    else this.text.replaceChildren(...render(content.trimStart()));
    this.thoughts.hidden = !reasoning;
    this.thoughts.lastChild.textContent = reasoning ?? '';
    this.stats.textContent = stats ?? '';
    this.onDraw?.();
  }

  set busy(busy) { this.element.classList.toggle('busy', busy); }
}
