/**
 * Seismic exceedance of J-SHIS (National Research Institute for Earth Science and Disaster Resilience): probability that
 * an intensity is reached within 30 years, per mesh. `meshinfo.geojson` of its API, attributes T30_I45_PS … T30_I60_PS.
 * The values change once a year or so, and stand until newer ones come.
 */
import { Problem } from '@azukari/protocol/problem'
import { type Bulletin, checkHazard, emptyBulletin, limits } from './hazard.ts'
import { collect, list, number, object, readJson, text } from './parse.ts'
import type { ReadOptions } from './read-options.ts'
import { ringOf } from './track.ts'

const levels = [45, 50, 55, 60] as const
const years = 30
const yearMs = 365.25 * 86_400_000

export function readJshis(bytes: Uint8Array, { nowMs }: ReadOptions): Bulletin {
  const document = object(readJson(bytes))
  const features = list(document['features'])
  if (document['type'] !== 'FeatureCollection') throw new Problem('feed.malformed', 'no FeatureCollection')
  const status = text(document['status'])
  if (status !== undefined && status !== 'Success') throw new Problem('feed.malformed', `status ${status.slice(0, 40)}`)
  // Old answers are in the Tokyo datum by request (epsg 4301); a mesh is 250 m, the difference 400 m.
  const crs = text(object(object(document['crs'])['properties'])['name'])
  if (crs !== undefined && !/(4326|4612|6668|CRS84)/.test(crs))
    throw new Problem('hazard.invalid', `datum ${crs.slice(0, 60)}`)
  if (features.length > limits.forecasts) throw new Problem('feed.too-large', `${features.length} meshes`)
  const bulletin = emptyBulletin()
  for (const feature of features.map(object))
    collect(bulletin.problems, () => {
      const facts = object(feature['properties'])
      const mesh = text(facts['meshcode']) ?? text(facts['meshCode']) ?? '?'
      const found = levels.flatMap((level) => {
        const probability = number(facts[`T30_I${level}_PS`])
        if (probability === undefined) return []
        if (!(probability >= 0 && probability <= 1))
          throw new Problem('hazard.invalid', `jshis:${mesh}: probability ${probability}`)
        // Certainty within 30 years is rounding: the yearly rate stays finite.
        return [{ intensity: level / 10, perYear: -Math.log(1 - Math.min(probability, 0.9999)) / years }]
      })
      if (found.length === 0) throw new Problem('hazard.invalid', `jshis:${mesh}: no T30_I…_PS`)
      if (found.some(({ perYear }, i) => i > 0 && perYear > found[i - 1]!.perYear + 1e-12))
        throw new Problem('hazard.invalid', `jshis:${mesh}: a stronger shock would be more frequent`)
      bulletin.hazards.push(
        checkHazard(
          {
            id: `jshis:${mesh}`,
            peril: 'earthquake',
            title: `J-SHIS ${mesh}`,
            certainty: 1,
            issuedMs: nowMs,
            fromMs: nowMs,
            untilMs: Math.round(nowMs + 5 * yearMs),
            shape: {
              kind: 'exceedance',
              ring: ringOf(list(list(object(feature['geometry'])['coordinates'])[0])),
              rates: found,
            },
          },
          nowMs,
        ),
      )
    })
  return bulletin
}
