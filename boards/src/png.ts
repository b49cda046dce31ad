/** Pixels as a PNG (ISO/IEC 15948), 8-bit RGBA without interlace: what page printers here put out. */
import { crc32, deflateSync } from 'node:zlib'
import type { Raster } from '@azukari/device/drivers'

const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)

export function encodePng({ width, height, rgba }: Raster): Uint8Array {
  const header = new Uint8Array(13)
  const view = new DataView(header.buffer)
  view.setUint32(0, width)
  view.setUint32(4, height)
  header.set([8, 6, 0, 0, 0], 8)
  // Each row begins with its filter: 1 (difference to the pixel before) makes photos about a third smaller for little time.
  const rowBytes = width * 4
  const rows = new Uint8Array((rowBytes + 1) * height)
  for (let y = 0; y < height; y++) {
    const to = y * (rowBytes + 1)
    const from = y * rowBytes
    rows[to] = 1
    for (let x = 0; x < rowBytes; x++) rows[to + 1 + x] = rgba[from + x]! - (x < 4 ? 0 : rgba[from + x - 4]!)
  }
  return new Uint8Array(
    Buffer.concat([
      signature,
      chunk('IHDR', header),
      chunk('IDAT', deflateSync(rows, { level: 3 })),
      chunk('IEND', new Uint8Array(0)),
    ]),
  )
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + data.length)
  const view = new DataView(out.buffer)
  view.setUint32(0, data.length)
  out.set(Buffer.from(type, 'latin1'), 4)
  out.set(data, 8)
  view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)))
  return out
}
