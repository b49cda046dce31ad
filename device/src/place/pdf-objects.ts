/**
 * All objects of a PDF by number (ISO 32000-1 §7.5), read one after the other as they stand: of an object that was changed
 * by an update, the last counts. Encrypted files are refused.
 */
import { inflateSync } from 'node:zlib'
import { type Dictionary, latin1, Name, PdfReader, type PdfValue, Reference, Stream, Token } from './pdf-syntax.ts'
import { notRemovable } from './source.ts'

const objectsMax = 1_000_000
const streamMaxBytes = 256 << 20

export interface PdfObjects {
  objects: ReadonlyMap<number, PdfValue>
  root: Reference
}

/** @throws {Problem} `place.not-removable` */
export function readPdf(bytes: Uint8Array): PdfObjects {
  const objects = new Map<number, PdfValue>()
  let root: PdfValue | undefined
  const trailer = (entries: Dictionary) => {
    if (entries.has('Encrypt')) throw notRemovable('it is encrypted')
    root = entries.get('Root') ?? root
  }
  const reader = new PdfReader(bytes)
  while (!reader.ended) {
    const from = reader.at
    const word = reader.word()
    if (word === 'trailer') {
      const entries = reader.value()
      if (entries instanceof Map) trailer(entries)
      continue
    }
    if (/^\d+$/.test(word)) {
      const after = reader.at
      if (/^\d+$/.test(reader.word()) && reader.takes('obj')) {
        const value = readObject(bytes, reader, objects)
        objects.set(Number(word), value)
        if (objects.size > objectsMax) throw notRemovable(`more than ${objectsMax} objects`)
        if (value instanceof Stream) {
          const type = nameOf(value.dictionary.get('Type'))
          if (type === 'XRef') trailer(value.dictionary)
          if (type === 'ObjStm') unpack(value, objects)
        }
        continue
      }
      reader.at = after
    }
    // Tables and whatever else stands between objects: only objects count.
    if (reader.at === from) reader.at++
  }
  if (!(root instanceof Reference) || !objects.has(root.number)) throw notRemovable('it has no catalogue')
  return { objects, root }
}

function readObject(bytes: Uint8Array, reader: PdfReader, objects: ReadonlyMap<number, PdfValue>): PdfValue {
  const value = reader.value()
  if (!(value instanceof Map) || !reader.takes('stream')) {
    reader.takes('endobj')
    return value
  }
  if (bytes[reader.at] === 13) reader.at++
  if (bytes[reader.at] === 10) reader.at++
  const from = reader.at
  const given = value.get('Length')
  const length = numberOf(given instanceof Reference ? objects.get(given.number) : given)
  if (length !== undefined && from + length <= bytes.length) {
    reader.at = from + length
    if (reader.takes('endstream')) {
      reader.takes('endobj')
      return new Stream(value, bytes.subarray(from, from + length))
    }
  }
  const end = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf('endstream', from, 'latin1')
  if (end < 0) throw notRemovable('a stream without an end')
  reader.at = end + 'endstream'.length
  reader.takes('endobj')
  const to = bytes[end - 1] === 10 ? (bytes[end - 2] === 13 ? end - 2 : end - 1) : bytes[end - 1] === 13 ? end - 1 : end
  return new Stream(value, bytes.subarray(from, Math.max(from, to)))
}

/** Objects in a compressed stream (§7.5.7). */
function unpack({ dictionary, data }: Stream, objects: Map<number, PdfValue>): void {
  const count = numberOf(dictionary.get('N'))
  const first = numberOf(dictionary.get('First'))
  const filters = filtersOf(dictionary)
  if (count === undefined || first === undefined || filters.length > 1 || dictionary.has('DecodeParms'))
    throw notRemovable('a stream of objects of an unknown form')
  const content = filters[0] === 'FlateDecode' ? inflated(data) : data
  if (filters[0] !== undefined && filters[0] !== 'FlateDecode') throw notRemovable(`objects in ${filters[0]}`)
  const head = new PdfReader(content)
  const places: [number, number][] = []
  for (let i = 0; i < count; i++) {
    const [number, place] = [Number(head.word()), Number(head.word())]
    if (!Number.isSafeInteger(number) || !Number.isSafeInteger(place)) throw notRemovable('a stream of objects')
    places.push([number, place])
  }
  for (const [number, place] of places) objects.set(number, new PdfReader(content, first + place).value())
  if (objects.size > objectsMax) throw notRemovable(`more than ${objectsMax} objects`)
}

/** @throws {Problem} `place.not-removable` */
export function inflated(data: Uint8Array): Uint8Array {
  try {
    return inflateSync(data, { maxOutputLength: streamMaxBytes })
  } catch (error) {
    throw notRemovable('a stream that cannot be read', error)
  }
}

/** Names of a stream's filters, in the order in which they are undone. */
export function filtersOf(dictionary: Dictionary): string[] {
  const filter = dictionary.get('Filter') ?? dictionary.get('F')
  if (filter === undefined) return []
  return (Array.isArray(filter) ? filter : [filter]).map((one: PdfValue) => nameOf(one) ?? '?')
}

export function nameOf(value: PdfValue | undefined): string | undefined {
  return value instanceof Name ? value.text : undefined
}

export function numberOf(value: PdfValue | undefined): number | undefined {
  const number = value instanceof Token ? Number(latin1(value.bytes)) : Number.NaN
  return Number.isSafeInteger(number) && number >= 0 ? number : undefined
}
