/** How much a picture hides at each place, and what of it may be a mark. */
import { boxMean, type Plane } from './plane.ts'

/** Strength of marks. More is read from worse copies and seen sooner; docs/rights.md has what this one gives. */
const strength = 1
const deviationOffset = 5

/** Standard deviation around each pixel: the least of nine 7×7 windows, so that no halo appears beside an edge. */
export function localDeviation(luma: Plane): Plane {
  const { width, height, values } = luma
  const mean = boxMean(luma, 3).values
  const squares = boxMean({ width, height, values: values.map((value) => value * value) }, 3).values
  const deviation = new Float32Array(width * height)
  for (let i = 0; i < deviation.length; i++) deviation[i] = Math.sqrt(Math.max(0, squares[i]! - mean[i]! * mean[i]!))
  return { width, height, values: leastOfNine(deviation, width, height) }
}

function leastOfNine(values: Float32Array, width: number, height: number): Float32Array {
  const across = new Float32Array(values.length)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const row = y * width
      const left = values[row + Math.max(0, x - deviationOffset)]!
      const right = values[row + Math.min(width - 1, x + deviationOffset)]!
      across[row + x] = Math.min(values[row + x]!, left, right)
    }
  const least = new Float32Array(values.length)
  for (let y = 0; y < height; y++) {
    const up = Math.max(0, y - deviationOffset) * width
    const down = Math.min(height - 1, y + deviationOffset) * width
    for (let x = 0; x < width; x++)
      least[y * width + x] = Math.min(across[y * width + x]!, across[up + x]!, across[down + x]!)
  }
  return least
}

/** Amplitude of a mark at each pixel, in steps of luma: more where the picture is busy, less near black and white. */
export function markAmplitude(luma: Plane, deviation: Plane): Float32Array {
  const amplitude = new Float32Array(luma.values.length)
  for (let i = 0; i < amplitude.length; i++) {
    const y = luma.values[i]!
    const room = Math.max(0.25, Math.min(1, (y + 8) / 40, (263 - y) / 40))
    amplitude[i] = strength * room * Math.min(4.5, 0.9 + 0.17 * deviation.values[i]!)
  }
  return amplitude
}

/**
 * What is left of a picture when its own content is taken away as far as possible. Each pixel counts as much as its
 * surroundings let it: divided by their energy to the power of ¾.
 */
export function residual(luma: Plane): Plane {
  const { width, height } = luma
  const fine = boxMean(luma, 1).values
  const coarse = boxMean(boxMean(luma, 4), 4).values
  const values = new Float32Array(luma.values.length)
  const squares = new Float32Array(luma.values.length)
  for (let i = 0; i < values.length; i++) {
    const value = fine[i]! - coarse[i]!
    values[i] = value
    squares[i] = value * value
  }
  const energy = boxMean({ width, height, values: squares }, 5).values
  for (let i = 0; i < values.length; i++) {
    const root = Math.sqrt(Math.max(0, energy[i]!) + 1)
    values[i] = values[i]! / (root * Math.sqrt(root))
  }
  return { width, height, values }
}
