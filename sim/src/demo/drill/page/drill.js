/* The slider goes over the moments at which something happened; quiet time takes no room. */
const report = JSON.parse(document.getElementById('report').textContent)
const svg = (name, attributes, text) => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value)
  if (text !== undefined) node.textContent = text
  return node
}
const colours = { earthquake: '#b3541e', tsunami: '#1d5c96', storm: '#6b4fa0', flood: '#2a7f8e', volcano: '#a3242a' }
const servers = new Map(report.servers.map((server) => [server.id, server]))
const { arrivals } = report.outcome
const moments = [
  ...new Set([
    report.startMs,
    ...report.hazards.map(({ fromMs }) => fromMs),
    ...arrivals.flatMap(({ warnedMs, atMs }) => [warnedMs, atMs]),
    ...report.moves.map(({ atMs }) => atMs),
    report.endMs,
  ]),
].sort((a, b) => a - b)

const involved = [...new Set([...report.moves.map(({ from }) => from), ...arrivals.map(({ server }) => server)])]
const around = involved.length > 0 ? involved.map((id) => servers.get(id)) : report.servers
const span = (values) => [Math.min(...values) - 10, Math.max(...values) + 10]
const [west, east] = span(around.map(({ longitude }) => longitude))
const [south, north] = span(around.map(({ latitude }) => latitude))
const wide = Math.max(east - west, (north - south) * 2)
document
  .getElementById('map')
  .setAttribute('viewBox', `${(west + east) / 2 - wide / 2} ${-(north + south) / 2 - wide / 4} ${wide} ${wide / 2}`)
const unit = wide / 360

const stamp = (ms) => `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`

function draw(now) {
  const held = new Map(report.servers.map(({ id, start }) => [id, start]))
  for (const { from, to, atMs } of report.moves) {
    if (atMs > now) break
    held.set(from, held.get(from) - 1)
    held.set(to, held.get(to) + 1)
  }
  const hazards = report.hazards
    .filter(({ fromMs, untilMs }) => fromMs <= now && now <= untilMs)
    .flatMap(({ at, track, peril, title }) => {
      const colour = colours[peril] ?? '#777'
      const drawn = []
      if (at)
        drawn.push(
          svg('circle', {
            cx: at.longitude,
            cy: -at.latitude,
            r: 1.9 ** (at.magnitude - 4) * 0.6 * unit,
            fill: colour,
            'fill-opacity': 0.25,
          }),
        )
      if (track) {
        const points = track.map(({ longitude, latitude }) => `${longitude},${-latitude}`).join(' ')
        drawn.push(svg('polyline', { points, fill: 'none', stroke: colour, 'stroke-width': unit }))
        for (const point of track)
          drawn.push(
            svg('circle', {
              cx: point.longitude,
              cy: -point.latitude,
              r: Math.max(point.radiusKm / 111, unit),
              fill: colour,
              'fill-opacity': point.atMs < now ? 0.04 : 0.14,
            }),
          )
      }
      for (const node of drawn) node.append(svg('title', {}, title))
      return drawn
    })
  document.getElementById('hazards').replaceChildren(...hazards)

  const recent = report.moves.filter(({ atMs }) => atMs <= now && atMs > now - 3_600_000)
  const flows = new Map()
  for (const { from, to } of recent) flows.set(`${from} ${to}`, [from, to])
  document.getElementById('moves').replaceChildren(
    ...[...flows.values()].map(([from, to]) => {
      const [a, b] = [servers.get(from), servers.get(to)]
      return svg('line', {
        x1: a.longitude,
        y1: -a.latitude,
        x2: b.longitude,
        y2: -b.latitude,
        stroke: '#2f7d5b',
        'stroke-width': unit,
        'stroke-opacity': 0.6,
      })
    }),
  )

  document.getElementById('servers').replaceChildren(
    ...report.servers.flatMap((server) => {
      const threat = arrivals.find(
        (one) => one.server === server.id && one.warnedMs <= now && now < one.atMs + 86_400_000,
      )
      const n = held.get(server.id)
      return [
        svg('circle', {
          class: 'server',
          cx: server.longitude,
          cy: -server.latitude,
          r: (1.2 + Math.sqrt(n) * 0.25) * unit,
          fill: threat ? (colours[threat.peril] ?? '#a3242a') : '#2f7d5b',
          stroke: '#fff',
          'stroke-width': 0.4 * unit,
        }),
        svg(
          'text',
          { x: server.longitude + 2.5 * unit, y: -server.latitude - 2 * unit, 'font-size': 4.2 * unit },
          `${server.name} ${n}`,
        ),
      ]
    }),
  )

  const news = []
  for (const one of arrivals) {
    if (one.warnedMs <= now && one.warnedMs > now - 3_600_000 && one.atMs > now)
      news.push(`${one.title}: expected at ${one.server}, ${stamp(one.atMs)}`)
    if (one.atMs <= now && one.atMs > now - 3_600_000)
      news.push(
        `${one.title} reaches ${one.server}: ${one.replicasWith} copies there; without moves ${one.replicasWithout}`,
      )
  }
  if (recent.length > 0) news.push(`${recent.length} copies moved within the hour`)
  document.getElementById('news').replaceChildren(
    ...news.slice(0, 5).map((text) => {
      const item = document.createElement('li')
      item.textContent = text
      return item
    }),
  )
  document.getElementById('when').textContent = stamp(now)
}

const slider = document.getElementById('time')
slider.max = moments.length - 1
const show = () => {
  const now = moments[Number(slider.value)]
  slider.setAttribute('aria-valuetext', stamp(now))
  draw(now)
}
slider.addEventListener('input', show)
const play = document.getElementById('play')
let playing
const stop = () => {
  clearInterval(playing)
  playing = undefined
  play.textContent = 'Play'
  play.setAttribute('aria-pressed', 'false')
}
play.addEventListener('click', () => {
  if (playing !== undefined) return stop()
  if (Number(slider.value) >= moments.length - 1) slider.value = 0
  play.textContent = 'Stop'
  play.setAttribute('aria-pressed', 'true')
  playing = setInterval(() => {
    if (Number(slider.value) >= moments.length - 1) return stop()
    slider.value = Number(slider.value) + 1
    show()
  }, 250)
})
show()
