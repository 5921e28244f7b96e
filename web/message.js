// One message on the page, and what can be done with it.
import { AnswerText } from './answer.js';
import { copy } from './code.js';
import { el } from './dom.js';

export class MessageView {
  // `actions`: edit(message, text), choose(message) of a version, and repeat(message) of an answer; `versions`: all messages at this place.
  constructor(message, versions, actions) {
    this.message = message;
    this.actions = actions;
    this.thoughts = el('details', { class: 'thoughts', hidden: true }, el('summary', {}, 'Thoughts'), el('div'));
    this.calls = el('div', { class: 'calls' });
    this.files = el('ul', { class: 'files', 'aria-label': 'Attached' }, (message.attachments ?? []).map(attachment));
    this.text = el('div', { class: 'text' });
    this.stats = el('p', { class: 'stats' });
    this.waits = el('p', { class: 'waits', hidden: true });
    this.why = el('span');
    this.cut = el('div', { class: 'note wrong cut', hidden: true }, this.why,
      el('div', {}, el('button', { type: 'button', onclick: () => this.actions.repeat(message) }, 'Ask again')));
    const user = message.role === 'user';
    if (!user) this.answer = new AnswerText(this.text);
    const button = (name, onclick) => el('button', { type: 'button', class: 'quiet', onclick }, name);
    this.editing = button('Edit', () => this.edit());
    this.element = el('article', { class: `message ${message.role}`, 'aria-label': user ? 'You' : 'The model', 'data-id': message.id },
      el('div', { class: 'who' }, el('span', {}, user ? 'You' : message.model ?? 'Model'), this.turner(versions),
        el('span', { class: 'tools' }, this.editing, button('Copy', () => copy(message.content)))),
      this.thoughts, this.text, this.files, this.calls, this.waits, this.stats, this.cut);
    this.bare = user && message.content === '';       // only files
    this.text.hidden = this.bare;
    this.draw(true);
  }

  turner(versions) {
    const at = versions.indexOf(this.message);
    if (versions.length < 2) return null;
    const turn = (name, label, to) => el('button', { type: 'button', class: 'quiet', 'aria-label': label, disabled: !versions[to], onclick: () => this.actions.choose(versions[to]) }, name);
    return el('span', { class: 'turner' }, turn('‹', 'The version before', at - 1), el('span', { class: 'number' }, `${at + 1}/${versions.length}`), turn('›', 'The next version', at + 1));
  }

  edit() {
    const area = el('textarea', { 'aria-label': 'The message', value: this.message.content });
    const close = () => { form.remove(); this.text.hidden = this.bare; this.editing.focus(); };
    const escape = (event) => { if (event.key === 'Escape') { event.stopPropagation(); close(); } };
    const form = el('form', { class: 'edit', onkeydown: escape, onsubmit: (event) => {
      event.preventDefault();
      if (area.value.trim()) this.actions.edit(this.message, area.value.trim());
    } }, area, el('div', { class: 'row' }, el('button', { type: 'button', class: 'quiet', onclick: close }, 'Cancel'),
      el('button', { class: 'primary' }, this.message.role === 'user' ? 'Send anew' : 'Keep')));
    if (this.element.querySelector('.edit')) return;
    this.text.hidden = true;
    this.text.after(form);
    area.style.height = `${Math.min(400, area.scrollHeight + 4)}px`;
    area.focus();
  }

  // While it streams, `whole` is false, and a long text is not drawn each time.
  draw(whole) {
    const { role, content, reasoning, stats, calls, cut } = this.message;
    if (role === 'user') this.text.replaceChildren(el('p', { class: 'plain' }, content));
    else this.answer.draw(content.trimStart(), whole);
    this.thoughts.hidden = !reasoning;
    if (this.thoughts.lastChild.textContent.length !== (reasoning ?? '').length) this.thoughts.lastChild.textContent = reasoning;
    if (calls) {
      this.calls.replaceChildren(...calls.filter(Boolean).map((call) => el('details', { class: 'thoughts' }, el('summary', {}, `Asks for the tool ${call.name}`),
        el('div', {}, call.arguments))));
    }
    this.stats.textContent = stats ?? '';
    this.cut.hidden = !cut;
    this.why.textContent = cut ? `This answer was cut off. ${cut}` : '';
  }

  // What there is to say while an answer has not begun, '' for nothing.
  set waiting(text) {
    this.waits.hidden = text === '';
    this.waits.textContent = text;
  }

  set busy(busy) { this.element.classList.toggle('busy', busy); }
}

function attachment({ kind, name, url, text }) {
  if (kind === 'image') return el('li', {}, el('img', { src: url, alt: name }));
  return el('li', {}, el('details', {}, el('summary', {}, name), el('pre', { tabindex: 0 }, text)));
}
