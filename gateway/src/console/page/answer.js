/** What a command answered: as a table where it is one, in the command's words, and as JSON. */
import { button, element } from './element.js'
import { language, word } from './words.js'

const shownAtFirst = 200

/** @param rowActions for a row: `[{ label, run }]` */
export function showAnswer({ json, text }, rowActions = () => []) {
  const views = []
  const table = tableOf(json, rowActions)
  if (table) views.push(['table', table])
  if (text) views.push(['text', element('pre', { tabIndex: 0, textContent: text })])
  if (json !== null) views.push(['json', element('pre', { tabIndex: 0, textContent: JSON.stringify(json, null, 2) })])
  if (views.length === 0) return element('p', { textContent: word('empty') })
  const shown = element('div', { className: 'view' })
  const tabs = views.map(([name, view]) => {
    const tab = button(word(name), () => pick(tab, view), { 'aria-pressed': 'false', className: 'tab' })
    return tab
  })
  const pick = (tab, view) => {
    for (const one of tabs) one.setAttribute('aria-pressed', String(one === tab))
    shown.replaceChildren(view)
  }
  pick(tabs[0], views[0][1])
  return element('div', { className: 'answer' }, element('div', { className: 'tabs' }, ...tabs), shown)
}

/** Rows of the answer itself, or of the only list in it. */
function rowsOf(json) {
  const isRows = (value) => Array.isArray(value) && value.length > 0 && value.every((row) => isRecord(row))
  if (isRows(json)) return json
  if (!isRecord(json)) return undefined
  const lists = Object.values(json).filter(isRows)
  return lists.length === 1 ? lists[0] : undefined
}

function isRecord(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function tableOf(json, rowActions) {
  const rows = rowsOf(json)
  if (!rows) return isRecord(json) && Object.keys(json).length > 0 ? factsOf(json) : undefined
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const hasActions = rowActions(rows[0]).length > 0
  const body = element('tbody')
  let order = { column: undefined, isDown: false }
  let limit = shownAtFirst
  const heads = columns.map((column) => {
    const head = element('th', { scope: 'col' })
    head.append(
      button(column, () => {
        order = { column, isDown: order.column === column && !order.isDown }
        draw()
      }),
    )
    return [column, head]
  })
  const more = button(word('more'), () => {
    limit = Number.POSITIVE_INFINITY
    draw()
  })
  const draw = () => {
    const sorted = order.column === undefined ? rows : [...rows].sort((a, b) => byColumn(a, b, order))
    for (const [column, head] of heads) {
      if (column === order.column) head.setAttribute('aria-sort', order.isDown ? 'descending' : 'ascending')
      else head.removeAttribute('aria-sort')
    }
    body.replaceChildren(
      ...sorted
        .slice(0, limit)
        .map((row) =>
          element(
            'tr',
            {},
            ...columns.map((column) => cellOf(column, row[column])),
            hasActions ? element('td', {}, actionsOf(rowActions(row))) : undefined,
          ),
        ),
    )
    more.hidden = rows.length <= limit
  }
  draw()
  const head = element(
    'tr',
    {},
    ...heads.map(([, cell]) => cell),
    hasActions ? element('th', { scope: 'col' }) : undefined,
  )
  const table = element('table', {}, element('thead', {}, head), body)
  const count = element('p', { className: 'quiet', textContent: word('rows', rows.length) })
  return element('div', {}, count, element('div', { className: 'wide', tabIndex: 0 }, table), more)
}

function byColumn(a, b, { column, isDown }) {
  const [x, y] = [a[column], b[column]]
  const order =
    typeof x === 'number' && typeof y === 'number' ? x - y : String(x ?? '').localeCompare(String(y ?? ''), language)
  return isDown ? -order : order
}

function factsOf(json) {
  return element(
    'dl',
    {},
    ...Object.entries(json).flatMap(([name, value]) => [
      element('dt', { textContent: name }),
      element('dd', { textContent: told(name, value) }),
    ]),
  )
}

function cellOf(column, value) {
  return element('td', { className: typeof value === 'number' ? 'number' : '', textContent: told(column, value) })
}

/** A moment as people read it, by its name and size; anything else as it is. */
function told(name, value) {
  if (value === undefined || value === null) return ''
  if (typeof value === 'number' && value > 1e11 && /(^at$|^since$|^until$|At$|Ms$)/.test(name))
    return new Date(value).toLocaleString(language)
  if (typeof value === 'number') return value.toLocaleString(language)
  if (typeof value === 'boolean') return value ? '✓' : '–'
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object')) return value.join(', ')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function actionsOf(actions) {
  const list = element('details', { className: 'actions' }, element('summary', { textContent: word('use') }))
  list.append(...actions.map(({ label, run }) => button(label, run)))
  return list
}

/** A file that came along: a picture is shown, and everything can be saved. */
export function showFile({ suffix, name, pieces }, saveAs) {
  const fileName = name ?? `${saveAs || 'azukari'}${suffix}`
  const type = typeOf(pieces[0] ?? new Uint8Array(), fileName)
  const url = URL.createObjectURL(new Blob(pieces, { type }))
  const figure = element(
    'figure',
    {},
    element('a', { href: url, download: fileName, textContent: `${word('save')} ${fileName}` }),
  )
  if (type.startsWith('image/')) figure.prepend(element('img', { src: url, alt: fileName }))
  return figure
}

function typeOf(head, name) {
  const start = new TextDecoder('latin1').decode(head.subarray(0, 5))
  if (start === '<svg ' || name.endsWith('.svg')) return 'image/svg+xml'
  if (start.startsWith('\x89PNG')) return 'image/png'
  if (start.startsWith('\xff\xd8\xff')) return 'image/jpeg'
  return start === '%PDF-' ? 'application/pdf' : 'application/octet-stream'
}
