/** The site's page: shows the state that the server streams, and sends what a person does. */
const words = {
  en: {
    subtitle: 'a simulated site',
    boards: 'Boards',
    where: 'Where the data is',
    servers: 'Data servers',
    saves: 'What was saved',
    prints: 'What was printed',
    log: 'What happens',
    shutter: 'Press the shutter',
    insert: 'Put the card in',
    remove: 'Take the card out',
    list: 'What do I have?',
    print: 'Print',
    doing: { list: 'Reading the card …', print: 'Printing …', unblock: 'Unblocking …' },
    pin: 'PIN',
    unblock: 'Unblock with the PUK',
    empty: 'Nothing is on this card yet',
    up: 'connected',
    offline: 'no line',
    connecting: 'connecting',
    waiting: (n) => `${n} waiting`,
    legend: '● data server (replicas)  ■ board. Lines: where the latest save lies',
    perYear: 'expected loss a year, with what is forecast now',
    world: 'World',
    japan: 'Japan',
    cut: 'Cut the network',
    join: 'Join the network',
    stop: 'Stop',
    start: 'Start',
    paper: 'Take the paper out',
    refill: 'Put paper in',
    here: 'on the device',
    sent: 'sent',
    buffered: 'received',
    kept: 'kept in two places',
    refused: 'refused',
    server: 'server',
    place: 'place',
    risk: 'risk',
    storm: 'Forecast a storm',
    calm: 'Call it off',
    arrives: 'arrives',
    replicas: 'replicas',
    used: 'used',
    noPrints: 'Nothing yet. Take the card to the printer.',
    failed: 'That did not work',
    nothing: 'Nothing yet. Put the card into the camera and press the shutter.',
    lost: 'No word from the site. Is it still running?',
  },
  ja: {
    subtitle: '模擬サイト',
    boards: '端末',
    where: 'データのある場所',
    servers: 'データサーバ',
    saves: '保存したもの',
    prints: '印刷したもの',
    log: '経過',
    shutter: 'シャッターを押す',
    insert: 'カードを入れる',
    remove: 'カードを抜く',
    list: '一覧を見る',
    print: '印刷する',
    doing: { list: 'カードを読んでいます…', print: '印刷しています…', unblock: '解除しています…' },
    pin: '暗証番号',
    unblock: 'PUKで解除する',
    empty: 'このカードにはまだ何もありません',
    up: '接続中',
    offline: '回線なし',
    connecting: '接続しています',
    waiting: (n) => `未送信 ${n}件`,
    legend: '● データサーバ（複製の数）　■ 端末。線は最新の保存先',
    perYear: '一年あたりの予想損失（今の予報を含む）',
    world: '世界',
    japan: '日本',
    cut: '回線を切る',
    join: '回線をつなぐ',
    stop: '止める',
    start: '動かす',
    paper: '紙を抜く',
    refill: '紙を入れる',
    here: '端末内',
    sent: '送信済み',
    buffered: '受信済み',
    kept: '二か所に保存',
    refused: '拒否',
    server: 'サーバ',
    place: '場所',
    risk: 'リスク',
    storm: '嵐を予報する',
    calm: '予報を取り消す',
    arrives: '到達',
    replicas: '複製',
    used: '使用量',
    noPrints: 'まだありません。カードをプリンタに入れてください。',
    failed: 'できませんでした',
    nothing: 'まだありません。カメラにカードを入れてシャッターを押してください。',
    lost: 'サイトから応答がありません。動いていますか。',
  },
}
const chosenLanguage = localStorage.getItem('language')
let language = chosenLanguage ?? (navigator.language?.startsWith('ja') ? 'ja' : 'en')
/** What a person has chosen and typed at a board: a new state does not take it back. */
const chosen = new Map()
const typed = new Map()
let state
let land
const t = (key) => words[language][key] ?? key
const csrf = document.querySelector('meta[name=csrf]').content
const byId = (id) => document.getElementById(id)

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value)
    else if (value === true) node.setAttribute(key, '')
    else if (value !== undefined && value !== false) node.setAttribute(key, value)
  }
  node.append(...children.filter((child) => child !== undefined))
  return node
}

let noticeTimer
/** Says what went wrong until something else is done, at most ten seconds. */
function notice(text) {
  clearTimeout(noticeTimer)
  byId('notice').textContent = text
  if (text) noticeTimer = setTimeout(() => notice(''), 10_000)
}

async function act(action, target, more = {}) {
  const answer = await fetch(`/act?language=${language}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-csrf': csrf },
    body: JSON.stringify({ action, target, ...more }),
  }).catch(() => undefined)
  if (!answer) return notice(t('lost'))
  notice(answer.ok ? '' : `${t('failed')}: ${(await answer.json()).title ?? answer.statusText}`)
}

function button(label, action, target, more, main = false) {
  return element(
    'button',
    {
      type: 'button',
      class: main ? 'main' : undefined,
      'data-do': action,
      disabled: state.devices.some((device) => device.id === target && device.doing),
      onclick: () => void act(action, target, typeof more === 'function' ? more() : more),
    },
    t(label),
  )
}

function board(device) {
  if (!device.card) typed.delete(device.id)
  const shown = device.display
  const display = element(
    'div',
    { class: `display ${shown.tone ?? ''}`, role: 'status' },
    element('div', {}, ...shown.lines.map((line) => element('p', {}, line))),
  )
  if (shown.picture) display.append(element('img', { src: shown.picture, alt: '' }))
  const controls = element('div', { class: 'controls' })
  const pin = () => (device.asksPin ? { pin: typed.get(device.id) ?? simulatedPin } : {})
  controls.append(
    button(device.card ? 'remove' : 'insert', device.card ? 'remove' : 'insert', device.id, {}, !device.card),
  )
  if (device.card && device.asksPin) controls.append(pinField(device))
  if (device.kind === 'camera' && device.card && !device.blocked)
    controls.append(button('shutter', 'shutter', device.id, pin, true))
  if (device.kind !== 'camera' && device.card && !device.blocked)
    controls.append(button('list', 'list', device.id, pin, !device.shelf))
  if (device.kind === 'printer' && device.shelf?.length) {
    const known = device.shelf.map((item) => item.object)
    const choice = element(
      'select',
      { 'aria-label': t('print'), 'data-do': 'choice', onchange: () => chosen.set(device.id, choice.value) },
      ...device.shelf.map((item) => element('option', { value: item.object }, item.name)),
    )
    if (known.includes(chosen.get(device.id))) choice.value = chosen.get(device.id)
    controls.append(
      choice,
      button('print', 'print', device.id, () => ({ ...pin(), object: choice.value }), true),
    )
  }
  if (device.kind === 'terminal' && device.blocked) controls.append(button('unblock', 'unblock', device.id, {}, true))
  if (device.kind === 'printer') controls.append(button(device.paper ? 'paper' : 'refill', 'paper', device.id))
  controls.append(button(device.cut ? 'join' : 'cut', 'network', device.id))
  const link = device.link === 'up' ? 'up' : device.cut || device.link === 'waiting' ? 'offline' : 'connecting'
  const parts = [
    element(
      'h3',
      {},
      `${device.name} · ${device.place}`,
      element(
        'span',
        { class: `link ${link}` },
        [t(link), ...(device.waiting ? [t('waiting')(device.waiting)] : [])].join(' · '),
      ),
    ),
    display,
  ]
  if (device.doing) parts.push(element('p', { class: 'doing', role: 'status' }, t('doing')[device.doing]))
  if (device.kind === 'terminal' && device.shelf)
    parts.push(
      element(
        'ul',
        { class: 'shelf' },
        ...(device.shelf.length ? device.shelf.map((item) => item.name) : [t('empty')]).map((line) =>
          element('li', {}, line),
        ),
      ),
    )
  if (device.kind === 'printer' && device.shelf?.length === 0)
    parts.push(element('p', { class: 'doing', role: 'status' }, t('empty')))
  return element('div', { class: 'board' }, ...parts, controls)
}

/** The simulated card's PIN stands there; whoever wants to see what a wrong one does types another. */
const simulatedPin = '2468'

function pinField(device) {
  const field = element('input', {
    'data-do': 'pin',
    inputmode: 'numeric',
    autocomplete: 'off',
    maxlength: '12',
    size: '6',
    oninput: () => typed.set(device.id, field.value),
  })
  field.value = typed.get(device.id) ?? simulatedPin
  return element('label', { class: 'pin' }, t('pin'), ' ', field)
}

function svg(name, attributes, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value)
  node.append(...children)
  return node
}

/** One map. Drawn 600 wide whatever it shows, so that text has one size; `label` says which servers are named on it. */
function map(title, box, label) {
  const scale = 600 / (box.east - box.west)
  const inside = (p) =>
    p.longitude >= box.west && p.longitude <= box.east && p.latitude >= box.south && p.latitude <= box.north
  const x = (longitude) => (longitude - box.west) * scale
  const y = (latitude) => (box.north - latitude) * scale
  const picture = svg('svg', {
    viewBox: `0 0 600 ${(box.north - box.south) * scale}`,
    role: 'img',
    'aria-label': title,
  })
  const ground = svg(
    'g',
    { transform: `scale(${scale} ${-scale}) translate(${-box.west} ${-box.north})` },
    svg('path', { class: 'land', d: land }),
  )
  picture.append(ground)
  const last = state.saves.find((save) => save.replicas?.length)
  for (const replica of last?.replicas ?? []) {
    const server = state.servers.find((candidate) => candidate.id === replica.server)
    const from = state.devices.find((device) => device.id === last.device)
    if (server && from && inside(server))
      picture.append(
        svg('path', {
          class: 'way',
          d: `M${x(from.longitude)} ${y(from.latitude)} L${x(server.longitude)} ${y(server.latitude)}`,
        }),
      )
  }
  for (const server of state.servers.filter(inside)) {
    picture.append(
      svg('circle', {
        class: `server${server.up ? '' : ' down'}${server.arrivesMs ? ' danger' : ''}`,
        cx: x(server.longitude),
        cy: y(server.latitude),
        r: 6,
      }),
    )
    if (!label(server)) continue
    // Where another server stands close to the east, the name goes out of its way: above, or below when it is level.
    const crowding = state.servers.find((other) => {
      const [dx, dy] = [x(other.longitude) - x(server.longitude), y(other.latitude) - y(server.latitude)]
      return other !== server && label(other) && dx > 0 && dx < 170 && Math.abs(dy) < 30
    })
    const above = crowding && y(crowding.latitude) - y(server.latitude) > 8
    const text = svg(
      'text',
      crowding
        ? { x: x(server.longitude) - 9, y: y(server.latitude) + (above ? -14 : 32) }
        : { x: x(server.longitude) + 12, y: y(server.latitude) + 5 },
    )
    text.textContent = server.replicas ? `${server.name} (${server.replicas})` : server.name
    picture.append(text)
  }
  // On top, and a little aside: a board may stand where a data server stands.
  for (const device of state.devices.filter(inside))
    picture.append(
      svg('rect', { class: 'device', x: x(device.longitude) - 12, y: y(device.latitude) - 12, width: 9, height: 9 }),
    )
  return picture
}

const clockOf = (ms) => new Date(ms).toTimeString().slice(0, 5)
const bytes = (n) => (n >= 1e6 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e3).toFixed(0)} kB`)

function servers() {
  const head = element(
    'tr',
    {},
    ...['server', 'place', 'risk', 'replicas', 'used'].map((key) =>
      element('th', { scope: 'col', title: key === 'risk' ? t('perYear') : undefined }, t(key)),
    ),
    element('th', {}),
  )
  const rows = state.servers.map((server) =>
    element(
      'tr',
      server.arrivesMs ? { class: 'danger' } : {},
      element('td', {}, server.name),
      element('td', {}, server.region),
      element(
        'td',
        { title: server.why },
        server.risk === undefined ? '–' : `${(server.risk * 100).toFixed(server.risk < 0.01 ? 2 : 1)} %`,
        server.arrivesMs ? element('small', {}, ` ${t('arrives')} ${clockOf(server.arrivesMs)}`) : undefined,
      ),
      element('td', {}, String(server.replicas)),
      element('td', {}, bytes(server.usedBytes)),
      element(
        'td',
        { class: 'controls' },
        button(server.up ? 'stop' : 'start', 'server', server.id),
        button(server.storm ? 'calm' : 'storm', 'storm', server.id),
      ),
    ),
  )
  byId('servers').replaceChildren(byId('servers').caption ?? '', head, ...rows)
}

function saves() {
  const rows = state.saves.map((save) => {
    const where = save.replicas
      ?.map((replica) => `${replica.name} ${replica.distanceKm} km · ${replica.algorithm}`)
      .join('  +  ')
    const row = element(
      'li',
      {},
      `${save.name} (${bytes(save.sizeBytes)}) `,
      element('span', { class: `state ${save.state}` }, t(save.state)),
      element('br'),
      where ?? save.problem ?? '',
    )
    if (save.progress && save.state !== 'kept')
      row.append(element('progress', { max: save.progress.blocks, value: save.progress.sentBlocks }))
    return row
  })
  byId('saves').replaceChildren(...(rows.length ? rows : [element('li', {}, t('nothing'))]))
}

const drawn = new WeakMap()
/** Makes anew only what has changed, so that what a person is using is not taken away; the focus stays where it was. */
function keyed(parent, items, keyOf, make) {
  const before = new Map([...parent.children].map((node) => [drawn.get(node)?.key, node]))
  const nodes = items.map((item) => {
    const key = keyOf(item)
    const text = `${language}${JSON.stringify(item)}`
    const known = before.get(key)
    if (known && drawn.get(known).text === text) return known
    const node = make(item)
    drawn.set(node, { key, text })
    return node
  })
  const focus = parent.contains(document.activeElement) ? document.activeElement : undefined
  const at = focus && { key: drawn.get([...parent.children].find((node) => node.contains(focus)))?.key, is: focus }
  if (nodes.length !== parent.children.length || nodes.some((node, i) => node !== parent.children[i])) {
    parent.replaceChildren(...nodes)
    if (at && !at.is.isConnected) {
      const node = nodes.find((candidate) => drawn.get(candidate).key === at.key)
      const again = [...(node?.querySelectorAll('[data-do]') ?? [])]
      ;(again.find((one) => one.dataset.do === at.is.dataset.do) ?? again[0])?.focus()
    } else if (at) at.is.focus()
  }
}

function render() {
  document.documentElement.lang = language
  byId('language').textContent = language === 'en' ? '日本語' : 'English'
  for (const node of document.querySelectorAll('[data-t]')) node.textContent = t(node.dataset.t)
  if (!state) return
  byId('summary').textContent = state.summary
  keyed(byId('boards'), state.devices, (device) => device.id, board)
  byId('maps').replaceChildren(
    map(t('world'), { west: -130, east: 175, south: -40, north: 72 }, (server) => server.abroad),
    map(t('japan'), { west: 128, east: 149, south: 30.5, north: 46 }, () => true),
  )
  servers()
  saves()
  keyed(
    byId('prints'),
    state.prints.length ? state.prints : [{ page: '', name: t('noPrints') }],
    (print) => print.page,
    (print) =>
      print.page
        ? element(
            'figure',
            {},
            element('img', { src: print.page, alt: print.name }),
            element('figcaption', {}, print.name),
          )
        : element('p', {}, print.name),
  )
  byId('log').replaceChildren(...state.log.map((line) => element('li', {}, element('time', {}, line.at), line.text)))
}

let stream
function listen() {
  stream?.close()
  stream = new EventSource(`/state?language=${language}`)
  stream.onmessage = (event) => {
    state = JSON.parse(event.data)
    render()
  }
  stream.onerror = () => {
    byId('summary').textContent = t('lost')
  }
}

byId('language').addEventListener('click', () => {
  language = language === 'en' ? 'ja' : 'en'
  localStorage.setItem('language', language)
  listen()
  void act('language', language)
  render()
})
land = await (await fetch('/land')).text()
listen()
render()
