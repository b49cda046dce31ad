/** XML as bank files have it: written with escapes; the limits under which it is read. */
import { readXml as read, type XmlNode } from '../../../../xml/read.ts'

export type { XmlNode } from '../../../../xml/read.ts'
export { at, textAt } from '../../../../xml/walk.ts'

/** An element to write; absent parts are left out. */
export type Xml = readonly [
  name: string,
  ...content: (Xml | string | Record<string, string> | undefined | readonly Xml[])[],
]

export function writeXml(root: Xml): Uint8Array {
  return new TextEncoder().encode(`<?xml version="1.0" encoding="UTF-8"?>\n${element(root)}\n`)
}

function element([name, ...content]: Xml): string {
  let attributes = ''
  let inner = ''
  for (const part of content) {
    if (part === undefined) continue
    if (typeof part === 'string') inner += escaped(part)
    else if (isElement(part)) inner += element(part)
    else if (Array.isArray(part)) inner += (part as readonly Xml[]).map(element).join('')
    else for (const [key, value] of Object.entries(part)) attributes += ` ${key}="${escaped(value)}"`
  }
  return inner === '' ? `<${name}${attributes}/>` : `<${name}${attributes}>${inner}</${name}>`
}

function isElement(part: unknown): part is Xml {
  return Array.isArray(part) && typeof part[0] === 'string'
}

function escaped(text: string): string {
  const marks: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return text.replace(/[&<>"]/g, (mark) => marks[mark]!)
}

/** @returns a node above the root element, so that paths begin with the root's name @throws {Problem} `bank.malformed` */
export function readXml(bytes: Uint8Array): XmlNode {
  const root = read(bytes, {
    maxBytes: 64 * 1024 * 1024,
    maxElements: 500_000,
    maxDepth: 40,
    problems: { malformed: 'bank.malformed', hostile: 'bank.malformed', tooLarge: 'bank.malformed' },
  })
  return { name: '', attributes: {}, children: [root], text: '' }
}
