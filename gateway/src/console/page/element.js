/** Makes an element with properties (or attributes, where the name has a hyphen) and children. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined) continue
    if (key.includes('-') || key === 'for' || key === 'role') made.setAttribute(key, value)
    else if (key === 'data') Object.assign(made.dataset, value)
    else made[key] = value
  }
  made.append(...children.filter((child) => child !== undefined))
  return made
}

export function button(text, onclick, properties = {}) {
  return element('button', { type: 'button', textContent: text, onclick, ...properties })
}
