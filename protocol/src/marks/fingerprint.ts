/**
 * A picture's fingerprint: PDQ (256 bits and a quality), by its published description (Facebook, The TMK+PDQF Video-Hashing Algorithm
 * and the PDQ Image-Hashing Algorithm, 2019, §4). What was resized, compressed or recoloured a little is near; what was cropped or turned
 * is not. It says that two pictures look alike, and never that one is the other's copy.
 */
import { rootsOfUnity } from './fourier.ts'
import { lumaAt, type MarkPicture, type Plane } from './plane.ts'

export interface Fingerprint {
  /** 32 bytes. */
  hash: Uint8Array
  /** 0 to 100: how much there is to be told apart; below `qualityMin` the hash says nothing. */
  quality: number
}

/** Of 256 bits, in how many two fingerprints of one picture may differ. */
export const distanceMax = 31
export const qualityMin = 50

/** √(width · height) at which it is looked at: as that of the reference tools, 512 by 512. */
const workingSize = 512
const blocks = 64
const frequencies = 16
/** cos(2π·k/256): of the angles π/128 · (i + 1)(2j + 1) of its cosine transform. */
const angles = 256
const { cosines } = rootsOfUnity(angles)

export function fingerprintOf(picture: MarkPicture): Fingerprint {
  const luma = lumaAt(picture, workingSize)
  const cells = cellsOf(smooth(smooth(luma)))
  return { hash: bitsOf(transform(cells)), quality: qualityOf(cells) }
}

/** In how many bits two hashes differ. */
export function distanceOf(a: Uint8Array, b: Uint8Array): number {
  let distance = 0
  for (let i = 0; i < a.length; i++) for (let left = a[i]! ^ b[i]!; left > 0; left &= left - 1) distance++
  return distance
}

/** One pass of means along rows, then along columns, over a 128th of either side (a Jarosz filter takes two). */
function smooth(plane: Plane): Plane {
  const { width, height } = plane
  const across = new Float32Array(width * height)
  for (let y = 0; y < height; y++) means(plane.values, across, y * width, 1, width)
  const values = new Float32Array(width * height)
  for (let x = 0; x < width; x++) means(across, values, x, width, height)
  return { width, height, values }
}

/** Means over a window around each value of a line, which is cut off at the line's ends. */
function means(from: Float32Array, to: Float32Array, start: number, step: number, length: number): void {
  const window = Math.ceil(length / (2 * blocks))
  const after = (window + 2) >> 1
  let sum = 0
  let count = 0
  for (let enters = 0, leaves = -window, at = 1 - after; at < length; enters++, leaves++, at++) {
    if (enters < length) {
      sum += from[start + enters * step]!
      count++
    }
    if (leaves >= 0) {
      sum -= from[start + leaves * step]!
      count--
    }
    if (at >= 0) to[start + at * step] = sum / count
  }
}

/** One value from the middle of each of 64 by 64 cells. */
function cellsOf({ width, height, values }: Plane): Float64Array {
  const cells = new Float64Array(blocks * blocks)
  for (let i = 0; i < blocks; i++) {
    const y = Math.floor(((2 * i + 1) * height) / (2 * blocks))
    for (let j = 0; j < blocks; j++)
      cells[i * blocks + j] = values[y * width + Math.floor(((2 * j + 1) * width) / (2 * blocks))]!
  }
  return cells
}

function qualityOf(cells: Float64Array): number {
  const step = (a: number, b: number) => Math.abs(Math.trunc(((cells[a]! - cells[b]!) * 100) / 255))
  let sum = 0
  for (let i = 0; i < blocks; i++)
    for (let j = 0; j + 1 < blocks; j++) {
      sum += step(i * blocks + j, i * blocks + j + 1)
      sum += step(j * blocks + i, (j + 1) * blocks + i)
    }
  return Math.min(100, Math.trunc(sum / 90))
}

/** The 16 by 16 lowest frequencies but the mean, of rows and of columns. A common factor says nothing here. */
function transform(cells: Float64Array): Float64Array {
  const rows = new Float64Array(frequencies * blocks)
  for (let u = 0; u < frequencies; u++)
    for (let j = 0; j < blocks; j++) {
      let sum = 0
      for (let i = 0; i < blocks; i++) sum += cosines[((u + 1) * (2 * i + 1)) % angles]! * cells[i * blocks + j]!
      rows[u * blocks + j] = sum
    }
  const both = new Float64Array(frequencies * frequencies)
  for (let u = 0; u < frequencies; u++)
    for (let v = 0; v < frequencies; v++) {
      let sum = 0
      for (let j = 0; j < blocks; j++) sum += rows[u * blocks + j]! * cosines[((v + 1) * (2 * j + 1)) % angles]!
      both[u * frequencies + v] = sum
    }
  return both
}

/** A bit for each frequency above the (lower) median, the first frequency last, as PDQ's hexadecimal form has it. */
function bitsOf(values: Float64Array): Uint8Array {
  const median = values.toSorted()[(values.length >> 1) - 1]!
  const hash = new Uint8Array(values.length / 8)
  for (const [at, value] of values.entries())
    if (value > median) hash[hash.length - 1 - (at >> 3)] = hash[hash.length - 1 - (at >> 3)]! | (1 << (at & 7))
  return hash
}
