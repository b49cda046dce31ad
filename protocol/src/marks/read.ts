/**
 * Reads the public mark of a picture, as any device may (R4): pure, without native code.
 *
 * A picture without one is believed to have one with a chance below 2⁻²⁴ for each decoding (the checksum), of which there
 * are at most `decodingsMax`: fewer than 4 of 10 million pictures, before the score of the synchronisation, which must be
 * reached as well, is counted.
 */
import {
  binOf,
  canonicalSize,
  type Layer,
  publicLayer,
  publicSigns,
  syncLayer,
  syncSigns,
  tileRoots,
  tileSize,
} from './carriers.ts'
import { codedLength, decodeNumber, workFormat } from './error-correction.ts'
import { lumaAt, type MarkPicture, type Plane } from './plane.ts'
import {
  atMarkSize,
  fold,
  type Geometry,
  type Prepared,
  plainGeometry,
  prepare,
  type Spectrum,
  searchedGeometries,
  shiftOf,
  syncScoreMin,
  whiten,
} from './synchronise.ts'

/** How often one picture is decoded at most. */
export const decodingsMax = 4

export interface PublicMark {
  work: bigint
  geometry: Geometry
}

/** @returns undefined when no mark can be read. Pictures below 64 pixels a side have none. */
export function readPublicMark(picture: MarkPicture): PublicMark | undefined {
  if (Math.min(picture.width, picture.height) < 64) return undefined
  return readMarkOf(lumaAt(picture, canonicalSize))
}

/** As `readPublicMark`, of the brightness of a picture at the size of marks. */
export function readMarkOf(luma: Plane): PublicMark | undefined {
  return readPrepared(prepare(luma))
}

/** As `readPublicMark`, of a picture that was prepared already. */
export function readPrepared(prepared: Prepared): PublicMark | undefined {
  const plain = plainGeometry(prepared)
  const read = decodeAt(prepared, plain)
  if (read) return read
  let decodings = 1
  for (const geometry of searchedGeometries(prepared)) {
    const found = decodeAt(prepared, geometry)
    if (found) return found
    if (++decodings === decodingsMax) break
  }
  return undefined
}

function decodeAt(prepared: Prepared, geometry: Geometry): PublicMark | undefined {
  if (geometry.score < syncScoreMin) return undefined
  const { residual } = atMarkSize(prepared, geometry)
  const tangent = uprightTangent(geometry)
  const spectrum = whiten(fold(residual, { scale: 1, tangent }))
  const { shiftX, shiftY, score } = shiftOf(spectrum)
  if (score < syncScoreMin) return undefined
  const weights = ringWeights(spectrum, shiftX, shiftY)
  const work = decodeNumber(workFormat, softBits(spectrum, publicLayer, publicSigns, shiftX, shiftY, weights))
  return work === undefined ? undefined : { work, geometry: { ...geometry, tangent, shiftX, shiftY, score } }
}

/** The angle of a picture after it was flipped upright: a mirror turns it round. */
function uprightTangent({ symmetry, tangent }: Geometry): number {
  const mirrors = (symmetry & 1) + ((symmetry >> 1) & 1) + ((symmetry >> 2) & 1)
  return mirrors % 2 === 1 ? -tangent : tangent
}

function softBits(
  spectrum: Spectrum,
  layer: Layer,
  signs: Int8Array,
  shiftX: number,
  shiftY: number,
  weights: Float64Array,
): Float64Array {
  const coded = codedLength(workFormat)
  const soft = new Float64Array(coded)
  const cosX = phases(shiftX)
  const cosY = phases(shiftY)
  for (let i = 0; i < layer.carriers.length; i++) {
    const { u, v, radius } = layer.carriers[i]!
    const { re, im } = shifted(spectrum, u, v, cosX, cosY)
    const weight = weights[Math.floor(radius)]!
    const a = (2 * i) % coded
    const b = (2 * i + 1) % coded
    soft[a] = soft[a]! + weight * re * signs[2 * i]!
    soft[b] = soft[b]! + weight * im * signs[2 * i + 1]!
  }
  return soft
}

/** How much each frequency ring is to be believed, by how well its synchronisation is in step. */
function ringWeights(spectrum: Spectrum, shiftX: number, shiftY: number): Float64Array {
  const rings = 28
  const agreement = new Float64Array(rings)
  const energy = new Float64Array(rings)
  const phasesX = phases(shiftX)
  const phasesY = phases(shiftY)
  for (let i = 0; i < syncLayer.carriers.length; i++) {
    const { u, v, radius } = syncLayer.carriers[i]!
    const { re, im } = shifted(spectrum, u, v, phasesX, phasesY)
    const ring = Math.floor(radius)
    // A ring alone has few of them: its neighbours count, too.
    for (let near = Math.max(0, ring - 1); near <= Math.min(rings - 1, ring + 1); near++) {
      agreement[near] = agreement[near]! + re * syncSigns[2 * i]! + im * syncSigns[2 * i + 1]!
      energy[near] = energy[near]! + 2 * (re * re + im * im)
    }
  }
  return agreement.map((sum, ring) => {
    const count = energy[ring]!
    if (count === 0) return 0.05
    const coherence = Math.max(0.05, Math.min(1, sum / count))
    return coherence / (1.15 - coherence * coherence)
  })
}

interface Phases {
  cosines: Float64Array
  sines: Float64Array
}

/**
 * cos and sin of 2π·k·shift/`tileSize` for k in [0, 64): of the whole pixels from the table, of the part by its series, exact to 1e−12
 * for half a pixel.
 */
function phases(shift: number): Phases {
  const whole = Math.round(shift)
  const angle = ((shift - whole) * 2 * Math.PI) / tileSize
  const square = angle * angle
  const cosine = 1 - square / 2 + (square * square) / 24
  const sine = angle * (1 - square / 6 + (square * square) / 120)
  const cosines = new Float64Array(64)
  const sines = new Float64Array(64)
  let c = 1
  let s = 0
  for (let k = 0; k < 64; k++) {
    const at = (((k * whole) % tileSize) + tileSize) % tileSize
    cosines[k] = tileRoots.cosines[at]! * c - tileRoots.sines[at]! * s
    sines[k] = tileRoots.cosines[at]! * s + tileRoots.sines[at]! * c
    const next = c * cosine - s * sine
    s = c * sine + s * cosine
    c = next
  }
  return { cosines, sines }
}

/** A value of the spectrum as it were without the shift. */
function shifted({ re, im }: Spectrum, u: number, v: number, x: Phases, y: Phases): { re: number; im: number } {
  const k = Math.abs(u)
  const cx = x.cosines[k]!
  const sx = u < 0 ? -x.sines[k]! : x.sines[k]!
  const cy = y.cosines[v]!
  const sy = y.sines[v]!
  const c = cx * cy - sx * sy
  const s = cx * sy + sx * cy
  const at = binOf(u, v)
  return { re: re[at]! * c - im[at]! * s, im: re[at]! * s + im[at]! * c }
}
