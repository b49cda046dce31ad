/**
 * What a forecast track means for a place: the probability that damaging wind reaches it, when, and the loss by it.
 * The centre's error is a normal distribution in the plane whose 70 % circle is the forecast's; it is summed over
 * points of equal probability. Formulas and sources: docs/risk.md.
 */
import { distanceKm, type Position } from '../../../geography.ts'
import type { RiskTerm } from '../risk/risk.ts'
import { unwrap } from './area.ts'
import type { Hazard, Track, TrackPoint } from './hazard.ts'
import type { Place } from './place.ts'
import type { HazardRules } from './rules.ts'

const hourMs = 3_600_000
const kmPerDegree = 111.195
const stormWind = 25
/** The radius that holds 70 % of a two-dimensional normal distribution, in standard deviations. */
const sigma70 = Math.sqrt(-2 * Math.log(0.3))

/** Offsets of equal probability, in standard deviations: rings of radius √(−2 ln(1 − u)). */
const offsets: readonly { x: number; y: number }[] = Array.from({ length: 12 }, (_, ring) =>
  Array.from({ length: 16 }, (_, spoke) => {
    const radius = Math.sqrt(-2 * Math.log(1 - (ring + 0.5) / 12))
    const angle = ((spoke + (ring % 2) / 2) / 16) * 2 * Math.PI
    return { x: radius * Math.cos(angle), y: radius * Math.sin(angle) }
  }),
).flat()

/** Share of value lost at a wind (Emanuel 2011). */
export function lossAtWind(windMs: number, { lossWindFrom, lossWindHalf }: HazardRules['cyclone']): number {
  const excess = Math.max(0, windMs - lossWindFrom) / (lossWindHalf - lossWindFrom)
  return excess ** 3 / (1 + excess ** 3)
}

/** How wind falls with distance from the centre of one point of a track: computed once for many places. */
interface Profile {
  /** Within this the wind is greatest, km. */
  core: number
  exponent: number
}

function profileOf({ windMs, stormKm }: TrackPoint, { coreKm, windExponent }: HazardRules['cyclone']): Profile {
  if (stormKm === undefined || stormKm <= 0 || windMs <= stormWind) return { core: coreKm, exponent: windExponent }
  const steep = Math.log(windMs / stormWind) / Math.log(Math.max(1.2, stormKm / coreKm))
  const exponent = Math.min(1, Math.max(0.2, steep))
  return { core: stormKm * (stormWind / windMs) ** (1 / exponent), exponent }
}

/** Sustained wind at a distance from the centre: the modified Rankine profile, through the storm radius where one is given. */
function windIn({ core, exponent }: Profile, windMs: number, km: number): number {
  return km <= core ? windMs : windMs * (core / km) ** exponent
}

/** The track from `nowMs` on, hour by hour; a cyclone without a forecast stays near, less and less certainly. */
function hourly(track: Track, nowMs: number, rules: HazardRules['cyclone']): TrackPoint[] {
  const points = [...track.points]
  const last = points.at(-1)!
  if (points.length === 1)
    points.push({
      ...last,
      atMs: last.atMs + rules.aheadHours * hourMs,
      radiusKm: Math.max(last.radiusKm, rules.driftKmPerHour * rules.aheadHours),
    })
  const out: TrackPoint[] = []
  for (const [i, from] of points.entries()) {
    const to = points[i + 1]
    if (!to) {
      if (from.atMs >= nowMs) out.push(from)
      break
    }
    const steps = Math.max(1, Math.ceil((to.atMs - from.atMs) / hourMs))
    for (let step = 0; step < steps; step++) {
      const atMs = from.atMs + ((to.atMs - from.atMs) * step) / steps
      if (atMs < nowMs - hourMs) continue
      out.push(between(from, to, step / steps, atMs))
    }
  }
  return out
}

/** Where the centre is at a time; up to half a day beyond the track's end it is taken to stay there. */
export function centreAt({ points }: Track, atMs: number): TrackPoint | undefined {
  const last = points.at(-1)!
  if (atMs < points[0]!.atMs || atMs > last.atMs + 12 * hourMs) return undefined
  const next = points.findIndex((point) => point.atMs > atMs)
  if (next < 0) return last
  const [from, to] = [points[next - 1]!, points[next]!]
  return between(from, to, (atMs - from.atMs) / (to.atMs - from.atMs), atMs)
}

function between(a: TrackPoint, b: TrackPoint, share: number, atMs: number): TrackPoint {
  const mix = (x: number, y: number) => x + (y - x) * share
  const stormKm =
    a.stormKm === undefined && b.stormKm === undefined ? undefined : mix(a.stormKm ?? 0, b.stormKm ?? a.stormKm ?? 0)
  return {
    atMs,
    latitude: mix(a.latitude, b.latitude),
    longitude: mix(a.longitude, unwrap(b.longitude, a.longitude)),
    radiusKm: mix(a.radiusKm, b.radiusKm),
    windMs: mix(a.windMs, b.windMs),
    ...(stormKm === undefined ? {} : { stormKm }),
  }
}

/** At one hour: how likely damaging wind is there, and the expected loss. */
function hour(place: Position, point: TrackPoint, rules: HazardRules['cyclone']): { reached: number; lost: number } {
  const sigmaKm = point.radiusKm / sigma70
  const away = distanceKm(place, point)
  const edge = Math.max(
    point.stormKm ?? 0,
    rules.coreKm * (point.windMs / rules.lossWindFrom) ** (1 / rules.windExponent),
  )
  if (away > edge + 4 * sigmaKm + 50) return { reached: 0, lost: 0 }
  const x =
    (unwrap(place.longitude, point.longitude) - point.longitude) *
    kmPerDegree *
    Math.cos((point.latitude * Math.PI) / 180)
  const y = (place.latitude - point.latitude) * kmPerDegree
  if (point.windMs <= rules.lossWindFrom) return { reached: 0, lost: 0 }
  const profile = profileOf(point, rules)
  // Beyond it there is no damaging wind: most offsets need no more than their distance.
  const damagingKm = profile.core * (point.windMs / rules.lossWindFrom) ** (1 / profile.exponent)
  let reached = 0
  let lost = 0
  for (const offset of offsets) {
    const [east, north] = [x - offset.x * sigmaKm, y - offset.y * sigmaKm]
    const km2 = east * east + north * north
    if (km2 >= damagingKm * damagingKm) continue
    reached++
    lost += lossAtWind(windIn(profile, point.windMs, Math.sqrt(km2)), rules)
  }
  return { reached: reached / offsets.length, lost: lost / offsets.length }
}

/** The term of one cyclone at one place; none when damaging wind is unlikely there. */
export function cycloneTerms(
  hazard: Hazard,
  shape: Track,
  place: Place,
  nowMs: number,
  rules: HazardRules,
): RiskTerm[] {
  const { cyclone } = rules
  let worst = { reached: 0, lost: 0, atMs: 0, km: 0, windMs: 0 }
  let arrivesMs: number | undefined
  for (const point of hourly(shape, nowMs, cyclone)) {
    const { reached, lost } = hour(place, point, cyclone)
    if (reached >= cyclone.leastProbability) arrivesMs ??= point.atMs
    if (lost > worst.lost || (lost === worst.lost && reached > worst.reached))
      worst = { reached, lost, atMs: point.atMs, km: distanceKm(place, point), windMs: point.windMs }
  }
  if (worst.reached < cyclone.leastProbability || arrivesMs === undefined) return []
  return [
    {
      peril: 'storm',
      probability: hazard.certainty * worst.reached,
      vulnerability: worst.lost / worst.reached,
      source: `cyclone forecast: ${hazard.title}`,
      hazard: hazard.id,
      arrivesMs: Math.max(arrivesMs, nowMs),
      untilMs: hazard.untilMs,
      facts: {
        term: 'cyclone',
        title: hazard.title,
        windMs: Math.round(worst.windMs),
        distanceKm: Math.round(worst.km),
        nearestMs: worst.atMs,
      },
    },
  ]
}
