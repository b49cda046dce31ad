/** VPTW60–65: analysis and forecast of one typhoon, up to five days ahead, with the circles of 70 % probability. */
import { Problem } from '@azukari/protocol/problem'
import type { Position } from '../../../geography.ts'
import type { Bulletin, Hazard, TrackPoint } from './hazard.ts'
import type { JmaHead } from './jma-head.ts'
import { time } from './parse.ts'
import type { ReadOptions } from './read-options.ts'
import { all, below, find, textOf, type XmlNode } from './xml.ts'

export function typhoonOf(head: JmaHead, body: XmlNode | undefined, options: ReadOptions, _bulletin: Bulletin) {
  const points: TrackPoint[] = []
  const [id = ''] = head.ids
  let name = ''
  let ahead = false
  for (const infos of all(body, 'MeteorologicalInfos'))
    for (const info of all(infos, 'MeteorologicalInfo')) {
      const at = find(info, 'DateTime')
      const kind = at?.attributes['type'] ?? ''
      // 推定 is the same analysis an hour on; the forecast begins from 実況, and days four and five are 延長予報.
      const forecast = kind.includes('予報')
      if (!kind.startsWith('実況') && !forecast) continue
      name ||= nameOf(info)
      const point = pointOf(info, time(at?.text.trim(), 'DateTime'), points.at(-1))
      if (point) points.push(point)
      if (point && forecast) ahead = true
    }
  if (points.length === 0) throw new Problem('hazard.invalid', `${id}: no position`)
  // Hourly reports give the position only. Without a word that the typhoon is over, the forecast is still the last one.
  const over = [...below(body, 'Remark')].some(({ text }) => /消滅|可能性が小さくなった/.test(text))
  points.sort((a, b) => a.atMs - b.atMs)
  const last = points.at(-1)!
  return {
    peril: 'storm',
    title: name ? `台風${name}` : head.title,
    certainty: 1,
    issuedMs: head.issuedMs,
    fromMs: points[0]!.atMs,
    ...(ahead || over ? {} : { partial: true }),
    untilMs: last.atMs + (points.length === 1 ? options.rules.cyclone.aheadHours : 24) * 3_600_000,
    shape: { kind: 'track', name: name || id.slice(id.lastIndexOf(':') + 1), points },
  } satisfies Omit<Hazard, 'id'>
}

function nameOf(info: XmlNode): string {
  for (const part of below(info, 'TyphoonNamePart')) {
    const number = textOf(part, 'Number')
    const said = textOf(part, 'NameKana') ?? textOf(part, 'Name')
    if (number || said) return [number && `第${Number(number.slice(-2))}号`, said].filter(Boolean).join(' ')
  }
  return ''
}

function pointOf(info: XmlNode, atMs: number, before: TrackPoint | undefined): TrackPoint | undefined {
  const circle = [...below(info, 'ProbabilityCircle')][0]
  const centre = positionIn(circle ?? [...below(info, 'CenterPart')][0])
  if (!centre) return undefined
  const wind = unit(
    [...below(info, 'WindSpeed')].filter((node) => node.attributes['type'] === '最大風速'),
    'm/s',
  )
  const storm = [...below(info, 'WarningAreaPart')].find((part) => part.attributes['type'] === '暴風域')
  const stormKm = storm && greatest([...below(storm, 'Radius')], 'km')
  return {
    atMs,
    ...centre,
    radiusKm: circle ? (greatest([...below(circle, 'Radius')], 'km') ?? 0) : 0,
    // A forecast without a wind (an extratropical low to be) keeps the last one: never weaker by silence.
    windMs: wind ?? before?.windMs ?? 0,
    ...(stormKm === undefined ? {} : { stormKm }),
  }
}

/** `+25.8+137.3/` in the element that gives degrees; another gives degrees and minutes. */
function positionIn(node: XmlNode | undefined): Position | undefined {
  for (const name of ['BasePoint', 'Coordinate'])
    for (const candidate of node ? below(node, name) : []) {
      if (candidate.attributes['type'] !== '中心位置（度）') continue
      const match = /^([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)\/?$/.exec(candidate.text.trim())
      if (match) return { latitude: Number(match[1]), longitude: Number(match[2]) }
    }
  return undefined
}

/** The value in that unit; the reports give each twice, in knots or sea miles too. */
function unit(nodes: readonly XmlNode[], of: string): number | undefined {
  const value = Number(nodes.find((node) => node.attributes['unit'] === of)?.text || Number.NaN)
  return Number.isFinite(value) ? value : undefined
}

/** Radii may differ by direction: the greatest counts. */
function greatest(nodes: readonly XmlNode[], of: string): number | undefined {
  const values = nodes
    .filter((node) => node.attributes['unit'] === of)
    .map((node) => Number(node.text))
    .filter((value) => Number.isFinite(value) && value > 0)
  return values.length > 0 ? Math.max(...values) : undefined
}
