/** Size and angle of a mark whose tiles repeat: their repetition shows in the picture's autocorrelation. */
import { tileSize } from './carriers.ts'
import { Fourier } from './fourier.ts'
import type { Plane } from './plane.ts'

/** How the mark's pixels lie in a plane: the mark's pixel (u, v) is at scale · rotation · (u, v). */
export interface Lattice {
  /** Plane's pixels for one of the mark. */
  scale: number
  /** Tangent of the angle by which the picture was turned. */
  tangent: number
}

const side = 512
const scaleMin = 0.55
const scaleMax = 2.15
const scaleStep = 1.0025
const tangentMax = 0.106
const tangentStep = 0.0026
const reachMax = 3
/** How many lattices are worth a closer look. */
const keptMax = 6

const fourier = new Fourier(side)

/** The likeliest lattices, best first. */
export function latticesOf(residual: Plane): Lattice[] {
  const small = halved(residual)
  const correlation = autocorrelation(small)
  const scored: (Lattice & { score: number })[] = []
  for (let scale = scaleMin; scale <= scaleMax; scale *= scaleStep)
    for (let step = -Math.round(tangentMax / tangentStep); step * tangentStep <= tangentMax; step++) {
      const lattice = { scale, tangent: step * tangentStep }
      scored.push({ ...lattice, score: latticeScore(correlation, small, lattice) })
    }
  scored.sort((a, b) => b.score - a.score)
  const kept: Lattice[] = []
  for (const { scale, tangent } of scored) {
    const isNear = kept.some(
      (other) => Math.abs(other.scale / scale - 1) < 0.012 && Math.abs(other.tangent - tangent) < 0.012,
    )
    if (!isNear) kept.push({ scale, tangent })
    if (kept.length === keptMax) break
  }
  return kept
}

/** Half the size, and not more than fits: of a longer picture its middle. */
function halved({ width, height, values }: Plane): Plane {
  const w = Math.min(side, width >> 1)
  const h = Math.min(side, height >> 1)
  const left = ((width >> 1) - w) & ~1
  const top = ((height >> 1) - h) & ~1
  const half = new Float32Array(w * h)
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      const from = (top + 2 * y) * width + left + 2 * x
      half[y * w + x] = values[from]! + values[from + 1]! + values[from + width]! + values[from + width + 1]!
    }
  return { width: w, height: h, values: half }
}

function autocorrelation({ width, height, values }: Plane): Float64Array {
  const re = new Float64Array(side * side)
  const im = new Float64Array(side * side)
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) re[y * side + x] = values[y * width + x]!
  fourier.forward(re, im)
  const power = new Float64Array(side * side)
  for (let i = 0; i < power.length; i++) power[i] = re[i]! * re[i]! + im[i]! * im[i]!
  const mean = cyclicMean(cyclicMean(power, 1), side)
  for (let i = 0; i < power.length; i++) {
    // The root dampens what the picture itself repeats.
    re[i] = Math.sqrt(power[i]! / (mean[i]! + 1e-12))
    im[i] = 0
  }
  let total = 0
  for (let i = 0; i < re.length; i++) total += re[i]!
  const average = total / re.length
  for (let i = 0; i < re.length; i++) re[i] = re[i]! - average
  fourier.inverse(re, im)
  return re
}

function cyclicMean(values: Float64Array, step: number): Float64Array {
  const mean = new Float64Array(values.length)
  const across = step === 1 ? side : 1
  const reach = 4
  for (let line = 0; line < side; line++) {
    const start = line * across
    let sum = 0
    for (let k = -reach; k <= reach; k++) sum += values[start + (k & (side - 1)) * step]!
    for (let k = 0; k < side; k++) {
      mean[start + k * step] = sum / (2 * reach + 1)
      sum += values[start + ((k + reach + 1) & (side - 1)) * step]! - values[start + ((k - reach) & (side - 1)) * step]!
    }
  }
  return mean
}

function latticeScore(correlation: Float64Array, { width, height }: Plane, { scale, tangent }: Lattice): number {
  const length = (tileSize / 2) * scale
  const cosine = 1 / Math.sqrt(1 + tangent * tangent)
  const a = length * cosine
  const b = a * tangent
  let sum = 0
  let weights = 0
  for (let j = 0; j <= reachMax; j++)
    for (let i = -reachMax; i <= reachMax; i++) {
      if (j === 0 && i <= 0) continue
      const x = a * i - b * j
      const y = b * i + a * j
      const overlap = (1 - Math.abs(x) / width) * (1 - Math.abs(y) / height)
      if (overlap <= 0.05 || Math.abs(x) >= width || Math.abs(y) >= height) continue
      if (Math.abs(x) > side / 2 - 2 || Math.abs(y) > side / 2 - 2) continue
      sum += overlap * sample(correlation, x, y)
      weights += overlap * overlap
    }
  return weights > 0 ? sum / Math.sqrt(weights) : 0
}

function sample(values: Float64Array, x: number, y: number): number {
  const xi = Math.floor(x)
  const yi = Math.floor(y)
  const fx = x - xi
  const fy = y - yi
  const at = (dx: number, dy: number) => values[((yi + dy) & (side - 1)) * side + ((xi + dx) & (side - 1))]!
  return (at(0, 0) * (1 - fx) + at(1, 0) * fx) * (1 - fy) + (at(0, 1) * (1 - fx) + at(1, 1) * fx) * fy
}
