/**
 * A PNG rebuilt from what is kept (ISO/IEC 15948; D8): the picture, its animation, its colours, its time and resolution, and
 * an eXIf chunk made anew. Texts, XMP and private chunks do not get into it.
 */
import { crc32, deflateSync, inflateSync } from 'node:zlib'
import { readTiff } from '../picture/exif.ts'
import { writeExif } from './exif-writer.ts'
import { rebuildProfile } from './icc.ts'
import { fourCc, type LeftOut, notRemovable } from './source.ts'

const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)
const profileMaxBytes = 8 << 20
/** Chunks that are kept, with the most that each may hold. */
const kept: Readonly<Record<string, number>> = {
  IHDR: 13,
  PLTE: 768,
  IDAT: 0x7fff_ffff,
  IEND: 0,
  tRNS: 256,
  gAMA: 4,
  cHRM: 32,
  sRGB: 1,
  sBIT: 4,
  cICP: 4,
  mDCV: 24,
  cLLI: 8,
  bKGD: 6,
  pHYs: 9,
  tIME: 7,
  acTL: 8,
  fcTL: 26,
  fdAT: 0x7fff_ffff,
}

/** @throws {Problem} `place.not-removable` when it is damaged */
export function pngWithoutPlace(png: Uint8Array, leftOut: Set<LeftOut>): Uint8Array {
  if (!signature.every((byte, i) => png[i] === byte)) throw notRemovable('it does not begin as a PNG')
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength)
  const out: Uint8Array[] = [signature]
  let exif: Uint8Array | undefined
  for (let at = signature.length; ; ) {
    if (at + 12 > png.length) throw notRemovable('it ends in the middle')
    const length = view.getUint32(at)
    const type = fourCc(png, at + 4)
    if (length > png.length - at - 12) throw notRemovable('a chunk ends after the file')
    const body = png.subarray(at + 8, at + 8 + length)
    at += 12 + length
    if (type === 'eXIf') exif ??= body
    if (type === 'caBX') leftOut.add('provenance')
    if (type === 'IEND') break
    if (type === 'iCCP') out.push(...profileChunk(body))
    const max = Object.hasOwn(kept, type) ? kept[type]! : -1
    if (length <= max) out.push(chunk(type, body))
    else if (max >= 0 || /^[A-Z]/.test(type)) throw notRemovable(`a chunk ${type} of ${length} bytes`)
  }
  if (exif) {
    const facts = readTiff(exif)
    // Before the picture's data, as every reader takes it.
    const first = out.findIndex((part) => fourCc(part, 4) === 'IDAT')
    out.splice(first < 0 ? out.length : first, 0, chunk('eXIf', writeExif(facts.exif, facts.exposure)))
  }
  return Buffer.concat([...out, chunk('IEND', new Uint8Array(0))])
}

function profileChunk(body: Uint8Array): Uint8Array[] {
  const nameEnd = body.indexOf(0)
  if (nameEnd < 1 || nameEnd > 79 || body[nameEnd + 1] !== 0) return []
  let profile: Uint8Array | undefined
  try {
    profile = rebuildProfile(inflateSync(body.subarray(nameEnd + 2), { maxOutputLength: profileMaxBytes }))
  } catch {
    // A profile that cannot be read says nothing of colours.
  }
  return profile ? [chunk('iCCP', Buffer.concat([Buffer.from('Colours\0\0', 'latin1'), deflateSync(profile)]))] : []
}

function chunk(type: string, body: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(12 + body.length)
  bytes.writeUInt32BE(body.length, 0)
  bytes.write(type, 4, 'latin1')
  bytes.set(body, 8)
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + body.length)), 8 + body.length)
  return bytes
}
