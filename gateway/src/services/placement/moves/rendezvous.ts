/** Weighted rendezvous hashing of whole buckets: a server that comes or goes moves only what must move (ARCHITECTURE §7). */

export interface Weighed {
  /** Hash of the server's id: `seedOf`. */
  seed: number
  capacityBytes: number
}

/** Weighted rendezvous among those that pass: a server with twice the capacity wins twice as often. */
export function highest<T extends Weighed>(
  places: readonly T[],
  passes: (place: T) => boolean,
  seed: number,
): T | undefined {
  let best: T | undefined
  let most = 0
  for (const place of places) {
    if (!passes(place)) continue
    const weight = -place.capacityBytes / Math.log((mix(seed ^ place.seed) + 1) / 4_294_967_297)
    if (!best || weight > most) {
      best = place
      most = weight
    }
  }
  return best
}

/** FNV-1a over the id. */
export function seedOf(server: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < server.length; at++) hash = Math.imul(hash ^ server.charCodeAt(at), 0x01000193)
  return mix(hash)
}

/** A 32-bit finaliser (of MurmurHash3): every bit of the input moves about half of the output’s. */
export function mix(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
