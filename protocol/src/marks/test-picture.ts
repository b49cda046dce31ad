/** Pictures for tests of marks: clouds of several sizes, edges and grain, the same for a seed on every machine. */
import type { MarkPicture } from './plane.ts'

/** Evenly spread numbers from a seed (xorshift32), in [0, 1). */
export function chanceFrom(seed: number): () => number {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x2545f491) | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

export function drawTestPicture(seed: number, width: number, height: number): MarkPicture {
  const chance = chanceFrom(seed)
  const clouds = [160, 60, 22, 8, 3].map((size) => cloud(chance, size, width, height))
  const amounts = [90, 45, 28, 14, 8]
  // A horizon that is an edge, and a calm sky above it.
  const horizon = height * (0.3 + 0.3 * chance())
  const tint = [chance() * 40 - 20, chance() * 20 - 10, chance() * 40 - 20]
  const rgba = new Uint8Array(width * height * 4)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const isSky = y < horizon
      let value = isSky ? 165 : 105
      for (let i = 0; i < clouds.length; i++) {
        const calm = isSky && i > 1 ? 0.2 : 1
        value += (clouds[i]![y * width + x]! - 0.5) * amounts[i]! * calm
      }
      value += (chance() - 0.5) * 5
      const at = (y * width + x) * 4
      for (let channel = 0; channel < 3; channel++)
        rgba[at + channel] = Math.max(0, Math.min(255, Math.floor(value + tint[channel]!)))
      rgba[at + 3] = 255
    }
  return { width, height, rgba }
}

function cloud(chance: () => number, size: number, width: number, height: number): Float64Array {
  const columns = Math.ceil(width / size) + 2
  const grid = Float64Array.from({ length: columns * (Math.ceil(height / size) + 2) }, chance)
  const values = new Float64Array(width * height)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const u = Math.floor(x / size)
      const v = Math.floor(y / size)
      const fx = x / size - u
      const fy = y / size - v
      const at = v * columns + u
      const upper = grid[at]! * (1 - fx) + grid[at + 1]! * fx
      const lower = grid[at + columns]! * (1 - fx) + grid[at + columns + 1]! * fx
      values[y * width + x] = upper * (1 - fy) + lower * fy
    }
  return values
}
