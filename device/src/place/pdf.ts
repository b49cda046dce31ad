/**
 * A PDF rebuilt from its pages (ISO 32000-1; D8): what is needed to show them is written into a new file, from the catalogue
 * on. Information, XMP, attachments, earlier states of the file, and measures of maps do not get into it; photos in it
 * lose their own places.
 */
import { jpegWithoutPlace } from './jpeg.ts'
import { filtersOf, inflated, nameOf, readPdf } from './pdf-objects.ts'
import { type Dictionary, Name, type PdfValue, Reference, Stream, Token, writePdfValue } from './pdf-syntax.ts'
import { type LeftOut, notRemovable } from './source.ts'

const inCatalogue: ReadonlySet<string> = new Set(['Type', 'Pages', 'OCProperties', 'PageLayout', 'Lang'])
const inPages: ReadonlySet<string> = new Set([
  'Type',
  'Parent',
  'Kids',
  'Count',
  'Resources',
  'MediaBox',
  'CropBox',
  'BleedBox',
  'TrimBox',
  'ArtBox',
  'Rotate',
  'Contents',
  'Group',
  'UserUnit',
  'Annots',
])
/** Of notes and fields of forms, how they look. */
const inAnnotation: ReadonlySet<string> = new Set([
  'Type',
  'Subtype',
  'Rect',
  'F',
  'AP',
  'AS',
  'Border',
  'BS',
  'C',
  'OC',
])
const annotationsGone: ReadonlySet<string> = new Set([
  'FileAttachment',
  'RichMedia',
  'Screen',
  'Movie',
  'Sound',
  '3D',
  'Link',
])
/** Nowhere: metadata, private data of programs, files, actions, and places of maps. */
const goneEverywhere: ReadonlySet<string> = new Set([
  'Metadata',
  'PieceInfo',
  'LastModified',
  'Info',
  'AF',
  'EF',
  'A',
  'AA',
  'JS',
  'URI',
  'OPI',
  'Alternates',
  'Thumb',
  'Measure',
  'PtData',
  'VP',
  'LGIDict',
  'GPTS',
  'GCS',
  'DCS',
  'StructParent',
  'StructParents',
  'ID',
  'Names',
])

/** @throws {Problem} `place.not-removable` for files that are encrypted, damaged, or hold what cannot be made safe */
export function pdfWithoutPlace(pdf: Uint8Array, leftOut: Set<LeftOut>): Uint8Array {
  if (Buffer.from(pdf.buffer, pdf.byteOffset, pdf.byteLength).includes('C2PA_Manifest')) leftOut.add('provenance')
  const { objects, root } = readPdf(pdf)
  const numbers = new Map<number, number>([[root.number, 1]])
  const written: Uint8Array[] = []
  const found = (value: PdfValue | undefined) => (value instanceof Reference ? objects.get(value.number) : value)
  /** A copy that refers to the new file's numbers; what is referred to gets one. */
  const copy = (value: PdfValue): PdfValue => {
    if (value instanceof Reference) {
      if (!objects.has(value.number)) return new Token(Buffer.from('null'))
      const number = numbers.get(value.number) ?? numbers.size + 1
      numbers.set(value.number, number)
      return new Reference(number)
    }
    if (value instanceof Map) return copyEntries(value)
    return Array.isArray(value) ? value.filter((part) => !isGone(found(part))).map(copy) : (value as PdfValue)
  }
  const copyEntries = (entries: Dictionary): Dictionary => {
    const type = nameOf(found(entries.get('Type')))
    const isAnnotation = type === 'Annot' || (entries.has('Subtype') && entries.has('Rect'))
    const kept =
      type === 'Catalog'
        ? inCatalogue
        : type === 'Pages' || type === 'Page'
          ? inPages
          : isAnnotation
            ? inAnnotation
            : undefined
    const all = [...entries].filter(([key]) => (kept ? kept.has(key) : !goneEverywhere.has(key)))
    return new Map(all.map(([key, value]) => [key, copy(value)]))
  }
  // A map grows while it is walked: every object that is referred to is met, each once.
  for (const [old] of numbers) written.push(objectOf(objects.get(old)!, copy))
  return assemble(written)
}

function isGone(value: PdfValue | undefined): boolean {
  return value instanceof Map && value.has('Rect') && annotationsGone.has(nameOf(value.get('Subtype')) ?? '')
}

function objectOf(value: PdfValue, copy: (value: PdfValue) => PdfValue): Uint8Array {
  if (!(value instanceof Stream)) return writePdfValue(copy(value))
  const { dictionary, data } = safeStream(value)
  const entries = copy(dictionary)
  if (!(entries instanceof Map)) throw notRemovable('a stream without a dictionary')
  entries.set('Length', new Token(Buffer.from(String(data.length))))
  return Buffer.concat([writePdfValue(entries), Buffer.from('\nstream\n'), data, Buffer.from('\nendstream')])
}

/** Photos lose their own places; what reads like a file in the file is refused. */
function safeStream({ dictionary, data }: Stream): Stream {
  const filters = filtersOf(dictionary)
  if (dictionary.has('F')) throw notRemovable('a stream lies in another file')
  if (nameOf(dictionary.get('Type')) === 'EmbeddedFile') throw notRemovable('a file in the file')
  if (filters.includes('JPXDecode')) throw notRemovable('a JPEG 2000 picture in it')
  if (!filters.includes('DCTDecode') && !filters.includes('DCT')) return new Stream(dictionary, data)
  if (filters.length > 2 || (filters.length === 2 && filters[0] !== 'FlateDecode'))
    throw notRemovable(`a photo in ${filters.join(', ')}`)
  const entries: Dictionary = new Map(dictionary)
  entries.set('Filter', new Name('DCTDecode'))
  const parameters = entries.get('DecodeParms')
  if (filters.length === 2) {
    entries.delete('DecodeParms')
    if (Array.isArray(parameters) && parameters[1] instanceof Map) entries.set('DecodeParms', parameters[1])
  }
  return new Stream(entries, jpegWithoutPlace(filters.length === 2 ? inflated(data) : data))
}

/** Objects from number 1 on, the catalogue first, with the table of where they are. */
function assemble(objects: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [Buffer.from('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n', 'latin1')]
  let length = parts[0]!.length
  const rows = objects.map((object, i) => {
    const part = Buffer.concat([Buffer.from(`${i + 1} 0 obj\n`), object, Buffer.from('\nendobj\n')])
    const row = `${String(length).padStart(10, '0')} 00000 n \n`
    parts.push(part)
    length += part.length
    return row
  })
  const head = `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${rows.join('')}`
  const tail = `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${length}\n%%EOF\n`
  return Buffer.concat([...parts, Buffer.from(head + tail)])
}
