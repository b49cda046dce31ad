/**
 * Cyclone forecast tracks with cones, from any agency, as GeoJSON (RFC 7946: longitude first). A FeatureCollection with
 * the members `id`, `name` and `issued`, and features
 *   Point   {time, windMs | windKt, radiusKm?, stormKm?}   a position, observed or forecast
 *   Polygon {cone: true}                                   two in three chances that the centre stays inside
 * A point without `radiusKm` takes its distance to the cone's edge.
 */
import { Problem } from '@azukari/protocol/problem'
import type { Position } from '../../../geography.ts'
import { inRing, toRingKm } from './area.ts'
import { type Bulletin, checkHazard, emptyBulletin, limits, type TrackPoint } from './hazard.ts'
import { list, number, object, readJson, text, time } from './parse.ts'
import type { ReadOptions } from './read-options.ts'

const knot = 0.514444

export function readTrack(bytes: Uint8Array, { nowMs, rules }: ReadOptions): Bulletin {
  const document = object(readJson(bytes))
  const features = list(document['features']).map(object)
  if (document['type'] !== 'FeatureCollection' || features.length === 0)
    throw new Problem('feed.malformed', 'no features')
  if (features.length > 2 * limits.trackPoints) throw new Problem('feed.too-large', `${features.length} features`)
  const id = `track:${text(document['id']) ?? text(document['name']) ?? '?'}`
  const issuedMs = time(document['issued'], `${id} issued`)
  const bulletin = emptyBulletin()
  if (document['cancelled'] === true) {
    bulletin.cancelled.push({ id, atMs: issuedMs })
    return bulletin
  }
  const cone = features.find((feature) => object(feature['properties'])['cone'] === true)
  const ring = cone && ringOf(list(list(object(cone['geometry'])['coordinates'])[0]))
  const points: TrackPoint[] = []
  for (const feature of features) {
    const geometry = object(feature['geometry'])
    if (geometry['type'] !== 'Point') continue
    const facts = object(feature['properties'])
    const [longitude, latitude] = list(geometry['coordinates']).map(number)
    const atMs = time(facts['time'], `${id} time`)
    const windKt = number(facts['windKt'])
    const windMs = number(facts['windMs']) ?? (windKt === undefined ? undefined : windKt * knot)
    if (latitude === undefined || longitude === undefined || windMs === undefined)
      throw new Problem('hazard.invalid', `${id}: a point without position or wind`)
    const at = { latitude, longitude }
    const ahead = Math.max(0, atMs - issuedMs) / 3_600_000
    const radiusKm =
      number(facts['radiusKm']) ??
      (ring && inRing(at, ring) ? toRingKm(at, ring) : rules.cyclone.driftKmPerHour * ahead)
    const stormKm = number(facts['stormKm'])
    points.push({ atMs, ...at, radiusKm, windMs, ...(stormKm === undefined ? {} : { stormKm }) })
  }
  points.sort((a, b) => a.atMs - b.atMs)
  const last = points.at(-1)
  if (!last) throw new Problem('hazard.invalid', `${id}: no point`)
  const hours = points.length === 1 ? rules.cyclone.aheadHours : 24
  bulletin.hazards.push(
    checkHazard(
      {
        id,
        peril: 'storm',
        title: text(document['name']) ?? id,
        certainty: Math.min(1, Math.max(0, number(document['certainty']) ?? 1)),
        issuedMs,
        fromMs: points[0]!.atMs,
        untilMs: last.atMs + hours * 3_600_000,
        shape: { kind: 'track', name: text(document['name']) ?? id, points },
      },
      nowMs,
    ),
  )
  return bulletin
}

/** A GeoJSON ring as positions. @throws {Problem} `hazard.invalid` */
export function ringOf(coordinates: ReturnType<typeof list>): Position[] {
  if (coordinates.length > limits.ringPoints)
    throw new Problem('hazard.invalid', `a ring of ${coordinates.length} points`)
  return coordinates.map((pair) => {
    const [longitude, latitude] = list(pair).map(number)
    if (latitude === undefined || longitude === undefined)
      throw new Problem('hazard.invalid', 'a ring with a hole in it')
    return { latitude, longitude }
  })
}
