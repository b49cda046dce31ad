/**
 * A JPEG rebuilt from what is kept (D8): its tables, frame and scans, how its colours are meant (JFIF, Adobe, profile),
 * and an EXIF segment made anew. Other segments, comments, and whatever follows the picture (further pictures of MPF,
 * a motion photo's video, a maker's trailer) do not get into it.
 */
import { isProblem } from '@azukari/protocol/problem'
import { readTiff, startsWith } from '../picture/exif.ts'
import { isAdobeSegment, isJfifSegment, isPicture, walkJpeg } from '../picture/structure.ts'
import { writeExif } from './exif-writer.ts'
import { rebuildProfile } from './icc.ts'
import { type LeftOut, notRemovable } from './source.ts'

const profileMark = 'ICC_PROFILE\0'
/** What one segment can hold of a profile. */
const profilePartBytes = 65_519

/** @throws {Problem} `place.not-removable` when it cannot be told where the picture ends */
export function jpegWithoutPlace(jpeg: Uint8Array, leftOut: Set<LeftOut> = new Set()): Uint8Array {
  let exif: ReturnType<typeof readTiff> | undefined
  let jfif: Uint8Array | undefined
  let adobe: Uint8Array | undefined
  let hasFrame = false
  let hasScan = false
  const profileParts = new Map<number, Uint8Array>()
  const picture: Uint8Array[] = []
  try {
    for (const { marker, from, to } of walkJpeg(jpeg)) {
      const body = jpeg.subarray(from + 4, to)
      if (marker === 0xe0 && isJfifSegment(body)) jfif ??= body
      if (marker === 0xee && isAdobeSegment(body)) adobe ??= body
      if (marker === 0xe1 && startsWith(body, 'Exif\0')) exif ??= readTiff(body.subarray(6))
      if (marker === 0xe2 && startsWith(body, profileMark)) profileParts.set(body[12] ?? 0, body.subarray(14))
      if (marker === 0xeb && Buffer.from(body.subarray(0, 256)).includes('c2pa')) leftOut.add('provenance')
      if (isPicture(marker)) {
        if (!isExact(marker, body)) throw notRemovable(`marker ${marker.toString(16)} holds more than it should`)
        hasFrame ||= marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc
        hasScan ||= marker === 0xda
        picture.push(jpeg.subarray(from, to))
      }
    }
  } catch (error) {
    throw isProblem(error, 'place.not-removable') ? error : notRemovable(String(error), error)
  }
  if (!hasFrame || !hasScan) throw notRemovable('it ends before any picture')
  const facts = exif ?? { exif: { orientation: 1 }, exposure: {} }
  return Buffer.concat([
    Uint8Array.of(0xff, 0xd8),
    // JFIF's own thumbnail goes; version, units and density stay.
    ...(jfif ? [segment(0xe0, Buffer.from('JFIF\0'), jfif.subarray(5, 12), Uint8Array.of(0, 0))] : []),
    segment(0xe1, Buffer.from('Exif\0\0'), writeExif(facts.exif, facts.exposure)),
    ...profileSegments(profileParts),
    ...(adobe ? [segment(0xee, adobe.subarray(0, 12))] : []),
    ...picture,
    Uint8Array.of(0xff, 0xd9),
  ])
}

function profileSegments(parts: ReadonlyMap<number, Uint8Array>): Uint8Array[] {
  const inOrder = [...parts].sort(([a], [b]) => a - b).map(([, part]) => part)
  const profile = inOrder.length > 0 ? rebuildProfile(Buffer.concat(inOrder)) : undefined
  if (!profile) return []
  const count = Math.ceil(profile.length / profilePartBytes)
  return Array.from({ length: count }, (_, i) =>
    segment(
      0xe2,
      Buffer.from(profileMark, 'latin1'),
      Uint8Array.of(i + 1, count),
      profile.subarray(i * profilePartBytes, (i + 1) * profilePartBytes),
    ),
  )
}

function segment(marker: number, ...content: Uint8Array[]): Uint8Array {
  const length = content.reduce((sum, part) => sum + part.length, 2)
  return Buffer.concat([Uint8Array.of(0xff, marker, length >> 8, length & 255), ...content])
}

/** Whether a table or header holds what it says and nothing behind it. */
function isExact(marker: number, body: Uint8Array): boolean {
  if (marker === 0xdb) return tablesEnd(body, (at) => 1 + (body[at]! >> 4 ? 128 : 64)) === body.length
  if (marker === 0xc4) return tablesEnd(body, (at) => 17 + sum(body.subarray(at + 1, at + 17))) === body.length
  if (marker === 0xcc) return body.length % 2 === 0 && body.length <= 64
  if (marker === 0xdd || marker === 0xdc) return body.length === 2
  if (marker === 0xda) return (body[0] ?? 0) >= 1 && (body[0] ?? 0) <= 4
  return body.length === 6 + 3 * (body[5] ?? 0)
}

function tablesEnd(body: Uint8Array, sizeAt: (at: number) => number): number {
  let at = 0
  while (at < body.length) at += sizeAt(at)
  return at
}

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => total + byte, 0)
}
