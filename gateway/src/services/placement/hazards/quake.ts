/**
 * What an earthquake means for a place: the intensity there, the loss by it, and the aftershocks to come.
 * Formulas and their sources: docs/risk.md.
 */
import { distanceKm, type Position } from '../../../geography.ts'
import type { RiskTerm } from '../risk/risk.ts'
import type { Hazard, Quake } from './hazard.ts'
import { normalCdf } from './normal.ts'
import type { Ground, Place } from './place.ts'
import type { HazardRules } from './rules.ts'

const dayMs = 86_400_000

/**
 * JMA intensity at a place: Si & Midorikawa (1999) for peak velocity, with the distance to the fault taken as the Japan
 * Meteorological Agency's early warning takes it (hypocentral distance less half the fault's length, 3 km at least), and
 * Midorikawa et al. (1999) from velocity to intensity.
 * @param amplification of peak velocity by the ground, against Vs 400 m/s
 */
export function intensityAt(at: Position, { at: epicentre, depthKm, magnitude }: Quake, amplification: number): number {
  // Utsu (1982) for local magnitudes; feeds mix kinds of magnitude, and 0.17 is less than they differ by.
  const mw = magnitude >= 8 ? magnitude : magnitude - 0.171
  const faultKm = 10 ** (0.5 * mw - 1.85)
  const depth = Math.min(depthKm, 200)
  const hypocentral = Math.hypot(distanceKm(at, epicentre), depthKm)
  const x = Math.max(3, hypocentral - faultKm / 2)
  const log = 0.58 * mw + 0.0038 * depth - 1.29 - Math.log10(x + 0.0028 * 10 ** (0.5 * mw)) - 0.002 * x
  const velocity = 10 ** log * 1.31 * amplification
  return Math.min(7, Math.max(0, 2.68 + 1.72 * Math.log10(velocity)))
}

/** Probability that a data server loses its data at an intensity. */
export function lossAtIntensity(intensity: number, { lossIntensity, lossSpread }: HazardRules['quake']): number {
  return normalCdf((intensity - lossIntensity) / lossSpread)
}

/**
 * Expected number of aftershocks of at least `magnitude` from `fromDays` to `toDays` after a main shock (Reasenberg &
 * Jones 1989).
 */
export function aftershocks(
  main: number,
  magnitude: number,
  fromDays: number,
  toDays: number,
  { aftershockA: a, aftershockB: b, aftershockP: p, aftershockCDays: c }: HazardRules['quake'],
): number {
  const rate = 10 ** (a + b * (main - magnitude))
  if (Math.abs(p - 1) < 1e-9) return rate * Math.log((toDays + c) / (fromDays + c))
  return (rate * ((toDays + c) ** (1 - p) - (fromDays + c) ** (1 - p))) / (1 - p)
}

/** Terms of one earthquake at one place: the main shock's own until its silence speaks, and aftershocks. */
export function quakeTerms(hazard: Hazard, shape: Quake, place: Place, nowMs: number, rules: HazardRules): RiskTerm[] {
  const { quake } = rules
  if (shape.magnitude < quake.leastMagnitude) return []
  const amplification = place.ground.amplification ?? quake.amplification
  const apartKm = distanceKm(place, shape.at)
  const measured = shape.felt?.find(({ region }) => region === place.region)?.intensity
  const predicted = intensityAt(place, shape, amplification)
  // A region's greatest measured intensity is an upper bound for the place; the greater of both is the safe side.
  const intensity = Math.max(predicted, Math.min(measured ?? 0, predicted + 1))
  const agoMs = Math.max(0, nowMs - hazard.fromMs)
  const facts = {
    magnitude: shape.magnitude,
    depthKm: Math.round(shape.depthKm),
    distanceKm: Math.round(apartKm),
    intensity: round(intensity, 2),
    ...(measured === undefined ? {} : { measured }),
    title: hazard.title,
  }
  const terms: RiskTerm[] = []
  const own = {
    probability: hazard.certainty * 0.5 ** (agoMs / (quake.ownHalfLifeHours * 3_600_000)),
    vulnerability: lossAtIntensity(intensity, quake),
  }
  if (intensity >= quake.feltIntensity)
    terms.push({
      peril: 'earthquake',
      ...own,
      source: `main shock: ${hazard.title}`,
      hazard: hazard.id,
      untilMs: hazard.untilMs,
      facts: { ...facts, term: 'shock' },
    })
  const after = aftershockTerm(hazard, shape, place, agoMs / dayMs, rules, intensity - predicted, amplification)
  if (after) terms.push({ ...after, facts: { ...facts, ...after.facts, term: 'aftershocks' } })
  return terms
}

function aftershockTerm(
  hazard: Hazard,
  shape: Quake,
  place: Position & { ground: Ground },
  agoDays: number,
  { quake }: HazardRules,
  correction: number,
  amplification: number,
): RiskTerm | undefined {
  const step = 0.25
  const greatest = intensityAt(place, { ...shape, magnitude: shape.magnitude + 1 + step }, amplification)
  if (greatest + Math.max(0, correction) < quake.feltIntensity) return undefined
  let reached = 0
  let lost = 0
  // From far below the main shock to one magnitude above it: a main shock may turn out to be a foreshock (Kumamoto 2016).
  for (let magnitude = Math.max(4, shape.magnitude - 3); magnitude <= shape.magnitude + 1; magnitude += step) {
    const intensity =
      intensityAt(place, { ...shape, magnitude: magnitude + step / 2 }, amplification) + Math.max(0, correction)
    if (intensity < quake.feltIntensity) continue
    const count =
      aftershocks(shape.magnitude, magnitude, agoDays, agoDays + quake.horizonDays, quake) -
      aftershocks(shape.magnitude, magnitude + step, agoDays, agoDays + quake.horizonDays, quake)
    reached += count
    lost += count * lossAtIntensity(intensity, quake)
  }
  const probability = 1 - Math.exp(-reached)
  if (!(probability > 1e-6)) return undefined
  return {
    peril: 'earthquake',
    probability: hazard.certainty * probability,
    vulnerability: Math.min(1, (1 - Math.exp(-lost)) / probability),
    source: `aftershocks: ${hazard.title}`,
    hazard: hazard.id,
    untilMs: hazard.untilMs,
    facts: { days: round(agoDays, 2), horizonDays: quake.horizonDays },
  }
}

function round(value: number, places: number): number {
  return Math.round(value * 10 ** places) / 10 ** places
}
