/**
 * What the `meta` box of a HEIC or AVIF picture keeps (ISO/IEC 23008-12; D8): pictures with the properties that are needed
 * to show them, and an EXIF item written anew where the old one stood. Every other item becomes free, and its bytes zero.
 */
import { readTiff } from '../picture/exif.ts'
import { type Box, boxesOf, handlerOf, type KeptRange, keepOnly } from './boxes.ts'
import { writeExif } from './exif-writer.ts'
import { cleanParameterSets, keepColours } from './sample-entries.ts'
import { fourCc, type LeftOut, notRemovable } from './source.ts'

const inMeta: ReadonlySet<string> = new Set(['hdlr', 'pitm', 'iinf', 'iref', 'iprp', 'iloc', 'idat', 'grpl'])
const pictureItems: ReadonlySet<string> = new Set(['hvc1', 'av01', 'grid', 'iovl', 'iden', 'tmap'])
const properties: ReadonlySet<string> = new Set([
  'ispe',
  'hvcC',
  'av1C',
  'colr',
  'pixi',
  'irot',
  'imir',
  'clap',
  'pasp',
  'auxC',
  'clli',
  'mdcv',
  'cclv',
  'amve',
  'lsel',
  'a1lx',
  'a1op',
  'rloc',
  'oinf',
  'tols',
  'ndwt',
  'reve',
])
const itemsMax = 10_000

interface Item {
  id: number
  type: string
  entry: Box
  typeAt: number
}

interface Extent {
  /** In the file, or in `idat`. */
  inIdat: boolean
  from: number
  to: number
}

/**
 * Cleans a `meta` box in place.
 * @param read bytes of the file
 * @returns where in the file what is kept lies
 * @throws {Problem} `place.not-removable` for pictures that cannot be made safe
 */
export async function cleanMeta(
  bytes: Uint8Array,
  meta: Box,
  read: (from: number, to: number) => Promise<Uint8Array>,
  leftOut: Set<LeftOut>,
): Promise<KeptRange[]> {
  const boxes = keepOnly(bytes, boxesOf(bytes, meta.body + 4, meta.to), inMeta)
  const box = (type: string) => boxes.find((candidate) => candidate.type === type)
  const [handler, information, locations] = [box('hdlr'), box('iinf'), box('iloc')]
  if (!handler || handlerOf(bytes, handler) !== 'pict') throw notRemovable('a list of items that are no pictures')
  if (!information || !locations) throw notRemovable('a list of items without places')
  const properties = box('iprp')
  if (properties) cleanProperties(bytes, properties)
  const extents = extentsOf(bytes, locations)
  const idat = box('idat')
  const old = idat ? bytes.slice(idat.body, idat.to) : new Uint8Array(0)
  if (idat) bytes.fill(0, idat.body, idat.to)
  const kept: KeptRange[] = []
  const keep = (range: Extent, content?: Uint8Array) => {
    if (!range.inIdat) return void kept.push(content ? { ...range, bytes: content } : range)
    if (!idat || range.to > old.length) throw notRemovable('an item ends after its data')
    bytes.set(content ?? old.subarray(range.from, range.to), idat.body + range.from)
  }
  for (const item of itemsOf(bytes, information)) {
    // Names, and what kind of text it would be, are free text.
    bytes.fill(0, item.typeAt + 4, item.entry.to)
    const places = extents.get(item.id) ?? []
    if (pictureItems.has(item.type)) for (const place of places) keep(place)
    else if (item.type === 'Exif' && places.length === 1) {
      const [place] = places as [Extent]
      const written = exifItem(
        place.inIdat ? old.slice(place.from, place.to) : await read(place.from, place.to),
        place.to - place.from,
      )
      if (written) keep(place, written)
      else bytes.set(Buffer.from('free', 'latin1'), item.typeAt)
    } else {
      bytes.set(Buffer.from('free', 'latin1'), item.typeAt)
      if (item.type !== 'Exif' && item.type !== 'mime') leftOut.add('tracks')
    }
  }
  return kept
}

/** An EXIF item of the same length (ISO/IEC 23008-12 §A.2.1); undefined when it does not fit. */
function exifItem(old: Uint8Array, length: number): Uint8Array | undefined {
  if (old.length < 8) return undefined
  const offset = new DataView(old.buffer, old.byteOffset, old.byteLength).getUint32(0)
  const { exif, exposure } = readTiff(old.subarray(Math.min(old.length, 4 + offset)))
  const tiff = writeExif(exif, exposure)
  if (4 + tiff.length > length) return undefined
  const item = new Uint8Array(length)
  item.set(tiff, 4)
  return item
}

function cleanProperties(bytes: Uint8Array, box: Box): void {
  for (const part of keepOnly(bytes, boxesOf(bytes, box.body, box.to), new Set(['ipco', 'ipma'])))
    if (part.type === 'ipco')
      for (const property of keepOnly(bytes, boxesOf(bytes, part.body, part.to), properties)) {
        if (property.type === 'colr') keepColours(bytes, property)
        if (property.type === 'hvcC') cleanParameterSets(bytes, property)
      }
}

function itemsOf(bytes: Uint8Array, box: Box): Item[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const headBytes = bytes[box.body] === 0 ? 6 : 8
  return boxesOf(bytes, box.body + headBytes, box.to).map((entry) => {
    const version = bytes[entry.body]
    if (entry.type !== 'infe' || (version !== 2 && version !== 3)) throw notRemovable('an item of an unknown kind')
    const idBytes = version === 2 ? 2 : 4
    const typeAt = entry.body + 4 + idBytes + 2
    if (typeAt + 4 > entry.to) throw notRemovable('an item ends early')
    const id = version === 2 ? view.getUint16(entry.body + 4) : view.getUint32(entry.body + 4)
    return { id, type: fourCc(bytes, typeAt), entry, typeAt }
  })
}

/** Where items lie (ISO/IEC 14496-12 §8.11.3). */
function extentsOf(bytes: Uint8Array, box: Box): Map<number, Extent[]> {
  let at = box.body
  const number = (size: number) => {
    if (at + size > box.to) throw notRemovable('places of items end early')
    let value = 0
    for (let i = 0; i < size; i++) value = value * 256 + bytes[at++]!
    return value
  }
  const version = number(1)
  number(3)
  const sizes = number(2)
  const [offsetBytes, lengthBytes, baseBytes, indexBytes] = [
    sizes >> 12,
    (sizes >> 8) & 15,
    (sizes >> 4) & 15,
    sizes & 15,
  ]
  if (version > 2) throw notRemovable(`places of items, version ${version}`)
  const count = number(version < 2 ? 2 : 4)
  if (count > itemsMax) throw notRemovable(`${count} items`)
  const found = new Map<number, Extent[]>()
  for (let i = 0; i < count; i++) {
    const id = number(version < 2 ? 2 : 4)
    const method = version === 0 ? 0 : number(2) & 15
    const reference = number(2)
    if (method > 1 || reference !== 0) throw notRemovable('an item lies elsewhere')
    const base = number(baseBytes)
    const extents: Extent[] = []
    for (let extent = number(2); extent > 0; extent--) {
      if (version > 0) number(indexBytes)
      const from = base + number(offsetBytes)
      const length = number(lengthBytes)
      if (length === 0) throw notRemovable('an item without a length')
      extents.push({ inIdat: method === 1, from, to: from + length })
    }
    found.set(id, extents)
  }
  return found
}
