// Small plots: the last two minutes of one number.
import { el } from './dom.js';

const SAMPLES = 120;
const NS = 'http://www.w3.org/2000/svg';

const shape = (tag, name) => {
  const element = document.createElementNS(NS, tag);
  element.setAttribute('class', name);
  return element;
};

export class Plot {
  // `format` turns a value into text; `most` is the top of the scale, null: the largest value.
  constructor(title, format, most = null) {
    this.title = title;
    this.format = format;
    this.most = most;
    this.values = [];
    this.value = el('b', {}, '–');
    this.svg = document.createElementNS(NS, 'svg');
    this.svg.setAttribute('viewBox', `0 0 ${SAMPLES - 1} 40`);
    this.svg.setAttribute('preserveAspectRatio', 'none');
    this.svg.setAttribute('role', 'img');
    this.area = this.svg.appendChild(shape('path', 'area'));
    this.line = this.svg.appendChild(shape('path', 'line'));
    this.element = el('div', { class: 'plot' }, el('div', { class: 'label' }, el('span', {}, title), this.value), this.svg);
    this.draw();
  }

  // null: nothing happened; the last value stays readable, the line rests on the ground.
  add(value) {
    this.values.push(value ?? 0);
    if (this.values.length > SAMPLES) this.values.shift();
    if (value !== null && value !== undefined) this.value.textContent = this.format(value);
    this.draw();
  }

  clear() {
    this.values = [];
    this.value.textContent = '–';
    this.draw();
  }

  draw() {
    const top = this.most ?? Math.max(...this.values, 0);
    const x = (i) => SAMPLES - this.values.length + i;
    const y = (value) => (top > 0 ? 38 - 36 * Math.min(1, value / top) : 38).toFixed(1);
    const points = this.values.map((value, i) => `${x(i)},${y(value)}`);
    this.line.setAttribute('d', points.length > 1 ? `M${points.join('L')}` : '');
    this.area.setAttribute('d', points.length > 1 ? `M${x(0)},40L${points.join('L')}L${x(points.length - 1)},40Z` : '');
    const highest = this.values.length > 0 ? `, at most ${this.format(Math.max(...this.values))} in the last two minutes` : '';
    this.svg.setAttribute('aria-label', `${this.title}: ${this.value.textContent}${highest}`);
  }
}
