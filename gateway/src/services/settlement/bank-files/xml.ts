/** XML as bank files have it: written with escapes, read into a small tree with limits, without DTDs or entities of its own. */
import { Problem } from '@azukari/protocol/problem'
import { SaxesParser } from 'saxes'

export interface XmlNode {
  /** Without prefix. */
  name: string
  attributes: Record<string, string>
  children: XmlNode[]
  text: string
}

const nodesAtMost = 500_000
const depthAtMost = 40

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

/** @throws {Problem} `bank.malformed` */
export function readXml(bytes: Uint8Array): XmlNode {
  const parser = new SaxesParser({ xmlns: true })
  const root: XmlNode = { name: '', attributes: {}, children: [], text: '' }
  const open = [root]
  let nodes = 0
  const refuse = (what: string): never => {
    throw new Problem('bank.malformed', what)
  }
  parser.on('error', (error) => refuse(`XML: ${error.message.slice(0, 120)}`))
  parser.on('doctype', () => refuse('a document type is not taken'))
  parser.on('opentag', (tag) => {
    if (++nodes > nodesAtMost || open.length > depthAtMost) refuse('too many elements')
    const attributes = Object.fromEntries(Object.values(tag.attributes).map(({ local, value }) => [local, value]))
    const node = { name: tag.local, attributes, children: [], text: '' }
    open.at(-1)!.children.push(node)
    open.push(node)
  })
  parser.on('text', (text) => {
    open.at(-1)!.text += text
  })
  parser.on('closetag', () => void open.pop())
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new Problem('bank.malformed', 'not UTF-8')
  }
  parser.write(text).close()
  return root
}

/** The nodes at a path below a node. */
export function at(node: XmlNode, ...path: string[]): XmlNode[] {
  return path.reduce<XmlNode[]>(
    (nodes, name) => nodes.flatMap(({ children }) => children.filter((child) => child.name === name)),
    [node],
  )
}

/** The text at a path, when there is exactly one such node. */
export function textAt(node: XmlNode, ...path: string[]): string | undefined {
  const found = at(node, ...path)
  return found.length === 1 ? found[0]!.text.trim() : undefined
}
