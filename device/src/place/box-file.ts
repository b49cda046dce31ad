/**
 * MP4, MOV, HEIC and AVIF rebuilt at their own size (D8): `moov` and `meta` cleaned, of the media data only what the kept
 * tracks and items point to, zeros for everything else. A film is copied through, never in memory whole.
 */
import { type Box, boxAt, free, type KeptRange } from './boxes.ts'
import { cleanMeta } from './heif.ts'
import { cleanMovie } from './movie.ts'
import {
  fourCc,
  type LeftOut,
  notRemovable,
  type Placeless,
  pieceBytes,
  readExactly,
  readFrom,
  type Source,
} from './source.ts'

/** A film's `moov` has some bytes for each sample. */
const indexMaxBytes = 256 << 20
const topBoxesMax = 10_000
const typeMaxBytes = 4_096
/** JUMBF with C2PA manifests (C2PA 2.1 §A.5). */
const provenanceUuid = Buffer.from('d8fec3d61b0e483c92975828877ec481', 'hex')

/** @throws {Problem} `place.not-removable` */
export async function boxFileWithoutPlace(source: Source): Promise<Placeless> {
  const leftOut = new Set<LeftOut>()
  const top = await topBoxes(source)
  const index = new Map<Box, Uint8Array>()
  const ranges: KeptRange[] = []
  const read = (from: number, to: number) => {
    if (to > source.sizeBytes || to - from > indexMaxBytes) throw notRemovable('an item ends after the file')
    return readExactly(source, from, to - from)
  }
  for (const box of top) {
    if (box.type === 'moof' || box.type === 'sidx') throw notRemovable('a film in fragments')
    if (box.type === 'moov' || box.type === 'meta' || box.type === 'ftyp') {
      const size = box.to - box.from
      if (size > (box.type === 'ftyp' ? typeMaxBytes : indexMaxBytes))
        throw notRemovable(`${box.type} of ${size} bytes`)
      const bytes = await readExactly(source, box.from, size)
      const own = { ...box, from: 0, body: box.body - box.from, to: size }
      if (box.type === 'moov') for (const range of cleanMovie(bytes, own, leftOut)) ranges.push(range)
      if (box.type === 'meta') ranges.push(...(await cleanFileMeta(bytes, own, read, leftOut)))
      index.set(box, bytes)
    }
    if (box.type === 'uuid' && box.to - box.body >= 16) {
      const id = await readExactly(source, box.body, 16)
      if (provenanceUuid.equals(id)) leftOut.add('provenance')
    }
  }
  if (!top.some(({ type }) => type === 'mdat') && ranges.length > 0) throw notRemovable('there is no media data')
  if (![...index.keys()].some(({ type }) => type !== 'ftyp'))
    throw notRemovable('there is neither film nor picture in it')
  const inOrder = ranges.sort((a, b) => a.from - b.from)
  for (const { from, to } of inOrder)
    if (!top.some((box) => box.type === 'mdat' && from >= box.body && to <= box.to))
      throw notRemovable('data lies outside of the media data')
  return { pieces: written(source, top, index, inOrder), leftOut }
}

/** Item lists that are not of pictures are QuickTime's metadata: they go. */
async function cleanFileMeta(
  bytes: Uint8Array,
  meta: Box,
  read: (from: number, to: number) => Promise<Uint8Array>,
  leftOut: Set<LeftOut>,
): Promise<KeptRange[]> {
  const handler = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf('hdlr', 0, 'latin1')
  if (handler >= 0 && fourCc(bytes, handler + 12) === 'pict') return cleanMeta(bytes, meta, read, leftOut)
  free(bytes, meta)
  return []
}

async function topBoxes(source: Source): Promise<Box[]> {
  const boxes: Box[] = []
  for (let at = 0; at < source.sizeBytes; ) {
    if (source.sizeBytes - at < 8) throw notRemovable('it ends in the middle')
    const head = await readExactly(source, at, Math.min(16, source.sizeBytes - at))
    const box = boxAt(head, at, source.sizeBytes, at)
    boxes.push(box)
    if (boxes.length > topBoxesMax) throw notRemovable(`more than ${topBoxesMax} boxes`)
    at = box.to
  }
  return boxes
}

async function* written(
  source: Source,
  top: readonly Box[],
  index: ReadonlyMap<Box, Uint8Array>,
  ranges: readonly KeptRange[],
): AsyncGenerator<Uint8Array> {
  let next = 0
  for (const box of top) {
    const bytes = index.get(box)
    if (bytes) {
      yield bytes
      continue
    }
    const head = await readExactly(source, box.from, box.body - box.from)
    if (!['mdat', 'wide', 'skip', 'free'].includes(box.type)) head.set(Buffer.from('free', 'latin1'), 4)
    yield head
    let at = box.body
    if (box.type === 'mdat')
      for (; next < ranges.length && ranges[next]!.from < box.to; next++) {
        const range = ranges[next]!
        if (range.from > at) yield* zeros(range.from - at)
        at = Math.max(at, range.from)
        // Two tracks may share samples.
        if (range.to <= at) continue
        if (range.from < at && (range.bytes || range.clean)) throw notRemovable('samples lie across each other')
        yield* rangeOf(source, { ...range, from: at })
        at = range.to
      }
    yield* zeros(box.to - at)
  }
}

async function* rangeOf(source: Source, { from, to, bytes, clean }: KeptRange): AsyncGenerator<Uint8Array> {
  if (bytes) yield bytes
  else if (clean) {
    const sample = await readExactly(source, from, to - from)
    clean(sample)
    yield sample
  } else for await (const [, piece] of readFrom(source, from, to)) yield piece
}

function* zeros(length: number): Generator<Uint8Array> {
  for (let left = length; left > 0; left -= pieceBytes) yield new Uint8Array(Math.min(left, pieceBytes))
}
