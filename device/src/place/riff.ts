/**
 * WebP pictures and WAVE sound rebuilt from what is kept (D8). Both are RIFF files: lists of chunks, of which only those go
 * on that make up picture or sound.
 */
import { readTiff } from '../picture/exif.ts'
import { writeExif } from './exif-writer.ts'
import { rebuildProfile } from './icc.ts'
import { fourCc, type LeftOut, notRemovable } from './source.ts'

const webpKept: ReadonlySet<string> = new Set(['VP8 ', 'VP8L', 'ALPH', 'ANIM'])
/** Bits of VP8X (RFC 9649 §2.7.1). */
const flags = { profile: 0x20, exif: 0x08, xmp: 0x04 } as const
/** What stands in a frame of an animation before its chunks. */
const frameHeadBytes = 16

interface Chunk {
  type: string
  body: Uint8Array
}

/** @throws {Problem} `place.not-removable` when it is damaged */
export function webpWithoutPlace(webp: Uint8Array, leftOut: Set<LeftOut>): Uint8Array {
  let exif: Uint8Array | undefined
  let profile: Uint8Array | undefined
  let head: Uint8Array | undefined
  const picture: Chunk[] = []
  for (const { type, body } of chunksOf(webp.subarray(12, riffEnd(webp)))) {
    if (type === 'EXIF') exif ??= writtenAnew(body)
    if (type === 'ICCP') profile ??= rebuildProfile(body)
    if (type === 'C2PA') leftOut.add('provenance')
    if (type === 'VP8X' && body.length >= 10) head ??= Uint8Array.from(body.subarray(0, 10))
    if (webpKept.has(type)) picture.push({ type, body })
    if (type === 'ANMF') picture.push({ type, body: frameOf(body) })
  }
  if (!picture.some(({ type }) => type !== 'ANIM' && type !== 'ALPH')) throw notRemovable('there is no picture in it')
  if (!head) return riff('WEBP', picture)
  const set = (flag: number, is: boolean) => {
    head[0] = is ? head[0]! | flag : head[0]! & ~flag
  }
  set(flags.profile, profile !== undefined)
  set(flags.exif, exif !== undefined)
  set(flags.xmp, false)
  return riff('WEBP', [
    { type: 'VP8X', body: head },
    ...(profile ? [{ type: 'ICCP', body: profile }] : []),
    ...picture,
    ...(exif ? [{ type: 'EXIF', body: exif }] : []),
  ])
}

/** @throws {Problem} `place.not-removable` when it is damaged */
export function waveWithoutPlace(wave: Uint8Array): Uint8Array {
  const chunks = chunksOf(wave.subarray(12, riffEnd(wave))).filter(({ type }) => /^(fmt |fact|data)$/.test(type))
  if (!chunks.some(({ type }) => type === 'data')) throw notRemovable('there is no sound in it')
  return riff('WAVE', chunks)
}

function writtenAnew(body: Uint8Array): Uint8Array {
  // Some writers put JPEG's mark before the structure.
  const { exif, exposure } = readTiff(fourCc(body, 0) === 'Exif' ? body.subarray(6) : body)
  return writeExif(exif, exposure)
}

function frameOf(body: Uint8Array): Uint8Array {
  const chunks = chunksOf(body.subarray(frameHeadBytes)).filter(({ type }) => webpKept.has(type))
  return Buffer.concat([body.subarray(0, frameHeadBytes), ...chunks.map(written)])
}

function riffEnd(bytes: Uint8Array): number {
  const end = 8 + new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(4, true)
  if (end > bytes.length) throw notRemovable('it ends in the middle')
  return end
}

function chunksOf(bytes: Uint8Array): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const chunks: Chunk[] = []
  for (let at = 0; at < bytes.length; ) {
    if (at + 8 > bytes.length) throw notRemovable('it ends in the middle')
    const size = view.getUint32(at + 4, true)
    if (size > bytes.length - at - 8) throw notRemovable('a chunk ends after the file')
    chunks.push({ type: fourCc(bytes, at), body: bytes.subarray(at + 8, at + 8 + size) })
    at += 8 + size + (size % 2)
  }
  return chunks
}

function riff(form: string, chunks: readonly Chunk[]): Uint8Array {
  const body = Buffer.concat([Buffer.from(form, 'latin1'), ...chunks.map(written)])
  return Buffer.concat([Buffer.from('RIFF', 'latin1'), u32(body.length), body])
}

function written({ type, body }: Chunk): Uint8Array {
  return Buffer.concat([Buffer.from(type, 'latin1'), u32(body.length), body, new Uint8Array(body.length % 2)])
}

function u32(number: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, number, true)
  return bytes
}
