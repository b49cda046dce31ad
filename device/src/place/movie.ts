/**
 * What a film's `moov` keeps (ISO/IEC 14496-12, QuickTime; D8): tracks of picture and sound, with the boxes that are needed
 * to play them. Metadata, user data and timed metadata (GoPro's, Apple's and DJI's positions are tracks) go.
 */
import { type Box, boxesOf, free, handlerOf, type KeptRange, keepOnly } from './boxes.ts'
import { keepSampleEntries } from './sample-entries.ts'
import { type LeftOut, notRemovable } from './source.ts'
import { cleanUnits } from './video-units.ts'

const inMovie: ReadonlySet<string> = new Set(['mvhd', 'trak', 'iods'])
const inTrack: ReadonlySet<string> = new Set(['tkhd', 'edts', 'mdia', 'tapt'])
const inMedia: ReadonlySet<string> = new Set(['mdhd', 'hdlr', 'minf'])
const inMediaInformation: ReadonlySet<string> = new Set(['vmhd', 'smhd', 'hdlr', 'dinf', 'stbl'])
const inSampleTable: ReadonlySet<string> = new Set([
  'stsd',
  'stts',
  'ctts',
  'cslg',
  'stsc',
  'stsz',
  'stco',
  'co64',
  'stss',
  'stps',
  'sdtp',
  'sgpd',
  'sbgp',
])
const handlersKept: ReadonlySet<string> = new Set(['vide', 'soun', 'pict', 'auxv'])
const samplesMax = 20_000_000
/** Largest sample whose units are looked at: it is in memory then. */
const cleanedMaxBytes = 64 << 20

/**
 * Cleans a `moov` box in place.
 * @returns where in the file the samples of what is kept lie
 * @throws {Problem} `place.not-removable` for films that cannot be made safe
 */
export function cleanMovie(bytes: Uint8Array, movie: Box, leftOut: Set<LeftOut>): KeptRange[] {
  const ranges: KeptRange[] = []
  const boxes = boxesOf(bytes, movie.body, movie.to)
  if (boxes.some(({ type }) => type === 'mvex')) throw notRemovable('a film in fragments')
  for (const box of keepOnly(bytes, boxes, inMovie)) {
    if (box.type !== 'trak') continue
    const samples = cleanTrack(bytes, box)
    if (samples) for (const range of samples) ranges.push(range)
    else {
      free(bytes, box)
      leftOut.add('tracks')
    }
  }
  if (ranges.length === 0) throw notRemovable('there is neither picture nor sound in it')
  return ranges
}

function cleanTrack(bytes: Uint8Array, track: Box): KeptRange[] | undefined {
  const media = keepOnly(bytes, boxesOf(bytes, track.body, track.to), inTrack).find(({ type }) => type === 'mdia')
  const inside = media && keepOnly(bytes, boxesOf(bytes, media.body, media.to), inMedia)
  const handler = inside?.find(({ type }) => type === 'hdlr')
  const information = inside?.find(({ type }) => type === 'minf')
  const kind = handler && handlerOf(bytes, handler)
  if (!information || !kind || !handlersKept.has(kind)) return undefined
  const parts = keepOnly(bytes, boxesOf(bytes, information.body, information.to), inMediaInformation)
  for (const part of parts) {
    if (part.type === 'hdlr') handlerOf(bytes, part)
    if (part.type === 'dinf') onlyThisFile(bytes, part)
  }
  const table = parts.find(({ type }) => type === 'stbl')
  if (!table) throw notRemovable('a track without samples')
  const tables = keepOnly(bytes, boxesOf(bytes, table.body, table.to), inSampleTable)
  const description = tables.find(({ type }) => type === 'stsd')
  if (!description) throw notRemovable('a track that does not say what it is')
  const units = keepSampleEntries(bytes, description, kind === 'soun')
  const samples = samplesOf(bytes, tables)
  if (!units) return samples
  if (samples.some(({ from, to }) => to - from > cleanedMaxBytes)) throw notRemovable('a sample is too large')
  return samples.map((range) => ({ ...range, clean: (sample: Uint8Array) => cleanUnits(sample, units) }))
}

/** Data references name other files (§8.7.2): only those to the file itself stay. */
function onlyThisFile(bytes: Uint8Array, box: Box): void {
  for (const reference of keepOnly(bytes, boxesOf(bytes, box.body, box.to), new Set(['dref'])))
    for (const { type, body, to } of boxesOf(bytes, reference.body + 8, reference.to)) {
      if ((type !== 'url ' && type !== 'alis') || !((bytes[body + 3] ?? 0) & 1))
        throw notRemovable('a track lies in another file')
      bytes.fill(0, body + 4, to)
    }
}

/** Where each sample lies, from chunk offsets, samples per chunk, and sizes (§8.7). */
function samplesOf(bytes: Uint8Array, tables: readonly Box[]): KeptRange[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const table = (...types: string[]) => {
    const box = tables.find(({ type }) => types.includes(type))
    if (!box || box.to - box.body < 8) throw notRemovable(`no ${types[0]}`)
    return box
  }
  const sizes = table('stsz')
  const [fixed, count] = [view.getUint32(sizes.body + 4), view.getUint32(sizes.body + 8)]
  if (count > samplesMax || (fixed === 0 && sizes.body + 12 + count * 4 > sizes.to)) throw notRemovable('sample sizes')
  const offsets = table('stco', 'co64')
  const wide = offsets.type === 'co64' ? 8 : 4
  const chunks = view.getUint32(offsets.body + 4)
  if (offsets.body + 8 + chunks * wide > offsets.to) throw notRemovable('chunk offsets')
  const runs = table('stsc')
  const runCount = view.getUint32(runs.body + 4)
  if (runs.body + 8 + runCount * 12 > runs.to) throw notRemovable('samples per chunk')
  const ranges: KeptRange[] = []
  let run = 0
  let sample = 0
  for (let chunk = 1; chunk <= chunks && sample < count; chunk++) {
    while (run + 1 < runCount && view.getUint32(runs.body + 8 + (run + 1) * 12) <= chunk) run++
    const perChunk = runCount === 0 ? 0 : view.getUint32(runs.body + 8 + run * 12 + 4)
    const place = offsets.body + 8 + (chunk - 1) * wide
    let at = wide === 8 ? Number(view.getBigUint64(place)) : view.getUint32(place)
    for (let i = 0; i < perChunk && sample < count; i++, sample++) {
      const size = fixed || view.getUint32(sizes.body + 12 + sample * 4)
      if (size > 0) ranges.push({ from: at, to: at + size })
      at += size
    }
  }
  if (sample < count) throw notRemovable('more samples than chunks hold')
  return ranges
}
