// Elements made in code. Text is only ever set as text: nothing that a model or a server writes becomes markup.

export const $ = (id) => document.getElementById(id);

// el('p', {class: 'soft', onclick: f}, 'text', child, null)
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked' || name === 'open') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// A width as a custom property: the policy of this page allows no style attributes.
export function width(element, share, name = '--w') {
  element.style.setProperty(name, `${(100 * Math.min(1, Math.max(0, share))).toFixed(2)}%`);
  return element;
}

// For screen readers only.
export function announce(text) {
  $('announce').textContent = text;
}

let answer = null;        // resolves the question that was asked last

// Resolves to null when it was cancelled, else to true or the text that was typed.
export function ask({ title, text, yes = 'OK', secret = false, value = null }) {
  answer?.(null);         // the event of its closing is yet to come
  const typed = secret || value !== null;
  const dialog = $('ask');
  const input = $('ask-input');
  $('ask-title').textContent = title;
  $('ask-text').textContent = text;
  $('ask-yes').textContent = yes;
  input.hidden = !typed;
  input.type = secret ? 'password' : 'text';
  input.value = value ?? '';
  input.setAttribute('aria-label', title);
  dialog.returnValue = '';
  // No submit button: Enter in the field means yes.
  $('ask-no').onclick = () => dialog.close('');
  dialog.showModal();
  if (typed) input.select();
  return new Promise((resolve) => {
    answer = resolve;
    dialog.onclose = () => { if (!dialog.open) resolve(dialog.returnValue !== 'yes' ? null : typed ? input.value.trim() : true); };
  });
}
