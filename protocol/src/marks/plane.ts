/** Brightness of a picture at the size that marks are written and read at. */

/** A picture: red, green, blue and alpha of each pixel, in rows from the top. */
export interface MarkPicture {
  width: number
  height: number
  rgba: Uint8Array
}

/** One value for each pixel. */
export interface Plane {
  width: number
  height: number
  values: Float32Array
}

/** Source pixels that make one pixel of a resized line, and how much of each. */
interface Taps {
  first: Int32Array
  weights: Float32Array
  /** Weights for each pixel; those that are not needed are 0. */
  count: number
}

/** Width and height, whole pixels, at which √(width · height) is about `size`. */
export function canonicalDimensions(picture: { width: number; height: number }, size: number) {
  const factor = size / Math.sqrt(picture.width * picture.height)
  return {
    width: Math.max(1, Math.round(picture.width * factor)),
    height: Math.max(1, Math.round(picture.height * factor)),
  }
}

/** Luma of a picture (BT.601, 0–255) at √(width · height) = `size`. What is transparent counts as middle grey. */
export function lumaAt(picture: MarkPicture, size: number): Plane {
  const { width, height } = canonicalDimensions(picture, size)
  const { rgba } = picture
  return resize(picture.width, picture.height, width, height, (y, line) => {
    for (let x = 0, at = y * picture.width * 4; x < picture.width; x++, at += 4) {
      const luma = 0.299 * rgba[at]! + 0.587 * rgba[at + 1]! + 0.114 * rgba[at + 2]!
      const alpha = rgba[at + 3]!
      line[x] = alpha === 255 ? luma : 128 + ((luma - 128) * alpha) / 255
    }
  })
}

/** A plane at another size. */
export function resizePlane(plane: Plane, width: number, height: number): Plane {
  return resize(plane.width, plane.height, width, height, (y, line) => {
    line.set(plane.values.subarray(y * plane.width, (y + 1) * plane.width))
  })
}

/** Triangle filter, as wide as a pixel of the smaller side. */
function resize(
  fromWidth: number,
  fromHeight: number,
  width: number,
  height: number,
  read: (y: number, line: Float32Array) => void,
): Plane {
  const across = tapsOf(fromWidth, width)
  const down = tapsOf(fromHeight, height)
  const values = new Float32Array(width * height)
  const line = new Float32Array(fromWidth)
  const narrow = new Float32Array(width)
  let from = 0
  for (let y = 0; y < fromHeight; y++) {
    while (from < height && down.first[from]! + down.count <= y) from++
    read(y, line)
    narrowLine(line, across, narrow)
    for (let to = from; to < height && down.first[to]! <= y; to++) {
      const tap = y - down.first[to]!
      if (tap >= down.count) continue
      const weight = down.weights[to * down.count + tap]!
      if (weight === 0) continue
      const row = to * width
      for (let x = 0; x < width; x++) values[row + x] = values[row + x]! + weight * narrow[x]!
    }
  }
  return { width, height, values }
}

function narrowLine(line: Float32Array, { first, weights, count }: Taps, narrow: Float32Array): void {
  for (let x = 0; x < narrow.length; x++) {
    const at = first[x]!
    let sum = 0
    for (let tap = 0, w = x * count; tap < count; tap++, w++) sum += weights[w]! * line[at + tap]!
    narrow[x] = sum
  }
}

function tapsOf(from: number, to: number): Taps {
  const ratio = from / to
  const reach = Math.max(1, ratio)
  const count = Math.min(from, Math.ceil(reach * 2) + 1)
  const first = new Int32Array(to)
  const weights = new Float32Array(to * count)
  for (let x = 0; x < to; x++) {
    const centre = (x + 0.5) * ratio - 0.5
    const start = Math.max(0, Math.min(from - count, Math.ceil(centre - reach)))
    first[x] = start
    let total = 0
    for (let tap = 0; tap < count; tap++) {
      // Beyond the border the outermost pixel is repeated: its distance is that of the border.
      const weight = Math.max(0, 1 - Math.abs(start + tap - Math.max(0, Math.min(from - 1, centre))) / reach)
      weights[x * count + tap] = weight
      total += weight
    }
    for (let tap = 0; tap < count; tap++) weights[x * count + tap] = weights[x * count + tap]! / total
  }
  return { first, weights, count }
}

/** Mean of the (2·reach + 1)² pixels around each; at the border of those that are there. */
export function boxMean({ width, height, values }: Plane, reach: number): Plane {
  const across = new Float32Array(width * height)
  for (let y = 0; y < height; y++) {
    const row = y * width
    let sum = 0
    for (let x = 0; x < Math.min(reach, width); x++) sum += values[row + x]!
    for (let x = 0; x < width; x++) {
      if (x + reach < width) sum += values[row + x + reach]!
      if (x - reach > 0) sum -= values[row + x - reach - 1]!
      across[row + x] = sum / (Math.min(width - 1, x + reach) - Math.max(0, x - reach) + 1)
    }
  }
  const mean = new Float32Array(width * height)
  const sums = new Float64Array(width)
  for (let y = 0; y < Math.min(reach, height); y++)
    for (let x = 0; x < width; x++) sums[x] = sums[x]! + across[y * width + x]!
  for (let y = 0; y < height; y++) {
    const entering = y + reach < height ? (y + reach) * width : -1
    const leaving = y - reach > 0 ? (y - reach - 1) * width : -1
    const count = Math.min(height - 1, y + reach) - Math.max(0, y - reach) + 1
    for (let x = 0; x < width; x++) {
      let sum = sums[x]!
      if (entering >= 0) sum += across[entering + x]!
      if (leaving >= 0) sum -= across[leaving + x]!
      sums[x] = sum
      mean[y * width + x] = sum / count
    }
  }
  return { width, height, values: mean }
}

/** The eight ways in which a picture can be flipped and turned; 0 leaves it. */
export const symmetries = [0, 1, 2, 3, 4, 5, 6, 7] as const

/** A plane flipped left to right (1), top to bottom (2), along its diagonal first (4), or several of these. */
export function flip(plane: Plane, symmetry: number): Plane {
  if (symmetry === 0) return plane
  const isTurned = (symmetry & 4) !== 0
  const width = isTurned ? plane.height : plane.width
  const height = isTurned ? plane.width : plane.height
  const values = new Float32Array(width * height)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const a = symmetry & 1 ? width - 1 - x : x
      const b = symmetry & 2 ? height - 1 - y : y
      values[y * width + x] = plane.values[isTurned ? a * plane.width + b : b * plane.width + a]!
    }
  return { width, height, values }
}
