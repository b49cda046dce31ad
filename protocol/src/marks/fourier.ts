/**
 * Fourier transforms of square tiles whose side is a power of two. Roots of unity come from square roots alone, which
 * IEEE 754 rounds exactly, so that every machine gets the same bits.
 */

/** A transform of one size; it keeps its tables and a buffer, and works in place. */
export class Fourier {
  readonly size: number
  readonly #cosines: Float64Array
  readonly #sines: Float64Array
  readonly #reversed: Uint16Array

  /** @param size side of the tile, a power of two of at most 1024 */
  constructor(size: number) {
    this.size = size
    const { cosines, sines } = rootsOfUnity(size)
    this.#cosines = cosines
    this.#sines = sines
    this.#reversed = new Uint16Array(size)
    for (let i = 1; i < size; i++) this.#reversed[i] = (this.#reversed[i >> 1]! >> 1) | (i & 1 ? size >> 1 : 0)
  }

  /** Forward transform (exponent −) of size × size values in rows, not normalised. */
  forward(re: Float64Array, im: Float64Array): void {
    const { size } = this
    for (let row = 0; row < size; row++) this.#line(re, im, row * size)
    transpose(re, size)
    transpose(im, size)
    for (let row = 0; row < size; row++) this.#line(re, im, row * size)
    transpose(re, size)
    transpose(im, size)
  }

  /** Inverse transform (exponent +), not normalised. */
  inverse(re: Float64Array, im: Float64Array): void {
    this.forward(im, re)
  }

  #line(re: Float64Array, im: Float64Array, at: number): void {
    const { size } = this
    const reversed = this.#reversed
    for (let i = 0; i < size; i++) {
      const j = reversed[i]!
      if (j <= i) continue
      const a = at + i
      const b = at + j
      const r = re[a]!
      re[a] = re[b]!
      re[b] = r
      const m = im[a]!
      im[a] = im[b]!
      im[b] = m
    }
    const cosines = this.#cosines
    const sines = this.#sines
    for (let half = 1; half < size; half <<= 1) {
      const step = size / (half << 1)
      for (let k = 0; k < half; k++) {
        const c = cosines[k * step]!
        const s = -sines[k * step]!
        for (let a = at + k; a < at + size; a += half << 1) {
          const b = a + half
          const r = re[b]! * c - im[b]! * s
          const m = re[b]! * s + im[b]! * c
          re[b] = re[a]! - r
          im[b] = im[a]! - m
          re[a] = re[a]! + r
          im[a] = im[a]! + m
        }
      }
    }
  }
}

/** cos and sin of 2πk/size for k in [0, size). */
export function rootsOfUnity(size: number): { cosines: Float64Array; sines: Float64Array } {
  const cosines = new Float64Array(size)
  const sines = new Float64Array(size)
  cosines[0] = 1
  // Half angles: from −1 at half a turn down to one step.
  let cosine = -1
  let sine = 0
  for (let step = size >> 1; step >= 1; step >>= 1) {
    cosines[step] = cosine
    sines[step] = sine
    const half = Math.sqrt((1 + cosine) / 2)
    sine = Math.sqrt((1 - cosine) / 2)
    cosine = half
  }
  for (let k = 1; k < size; k++) {
    const low = k & -k
    const rest = k - low
    if (rest === 0) continue
    cosines[k] = cosines[rest]! * cosines[low]! - sines[rest]! * sines[low]!
    sines[k] = cosines[rest]! * sines[low]! + sines[rest]! * cosines[low]!
  }
  return { cosines, sines }
}

function transpose(values: Float64Array, size: number): void {
  for (let y = 1; y < size; y++)
    for (let x = 0; x < y; x++) {
      const a = y * size + x
      const b = x * size + y
      const value = values[a]!
      values[a] = values[b]!
      values[b] = value
    }
}
