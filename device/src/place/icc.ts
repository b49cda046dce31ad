/**
 * Rebuilds a colour profile (ICC.1:2022) from the tags that say how colours are meant (D8). Its texts, which name its
 * maker or anything else, become a fixed word; private tags go.
 */
import { fourCc } from './source.ts'

const headerBytes = 128
const tagsMax = 100
const tagMaxBytes = 4 << 20

const colourTags: ReadonlySet<string> = new Set([
  'rXYZ',
  'gXYZ',
  'bXYZ',
  'wtpt',
  'bkpt',
  'rTRC',
  'gTRC',
  'bTRC',
  'kTRC',
  'chad',
  'chrm',
  'lumi',
  'cicp',
  'gamt',
  'A2B0',
  'A2B1',
  'A2B2',
  'B2A0',
  'B2A1',
  'B2A2',
  'D2B0',
  'D2B1',
  'D2B2',
  'B2D0',
  'B2D1',
  'B2D2',
  'tech',
])
/** Tag types that hold numbers only. */
const numberTypes: ReadonlySet<string> = new Set([
  'XYZ ',
  'curv',
  'para',
  'sf32',
  'chrm',
  'cicp',
  'mft1',
  'mft2',
  'mAB ',
  'mBA ',
  'mpet',
  'sig ',
])

/** @returns undefined when it is no profile that could be rebuilt */
export function rebuildProfile(profile: Uint8Array): Uint8Array | undefined {
  if (profile.length < headerBytes + 4 || fourCc(profile, 36) !== 'acsp') return undefined
  const view = new DataView(profile.buffer, profile.byteOffset, profile.byteLength)
  const count = view.getUint32(headerBytes)
  if (count > tagsMax || headerBytes + 4 + count * 12 > profile.length) return undefined
  const tags = new Map<string, Uint8Array>()
  for (let i = 0; i < count; i++) {
    const entry = headerBytes + 4 + i * 12
    const [at, size] = [view.getUint32(entry + 4), view.getUint32(entry + 8)]
    if (size < 8 || size > tagMaxBytes || at + size > profile.length) return undefined
    const name = fourCc(profile, entry)
    if (colourTags.has(name) && numberTypes.has(fourCc(profile, at))) tags.set(name, profile.subarray(at, at + size))
  }
  // One short text for both that must be there, so that the profile fits where the old one was.
  const isOld = profile[8]! < 4
  tags.set('desc', isOld ? oldDescription('-') : unicode('-'))
  tags.set('cprt', isOld ? oldText('-') : unicode('-'))
  return assemble(profile.subarray(0, headerBytes), tags)
}

function assemble(head: Uint8Array, tags: ReadonlyMap<string, Uint8Array>): Uint8Array {
  let at = headerBytes + 4 + tags.size * 12
  const places: [string, number, Uint8Array][] = []
  for (const [name, content] of tags) {
    // Curves of three channels are often one and the same.
    const same = places.find(([, , other]) => Buffer.from(other).equals(content))
    places.push([name, same ? same[1] : at, content])
    if (!same) at += (content.length + 3) & ~3
  }
  const profile = new Uint8Array(at)
  profile.set(head)
  // Model and maker, the profile's own hash, and what is reserved.
  profile.fill(0, 48, 56)
  profile.fill(0, 80, headerBytes)
  const view = new DataView(profile.buffer)
  view.setUint32(0, at)
  view.setUint32(headerBytes, tags.size)
  for (const [i, [name, place, content]] of places.entries()) {
    const entry = headerBytes + 4 + i * 12
    profile.set(Buffer.from(name, 'latin1'), entry)
    view.setUint32(entry + 4, place)
    view.setUint32(entry + 8, content.length)
    profile.set(content, place)
  }
  return profile
}

/** multiLocalizedUnicodeType, one record. */
function unicode(text: string): Uint8Array {
  const bytes = Buffer.alloc(28 + text.length * 2)
  bytes.write('mluc', 0, 'latin1')
  bytes.writeUInt32BE(1, 8)
  bytes.writeUInt32BE(12, 12)
  bytes.write('enUS', 16, 'latin1')
  bytes.writeUInt32BE(text.length * 2, 20)
  bytes.writeUInt32BE(28, 24)
  for (let i = 0; i < text.length; i++) bytes.writeUInt16BE(text.charCodeAt(i), 28 + i * 2)
  return bytes
}

/** textDescriptionType of version 2. */
function oldDescription(text: string): Uint8Array {
  const bytes = Buffer.alloc(90 + text.length + 1)
  bytes.write('desc', 0, 'latin1')
  bytes.writeUInt32BE(text.length + 1, 8)
  bytes.write(text, 12, 'latin1')
  return bytes
}

function oldText(text: string): Uint8Array {
  return Buffer.from(`text\0\0\0\0${text}\0`, 'latin1')
}
