/**
 * Pictures for printing and showing: JPEG → pixels, turned upright, and thumbnails (S10, S17).
 *
 * mozjpeg as WebAssembly decodes, so that a board needs no native build; jpeg-js decodes CMYK, which that one cannot, and
 * encodes. Both believe the header and take memory for it, hence the walk over the markers first (docs/decisions/0011).
 */
import { Problem } from '@azukari/protocol/problem'
import jpegJs from 'jpeg-js'
import { decodeJpeg } from './adapters/jpeg-decoder.ts'
import type { Raster } from './drivers.ts'
import { type Exif, readExif } from './picture/exif.ts'
import { type JpegStructure, pixelsMax, readStructure } from './picture/structure.ts'

export { type Exif, readExif, takenMsOf } from './picture/exif.ts'

/** What decoding CMYK may take; 12 megapixels need about 600 MB with jpeg-js. */
const decodeMaxMemoryMb = 2048

/**
 * Decodes a JPEG as it is stored, not turned. RGB, YCbCr, grey, CMYK and YCCK come out as red, green, blue.
 * @throws {Problem} `photo.corrupt` when anything is missing or damaged, `photo.too-large`, `object.not-printable` for
 * processes other than baseline and progressive with Huffman codes
 */
export function decodePicture(bytes: Uint8Array): Raster {
  const structure = readStructure(bytes)
  if (structure.components === 4) return decodeInks(structure)
  try {
    const { complaint, ...raster } = decodeJpeg(structure.essence)
    // The decoder goes on after damage and fills with grey. Bytes too many at the end of a scan harm nothing.
    if (complaint && !/extraneous bytes before marker/.test(complaint)) throw new Error(complaint)
    return raster
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'it does not decode'
    throw new Problem(/memory|Aborted\(OOM/i.test(why) ? 'photo.too-large' : 'photo.corrupt', why, { cause })
  }
}

/**
 * CMYK and YCCK, without a profile: each ink takes its part of the light. Adobe's programs store them inverted, and their
 * segment says so.
 */
function decodeInks({ essence, adobeTransform }: JpegStructure): Raster {
  if (adobeTransform === undefined) throw new Problem('object.not-printable', 'four inks without saying which')
  try {
    const { width, height, data } = jpegJs.decode(essence, {
      useTArray: true,
      tolerantDecoding: false,
      maxResolutionInMP: pixelsMax / 1e6,
      maxMemoryUsageInMB: decodeMaxMemoryMb,
    })
    return { width, height, rgba: data }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'it does not decode'
    throw new Problem(/^max(ResolutionInMP|MemoryUsageInMB)/.test(why) ? 'photo.too-large' : 'photo.corrupt', why, {
      cause,
    })
  }
}

/** Decodes a JPEG and turns it upright as its EXIF says. @throws {Problem} as `decodePicture` */
export function decodeUpright(bytes: Uint8Array): Raster & { exif: Exif } {
  const exif = readExif(bytes)
  return { ...rotate(decodePicture(bytes), exif.orientation), exif }
}

/** Turns and mirrors pixels stored with a TIFF orientation (1 to 8) so that they stand upright. */
export function rotate(raster: Raster, orientation: number): Raster {
  if (!(orientation >= 2 && orientation <= 8)) return raster
  const { width, height } = raster
  const turned = orientation >= 5
  const out = {
    width: turned ? height : width,
    height: turned ? width : height,
    rgba: new Uint8Array(raster.rgba.length),
  }
  const from = new Uint32Array(aligned(raster.rgba).buffer, 0, width * height)
  const to = new Uint32Array(out.rgba.buffer)
  const flipX = orientation === 2 || orientation === 3 || orientation === 7 || orientation === 8
  const flipY = orientation === 3 || orientation === 4 || orientation === 6 || orientation === 7
  for (let y = 0; y < out.height; y++) {
    for (let x = 0; x < out.width; x++) {
      // Where this upright pixel lies in the stored picture: axes are swapped from 5 on, then mirrored.
      const sx = turned ? y : x
      const sy = turned ? x : y
      to[y * out.width + x] = from[(flipY ? height - 1 - sy : sy) * width + (flipX ? width - 1 - sx : sx)]!
    }
  }
  return out
}

/** A smaller picture of at most `maxSide` pixels each way, each pixel the mean of what it covers. Never enlarges. */
export function shrink(raster: Raster, maxSide: number): Raster {
  const scale = Math.min(1, maxSide / Math.max(raster.width, raster.height))
  if (scale === 1) return raster
  const width = Math.max(1, Math.round(raster.width * scale))
  const height = Math.max(1, Math.round(raster.height * scale))
  const rgba = new Uint8Array(width * height * 4)
  for (let y = 0; y < height; y++) {
    const y0 = Math.floor((y * raster.height) / height)
    const y1 = Math.max(y0 + 1, Math.floor(((y + 1) * raster.height) / height))
    for (let x = 0; x < width; x++) {
      const x0 = Math.floor((x * raster.width) / width)
      const x1 = Math.max(x0 + 1, Math.floor(((x + 1) * raster.width) / width))
      let r = 0
      let g = 0
      let b = 0
      let a = 0
      for (let sy = y0; sy < y1; sy++) {
        for (let at = (sy * raster.width + x0) * 4, end = at + (x1 - x0) * 4; at < end; at += 4) {
          r += raster.rgba[at]!
          g += raster.rgba[at + 1]!
          b += raster.rgba[at + 2]!
          a += raster.rgba[at + 3]!
        }
      }
      const count = (y1 - y0) * (x1 - x0)
      rgba.set([r / count, g / count, b / count, a / count], (y * width + x) * 4)
    }
  }
  return { width, height, rgba }
}

/** @param quality 1 to 100 */
export function encodeJpeg(raster: Raster, quality = 85): Uint8Array {
  const { data } = jpegJs.encode({ width: raster.width, height: raster.height, data: raster.rgba }, quality)
  return new Uint8Array(data.buffer, data.byteOffset, data.length)
}

/** An upright JPEG of at most `maxSide` pixels each way, without EXIF. @throws {Problem} as `decodePicture` */
export function thumbnail(bytes: Uint8Array, maxSide = 160): Uint8Array {
  const exif = readExif(bytes)
  return encodeJpeg(rotate(shrink(decodePicture(bytes), maxSide), exif.orientation), 70)
}

/** Pixels at the start of a buffer of their own, for reading four bytes at once. */
function aligned(rgba: Uint8Array): Uint8Array {
  return rgba.byteOffset % 4 === 0 && rgba.byteOffset === 0 ? rgba : rgba.slice()
}
