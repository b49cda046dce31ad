/** Structural similarity of two pictures' luma (Wang et al. 2004), over 8×8 windows every 4 pixels. */
import type { MarkPicture } from '@azukari/protocol/marks/plane'

const window = 8
const c1 = (0.01 * 255) ** 2
const c2 = (0.03 * 255) ** 2

export function ssim(a: MarkPicture, b: MarkPicture): number {
  let sum = 0
  let count = 0
  for (let y = 0; y + window <= a.height; y += 4)
    for (let x = 0; x + window <= a.width; x += 4) {
      sum += windowSsim(a, b, x, y)
      count++
    }
  return sum / count
}

function windowSsim(a: MarkPicture, b: MarkPicture, left: number, top: number): number {
  let sumA = 0
  let sumB = 0
  let squareA = 0
  let squareB = 0
  let product = 0
  for (let y = top; y < top + window; y++)
    for (let x = left; x < left + window; x++) {
      const at = (y * a.width + x) * 4
      const p = lumaOf(a.rgba, at)
      const q = lumaOf(b.rgba, at)
      sumA += p
      sumB += q
      squareA += p * p
      squareB += q * q
      product += p * q
    }
  const n = window * window
  const [meanA, meanB] = [sumA / n, sumB / n]
  const [varianceA, varianceB] = [squareA / n - meanA ** 2, squareB / n - meanB ** 2]
  const covariance = product / n - meanA * meanB
  return (
    ((2 * meanA * meanB + c1) * (2 * covariance + c2)) / ((meanA ** 2 + meanB ** 2 + c1) * (varianceA + varianceB + c2))
  )
}

function lumaOf(rgba: Uint8Array, at: number): number {
  return 0.299 * rgba[at]! + 0.587 * rgba[at + 1]! + 0.114 * rgba[at + 2]!
}
