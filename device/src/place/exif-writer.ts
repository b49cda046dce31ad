/**
 * Writes an EXIF structure (CIPA DC-008, big-endian TIFF) from facts and nothing else (D8): no byte of another structure
 * gets into it, so neither a position nor a maker's note does.
 */
import type { Exif, Exposure, Ratio } from '../picture/exif.ts'

interface Entry {
  tag: number
  type: number
  count: number
  value: Uint8Array
}

const ascii = (tag: number, text: string): Entry => {
  const value = Buffer.from(`${text}\0`, 'latin1')
  return { tag, type: 2, count: value.length, value }
}

const short = (tag: number, number: number): Entry => ({
  tag,
  type: 3,
  count: 1,
  value: Uint8Array.of(number >> 8, number & 255),
})

const long = (tag: number, number: number): Entry => ({ tag, type: 4, count: 1, value: u32(number) })

const rational = (tag: number, [above, below]: Ratio, signed = false): Entry => ({
  tag,
  type: signed ? 10 : 5,
  count: 1,
  value: Buffer.concat([u32(above), u32(below)]),
})

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

/** Entries in order, then the values that do not fit in four bytes. @param at where it will stand */
function directory(entries: readonly Entry[], at: number): Uint8Array {
  const head = [u16(entries.length)]
  const values: Uint8Array[] = []
  let valueAt = at + 2 + entries.length * 12 + 4
  for (const { tag, type, count, value } of entries) {
    head.push(u16(tag), u16(type), u32(count))
    if (value.length <= 4) head.push(value, new Uint8Array(4 - value.length))
    else {
      const padding = value.length % 2
      head.push(u32(valueAt))
      values.push(value, new Uint8Array(padding))
      valueAt += value.length + padding
    }
  }
  return Buffer.concat([...head, u32(0), ...values])
}

function u16(number: number): Uint8Array {
  return Uint8Array.of(number >> 8, number & 255)
}

function u32(number: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, number)
  return bytes
}
