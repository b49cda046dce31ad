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
    cut: 'Cut the network',
    join: 'Join the network',
    stop: 'Stop',
    start: 'Start',
    paper: 'Take the paper out',
    refill: 'Put paper in',
    here: 'on the device',
    sent: 'sent',
    buffered: 'received',
    kept: 'kept twice',
    refused: 'refused',
    server: 'server',
    place: 'place',
    risk: 'risk',
    storm: 'Forecast a storm',
    calm: 'Call it off',
    arrives: 'arrives',
    replicas: 'replicas',
    used: 'used',
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
    nothing: 'まだありません。カメラにカードを入れてシャッターを押してください。',
    lost: 'サイトから応答がありません。動いていますか。',
  },
}
let language = navigator.language?.startsWith('ja') ? 'ja' : 'en'
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

async function act(action, target, more = {}) {
  const answer = await fetch('/act', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-csrf': csrf },
    body: JSON.stringify({ action, target, ...more }),
  })
  if (!answer.ok) byId('summary').textContent = (await answer.json()).title ?? answer.statusText
}

function button(label, action, target, more, main = false) {
  return element(
    'button',
    { type: 'button', class: main ? 'main' : undefined, onclick: () => void act(action, target, more) },
    t(label),
  )
}

function board(device) {
  const shown = device.display
  const display = element(
    'div',
    { class: `display ${shown.tone ?? ''}`, role: 'status' },
    element('div', {}, ...shown.lines.map((line) => element('p', {}, line))),
  )
  if (shown.picture) display.append(element('img', { src: shown.picture, alt: '' }))
  const controls = element(
    'div',
    { class: 'controls' },
    button(device.card ? 'remove' : 'insert', device.card ? 'remove' : 'insert', device.id, {}, !device.card),
  )
  if (device.kind === 'camera' && device.card) controls.append(button('shutter', 'shutter', device.id, {}, true))
  if (device.kind === 'printer' && device.card) {
    controls.append(button('list', 'list', device.id))
    if (device.shelf?.length) {
      const choice = element(
        'select',
        { 'aria-label': t('print') },
        ...device.shelf.map((item) => element('option', { value: item.object }, item.name)),
      )
      controls.append(
        choice,
        element(
          'button',
          { type: 'button', class: 'main', onclick: () => void act('print', device.id, { object: choice.value }) },
          t('print'),
        ),
      )
    }
  }
  if (device.kind === 'printer') controls.append(button(device.paper ? 'paper' : 'refill', 'paper', device.id))
  if (device.kind === 'terminal' && device.card) controls.append(button('list', 'list', device.id))
  controls.append(button(device.cut ? 'join' : 'cut', 'network', device.id))
  return element(
    'div',
    { class: 'board' },
    element(
      'h3',
      {},
      `${device.name} · ${device.place}`,
      element('span', { class: 'link' }, `${device.link}${device.waiting ? ` · ${device.waiting} ⏳` : ''}`),
    ),
    display,
    controls,
  )
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
  for (const device of state.devices.filter(inside))
    picture.append(
      svg('rect', { class: 'device', x: x(device.longitude) - 4, y: y(device.latitude) - 4, width: 8, height: 8 }),
    )
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
  return picture
}

const clockOf = (ms) => new Date(ms).toTimeString().slice(0, 5)
const bytes = (n) => (n >= 1e6 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e3).toFixed(0)} kB`)

function servers() {
  const head = element(
    'tr',
    {},
    ...['server', 'place', 'risk', 'replicas', 'used'].map((key) => element('th', { scope: 'col' }, t(key))),
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
      ?.map((replica) => `${replica.region} ${replica.distanceKm} km · ${replica.algorithm}`)
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

function render() {
  document.documentElement.lang = language
  byId('language').textContent = language === 'en' ? '日本語' : 'English'
  for (const node of document.querySelectorAll('[data-t]')) node.textContent = t(node.dataset.t)
  if (!state) return
  byId('summary').textContent = state.summary
  const focus = document.activeElement?.closest?.('.board')
    ? [...document.querySelectorAll('.board button, .board select')].indexOf(document.activeElement)
    : -1
  byId('boards').replaceChildren(...state.devices.map(board))
  document.querySelectorAll('.board button, .board select')[focus]?.focus()
  byId('maps').replaceChildren(
    map('World', { west: -130, east: 175, south: -40, north: 75 }, (server) => !server.region.startsWith('JP')),
    map('Japan', { west: 128, east: 149, south: 30.5, north: 46 }, () => true),
  )
  servers()
  saves()
  byId('prints').replaceChildren(
    ...state.prints.map((print) =>
      element(
        'figure',
        {},
        element('img', { src: print.page, alt: print.name }),
        element('figcaption', {}, print.name),
      ),
    ),
  )
  byId('log').replaceChildren(...state.log.map((line) => element('li', {}, element('time', {}, line.at), line.text)))
}

byId('language').addEventListener('click', () => {
  language = language === 'en' ? 'ja' : 'en'
  void act('language', language)
  render()
})
land = await (await fetch('/land')).text()
const stream = new EventSource('/state')
stream.onmessage = (event) => {
  state = JSON.parse(event.data)
  render()
}
stream.onerror = () => {
  byId('summary').textContent = t('lost')
}
render()
