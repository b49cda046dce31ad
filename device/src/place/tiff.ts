/** Entries and directories of a big-endian TIFF structure (TIFF 6.0 §2), as EXIF has them. */
import type { Ratio } from '../picture/exif.ts'

export interface Entry {
  tag: number
  type: number
  count: number
  value: Uint8Array
}

export const ascii = (tag: number, text: string): Entry => {
  const value = Buffer.from(`${text}\0`, 'latin1')
  return { tag, type: 2, count: value.length, value }
}

export const short = (tag: number, number: number): Entry => ({
  tag,
  type: 3,
  count: 1,
  value: Uint8Array.of(number >> 8, number & 255),
})

export const long = (tag: number, number: number): Entry => ({ tag, type: 4, count: 1, value: u32(number) })

export const rational = (tag: number, [above, below]: Ratio, signed = false): Entry => ({
  tag,
  type: signed ? 10 : 5,
  count: 1,
  value: Buffer.concat([u32(above), u32(below)]),
})

/** Entries in order, then the values that do not fit in four bytes. @param at where it will stand */
export function directory(entries: readonly Entry[], at: number): Uint8Array {
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

export function u16(number: number): Uint8Array {
  return Uint8Array.of(number >> 8, number & 255)
}

export function u32(number: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, number)
  return bytes
}
