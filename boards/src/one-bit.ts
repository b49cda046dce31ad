/** Pictures for parts that know black and white only: scaled to a width, and dithered (Floyd–Steinberg). */
import type { Raster } from '@azukari/device/drivers'

/** Rows of bits, the leftmost pixel highest; 1 is black. */
export interface OneBit {
  width: number
  height: number
  /** Bytes of one row: `ceil(width / 8)`. */
  stride: number
  bits: Uint8Array
}

/** Brightness by rows, 0 black to 255 white, each pixel the mean of what it covers, over white. */
export function greyOf(page: Raster, width: number, height: number): Float32Array {
  const grey = new Float32Array(width * height)
  for (let y = 0; y < height; y++) {
    const top = Math.floor((y * page.height) / height)
    const bottom = Math.max(top + 1, Math.floor(((y + 1) * page.height) / height))
    for (let x = 0; x < width; x++) {
      const left = Math.floor((x * page.width) / width)
      const right = Math.max(left + 1, Math.floor(((x + 1) * page.width) / width))
      let sum = 0
      for (let sy = top; sy < bottom; sy++)
        for (let at = (sy * page.width + left) * 4, end = at + (right - left) * 4; at < end; at += 4) {
          const luma = 0.299 * page.rgba[at]! + 0.587 * page.rgba[at + 1]! + 0.114 * page.rgba[at + 2]!
          sum += 255 - ((255 - luma) * page.rgba[at + 3]!) / 255
        }
      grey[y * width + x] = sum / ((bottom - top) * (right - left))
    }
  }
  return grey
}

/** @param width of the result; its height keeps the page's proportions */
export function dither(page: Raster, width: number): OneBit {
  const height = Math.max(1, Math.round((page.height * width) / page.width))
  const grey = greyOf(page, width, height)
  const stride = Math.ceil(width / 8)
  const bits = new Uint8Array(stride * height)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const at = y * width + x
      const isBlack = grey[at]! < 128
      if (isBlack) bits[y * stride + (x >> 3)]! |= 0x80 >> (x & 7)
      const error = grey[at]! - (isBlack ? 0 : 255)
      if (x + 1 < width) grey[at + 1]! += (error * 7) / 16
      if (y + 1 === height) continue
      if (x > 0) grey[at + width - 1]! += (error * 3) / 16
      grey[at + width]! += (error * 5) / 16
      if (x + 1 < width) grey[at + width + 1]! += error / 16
    }
  return { width, height, stride, bits }
}
