/** Inputs made of whole ones by small and large changes: bytes, words, elements, records. */
import fc from 'fast-check'

const maxBytes = 96 * 1024
/** What parsers stumble over. */
const nasty = [
  '',
  ' ',
  '0',
  '-1',
  'NaN',
  '1e999',
  '-0',
  '0x10',
  '9'.repeat(400),
  '1.7976931348623157e308',
  '٣',
  '𝟘',
  '\u0000',
  '\ufeff',
  '2024-13-45T99:99:99Z',
  '9999-12-31T23:59:59Z',
  '1969-01-01T00:00:00Z',
  '2024-06-03T02:30:00',
  '+275760-09-13T00:00:00Z',
  ',',
  ', ,',
  '90,180',
  '-91,181',
  '0,0 0,0 0,0',
  '<a/>',
  '<a>',
  '</a>',
  '&amp;',
  '&x;',
  '&#0;',
  '&#x110000;',
  '<![CDATA[x]]>',
  ']]>',
  '<!--',
  '<?xml version="1.1"?>',
  '<!DOCTYPE a [<!ENTITY b "c">]>',
  '__proto__',
  'constructor',
  '取消',
  'Update',
  'Cancel',
  'BOOK',
  'CRDT',
]

type Change = (bytes: Buffer, corpus: readonly Uint8Array[]) => Buffer

/** Where in an input: a share of its length. */
const share = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
const length = fc.oneof(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 2000 }))
const at = (bytes: Uint8Array, where: number) => Math.floor(bytes.length * where)

/** Words, blanks, numbers and tags of a text. */
function tokens(bytes: Buffer): string[] {
  return bytes.toString('latin1').split(/(<[^>]*>|\s+|,|\d+)/)
}

const join = (parts: readonly string[]) => Buffer.from(parts.join(''), 'latin1')

const changes: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ where: share, value: fc.integer({ min: 0, max: 255 }) }).map(
    ({ where, value }): Change =>
      (bytes) => {
        const out = Buffer.from(bytes)
        if (out.length > 0) out[at(out, where)] = value
        return out
      },
  ),
  fc.record({ where: share, count: length }).map(
    ({ where, count }): Change =>
      (bytes) =>
        Buffer.concat([bytes.subarray(0, at(bytes, where)), bytes.subarray(at(bytes, where) + count)]),
  ),
  fc.record({ where: share, to: share, count: length }).map(
    ({ where, to, count }): Change =>
      (bytes) => {
        const piece = bytes.subarray(at(bytes, where), at(bytes, where) + count)
        return Buffer.concat([bytes.subarray(0, at(bytes, to)), piece, bytes.subarray(at(bytes, to))])
      },
  ),
  fc.record({ where: share, word: fc.constantFrom(...nasty) }).map(
    ({ where, word }): Change =>
      (bytes) => {
        const parts = tokens(bytes)
        parts[Math.floor(parts.length * where)] = Buffer.from(word).toString('latin1')
        return join(parts)
      },
  ),
  // An element, or whatever lies between two words, again and again.
  fc.record({ where: share, count: fc.integer({ min: 1, max: 12 }), times: fc.constantFrom(1, 2, 40) }).map(
    ({ where, count, times }): Change =>
      (bytes) => {
        const parts = tokens(bytes)
        const from = Math.floor(parts.length * where)
        const piece = parts.slice(from, from + count)
        parts.splice(from, 0, ...Array.from({ length: times }, () => piece).flat())
        return join(parts)
      },
  ),
  fc.record({ where: share, to: share }).map(
    ({ where, to }): Change =>
      (bytes) => {
        const parts = tokens(bytes)
        const [a, b] = [Math.floor(parts.length * where), Math.floor(parts.length * to)]
        const word = parts[a] ?? ''
        parts[a] = parts[b] ?? ''
        parts[b] = word
        return join(parts)
      },
  ),
  fc.record({ where: share, depth: fc.constantFrom(3, 40, 70, 2000) }).map(
    ({ where, depth }): Change =>
      (bytes) => {
        const i = at(bytes, where)
        return Buffer.concat([bytes.subarray(0, i), Buffer.from('<d>'.repeat(depth)), bytes.subarray(i)])
      },
  ),
  fc.record({ other: share, where: share, from: share, count: length }).map(
    ({ other, where, from, count }): Change =>
      (bytes, corpus) => {
        const source = corpus[Math.floor(corpus.length * other)]!
        const piece = source.subarray(at(source, from), at(source, from) + count)
        return Buffer.concat([bytes.subarray(0, at(bytes, where)), piece, bytes.subarray(at(bytes, where))])
      },
  ),
)

export function mutated(corpus: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  return fc
    .record({ base: fc.integer({ min: 0, max: corpus.length - 1 }), work: fc.array(changes, { maxLength: 8 }) })
    .map(({ base, work }) => {
      let bytes = Buffer.from(corpus[base]!)
      for (const change of work) bytes = Buffer.from(change(bytes, corpus).subarray(0, maxBytes))
      return new Uint8Array(bytes)
    })
}
