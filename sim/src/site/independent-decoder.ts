/**
 * A decoder that is not the boards' own (libvips, through sharp): what is printed is compared with it, so that a mistake
 * of the boards' decoder is seen (S10).
 */
import type { Raster } from '@azukari/device/drivers'
import sharp from 'sharp'

/** A picture upright, its colour values as they are stored. @throws {Error} when it does not decode */
export async function decodeIndependently(bytes: Uint8Array): Promise<Raster> {
  const { data, info } = await sharp(bytes, { ignoreIcc: true })
    .autoOrient()
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
  return { width: info.width, height: info.height, rgba: new Uint8Array(data) }
}

/** Decoders may round colours that are stored for two pixels at once in another way. */
const roundingMax = 2

/** Whether what a printer put out is the original, pixel by pixel. */
export async function samePixels(page: Uint8Array, original: Uint8Array): Promise<boolean> {
  const [out, wanted] = await Promise.all([page, original].map(decodeIndependently))
  return (
    out!.width === wanted!.width &&
    out!.height === wanted!.height &&
    out!.rgba.every((value, at) => Math.abs(value - wanted!.rgba[at]!) <= roundingMax)
  )
}
