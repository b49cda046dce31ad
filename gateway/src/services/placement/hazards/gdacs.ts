/**
 * Alerts of the Global Disaster Alert and Coordination System: RSS with GeoRSS. Earthquakes, cyclones, floods and
 * volcanoes count; droughts and forest fires far from any server are passed over.
 * https://www.gdacs.org/xml/rss.xml
 */
import { Problem } from '@azukari/protocol/problem'
import type { Position } from '../../../geography.ts'
import { type Bulletin, checkHazard, emptyBulletin, type Hazard, type Severity, type Shape } from './hazard.ts'
import { collect, number, time } from './parse.ts'
import type { ReadOptions } from './read-options.ts'
import { all, find, readXml, textOf, type XmlNode } from './xml.ts'

const dayMs = 86_400_000
const severities: Record<string, Severity> = { Red: 'extreme', Orange: 'severe', Green: 'minor' }
/** Radius within which an alert without a polygon counts, km. */
const radiusKm: Record<string, number> = { FL: 60, VO: 60, WF: 20 }
const perils = { FL: 'flood', VO: 'volcano', WF: 'fire', EQ: 'earthquake', TC: 'storm', TS: 'tsunami' } as const

export function readGdacs(bytes: Uint8Array, options: ReadOptions): Bulletin {
  const bulletin = emptyBulletin()
  const channel = find(readXml(bytes), 'channel')
  if (!channel) throw new Problem('feed.malformed', 'no RSS channel')
  for (const item of all(channel, 'item'))
    collect(bulletin.problems, () => {
      const type = textOf(item, 'eventtype') ?? '?'
      if (!(type in perils)) return void bulletin.passed++
      const id = `gdacs:${type}${textOf(item, 'eventid') ?? '?'}`
      const issuedMs = time(textOf(item, 'pubDate'), `${id} pubDate`)
      const fromMs = time(textOf(item, 'fromdate'), `${id} fromdate`)
      const toMs = time(textOf(item, 'todate'), `${id} todate`)
      const hazard: Hazard = {
        id,
        peril: perils[type as keyof typeof perils],
        title: textOf(item, 'title') ?? id,
        certainty: 1,
        issuedMs: Math.max(issuedMs, type === 'EQ' ? issuedMs : Math.min(toMs, options.nowMs)),
        fromMs,
        untilMs: toMs,
        shape: shapeOf(item, type, id, toMs),
      }
      if (type === 'EQ') hazard.untilMs = fromMs + options.rules.quake.watchDays * dayMs
      else hazard.untilMs = toMs + options.rules.cyclone.aheadHours * 3_600_000
      bulletin.hazards.push(checkHazard(hazard, options.nowMs))
    })
  return bulletin
}

function shapeOf(item: XmlNode, type: string, id: string, toMs: number): Shape {
  const at = pointOf(item, id)
  const severity = find(item, 'severity')
  const value = number(severity?.attributes['value'])
  if (type === 'EQ') {
    if (value === undefined) throw new Problem('hazard.invalid', `${id}: no magnitude`)
    const depth = /Depth:\s*([\d.]+)\s*km/i.exec(severity?.text ?? '')?.[1]
    return { kind: 'quake', at, depthKm: depth === undefined ? 10 : Number(depth), magnitude: value }
  }
  if (type === 'TC') {
    if (value === undefined) throw new Problem('hazard.invalid', `${id}: no wind`)
    const unit = severity?.attributes['unit']
    if (unit !== 'km/h') throw new Problem('hazard.invalid', `${id}: wind in ${unit}`)
    return {
      kind: 'track',
      name: textOf(item, 'eventname') ?? id,
      points: [{ atMs: toMs, ...at, radiusKm: 0, windMs: value / 3.6 }],
    }
  }
  const level = severities[textOf(item, 'alertlevel') ?? ''] ?? 'severe'
  const rings = all(item, 'polygon').map((polygon) => ringOf(polygon.text))
  return {
    kind: 'area',
    severity: level,
    ...(rings.length > 0 ? { rings } : { circles: [{ ...at, radiusKm: radiusKm[type] ?? 60 }] }),
  }
}

/** The alert's point. A cyclone's box is that of its forecast, beside the point; a swapped point betrays itself by the box. */
function pointOf(item: XmlNode, id: string): Position {
  const [latitude, longitude] = (textOf(item, 'point') ?? '').split(/\s+/).map(Number)
  if (latitude === undefined || longitude === undefined || !Number.isFinite(latitude) || !Number.isFinite(longitude))
    throw new Problem('hazard.invalid', `${id}: no georss:point`)
  const box = (textOf(item, 'bbox') ?? '').split(/\s+/).map(Number)
  if (box.length === 4 && box.every(Number.isFinite)) {
    const [west, east, south, north] = box as [number, number, number, number]
    const within = (y: number, x: number) => y >= south - 1 && y <= north + 1 && x >= west - 1 && x <= east + 1
    if (!within(latitude, longitude) && within(longitude, latitude))
      throw new Problem(
        'hazard.invalid',
        `${id}: ${latitude}, ${longitude} lies outside its own box: latitude and longitude are swapped`,
      )
  }
  return { latitude, longitude }
}

/** GeoRSS simple: latitude and longitude in turn, separated by blanks. */
function ringOf(text: string): Position[] {
  const values = text
    .trim()
    .split(/[\s,]+/)
    .map(Number)
  const ring: Position[] = []
  for (let i = 0; i + 1 < values.length; i += 2) ring.push({ latitude: values[i]!, longitude: values[i + 1]! })
  return ring
}
