/**
 * Earthquakes of the United States Geological Survey: GeoJSON summary feeds.
 * https://earthquake.usgs.gov/earthquakes/feed/v1.0/geojson.php
 */
import { Problem } from '@azukari/protocol/problem'
import { type Bulletin, checkHazard, emptyBulletin, limits } from './hazard.ts'
import { collect, list, number, object, readJson, text, time } from './parse.ts'
import type { ReadOptions } from './read-options.ts'

export function readUsgs(bytes: Uint8Array, { nowMs, rules }: ReadOptions): Bulletin {
  const bulletin = emptyBulletin()
  const document = object(readJson(bytes))
  if (document['type'] !== 'FeatureCollection') throw new Problem('feed.malformed', 'no FeatureCollection')
  const features = list(document['features'])
  if (features.length > 4 * limits.hazards) throw new Problem('feed.too-large', `${features.length} features`)
  for (const feature of features)
    collect(bulletin.problems, () => {
      const { id, properties, geometry } = object(feature)
      const facts = object(properties)
      const key = `usgs:${text(id) ?? '?'}`
      if (text(facts['type']) !== undefined && text(facts['type']) !== 'earthquake') return void bulletin.passed++
      const magnitude = number(facts['mag'])
      if (magnitude === undefined) throw new Problem('hazard.invalid', `${key}: no magnitude`)
      const updatedMs = time(facts['updated'] ?? facts['time'], `${key} updated`)
      if (text(facts['status']) === 'deleted') return void bulletin.cancelled.push({ id: key, atMs: updatedMs })
      if (magnitude < rules.quake.leastMagnitude) return void bulletin.passed++
      const [longitude, latitude, depthKm] = list(object(geometry)['coordinates']).map(number)
      if (longitude === undefined || latitude === undefined) throw new Problem('hazard.invalid', `${key}: no position`)
      const fromMs = time(facts['time'], `${key} time`)
      bulletin.hazards.push(
        checkHazard(
          {
            id: key,
            peril: 'earthquake',
            title: text(facts['title']) ?? `M ${magnitude}`,
            certainty: 1,
            issuedMs: updatedMs,
            fromMs,
            untilMs: fromMs + rules.quake.watchDays * 86_400_000,
            // Shallow where it is not known, which is the worse; a little above the sea counts as at the surface.
            shape: { kind: 'quake', at: { latitude, longitude }, depthKm: Math.max(0, depthKm ?? 10), magnitude },
          },
          nowMs,
        ),
      )
    })
  return bulletin
}
