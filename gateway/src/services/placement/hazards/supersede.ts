/** How a newer telling of a hazard by the same feed meets the one that is known. Pure. */
import { distanceKm } from '../../../geography.ts'
import type { Coasts, Hazard, Track } from './hazard.ts'

/** Faster than any cyclone moves: two points that far apart are not of one track. */
const maxKmPerHour = 250

/**
 * What is known after `told`; the same object as `known` when it brings nothing new.
 * An older telling changes nothing. One that knows less than is known (where an earthquake shook but not what it was, where
 * a cyclone is but not where it goes, some coasts of a warning) adds to it rather than replacing it.
 */
export function supersede(known: Hazard, told: Hazard): Hazard {
  const next = told.issuedMs < known.issuedMs ? filled(known, told) : filled(told, known)
  return JSON.stringify(next) === JSON.stringify(known) ? known : next
}

/** What several kinds of report tell of one hazard, put together from the oldest on. */
export function combined(tellings: readonly Hazard[]): Hazard {
  const [first, ...later] = [...tellings].sort((a, b) => a.issuedMs - b.issuedMs)
  return later.reduce(supersede, first!)
}

/** `better`, with what only `other` knows. */
function filled(better: Hazard, other: Hazard): Hazard {
  if (better.shape.kind === 'quake' && other.shape.kind === 'quake' && !better.shape.felt && other.shape.felt)
    return { ...better, shape: { ...better.shape, felt: other.shape.felt } }
  if (better.shape.kind === 'area' && other.shape.kind === 'quake') return other
  if (!better.partial) return better
  const untilMs = Math.max(better.untilMs, other.untilMs)
  const whole = { ...better, untilMs, partial: other.partial ?? false }
  if (better.shape.kind === 'track' && other.shape.kind === 'track')
    return { ...whole, shape: continued(better.shape, other.shape) }
  if (better.shape.kind === 'coasts' && other.shape.kind === 'coasts')
    return { ...whole, shape: allCoasts(better.shape, other.shape) }
  return better
}

/** A track that ends with the present goes on as it was last forecast. */
function continued(now: Track, forecast: Track): Track {
  const last = now.points.at(-1)!
  const ahead = forecast.points.filter(({ atMs }) => atMs > last.atMs)
  const next = ahead[0]
  if (!next) return now
  const hours = (next.atMs - last.atMs) / 3_600_000
  if (distanceKm(last, next) > 50 + maxKmPerHour * hours) return now
  return { ...now, points: [...now.points, ...ahead] }
}

/** Every coast that either names, with the greater height. */
function allCoasts(newer: Coasts, older: Coasts): Coasts {
  const coasts = new Map(older.coasts.map((coast) => [coast.name, coast]))
  for (const coast of newer.coasts) {
    const known = coasts.get(coast.name)
    coasts.set(coast.name, known ? { ...coast, heightM: Math.max(coast.heightM, known.heightM) } : coast)
  }
  return { ...newer, coasts: [...coasts.values()] }
}
