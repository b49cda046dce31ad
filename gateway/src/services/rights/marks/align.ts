/** Lays a suspect picture upon the original, so that each of its pixels falls into the tile that it was marked in (R6). */
import { canonicalSize, tileSize } from '@azukari/protocol/marks/carriers'
import { residual } from '@azukari/protocol/marks/mask'
import { flip, lumaAt, type MarkPicture, type Plane, resizePlane, symmetries } from '@azukari/protocol/marks/plane'
import { atMarkSize, type Geometry, prepare } from '@azukari/protocol/marks/synchronise'

/** What is left of the suspect, at the places of the original; nothing where it does not reach. */
export interface Aligned {
  residual: Plane
  /** 1 where the suspect reaches, else 0. */
  covered: Uint8Array
  /** How well the two pictures agree, −1 to 1. */
  agreement: number
  /** By the public mark, or as the whole picture. */
  by: 'public mark' | 'whole picture'
}

/** Two pictures agree when their brightness does, by this much. */
export const agreementMin = 0.5
const aspectTolerance = 0.02
const sampleStep = 6

/** Every way in which the suspect lies upon the original, at most two. */
export function alignments(original: MarkPicture, suspect: MarkPicture, geometry: Geometry | undefined): Aligned[] {
  const target = lumaAt(original, canonicalSize)
  const luma = lumaAt(suspect, canonicalSize)
  const found = [wholePicture(target, luma)]
  if (geometry) found.push(byPublicMark(target, luma, geometry))
  return found.filter((aligned) => aligned !== undefined).filter(({ agreement }) => agreement >= agreementMin)
}

/** The suspect shows all of the original, perhaps flipped or turned: needs no public mark. */
function wholePicture(target: Plane, luma: Plane): Aligned | undefined {
  let best: { plane: Plane; agreement: number } | undefined
  for (const symmetry of symmetries) {
    const upright = flip(luma, symmetry)
    const ratio = (upright.width * target.height) / (upright.height * target.width)
    if (Math.abs(ratio - 1) > aspectTolerance) continue
    const plane = resizePlane(upright, target.width, target.height)
    const agreement = agreementAt(target, plane, { a: 1, b: 0, left: 0, top: 0 })
    if (!best || agreement > best.agreement) best = { plane, agreement }
  }
  if (!best) return undefined
  const covered = new Uint8Array(target.width * target.height).fill(1)
  return { residual: residual(best.plane), covered, agreement: best.agreement, by: 'whole picture' }
}

/** Where the target's pixel (x, y) lies in the suspect: rotation by (a, b) of (x + left, y + top). */
interface Place {
  a: number
  b: number
  left: number
  top: number
}

/** The public mark gives size, angle and place up to whole tiles; which tile it is, the pictures tell. */
function byPublicMark(target: Plane, luma: Plane, geometry: Geometry): Aligned {
  const upright = atMarkSize(prepare(luma), geometry)
  const cosine = 1 / Math.sqrt(1 + geometry.tangent * geometry.tangent)
  const columns = { from: -Math.ceil(target.width / tileSize), to: Math.ceil(upright.luma.width / tileSize) }
  const rows = { from: -Math.ceil(target.height / tileSize), to: Math.ceil(upright.luma.height / tileSize) }
  let best: Place | undefined
  let agreement = -1
  for (let row = rows.from; row <= rows.to; row++)
    for (let column = columns.from; column <= columns.to; column++) {
      const place: Place = {
        a: cosine,
        b: cosine * geometry.tangent,
        left: geometry.shiftX + column * tileSize,
        top: geometry.shiftY + row * tileSize,
      }
      const found = agreementAt(target, upright.luma, place)
      if (found <= agreement) continue
      agreement = found
      best = place
    }
  const laid = best && lay(target, upright.residual, best)
  const nothing = { residual: target, covered: new Uint8Array(target.values.length) }
  return { ...(laid ?? nothing), agreement: laid ? agreement : -1, by: 'public mark' }
}

function lay({ width, height }: Plane, from: Plane, { a, b, left, top }: Place) {
  const values = new Float32Array(width * height)
  const covered = new Uint8Array(width * height)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const u = a * (x + left) - b * (y + top)
      const v = b * (x + left) + a * (y + top)
      if (u < 0 || v < 0 || u >= from.width - 1 || v >= from.height - 1) continue
      const ui = Math.floor(u)
      const vi = Math.floor(v)
      const at = vi * from.width + ui
      const upper = from.values[at]! * (1 - u + ui) + from.values[at + 1]! * (u - ui)
      const lower = from.values[at + from.width]! * (1 - u + ui) + from.values[at + from.width + 1]! * (u - ui)
      values[y * width + x] = upper * (1 - v + vi) + lower * (v - vi)
      covered[y * width + x] = 1
    }
  return { residual: { width, height, values }, covered }
}

/** Correlation of brightness where both are; −1 when less than a quarter of the suspect lies upon the original. */
function agreementAt(target: Plane, suspect: Plane, { a, b, left, top }: Place): number {
  let count = 0
  let sumP = 0
  let sumQ = 0
  let squareP = 0
  let squareQ = 0
  let product = 0
  for (let y = 0; y < target.height; y += sampleStep)
    for (let x = 0; x < target.width; x += sampleStep) {
      const u = Math.round(a * (x + left) - b * (y + top))
      const v = Math.round(b * (x + left) + a * (y + top))
      if (u < 0 || v < 0 || u >= suspect.width || v >= suspect.height) continue
      const p = target.values[y * target.width + x]!
      const q = suspect.values[v * suspect.width + u]!
      count++
      sumP += p
      sumQ += q
      squareP += p * p
      squareQ += q * q
      product += p * q
    }
  if (count * sampleStep * sampleStep * 4 < suspect.width * suspect.height) return -1
  const spreadP = squareP - (sumP * sumP) / count
  const spreadQ = squareQ - (sumQ * sumQ) / count
  if (spreadP <= 0 || spreadQ <= 0) return -1
  return (product - (sumP * sumQ) / count) / Math.sqrt(spreadP * spreadQ)
}
