/**
 * Writes marks into a picture: the public work id, the same in every tile, and, where asked for, a keyed mark of which only
 * the signs are given here (R1–R3). Every operation is exact or in a fixed order: the same picture and ids give the same
 * bytes on every machine.
 */
import { Problem } from '../problem.ts'
import {
  addLayer,
  canonicalSize,
  keyedLayer,
  keyedSignCount,
  type Layer,
  publicLayer,
  publicSigns,
  syncLayer,
  syncSigns,
  tileSize,
} from './carriers.ts'
import { encodeNumber, workFormat } from './error-correction.ts'
import { Fourier } from './fourier.ts'
import { localDeviation, markAmplitude } from './mask.ts'
import { lumaAt, type MarkPicture, type Plane } from './plane.ts'

/** Smallest picture that holds a mark: √(width · height), and its shorter side, in pixels. */
export const markSizeMin = 400
export const markSideMin = 200

/** Signs of the keyed mark in the tile at that column and row: `keyedSignCount` values of +1 and −1. */
export type KeyedSigns = (column: number, row: number) => Int8Array

export interface Marks {
  /** Public id of the work, 0 ≤ id < 2⁶⁴. */
  work: bigint
  keyed?: KeyedSigns
}

const fourier = new Fourier(tileSize)

/**
 * A marked copy of a picture; alpha and what is wholly transparent stay as they are.
 *
 * @throws {Problem} `mark.unsuitable` when the picture is too small to hold one
 */
export function embedMarks(picture: MarkPicture, { work, keyed }: Marks): MarkPicture {
  checkSize(picture)
  const luma = lumaAt(picture, canonicalSize)
  const amplitude = markAmplitude(luma, localDeviation(luma))
  const pattern = patternOf(luma.width, luma.height, publicTile(work), keyed)
  for (let i = 0; i < amplitude.length; i++) pattern.values[i] = pattern.values[i]! * amplitude[i]!
  return addToPicture(picture, pattern)
}

/** @throws {Problem} `mark.unsuitable` */
export function checkSize({ width, height }: { width: number; height: number }): void {
  if (Math.min(width, height) < markSideMin || Math.sqrt(width * height) < markSizeMin)
    throw new Problem(
      'mark.unsuitable',
      `${width} × ${height} pixels are too few; the shorter side needs ${markSideMin}, and width × height ${markSizeMin ** 2}`,
    )
}

/** Signs of the public mark with the bits of that number. */
export function workSigns(work: bigint): Int8Array {
  return withBits(publicSigns, encodeNumber(workFormat, work))
}

/** Signs multiplied with coded bits, again and again from their first. */
export function withBits(signs: Int8Array, coded: Int8Array): Int8Array {
  return signs.map((sign, i) => sign * coded[i % coded.length]!)
}

/** The tile that repeats: synchronisation and the public mark. */
function publicTile(work: bigint): Float64Array {
  const re = new Float64Array(tileSize * tileSize)
  const im = new Float64Array(tileSize * tileSize)
  addLayer(re, im, syncLayer, syncSigns)
  addLayer(re, im, publicLayer, workSigns(work))
  fourier.inverse(re, im)
  return re
}

function patternOf(width: number, height: number, tile: Float64Array, keyed: KeyedSigns | undefined): Plane {
  const values = new Float32Array(width * height)
  const columns = Math.ceil(width / tileSize)
  const rows = Math.ceil(height / tileSize)
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column += 2) {
      const [left, right] = keyed ? keyedTiles(keyed, keyedLayer, column, row) : [undefined, undefined]
      addTile(values, width, height, column, row, tile, left)
      if (column + 1 < columns) addTile(values, width, height, column + 1, row, tile, right)
    }
  return { width, height, values }
}

/** Two neighbours by one transform: one as its real part, one as its imaginary. */
function keyedTiles(
  keyed: KeyedSigns,
  layer: Layer,
  column: number,
  row: number,
): [left: Float64Array, right: Float64Array] {
  const re = new Float64Array(tileSize * tileSize)
  const im = new Float64Array(tileSize * tileSize)
  addLayer(re, im, layer, keyed(column, row).subarray(0, keyedSignCount))
  addLayer(re, im, layer, keyed(column + 1, row).subarray(0, keyedSignCount), 'imaginary')
  fourier.inverse(re, im)
  return [re, im]
}

function addTile(
  values: Float32Array,
  width: number,
  height: number,
  column: number,
  row: number,
  tile: Float64Array,
  keyed: Float64Array | undefined,
): void {
  const xEnd = Math.min(tileSize, width - column * tileSize)
  const yEnd = Math.min(tileSize, height - row * tileSize)
  for (let y = 0; y < yEnd; y++) {
    const to = (row * tileSize + y) * width + column * tileSize
    const from = y * tileSize
    for (let x = 0; x < xEnd; x++) values[to + x] = tile[from + x]! + (keyed ? keyed[from + x]! : 0)
  }
}

/** Adds a plane, brought to the picture's size between its pixels, to red, green and blue alike. */
function addToPicture(picture: MarkPicture, plane: Plane): MarkPicture {
  const { width, height } = picture
  const rgba = picture.rgba.slice()
  const { at, part } = between(width, plane.width)
  const { at: rowAt, part: rowPart } = between(height, plane.height)
  const line = new Float32Array(plane.width)
  for (let y = 0; y < height; y++) {
    const above = rowAt[y]! * plane.width
    const below = Math.min(plane.height - 1, rowAt[y]! + 1) * plane.width
    const share = rowPart[y]!
    for (let x = 0; x < plane.width; x++)
      line[x] = plane.values[above + x]! * (1 - share) + plane.values[below + x]! * share
    for (let x = 0, to = y * width * 4; x < width; x++, to += 4) {
      if (rgba[to + 3] === 0) continue
      const left = at[x]!
      const right = Math.min(plane.width - 1, left + 1)
      const delta = line[left]! * (1 - part[x]!) + line[right]! * part[x]!
      rgba[to] = inByte(rgba[to]! + delta)
      rgba[to + 1] = inByte(rgba[to + 1]! + delta)
      rgba[to + 2] = inByte(rgba[to + 2]! + delta)
    }
  }
  return { width, height, rgba }
}

/** For each pixel of a line the pixel of the other line at its left, and how far it is towards the next. */
function between(length: number, other: number): { at: Int32Array; part: Float32Array } {
  const at = new Int32Array(length)
  const part = new Float32Array(length)
  for (let x = 0; x < length; x++) {
    const place = Math.max(0, Math.min(other - 1, ((x + 0.5) * other) / length - 0.5))
    at[x] = Math.floor(place)
    part[x] = place - at[x]!
  }
  return { at, part }
}

function inByte(value: number): number {
  return value <= 0 ? 0 : value >= 255 ? 255 : Math.floor(value + 0.5)
}
