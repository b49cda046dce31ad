/** Finds elements in a document that was read. */
import type { XmlNode } from './read.ts'

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

/** All nodes at a path below a node. */
export function at(node: XmlNode, ...path: string[]): XmlNode[] {
  return path.reduce<XmlNode[]>((nodes, name) => nodes.flatMap((parent) => all(parent, name)), [node])
}

/** The text at a path, when there is exactly one such node. */
export function textAt(node: XmlNode, ...path: string[]): string | undefined {
  const found = at(node, ...path)
  return found.length === 1 ? found[0]!.text.trim() : undefined
}
