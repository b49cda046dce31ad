/** What the local page does in the browser: shows what it is told, tells what the person did, keeps nothing of it. */
export const kioskScript = `
'use strict'
const find = (selector) => document.querySelector(selector)
const lines = find('#lines'), picture = find('main img'), sign = find('#sign'), ask = find('#ask'), buttons = find('#buttons'), gone = find('#gone'), player = find('#player')
const signs = { busy: '…', good: '✓', problem: '!' }
const words = {
  en: { ok: 'OK', cancel: 'Cancel', remove: 'Delete', clear: 'Clear', back: 'Back', digits: 'PIN', text: 'Text', latin: 'ABC', kana: 'かな', space: 'Space',
    digit: (n) => n + ' digits entered', tries: (n) => n === 1 ? 'One try is left before the card is blocked' : n + ' tries are left before the card is blocked' },
  ja: { ok: '決定', cancel: '取消', remove: '一字消す', clear: '消去', back: '戻る', digits: '暗証番号', text: '文字', latin: 'ABC', kana: 'かな', space: '空白',
    digit: (n) => n + '桁入力済み', tries: (n) => 'あと' + n + '回間違えるとカードが使えなくなります' },
}
const order = ['shutter', 'ok', 'up', 'down', 'cancel']
let language = 'ja', open = null, shownN = 0, playing = 0

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties)
  made.append(...children)
  return made
}
const post = (act) => fetch('act', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(act) }).catch(() => undefined)
/** Ends a question: what is pressed from now on is not for it. */
const settle = async (act) => {
  ask.hidden = true
  const told = await post(act)
  if (!told?.ok && open === act.id) ask.hidden = false
}
const press = (label, work, properties = {}) => element('button', { type: 'button', textContent: label, onclick: work, ...properties })

function show(shown) {
  if (shown.n < shownN) return
  shownN = shown.n
  document.body.dataset.tone = shown.tone
  sign.textContent = signs[shown.tone] ?? ''
  lines.replaceChildren(...shown.lines.map((line) => element('p', { textContent: line })))
  let drawn = Promise.resolve()
  if (shown.picture) {
    if (picture.getAttribute('src') !== shown.picture) picture.src = shown.picture
    drawn = picture.decode().catch(() => undefined)
  } else picture.removeAttribute('src')
  // Two frames later it has been drawn; a browser that nothing hides, and that makes no frames, has drawn it soon after.
  let isTold = false
  const tell = () => {
    if (isTold) return
    isTold = true
    void post({ type: 'seen', n: shown.n })
  }
  drawn.then(() => {
    requestAnimationFrame(() => requestAnimationFrame(tell))
    if (!document.hidden) setTimeout(tell, 500)
  })
}

function pin({ id, min, max, triesLeft }) {
  const w = words[language]
  // No password field: browsers would offer to keep it.
  const digits = element('input', { type: 'text', inputMode: 'none', autocomplete: 'off', className: 'hidden-digits', maxLength: max, ariaLabel: w.digits })
  digits.setAttribute('autocorrect', 'off')
  const count = element('p', { className: 'count', role: 'status' })
  const ok = press(w.ok, null, { type: 'submit', className: 'main' })
  const told = () => {
    digits.value = digits.value.normalize('NFKC').replace(/[^0-9]/g, '').slice(0, max)
    ok.disabled = digits.value.length < min
    count.textContent = digits.value ? w.digit(digits.value.length) : ''
  }
  digits.oninput = (event) => { if (!event.isComposing) told() }
  digits.oncompositionend = told
  const type = (digit) => () => { digits.value += digit; told() }
  const pad = element('div', { id: 'pad' },
    ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((digit) => press(String(digit), type(String(digit)))),
    press(w.remove, () => { digits.value = digits.value.slice(0, -1); told() }), press('0', type('0')), ok)
  told()
  const form = element('form', {}, ...(triesLeft === undefined ? [] : [element('p', { textContent: w.tries(triesLeft), role: 'alert' })]),
    digits, count, pad, element('div', { className: 'row' }, press(w.cancel, () => settle({ type: 'cancel', id }))))
  form.onsubmit = (event) => {
    event.preventDefault()
    if (ok.disabled) return
    const value = digits.value
    digits.value = ''
    told()
    void settle({ type: 'answer', id, value })
  }
  return { form, first: digits }
}

const kanaRows = 'あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをんー゛゜ぁぃぅぇぉっゃゅょ・、。'
const latinRows = '1234567890abcdefghijklmnopqrstuvwxyz@.-_ABCDEFGHIJKLMNOPQRSTUVWXYZ'
const marks = { '゛': '\\u3099', '゜': '\\u309a' }

function text({ id, maxLength, isSecret }) {
  const w = words[language]
  const field = element('input', { type: 'text', autocomplete: 'off', className: isSecret ? 'text secret' : 'text', maxLength, ariaLabel: w.text, lang: language })
  const keys = element('div', { id: 'kana' })
  if (isSecret) field.setAttribute('autocorrect', 'off')
  const write = (key) => () => {
    field.value = (field.value + (marks[key] ?? key)).normalize('NFC').slice(0, maxLength)
    field.focus()
  }
  const lay = (row) => keys.replaceChildren(...[...row].map((key) => press(key, write(key))), press(w.space, write(' ')),
    press(w.remove, () => { field.value = [...field.value].slice(0, -1).join('') }), press(row === kanaRows ? w.latin : w.kana, () => lay(row === kanaRows ? latinRows : kanaRows)))
  lay(language === 'ja' ? kanaRows : latinRows)
  const form = element('form', {}, field, keys, element('div', { className: 'row' },
    press(w.ok, null, { type: 'submit', className: 'main' }), press(w.cancel, () => settle({ type: 'cancel', id }))))
  form.onsubmit = (event) => {
    event.preventDefault()
    const value = field.value
    if (!value.trim()) return
    if (isSecret) field.value = ''
    void settle({ type: 'answer', id, value })
  }
  return { form, first: field }
}

function choice({ id, choices }) {
  const w = words[language]
  const list = element('ul', { id: 'list' }, ...choices.map(({ label, detail, picture }, value) => {
    const button = press('', () => settle({ type: 'answer', id, value }))
    if (picture) {
      const image = element('img', { alt: '', loading: 'lazy' })
      image.onerror = () => { image.remove() }
      image.src = 'picture/' + id + '/' + value
      button.append(image)
    }
    button.append(element('span', { textContent: label }))
    if (detail) button.append(element('small', { textContent: detail }))
    return element('li', {}, button)
  }))
  const form = element('form', {}, list, element('div', { className: 'row' }, press(w.back, () => settle({ type: 'cancel', id }))))
  form.onsubmit = (event) => event.preventDefault()
  return { form, first: list.querySelector('button') }
}

const kinds = { pin, text, choice }

function panel(told) {
  language = told.language === 'en' ? 'en' : 'ja'
  document.documentElement.lang = language
  const asked = told.ask
  if (open !== (asked?.id ?? null)) {
    open = asked?.id ?? null
    ask.hidden = !asked
    ask.replaceChildren()
    if (asked) {
      const { form, first } = kinds[asked.kind](asked)
      ask.append(element('h2', { id: 'prompt', textContent: asked.prompt }), form)
      first?.focus()
    }
  }
  const known = buttons.dataset.words, words_ = JSON.stringify([told.buttons, Boolean(asked)])
  if (known === words_) return
  buttons.dataset.words = words_
  // While something is asked, that is what is to be answered.
  buttons.replaceChildren(...(asked ? [] : order.filter((button) => told.buttons[button]).map((button) =>
    press(told.buttons[button], () => post({ type: 'button', button }), { className: button === 'cancel' ? '' : 'main' }))))
}

function play({ n, title, element: kind, src }) {
  if (n === playing) return
  playing = n
  // What was played is let go of at once, not when the browser tidies up.
  for (const medium of player.querySelectorAll('audio, video')) {
    medium.pause()
    medium.removeAttribute('src')
    medium.load()
  }
  player.replaceChildren()
  player.hidden = n === 0
  if (n === 0) return
  const tell = (what) => () => { if (playing === n) void post({ type: 'played', n, what }) }
  const medium = element(kind, kind === 'img' ? { alt: title, onload: tell('begun') } : { title, controls: true, autoplay: true,
    disableRemotePlayback: true, onplaying: tell('begun'), onended: tell('ended') })
  if (kind !== 'img') medium.setAttribute('controlsList', 'nodownload noremoteplayback')
  if (kind === 'video') medium.disablePictureInPicture = true
  medium.onerror = tell('failed')
  medium.src = src
  player.append(medium)
}

addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && open !== null) void settle({ type: 'cancel', id: open })
})

function listen() {
  const events = new EventSource('events')
  events.onopen = () => { gone.hidden = true; shownN = 0 }
  events.onmessage = ({ data }) => {
    const told = JSON.parse(data)
    if (told.type === 'shown') show(told)
    else if (told.type === 'player') play(told)
    else panel(told)
  }
  events.onerror = () => {
    gone.hidden = false
    // Nothing of a question that nobody hears stays on the page.
    open = null
    ask.hidden = true
    ask.replaceChildren()
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 2000)
  }
}
listen()
`
