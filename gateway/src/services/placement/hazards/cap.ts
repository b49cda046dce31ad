/**
 * Common Alerting Protocol 1.2 (OASIS): what weather services and civil protection all over the world send. One document
 * may hold one alert or a wrapper with many.
 */
import { Problem } from '@azukari/protocol/problem'
import type { Position } from '../geography.ts'
import type { Peril } from '../risk.ts'
import { type Area, type Bulletin, checkHazard, emptyBulletin, type Severity } from './hazard.ts'
import { collect, time } from './parse.ts'
import type { ReadOptions } from './read.ts'
import { all, below, readXml, textOf, type XmlNode } from './xml.ts'

const severities: Record<string, Severity> = {
  Extreme: 'extreme',
  Severe: 'severe',
  Moderate: 'moderate',
  Minor: 'minor',
}
/** CAP's own words put into figures: “Likely” is more than 50 %, “Possible” at most 50 %. What is unknown is likely. */
const certainties: Record<string, number> = { Observed: 1, Likely: 0.7, Possible: 0.3, Unlikely: 0.05 }
const words: [pattern: RegExp, peril: Peril][] = [
  [/tsunami|津波/i, 'tsunami'],
  [/earthquake|seismic|地震/i, 'earthquake'],
  [/flood|rain|inundation|landslide|洪水|大雨|浸水|土砂/i, 'flood'],
  [/volcan|eruption|噴火|火山/i, 'volcano'],
  [/hurricane|typhoon|cyclone|storm|wind|tornado|台風|暴風|竜巻/i, 'storm'],
  [/fire|火災/i, 'fire'],
]
const byCategory: Record<string, Peril> = { Geo: 'earthquake', Met: 'storm', Fire: 'fire' }
/** How long an alert without an end counts. */
const openEndMs = 24 * 3_600_000

export function readCap(bytes: Uint8Array, options: ReadOptions): Bulletin {
  const root = readXml(bytes)
  const alerts = root.name === 'alert' ? [root] : [...below(root, 'alert')]
  if (alerts.length === 0) throw new Problem('feed.malformed', 'no alert')
  const bulletin = emptyBulletin()
  for (const alert of alerts) collect(bulletin.problems, () => readAlert(alert, options, bulletin))
  return bulletin
}

function readAlert(alert: XmlNode, { nowMs }: ReadOptions, bulletin: Bulletin): void {
  const id = idOf(textOf(alert, 'sender'), textOf(alert, 'identifier'))
  const sentMs = time(textOf(alert, 'sent'), `${id} sent`)
  const status = textOf(alert, 'status')
  if (status !== 'Actual') {
    if (!['Exercise', 'System', 'Test', 'Draft'].includes(status ?? ''))
      throw new Problem('hazard.invalid', `${id}: status ${status ?? 'missing'}`)
    return void bulletin.passed++
  }
  const type = textOf(alert, 'msgType')
  if (type === 'Ack' || type === 'Error') return void bulletin.passed++
  if (type === 'Update' || type === 'Cancel')
    for (const reference of (textOf(alert, 'references') ?? '').split(/\s+/).filter(Boolean).slice(0, 100)) {
      const [sender, identifier] = reference.split(',')
      bulletin.cancelled.push({ id: idOf(sender, identifier), atMs: sentMs })
    }
  if (type === 'Cancel') return
  if (type !== 'Alert' && type !== 'Update') throw new Problem('hazard.invalid', `${id}: msgType ${type ?? 'missing'}`)
  // An alert repeats its info per language; those that say the same count once.
  const infos = new Map<string, XmlNode>()
  for (const info of all(alert, 'info'))
    infos.set(
      `${textOf(info, 'event')}|${textOf(info, 'severity')}|${textOf(info, 'onset')}|${textOf(info, 'expires')}`,
      info,
    )
  let number = 0
  for (const info of infos.values()) {
    number++
    const response = textOf(info, 'responseType')
    if (response === 'AllClear' || textOf(info, 'urgency') === 'Past') {
      bulletin.passed++
      continue
    }
    const fromMs = time(textOf(info, 'onset') ?? textOf(info, 'effective') ?? textOf(alert, 'sent'), `${id} onset`)
    const expires = textOf(info, 'expires')
    const event = textOf(info, 'event') ?? ''
    bulletin.hazards.push(
      checkHazard(
        {
          id: infos.size > 1 ? `${id}#${number}` : id,
          peril: perilOf(event, textOf(info, 'category')),
          title: textOf(info, 'headline') ?? event,
          certainty: certainties[textOf(info, 'certainty') ?? ''] ?? 0.5,
          issuedMs: sentMs,
          fromMs,
          untilMs: expires ? Math.max(time(expires, `${id} expires`), fromMs) : fromMs + openEndMs,
          shape: areaOf(info, id),
        },
        nowMs,
      ),
    )
  }
}

/** Sender and identifier together are unique; both are free text, so what is not plain is written as hexadecimal. */
function idOf(sender: string | undefined, identifier: string | undefined): string {
  const plain = `${sender ?? ''},${identifier ?? ''}`.replace(
    /[^\x21-\x7e]/g,
    (letter) => `%${letter.codePointAt(0)!.toString(16)}`,
  )
  return `cap:${plain}`.slice(0, 112)
}

function perilOf(event: string, category: string | undefined): Peril {
  return words.find(([pattern]) => pattern.test(event))?.[1] ?? byCategory[category ?? ''] ?? 'outage'
}

function areaOf(info: XmlNode, id: string): Area {
  const rings: Position[][] = []
  const circles: (Position & { radiusKm: number })[] = []
  const regions = new Set<string>()
  for (const area of all(info, 'area')) {
    for (const polygon of all(area, 'polygon'))
      rings.push(
        polygon.text
          .trim()
          .split(/\s+/)
          .map((pair) => positionOf(pair, id)),
      )
    for (const circle of all(area, 'circle')) {
      const [centre = '', radius] = circle.text.trim().split(/\s+/)
      circles.push({ ...positionOf(centre, id), radiusKm: Number(radius) })
    }
    for (const code of all(area, 'geocode')) {
      const value = textOf(code, 'value') ?? ''
      if (/^(ISO ?3166(-2)?)$/i.test(textOf(code, 'valueName') ?? '')) regions.add(value)
    }
  }
  return {
    kind: 'area',
    severity: severities[textOf(info, 'severity') ?? ''] ?? 'severe',
    ...(rings.length > 0 ? { rings } : {}),
    ...(circles.length > 0 ? { circles } : {}),
    ...(regions.size > 0 ? { regions: [...regions] } : {}),
  }
}

function positionOf(pair: string, id: string): Position {
  const [latitude, longitude] = pair.split(',').map(Number)
  if (latitude === undefined || longitude === undefined || !Number.isFinite(latitude) || !Number.isFinite(longitude))
    throw new Problem('hazard.invalid', `${id}: ${pair.slice(0, 40)} is no position`)
  return { latitude, longitude }
}
