/**
 * What H.264 and H.265 carry beside the picture (ITU-T H.264 §7.3.1, H.265 §7.3.1): cameras write positions into user data.
 * Units that are not needed to show the picture become filler of the same length.
 */
import { notRemovable } from './source.ts'

export interface UnitRules {
  /** Bytes before each unit that say how long it is. */
  lengthBytes: number
  codec: 'h264' | 'h265'
}

/** Supplemental enhancement information that says how the picture is shown; the same numbers in both standards. */
const shownBy: ReadonlySet<number> = new Set([0, 1, 2, 3, 6, 7, 9, 19, 45, 47, 129, 130, 131, 132, 136, 137, 144, 147])
const h264Kept: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 13, 14, 15, 16, 19, 20, 21])

/** Cleans one sample in place. @throws {Problem} `place.not-removable` when its units do not fill it */
export function cleanUnits(sample: Uint8Array, { lengthBytes, codec }: UnitRules): void {
  for (let at = 0; at < sample.length; ) {
    let length = 0
    for (let i = 0; i < lengthBytes; i++) length = length * 256 + (sample[at + i] ?? 0)
    at += lengthBytes
    if (at > sample.length || length > sample.length - at)
      throw notRemovable('a part of the video ends after its sample')
    cleanUnit(sample.subarray(at, at + length), codec)
    at += length
  }
}

/** Cleans one unit in place. */
export function cleanUnit(unit: Uint8Array, codec: UnitRules['codec']): void {
  if (unit.length === 0) return
  const type = codec === 'h264' ? unit[0]! & 31 : (unit[0]! >> 1) & 63
  const headBytes = codec === 'h264' ? 1 : 2
  const isInformation = codec === 'h264' ? type === 6 : type === 39 || type === 40
  // 62 and 63 are Dolby Vision's.
  const isPicture = codec === 'h264' ? h264Kept.has(type) : type <= 37 || type === 62 || type === 63
  if (isPicture || (isInformation && isShownBy(unit.subarray(headBytes)))) return
  unit.fill(0xff)
  if (codec === 'h264') unit[0] = 12
  else unit.set([38 << 1, 1].slice(0, unit.length))
  if (unit.length > headBytes) unit[unit.length - 1] = 0x80
}

/** Whether every message is one of the kinds that are kept. */
function isShownBy(escaped: Uint8Array): boolean {
  const bytes = unescaped(escaped)
  let at = 0
  const number = () => {
    let value = 0
    for (; bytes[at] === 0xff; at++) value += 255
    return value + (bytes[at++] ?? 0)
  }
  // The last byte of a unit is its stop bit.
  while (at < bytes.length - 1) {
    if (!shownBy.has(number())) return false
    at += number()
  }
  return at === bytes.length - 1 && bytes[at] === 0x80
}

function unescaped(bytes: Uint8Array): Uint8Array {
  const out: number[] = []
  for (const [i, byte] of bytes.entries())
    if (!(byte === 3 && i >= 2 && bytes[i - 1] === 0 && bytes[i - 2] === 0)) out.push(byte)
  return Uint8Array.from(out)
}
