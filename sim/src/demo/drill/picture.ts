/** A drill as one picture (SVG): the map with hazards, servers and what moved; what arrived where; what was lost. */
import { landPath } from '../../testkit/land.ts'
import { type DrillReport, percent, span, stamp } from './report.ts'

const width = 1240
const mapHeight = 560
const left = 20
const rowsMax = 14
const perilColours: Record<string, string> = {
  earthquake: '#b3541e',
  tsunami: '#1d5c96',
  storm: '#6b4fa0',
  flood: '#2a7f8e',
  volcano: '#a3242a',
}

interface View {
  west: number
  north: number
  scale: number
  height: number
}

export function picture(report: DrillReport): string {
  const view = viewOf(report)
  const rows = report.outcome.arrivals.filter((one) => one.replicasWithout + one.replicasWith + one.left > 0)
  const shown = [...rows].sort((a, b) => b.loss * b.replicasWithout - a.loss * a.replicasWithout).slice(0, rowsMax)
  shown.sort((a, b) => a.atMs - b.atMs)
  const height = 70 + mapHeight + 46 + shown.length * 30 + 140
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13" fill="#1c2430">`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    `<text x="${left}" y="30" font-size="20">Drill: ${escaped(stamp(report.startMs).slice(0, 10))} to ${escaped(stamp(report.endMs).slice(0, 10))}</text>`,
    `<text x="${left}" y="52">${report.objects} objects of ${report.members} members on ${report.servers.length} data servers, ${report.history.tellings} tellings, ${report.moves.length} moves, ${report.outcome.moves.bytes} bytes moved</text>`,
    map(report, view),
    arrivals(shown, 70 + mapHeight + 30),
    losses(report, 70 + mapHeight + 60 + shown.length * 30),
    '</svg>\n',
  ].join('\n')
}

/** The part of the world that something happened in. */
function viewOf({ servers, moves, outcome }: DrillReport): View {
  const involved = new Set([...moves.flatMap(({ from }) => [from]), ...outcome.arrivals.map(({ server }) => server)])
  const points = servers.filter(({ id }) => involved.has(id))
  const around = points.length > 0 ? points : servers
  const longitudes = around.map(({ longitude }) => longitude)
  const latitudes = around.map(({ latitude }) => latitude)
  const margin = 9
  const spanX = Math.max(...longitudes) - Math.min(...longitudes) + 2 * margin
  const spanY = Math.max(...latitudes) - Math.min(...latitudes) + 2 * margin
  const scale = Math.min((width - 2 * left) / spanX, mapHeight / spanY)
  const middle = (Math.max(...longitudes) + Math.min(...longitudes)) / 2
  return {
    west: middle - (width - 2 * left) / scale / 2,
    north: Math.max(...latitudes) + margin + (mapHeight / scale - spanY) / 2,
    scale,
    height: mapHeight,
  }
}

function map(report: DrillReport, { west, north, scale, height }: View): string {
  const x = (longitude: number) => Number((left + (longitude - west) * scale).toFixed(1))
  const y = (latitude: number) => Number((70 + (north - latitude) * scale).toFixed(1))
  const at = new Map(report.servers.map((server) => [server.id, server]))
  const struck = new Map(report.outcome.arrivals.map((one) => [one.server, one]))
  const flows = new Map<string, { from: string; to: string; n: number }>()
  for (const { from, to } of report.moves) {
    const flow = flows.get(`${from} ${to}`) ?? { from, to, n: 0 }
    flow.n++
    flows.set(`${from} ${to}`, flow)
  }
  const parts = [
    `<clipPath id="map"><rect x="${left}" y="70" width="${width - 2 * left}" height="${height}"/></clipPath>`,
    `<g clip-path="url(#map)"><rect x="${left}" y="70" width="${width - 2 * left}" height="${height}" fill="#e8eff5"/>`,
    `<path d="${landPath('50m')}" transform="matrix(${scale} 0 0 ${-scale} ${left - west * scale} ${70 + north * scale})" fill="#f7f4ec" stroke="#b9b4a4" stroke-width="${0.6 / scale}"/>`,
  ]
  for (const { at: quake, track, peril } of report.hazards) {
    const colour = perilColours[peril] ?? '#777'
    if (quake)
      parts.push(
        `<circle cx="${x(quake.longitude)}" cy="${y(quake.latitude)}" r="${(1.9 ** (quake.magnitude - 4) * 2).toFixed(1)}" fill="${colour}" fill-opacity="0.18" stroke="${colour}"/>`,
      )
    if (track)
      parts.push(
        `<polyline points="${track.map((point) => `${x(point.longitude)},${y(point.latitude)}`).join(' ')}" fill="none" stroke="${colour}" stroke-width="3" stroke-dasharray="7 4"/>`,
        ...track.map(
          (point) =>
            `<circle cx="${x(point.longitude)}" cy="${y(point.latitude)}" r="${Math.max(3, (point.radiusKm / 111) * scale).toFixed(1)}" fill="${colour}" fill-opacity="0.08" stroke="${colour}" stroke-opacity="0.5"/>`,
        ),
      )
  }
  for (const { from, to, n } of flows.values()) {
    const [a, b] = [at.get(from)!, at.get(to)!]
    const [ax, ay, bx, by] = [x(a.longitude), y(a.latitude), x(b.longitude), y(b.latitude)]
    parts.push(
      `<path d="M${ax} ${ay}Q${((ax + bx) / 2).toFixed(1)} ${((ay + by) / 2 - Math.hypot(bx - ax, by - ay) / 6).toFixed(1)} ${bx} ${by}" fill="none" stroke="#2f7d5b" stroke-opacity="0.55" stroke-width="${Math.min(7, 0.8 + Math.sqrt(n) / 2).toFixed(1)}"/>`,
    )
  }
  const labels: Box[] = report.servers.map((server) => {
    const [cx, cy] = [x(server.longitude), y(server.latitude)]
    return { x: cx - 8, y: cy - 8, width: 16, height: 16 }
  })
  for (const server of report.servers) {
    const hit = struck.get(server.id)
    const [cx, cy] = [x(server.longitude), y(server.latitude)]
    parts.push(
      `<circle cx="${cx}" cy="${cy}" r="${(4 + Math.sqrt(server.start)).toFixed(1)}" fill="${hit ? '#fff' : '#2f7d5b'}" stroke="${hit ? (perilColours[hit.peril] ?? '#a3242a') : '#fff'}" stroke-width="${hit ? 4 : 1.5}"/>`,
      label(`${server.name} ${server.start}→${server.end}`, cx, cy, labels),
    )
  }
  parts.push('</g>')
  return parts.join('\n')
}

interface Box {
  x: number
  y: number
  width: number
  height: number
}

/** A name beside a place, where it covers nothing that is there already; else where it begins. */
function label(text: string, cx: number, cy: number, taken: Box[]): string {
  const size = { width: text.length * 7.2, height: 15 }
  const boxes = [
    { x: cx + 10, y: cy - 8 },
    { x: cx - 10 - size.width, y: cy - 8 },
    { x: cx - size.width / 2, y: cy - 25 },
    { x: cx - size.width / 2, y: cy + 10 },
    { x: cx + 10, y: cy + 8 },
  ].map((at) => ({ ...at, ...size }))
  const box = boxes.find((one) => !taken.some((other) => overlaps(one, other))) ?? boxes[0]!
  taken.push(box)
  return `<text x="${box.x.toFixed(1)}" y="${(box.y + 12).toFixed(1)}" textLength="${size.width.toFixed(1)}" lengthAdjust="spacingAndGlyphs" stroke="#fff" stroke-width="3" paint-order="stroke">${escaped(text)}</text>`
}

function overlaps(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}

function arrivals(rows: readonly DrillReport['outcome']['arrivals'][number][], top: number): string {
  const parts = [`<text x="${left}" y="${top}" font-size="16">What reached a server that held data</text>`]
  for (const [i, one] of rows.entries()) {
    const y = top + 26 + i * 30
    const colour = perilColours[one.peril] ?? '#777'
    const bar = (n: number, of: number) => (of === 0 ? 0 : (180 * n) / of)
    const most = Math.max(one.replicasWithout, one.replicasWith, 1)
    parts.push(
      `<text x="${left}" y="${y}">${stamp(one.atMs)}  ${escaped(one.server)}, ${escaped(one.peril)}, loss ${percent(one.loss)}, warned ${span(one.leadMs)} before</text>`,
      `<rect x="520" y="${y - 13}" width="${bar(one.replicasWithout, most).toFixed(1)}" height="7" fill="${colour}" fill-opacity="0.45"/>`,
      `<rect x="520" y="${y - 5}" width="${bar(one.replicasWith, most).toFixed(1)}" height="7" fill="${colour}"/>`,
      `<text x="712" y="${y}">there without moves ${one.replicasWithout}, with ${one.replicasWith}${one.lastSafeMs === undefined ? '' : `; the last left ${span(one.lastSafeMs)} before`}</text>`,
    )
  }
  return parts.join('\n')
}

function losses({ outcome: { without, with: kept, levels } }: DrillReport, top: number): string {
  const rows: [string, number, number][] = [
    ['replicas lost, expected', without.replicas, kept.replicas],
    ['replicas lost, were all in the way destroyed', without.worst.replicas, kept.worst.replicas],
    ['objects lost in both places, likewise', without.worst.objects, kept.worst.objects],
  ]
  const parts = [`<text x="${left}" y="${top}" font-size="16">Lost: without moves (pale) and with them</text>`]
  for (const [i, [what, pale, full]] of rows.entries()) {
    const y = top + 26 + i * 30
    const most = Math.max(pale, full, 1e-9)
    parts.push(
      `<text x="${left}" y="${y}">${what}</text>`,
      `<rect x="330" y="${y - 13}" width="${((220 * pale) / most).toFixed(1)}" height="7" fill="#8a8f98"/>`,
      `<rect x="330" y="${y - 5}" width="${((220 * full) / most).toFixed(1)}" height="7" fill="#2f7d5b"/>`,
      `<text x="565" y="${y}">${Number(pale.toFixed(2))} → ${Number(full.toFixed(2))}</text>`,
    )
  }
  parts.push(`<text x="700" y="${top}" font-size="16">By level</text>`)
  for (const [i, row] of levels.entries())
    parts.push(
      `<text x="700" y="${top + 26 + i * 24}">level ${row.level}: ${row.objects} objects, ${row.moved} moves, lost ${Number(row.expectedWithout.toFixed(2))} → ${Number(row.expectedWith.toFixed(2))}${row.meanSafeMs === undefined ? '' : `, safe ${span(row.meanSafeMs)} before`}</text>`,
    )
  return parts.join('\n')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
