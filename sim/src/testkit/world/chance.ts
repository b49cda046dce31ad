/** Chance from a seed: the same seed, the same run. Keys made from it are for simulation only. */
import type { Random } from '@azukari/protocol/ports'

export class SeededRandom implements Random {
  #a: number
  #b: number
  #c: number
  #d: number

  constructor(seed: number, stream = 0) {
    // Expanded by SplitMix32, so that neighbouring seeds have nothing in common.
    let state = (seed ^ Math.imul(stream + 1, 0x9e3779b9)) >>> 0
    const next = () => {
      state = (state + 0x9e3779b9) >>> 0
      let z = state
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
      return (z ^ (z >>> 15)) >>> 0
    }
    this.#a = next()
    this.#b = next()
    this.#c = next()
    this.#d = next() | 1
  }

  /** Uniform 32 bits (sfc32). */
  uint32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t
    return t >>> 0
  }

  float(): number {
    return this.uint32() / 2 ** 32
  }

  bytes(n: number): Uint8Array {
    const bytes = new Uint8Array(n)
    for (let at = 0; at < n; at += 4) {
      const word = this.uint32()
      for (let i = 0; i < 4 && at + i < n; i++) bytes[at + i] = word >>> (8 * i)
    }
    return bytes
  }

  /** Integer in [low, high]. */
  between(low: number, high: number): number {
    return low + Math.floor(this.float() * (high - low + 1))
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.float() < probability
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.float() * items.length)]!
  }

  /** A source of its own: what it gives does not depend on how often others are asked. */
  fork(stream: number): SeededRandom {
    return new SeededRandom(this.uint32(), stream)
  }
}
