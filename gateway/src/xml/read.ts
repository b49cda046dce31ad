/**
 * The one reader of XML that strangers wrote: strictly well-formed, no document type (so no entities of its own and nothing
 * fetched), with limits on size, depth and number of elements. Namespaces are resolved by the parser; names are local
 * names. CDATA is text like any other.
 */
import { Problem, type ProblemCode } from '@azukari/protocol/problem'
import { SaxesParser } from 'saxes'

export interface XmlNode {
  /** Without prefix. */
  name: string
  attributes: Readonly<Record<string, string>>
  children: XmlNode[]
  /** Text directly within, joined. */
  text: string
}

export interface XmlOptions {
  maxBytes: number
  maxElements: number
  maxDepth: number
  /** Codes of the problems that are thrown. */
  problems: {
    /** Not well-formed, or not in a known encoding. */
    malformed: ProblemCode
    /** A document type, or beyond the limits on elements. */
    hostile: ProblemCode
    tooLarge: ProblemCode
  }
}

/** Names of encodings as documents declare them, and the decoder for each. Single bytes are read as Windows-1252. */
const encodings: Record<string, string> = {
  'utf-8': 'utf-8',
  utf8: 'utf-8',
  'us-ascii': 'utf-8',
  'iso-8859-1': 'windows-1252',
  latin1: 'windows-1252',
  'windows-1252': 'windows-1252',
  'utf-16': 'utf-16le',
}

/** @returns the root element @throws {Problem} with one of the given codes */
export function readXml(bytes: Uint8Array, { maxBytes, maxElements, maxDepth, problems }: XmlOptions): XmlNode {
  if (bytes.length > maxBytes) throw new Problem(problems.tooLarge, `${bytes.length} bytes, ${maxBytes} are allowed`)
  const text = decodeXml(bytes, problems.malformed)
  const parser = new SaxesParser({ xmlns: true, position: false })
  const open: XmlNode[] = []
  let root: XmlNode | undefined
  let elements = 0
  parser.on('error', (error) => {
    throw new Problem(problems.malformed, error.message.slice(0, 200))
  })
  parser.on('doctype', () => {
    throw new Problem(problems.hostile, 'the document declares a document type')
  })
  parser.on('opentag', (tag) => {
    if (++elements > maxElements) throw new Problem(problems.hostile, `more than ${maxElements} elements`)
    if (open.length >= maxDepth) throw new Problem(problems.hostile, `deeper than ${maxDepth} elements`)
    const attributes: Record<string, string> = Object.create(null)
    for (const attribute of Object.values(tag.attributes)) attributes[attribute.local] = attribute.value
    const node: XmlNode = { name: tag.local, attributes, children: [], text: '' }
    open.at(-1)?.children.push(node)
    open.push(node)
    root ??= node
  })
  const take = (part: string) => {
    const node = open.at(-1)
    if (node) node.text += part
  }
  parser.on('text', take)
  parser.on('cdata', take)
  parser.on('closetag', () => void open.pop())
  parser.write(text).close()
  if (!root) throw new Problem(problems.malformed, 'no element')
  return root
}

/** The beginning of a text in any encoding that is read, to tell what it is; never throws. */
export function startOf(bytes: Uint8Array, length: number): string {
  return new TextDecoder(utf16Of(bytes) ?? 'utf-8').decode(bytes.subarray(0, length))
}

function decodeXml(bytes: Uint8Array, malformed: ProblemCode): string {
  const declared = /^(?:\uFEFF)?<\?xml\s[^>]{0,100}?encoding\s*=\s*["']([^"']{1,40})["']/.exec(startOf(bytes, 256))?.[1]
  const encoding = utf16Of(bytes) ?? encodings[(declared ?? 'utf-8').toLowerCase()]
  if (!encoding) throw new Problem(malformed, `encoding ${declared}`)
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch {
    throw new Problem(malformed, `the text is not valid ${(declared ?? 'UTF-8').toUpperCase()}`)
  }
}

/** UTF-16 shows itself by its byte order mark. */
function utf16Of(bytes: Uint8Array): string | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le'
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be'
  return undefined
}
