/** How a newer telling of a hazard by the same feed meets the one that is known. Pure. */
import type { Hazard } from './hazard.ts'

/**
 * What is known after `told`; the same object as `known` when it brings nothing new.
 * An older telling changes nothing. One that knows less of an earthquake than is known (where it shook but not what it
 * was, or the other way round) adds to it rather than replacing it.
 */
export function supersede(known: Hazard, told: Hazard): Hazard {
  if (told.issuedMs < known.issuedMs) return filled(known, told)
  const next = filled(told, known)
  return JSON.stringify(next) === JSON.stringify(known) ? known : next
}

/** `better`, with what only `other` knows. */
function filled(better: Hazard, other: Hazard): Hazard {
  if (better.shape.kind === 'quake' && other.shape.kind === 'quake' && !better.shape.felt && other.shape.felt)
    return { ...better, shape: { ...better.shape, felt: other.shape.felt } }
  if (better.shape.kind === 'area' && other.shape.kind === 'quake') return other
  return better
}
