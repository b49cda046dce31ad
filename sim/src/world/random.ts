/** Chance from a seed: the same seed gives the same world (sfc32 by Chris Doty-Humphrey, seeded by splitmix32). */
import type { Random } from '@azukari/protocol/ports'

export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const split = () => {
    state = (state + 0x9e3779b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
  let a = split()
  let b = split()
  let c = split()
  let counter = 1
  const next = () => {
    const value = (a + b + counter++) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + value) | 0
    return value >>> 0
  }
  for (let warm = 0; warm < 12; warm++) next()
  return {
    bytes: (n) => {
      const bytes = new Uint8Array(n)
      for (let at = 0; at < n; at += 4) {
        const word = next()
        for (let i = 0; i < 4 && at + i < n; i++) bytes[at + i] = word >>> (8 * i)
      }
      return bytes
    },
    float: () => next() / 0x1_0000_0000,
  }
}
