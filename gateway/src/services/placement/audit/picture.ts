/** Where two states of a picture differ, drawn on the good one (S11). A picture of any kind that sharp reads in, PNG out. */
import { InternalError } from '@azukari/protocol/problem'
import { PNG } from 'pngjs'

export interface Picture {
  width: number
  height: number
  /** RGBA. */
  data: Uint8Array
}

/** In pixels; `to` is not part of it. */
export interface Region {
  x: number
  y: number
  toX: number
  toY: number
}

/** Regions are found in squares of this many pixels. */
const squarePixels = 16
/** A difference of a channel that an eye can see. */
const visibleStep = 8
const regionsMax = 64
const limitInputPixels = 64_000_000

/** @returns undefined when it is no picture, is too far gone to be one, or no decoder is there for this processor */
export async function decodePicture(bytes: Uint8Array): Promise<Picture | undefined> {
  try {
    // Loaded when a picture is to be shown, which is seldom: it is native, and the rest of the gateway is not.
    const { default: sharp } = await import('sharp')
    // What somebody changed may not be sound: as much as can be seen is shown.
    const { data, info } = await sharp(bytes, { failOn: 'none', limitInputPixels })
      .toColourspace('srgb')
      .ensureAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true })
    return { width: info.width, height: info.height, data: new Uint8Array(data) }
  } catch {
    return undefined
  }
}

/** Regions in which two pictures of one size differ visibly; the whole picture when the sizes differ. */
export function differingRegions(good: Picture, changed: Picture): Region[] {
  const { width, height } = good
  if (changed.width !== width || changed.height !== height) return [{ x: 0, y: 0, toX: width, toY: height }]
  const columns = Math.ceil(width / squarePixels)
  const rows = Math.ceil(height / squarePixels)
  const differs = new Uint8Array(columns * rows)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const square = Math.floor(y / squarePixels) * columns + Math.floor(x / squarePixels)
      if (differs[square]) continue
      const at = (y * width + x) * 4
      for (let channel = 0; channel < 3; channel++)
        if (Math.abs(good.data[at + channel]! - changed.data[at + channel]!) >= visibleStep) differs[square] = 1
    }
  return joined(differs, columns, rows).map(({ x, y, toX, toY }) => ({
    x: x * squarePixels,
    y: y * squarePixels,
    toX: Math.min(width, toX * squarePixels),
    toY: Math.min(height, toY * squarePixels),
  }))
}

/** Squares that touch make one region. */
function joined(differs: Uint8Array, columns: number, rows: number): Region[] {
  const found: Region[] = []
  for (let start = 0; start < differs.length; start++) {
    if (!differs[start]) continue
    const region: Region = { x: columns, y: rows, toX: 0, toY: 0 }
    const open = [start]
    differs[start] = 0
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      const [x, y] = [at % columns, Math.floor(at / columns)]
      region.x = Math.min(region.x, x)
      region.y = Math.min(region.y, y)
      region.toX = Math.max(region.toX, x + 1)
      region.toY = Math.max(region.toY, y + 1)
      for (const [dx, dy] of [
        [-1, 0],
        [1, 0],
        [0, -1],
        [0, 1],
      ] as const) {
        const [nextX, nextY] = [x + dx, y + dy]
        const next = nextY * columns + nextX
        if (nextX < 0 || nextY < 0 || nextX >= columns || nextY >= rows || !differs[next]) continue
        differs[next] = 0
        open.push(next)
      }
    }
    if (found.length < regionsMax) found.push(region)
    else grow(found[regionsMax - 1]!, region)
  }
  return found
}

function grow(region: Region, other: Region): void {
  region.x = Math.min(region.x, other.x)
  region.y = Math.min(region.y, other.y)
  region.toX = Math.max(region.toX, other.toX)
  region.toY = Math.max(region.toY, other.toY)
}

/** The good picture with each region framed and tinted. */
export function drawRegions({ width, height, data }: Picture, regions: readonly Region[]): Picture {
  const drawn = Uint8Array.from(data)
  const line = Math.max(2, Math.round(Math.min(width, height) / 200))
  for (const { x, y, toX, toY } of regions)
    for (let row = y; row < toY; row++)
      for (let column = x; column < toX; column++) {
        const edge = row < y + line || row >= toY - line || column < x + line || column >= toX - line
        const at = (row * width + column) * 4
        const part = edge ? 1 : 0.25
        drawn[at] = drawn[at]! * (1 - part) + 230 * part
        drawn[at + 1] = drawn[at + 1]! * (1 - part) + 20 * part
        drawn[at + 2] = drawn[at + 2]! * (1 - part) + 60 * part
        drawn[at + 3] = 255
      }
  return { width, height, data: drawn }
}

/** PNG (ISO/IEC 15948) of RGBA, 8 bits a channel. */
export function encodePng({ width, height, data }: Picture): Uint8Array {
  if (data.length !== width * height * 4) throw new InternalError('a picture has four bytes a pixel')
  const png = new PNG({ width, height })
  png.data = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return new Uint8Array(PNG.sync.write(png))
}
