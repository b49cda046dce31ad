/** Pixels as a PNG (ISO/IEC 15948), 8-bit RGBA: what page printers here put out. */
import type { Raster } from '@azukari/device/drivers'
import { PNG } from 'pngjs'

export function encodePng({ width, height, rgba }: Raster): Uint8Array {
  const png = new PNG({ width, height })
  png.data = Buffer.from(rgba.buffer, rgba.byteOffset, rgba.byteLength)
  // Filter 1 (difference to the pixel before) alone, and little packing: photos in little time.
  return new Uint8Array(PNG.sync.write(png, { filterType: 1, deflateLevel: 3 }))
}
