/**
 * Boxes of ISO/IEC 14496-12 and QuickTime: what a box holds is found through places in the file, so a file is rebuilt at
 * its own size. What is not kept becomes a `free` box of zeros, which every reader passes over.
 */
import { fourCc, notRemovable } from './source.ts'

export interface Box {
  type: string
  /** Where its header begins, its content begins, and it ends. */
  from: number
  body: number
  to: number
}

/** Bytes of the file that are kept, `to` not among them. */
export interface KeptRange {
  from: number
  to: number
  /** Stands there instead, of the same length. */
  bytes?: Uint8Array
  /** Makes what is read safe, in place; called with the whole range. */
  clean?: (bytes: Uint8Array) => void
}

const boxesMax = 10_000

/** The boxes of a range, one after the other. @throws {Problem} `place.not-removable` when they are damaged */
export function boxesOf(bytes: Uint8Array, from: number, to: number): Box[] {
  const boxes: Box[] = []
  for (let at = from; at < to; ) {
    // QuickTime ends some lists with a zero instead of a box.
    if (to - at < 8) {
      bytes.fill(0, at, to)
      break
    }
    const box = boxAt(bytes, at, to)
    boxes.push(box)
    if (boxes.length > boxesMax) throw notRemovable(`more than ${boxesMax} boxes`)
    at = box.to
  }
  return boxes
}

/** @param end of what the box lies in */
export function boxAt(bytes: Uint8Array, at: number, end: number, origin = 0): Box {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const start = at - origin
  const small = view.getUint32(start)
  const isLarge = small === 1 && start + 16 <= bytes.length
  const size = isLarge ? Number(view.getBigUint64(start + 8)) : small === 0 ? end - at : small
  const body = at + (isLarge ? 16 : 8)
  if (!Number.isSafeInteger(size) || at + size < body || at + size > end)
    throw notRemovable(`a box of ${size} bytes at ${at}`)
  return { type: fourCc(bytes, start + 4), from: at, body, to: at + size }
}

/** Only these boxes stay; the others become free. */
export function keepOnly(bytes: Uint8Array, boxes: readonly Box[], kept: ReadonlySet<string>): Box[] {
  for (const box of boxes) if (!kept.has(box.type)) free(bytes, box)
  return boxes.filter(({ type }) => kept.has(type))
}

export function free(bytes: Uint8Array, box: Box): void {
  bytes.set(Buffer.from('free', 'latin1'), box.from + 4)
  bytes.fill(0, box.body, box.to)
}

/** A handler's name is free text (§8.4.3): only its kind stays. @returns its kind, such as `vide` */
export function handlerOf(bytes: Uint8Array, box: Box): string {
  if (box.to - box.body < 20) throw notRemovable('a handler without a kind')
  bytes.fill(0, box.body + 12, box.to)
  return fourCc(bytes, box.body + 8)
}
