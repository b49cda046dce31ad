/** Finds how the tiles of a mark lie in a picture: flips, turns, shift, and, where needed, size and angle. */
import { binOf, syncLayer, syncSigns, tileSize } from './carriers.ts'
import { Fourier } from './fourier.ts'
import { type Lattice, latticesOf } from './lattice.ts'
import { residual } from './mask.ts'
import { flip, type Plane, resizePlane, symmetries } from './plane.ts'

/** From how many standard deviations on synchronisation is believed. */
export const syncScoreMin = 5.5

/** How the tiles lie in a picture of the canonical size. */
export interface Geometry extends Lattice {
  /** How the picture was flipped and turned, to be undone by the same (plane.ts). */
  symmetry: number
  /** Place of the tile's origin in a folded tile, in pixels, with parts of them. */
  shiftX: number
  shiftY: number
  /** Standard deviations above what unmarked pictures give. */
  score: number
}

/** Spectrum of a folded tile, each value divided by the mean magnitude around it. */
export interface Spectrum {
  re: Float64Array
  im: Float64Array
}

const fourier = new Fourier(tileSize)
const area = tileSize * tileSize
const tileMask = tileSize - 1
const plain: Lattice = { scale: 1, tangent: 0 }

/** What a reader works on: the picture's luma at the canonical size, and what is left of it. */
export interface Prepared {
  luma: Plane
  residual: Plane
}

export function prepare(luma: Plane): Prepared {
  return { luma, residual: residual(luma) }
}

/** The tiles as they lie when the picture was resized, flipped or turned at most, or shifted by whole parts. */
export function plainGeometry({ residual }: Prepared): Geometry {
  return bestSymmetry(whiten(fold(residual, plain)), plain)
}

/** Geometries for cropped, enlarged and rotated pictures, the likeliest first. Takes several times as long. */
export function* searchedGeometries({ residual }: Prepared): Generator<Geometry> {
  for (const lattice of latticesOf(residual)) {
    const geometry = climb(residual, lattice)
    if (geometry.score >= syncScoreMin) yield geometry
  }
}

/**
 * A picture's residual in the mark's own pixels: flipped and turned back, at the size at which it was written, so that
 * what is measured next is measured where the mark is.
 */
export function atMarkSize({ luma }: Prepared, { scale, symmetry }: Geometry): { residual: Plane; luma: Plane } {
  const upright = flip(luma, symmetry)
  const resized = resizePlane(upright, Math.round(upright.width / scale), Math.round(upright.height / scale))
  return { residual: residual(resized), luma: resized }
}

/** The sum of all tiles of a plane, as they lie in it. */
export function fold({ width, height, values }: Plane, { scale, tangent }: Lattice): Float64Array {
  const tile = new Float64Array(area)
  if (scale === 1 && tangent === 0) {
    for (let y = 0; y < height; y++) {
      const row = (y % tileSize) * tileSize
      for (let x = 0; x < width; x++) {
        const at = row + (x % tileSize)
        tile[at] = tile[at]! + values[y * width + x]!
      }
    }
    return tile
  }
  const cosine = 1 / Math.sqrt(1 + tangent * tangent)
  const a = scale * cosine
  const b = scale * cosine * tangent
  // Where the plane's corners lie among the mark's pixels.
  const extent = corners(width, height, a, b)
  for (let v = extent.top; v <= extent.bottom; v++) {
    const row = (v & tileMask) * tileSize
    for (let u = extent.left; u <= extent.right; u++) {
      const x = a * u - b * v
      const y = b * u + a * v
      if (!(x >= 0 && y >= 0 && x < width - 1 && y < height - 1)) continue
      // Truncation is the floor here, and much the faster.
      const xi = x | 0
      const yi = y | 0
      const fx = x - xi
      const fy = y - yi
      const from = yi * width + xi
      const upper = values[from]! + (values[from + 1]! - values[from]!) * fx
      const lower = values[from + width]! + (values[from + width + 1]! - values[from + width]!) * fx
      const at = row + (u & tileMask)
      tile[at] = tile[at]! + upper + (lower - upper) * fy
    }
  }
  return tile
}

function corners(width: number, height: number, a: number, b: number) {
  const norm = a * a + b * b
  const us = [0, width, 0, width].map((x, i) => (a * x + b * (i < 2 ? 0 : height)) / norm)
  const vs = [0, width, 0, width].map((x, i) => (a * (i < 2 ? 0 : height) - b * x) / norm)
  return {
    left: Math.floor(Math.min(...us)),
    right: Math.ceil(Math.max(...us)),
    top: Math.floor(Math.min(...vs)),
    bottom: Math.ceil(Math.max(...vs)),
  }
}

/** Remainder of a whole number that is never negative. */
function modulo(value: number): number {
  return value & tileMask
}

/** Spectrum of one tile. */
export function whiten(tile: Float64Array): Spectrum {
  const re = tile.slice()
  const im = new Float64Array(area)
  fourier.forward(re, im)
  return divideByMean(re, im)
}

function divideByMean(re: Float64Array, im: Float64Array): Spectrum {
  const magnitude = new Float64Array(area)
  for (let i = 0; i < area; i++) magnitude[i] = Math.sqrt(re[i]! * re[i]! + im[i]! * im[i]!)
  const mean = cyclicMean(cyclicMean(magnitude, 1), tileSize)
  for (let i = 0; i < area; i++) {
    const divisor = mean[i]! + 1e-12
    re[i] = re[i]! / divisor
    im[i] = im[i]! / divisor
  }
  return { re, im }
}

/** Mean of seven values in a row (step 1) or a column (step `tileSize`), around the border. */
function cyclicMean(values: Float64Array, step: number): Float64Array {
  const mean = new Float64Array(area)
  const across = step === 1 ? tileSize : 1
  for (let line = 0; line < tileSize; line++) {
    const start = line * across
    let sum = 0
    for (let k = -3; k <= 3; k++) sum += values[start + modulo(k) * step]!
    for (let k = 0; k < tileSize; k++) {
      mean[start + k * step] = sum / 7
      sum += values[start + modulo(k + 4) * step]! - values[start + modulo(k - 3) * step]!
    }
  }
  return mean
}

/** Of the eight flips and turns the one whose synchronisation fits best. */
function bestSymmetry(spectrum: Spectrum, lattice: Lattice): Geometry {
  let best: Geometry = { ...lattice, symmetry: 0, shiftX: 0, shiftY: 0, score: 0 }
  for (const symmetry of symmetries) {
    const found = correlate(spectrum, symmetry)
    if (found.score > best.score) best = { ...lattice, symmetry, ...found }
  }
  return best
}

/** Shift and score of an upright picture's folded tile. */
export function shiftOf(spectrum: Spectrum): { shiftX: number; shiftY: number; score: number } {
  return correlate(spectrum, 0)
}

/**
 * Cross-correlation with the synchronisation. The value of a tile flipped by `symmetry` at (u, v) stands at another place
 * in the spectrum of the tile as it is: there it is looked up.
 */
function correlate({ re, im }: Spectrum, symmetry: number): { shiftX: number; shiftY: number; score: number } {
  const cross = new Float64Array(area)
  const crossIm = new Float64Array(area)
  for (let i = 0; i < syncLayer.carriers.length; i++) {
    const { u, v } = syncLayer.carriers[i]!
    const a = symmetry & 1 ? -u : u
    const b = symmetry & 2 ? -v : v
    const from = symmetry & 4 ? binOf(b, a) : binOf(a, b)
    const s = syncSigns[2 * i]!
    const t = syncSigns[2 * i + 1]!
    const here = binOf(u, v)
    const mirror = binOf(-u, -v)
    cross[here] = re[from]! * s + im[from]! * t
    crossIm[here] = im[from]! * s - re[from]! * t
    cross[mirror] = cross[here]!
    crossIm[mirror] = -crossIm[here]!
  }
  fourier.inverse(cross, crossIm)
  return peakOf(cross)
}

function peakOf(values: Float64Array): { shiftX: number; shiftY: number; score: number } {
  let peak = 0
  let squares = 0
  for (let i = 0; i < area; i++) {
    squares += values[i]! * values[i]!
    if (values[i]! > values[peak]!) peak = i
  }
  const x = peak % tileSize
  const y = (peak - x) / tileSize
  const at = (dx: number, dy: number) => values[modulo(y + dy) * tileSize + modulo(x + dx)]!
  const deviation = Math.sqrt(squares / area)
  return {
    shiftX: x + summit(at(-1, 0), at(0, 0), at(1, 0)),
    shiftY: y + summit(at(0, -1), at(0, 0), at(0, 1)),
    score: deviation > 0 ? at(0, 0) / deviation : 0,
  }
}

/** Where a parabola through three values has its top, in [−½, ½]. */
function summit(before: number, here: number, after: number): number {
  const bend = before - 2 * here + after
  return bend >= 0 ? 0 : Math.max(-0.5, Math.min(0.5, (0.5 * (before - after)) / bend))
}

const steps = [0.0025, 0.00125, 0.0006]
/** Below this after the first step it is noise: the best of all shifts and flips of an unmarked picture is about 4.6. */
const climbScoreMin = 4.8

/** Walks to the best size and angle nearby. */
function climb(plane: Plane, lattice: Lattice): Geometry {
  let best = bestSymmetry(whiten(fold(plane, lattice)), lattice)
  for (const step of steps) {
    for (let round = 0; round < 3; round++) {
      const before = best
      for (const [grow, turn] of neighbours) {
        const tried: Lattice = {
          scale: before.scale * (1 + grow * step),
          tangent: before.tangent + turn * step,
        }
        const found = correlate(whiten(fold(plane, tried)), before.symmetry)
        if (found.score > best.score) best = { ...before, ...tried, ...found }
      }
      if (best === before) break
    }
    if (best.score < climbScoreMin) break
  }
  return best
}

const neighbours: readonly (readonly [grow: number, turn: number])[] = [
  [1, 0],
  [-1, 0],
  [0, 1],
  [0, -1],
]
