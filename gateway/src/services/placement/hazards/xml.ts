/**
 * XML from strangers: strictly well-formed UTF-8, no document type (so no entities of its own and nothing fetched), and
 * limits on size, depth and number of elements. Namespaces are resolved by the parser; names here are local names.
 */
import { Problem } from '@azukari/protocol/problem'
import { SaxesParser } from 'saxes'
import { limits } from './hazard.ts'

export interface XmlNode {
  name: string
  attributes: Readonly<Record<string, string>>
  children: XmlNode[]
  /** Text directly within, joined. */
  text: string
}

const mostElements = 300_000
const deepest = 64

/** @throws {Problem} `feed.malformed`, `feed.hostile`, `feed.too-large` */
export function readXml(bytes: Uint8Array): XmlNode {
  if (bytes.length > limits.bulletinBytes)
    throw new Problem('feed.too-large', `${bytes.length} bytes, ${limits.bulletinBytes} are allowed`)
  const parser = new SaxesParser({ xmlns: true, position: false })
  const stack: XmlNode[] = []
  let root: XmlNode | undefined
  let elements = 0
  // What goes wrong inside a handler is kept and thrown afterwards: the parser cannot be left in the middle by a throw of its own kind.
  parser.on('error', (error) => {
    throw new Problem('feed.malformed', error.message.slice(0, 200))
  })
  parser.on('xmldecl', ({ encoding }) => {
    if (encoding && !/^utf-?8$/i.test(encoding))
      throw new Problem('feed.malformed', `encoding ${encoding.slice(0, 40)}`)
  })
  parser.on('doctype', () => {
    throw new Problem('feed.hostile', 'the document declares a document type')
  })
  parser.on('opentag', (tag) => {
    if (++elements > mostElements) throw new Problem('feed.hostile', `more than ${mostElements} elements`)
    if (stack.length >= deepest) throw new Problem('feed.hostile', `deeper than ${deepest} elements`)
    const attributes: Record<string, string> = Object.create(null)
    for (const attribute of Object.values(tag.attributes)) attributes[attribute.local] = attribute.value
    const node: XmlNode = { name: tag.local, attributes, children: [], text: '' }
    stack.at(-1)?.children.push(node)
    stack.push(node)
    root ??= node
  })
  const take = (text: string) => {
    const node = stack.at(-1)
    if (node) node.text += text
  }
  parser.on('text', take)
  parser.on('cdata', take)
  parser.on('closetag', () => void stack.pop())
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new Problem('feed.malformed', 'the text is not valid UTF-8')
  }
  parser.write(text).close()
  if (!root) throw new Problem('feed.malformed', 'no element')
  return root
}

/** The first child of that name, down a path. */
export function find(node: XmlNode | undefined, ...path: string[]): XmlNode | undefined {
  let at = node
  for (const name of path) at = at?.children.find((child) => child.name === name)
  return at
}

/** All children of that name. */
export function all(node: XmlNode | undefined, name: string): XmlNode[] {
  return node?.children.filter((child) => child.name === name) ?? []
}

/** Every element of that name anywhere below, in document order. */
export function* below(node: XmlNode | undefined, name: string): Generator<XmlNode> {
  for (const child of node?.children ?? []) {
    if (child.name === name) yield child
    yield* below(child, name)
  }
}

/** The text at a path, trimmed; undefined when there is none. */
export function textOf(node: XmlNode | undefined, ...path: string[]): string | undefined {
  const text = find(node, ...path)?.text.trim()
  return text ? text : undefined
}
