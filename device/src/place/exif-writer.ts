/**
 * Writes an EXIF structure (CIPA DC-008, big-endian TIFF) from facts and nothing else (D8): no byte of another structure
 * gets into it, so neither a position nor a maker's note does.
 */
import type { Exif, Exposure } from '../picture/exif.ts'
import { ascii, directory, type Entry, long, rational, short, u32 } from './tiff.ts'

/** A TIFF structure with two directories. A position among the facts is not written. */
export function writeExif({ orientation, takenAt, offset, make, model }: Exif, exposure: Exposure): Uint8Array {
  const details: Entry[] = []
  const detail = <T>(value: T | undefined, entry: (value: T) => Entry) => {
    if (value !== undefined) details.push(entry(value))
  }
  detail(exposure.time, (value) => rational(0x829a, value))
  detail(exposure.fNumber, (value) => rational(0x829d, value))
  detail(exposure.program, (value) => short(0x8822, value))
  detail(exposure.speed, (value) => short(0x8827, value))
  details.push({ tag: 0x9000, type: 7, count: 4, value: Buffer.from('0232') })
  detail(takenAt, (value) => ascii(0x9003, value))
  detail(offset, (value) => ascii(0x9011, value))
  detail(exposure.bias, (value) => rational(0x9204, value, true))
  detail(exposure.metering, (value) => short(0x9207, value))
  detail(exposure.flash, (value) => short(0x9209, value))
  detail(exposure.focalLength, (value) => rational(0x920a, value))
  detail(exposure.whiteBalance, (value) => short(0xa403, value))
  detail(exposure.focalLength35mm, (value) => short(0xa405, value))
  const main = (detailsAt: number): Entry[] => [
    ...(make === undefined ? [] : [ascii(0x010f, make)]),
    ...(model === undefined ? [] : [ascii(0x0110, model)]),
    short(0x0112, orientation),
    ...(takenAt === undefined ? [] : [ascii(0x0132, takenAt)]),
    long(0x8769, detailsAt),
  ]
  const mainAt = 8
  const detailsAt = mainAt + directory(main(0), mainAt).length
  return Buffer.concat([
    Buffer.from('MM\0*'),
    u32(mainAt),
    directory(main(detailsAt), mainAt),
    directory(details, detailsAt),
  ])
}
