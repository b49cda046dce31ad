/**
 * The gate in front of the decoder: one pass over the bytes, no recursion, no copies, before anything is built from
 * them. It refuses what the profile does not allow (ARCHITECTURE §4, RFC 8949 §5.3.1 and §5.6), so that the decoder
 * behind it meets only short, shallow, definite, well-formed data without duplicate keys.
 */
import { Problem } from './problem.ts'
import { utf8End } from './utf8.ts'

export interface DecodeLimits {
  /** Longest message, in bytes. */
  maxBytes: number
  /** Containers and tags within each other; at most 64. */
  maxDepth: number
  /** Data items in all. */
  maxItems: number
}

export const defaultLimits: DecodeLimits = { maxBytes: 256 * 1024, maxDepth: 16, maxItems: 65_536 }

/** What the guard saw, so that the caller can choose the decoder: bits of `guardScan`'s result. */
export const seen = { tag: 1, integerKey: 2, hugeInteger: 4, byteOrderMark: 8 } as const

/** COSE_Encrypt0, Mac0, Sign1 (RFC 9052 §2), CWT (RFC 8392 §6), COSE_Encrypt, Mac, Sign. Kept in the order of use. */
const allowedTags: ReadonlySet<number> = new Set([16, 18, 17, 61, 96, 97, 98])

const depthLimit = 64
/** Keys of one map up to which each is compared with every earlier one; beyond, a set is used to stay linear. */
const comparedKeys = 16

// The stack and the keys of the open small maps, reused by every call: the scan is synchronous and does not re-enter.
const itemsLeft = new Int32Array(depthLimit + 1)
const inMap = new Uint8Array(depthLimit + 1)
const keysFrom = new Int32Array(depthLimit + 1)
const keyStart = new Int32Array(depthLimit * comparedKeys + 1)
const keyEnd = new Int32Array(depthLimit * comparedKeys + 1)
const keySets: (Set<string> | undefined)[] = new Array(depthLimit + 1).fill(undefined)

/** Checks one message. @throws {Problem} `cbor.*` */
export function guard(bytes: Uint8Array, limits?: Partial<DecodeLimits>): void {
  guardScan(bytes, limits)
}

/** As `guard`, and says what kinds of item it met. */
export function guardScan(bytes: Uint8Array, limits?: Partial<DecodeLimits>): number {
  const maxBytes = limits?.maxBytes ?? defaultLimits.maxBytes
  const maxDepth = Math.min(limits?.maxDepth ?? defaultLimits.maxDepth, depthLimit)
  const end = bytes.length
  if (end > maxBytes) throw new Problem('cbor.too-large', `${end} bytes, at most ${maxBytes}`)

  let itemsMax = limits?.maxItems ?? defaultLimits.maxItems
  let at = 0
  let depth = 0
  let flags = 0
  let keys = 0
  itemsLeft[0] = 1
  inMap[0] = 0

  for (;;) {
    // Leave every container that is complete.
    while (itemsLeft[depth] === 0) {
      if (depth === 0) {
        if (at !== end) throw new Problem('cbor.trailing', `${end - at} bytes after the end`)
        return flags
      }
      if (inMap[depth] === 1) {
        keys = keysFrom[depth]!
        keySets[depth] = undefined
      }
      depth--
    }
    if (at >= end) throw truncated(at)
    if (--itemsMax < 0) throw new Problem('cbor.too-large', 'too many items')
    const left = --itemsLeft[depth]!
    const isKey = inMap[depth] === 1 && (left & 1) === 1

    const start = at
    const initial = bytes[at++]!
    const major = initial >> 5
    let argument = initial & 0x1f
    let huge = false
    if (argument > 23) {
      if (argument === 24) {
        if (at >= end) throw truncated(at)
        argument = bytes[at++]!
        if (major === 7) throw malformed(start, 'an unknown simple value')
      } else if (argument === 25) {
        if (at + 2 > end) throw truncated(at)
        argument = (bytes[at]! << 8) | bytes[at + 1]!
        at += 2
      } else if (argument === 26) {
        if (at + 4 > end) throw truncated(at)
        argument = uint32(bytes, at)
        at += 4
      } else if (argument === 27) {
        if (at + 8 > end) throw truncated(at)
        const high = uint32(bytes, at)
        argument = high * 0x1_0000_0000 + uint32(bytes, at + 4)
        huge = high > 0x1f_ffff || (major === 1 && high > 0)
        at += 8
      } else if (argument === 31) {
        if (major === 7) throw malformed(start, 'a break without a beginning')
        throw major >= 2 && major <= 5
          ? new Problem('cbor.indefinite', `at byte ${start}`)
          : malformed(start, 'a reserved length')
      } else throw malformed(start, 'a reserved length')
    } else if (major === 7 && argument < 20) throw malformed(start, 'an unknown simple value')

    if (isKey) {
      if (major === 0 || major === 1) {
        if (huge) throw malformed(start, 'an integer key that is too large')
        flags |= seen.integerKey
        // Two spellings of one number would be two different keys to a comparison of bytes.
        if (at - start > shortest(argument)) throw malformed(start, 'a key that is not in its shortest form')
        keys = admitKey(bytes, depth, keys, start, at)
        continue
      }
      if (major !== 3) throw malformed(start, 'a key that is neither integer nor text')
    }

    switch (major) {
      case 0:
      case 1:
        if (huge) flags |= seen.hugeInteger
        break
      case 2:
        if (argument > end - at) throw truncated(start)
        at += argument
        break
      case 3: {
        if (argument > end - at) throw truncated(start)
        const content = at
        at += argument
        if (utf8End(bytes, content, at) !== at) throw new Problem('cbor.bad-utf8', `text at byte ${start}`)
        // Some decoders drop a leading U+FEFF, and two keys could become one.
        if (argument > 2 && bytes[content] === 0xef && bytes[content + 1] === 0xbb && bytes[content + 2] === 0xbf)
          flags |= seen.byteOrderMark
        if (isKey) {
          if (argument === 9 && isProto(bytes, content)) throw malformed(start, 'a forbidden key')
          if (content - start > shortest(argument)) throw malformed(start, 'a key that is not in its shortest form')
          keys = admitKey(bytes, depth, keys, start, at)
        }
        break
      }
      case 4:
        if (argument > end - at) throw truncated(start)
        if (++depth > maxDepth) throw tooDeep(start, maxDepth)
        itemsLeft[depth] = argument
        inMap[depth] = 0
        break
      case 5:
        if (argument * 2 > end - at) throw truncated(start)
        if (++depth > maxDepth) throw tooDeep(start, maxDepth)
        itemsLeft[depth] = argument * 2
        inMap[depth] = 1
        keysFrom[depth] = keys
        keySets[depth] = argument > comparedKeys ? new Set() : undefined
        break
      case 6:
        if (!allowedTags.has(argument)) throw new Problem('cbor.forbidden-tag', `tag ${argument} at byte ${start}`)
        flags |= seen.tag
        if (++depth > maxDepth) throw tooDeep(start, maxDepth)
        itemsLeft[depth] = 1
        inMap[depth] = 0
        break
    }
  }
}

/** Notes a key of the map at `depth` and refuses it when the map has it already; returns the new count of noted keys. */
function admitKey(bytes: Uint8Array, depth: number, keys: number, start: number, end: number): number {
  const set = keySets[depth]
  if (set) {
    const before = set.size
    set.add(latin1(bytes, start, end))
    if (set.size === before) throw duplicate(start)
    return keys
  }
  const length = end - start
  for (let i = keysFrom[depth]!; i < keys; i++) {
    const other = keyStart[i]!
    if (keyEnd[i]! - other !== length) continue
    let n = length - 1
    while (n >= 0 && bytes[start + n] === bytes[other + n]) n--
    if (n < 0) throw duplicate(start)
  }
  keyStart[keys] = start
  keyEnd[keys] = end
  return keys + 1
}

/** Each byte as one character: an exact, cheap identity for a set. */
function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let from = start; from < end; from += 4096)
    text += String.fromCharCode.apply(null, bytes.subarray(from, Math.min(end, from + 4096)) as unknown as number[])
  return text
}

/** `__proto__`: assigning it on a plain object would change its prototype. */
function isProto(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 9; i++) if (bytes[at + i] !== '__proto__'.charCodeAt(i)) return false
  return true
}

function uint32(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 0x100_0000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!)
}

/** Bytes of the shortest head with this argument (RFC 8949 §4.2.1). */
function shortest(argument: number): number {
  return argument < 24 ? 1 : argument < 0x100 ? 2 : argument < 0x1_0000 ? 3 : argument < 0x1_0000_0000 ? 5 : 9
}

function malformed(at: number, what: string): Problem {
  return new Problem('cbor.malformed', `${what} at byte ${at}`)
}

function truncated(at: number): Problem {
  return new Problem('cbor.malformed', `the message ends within the item at byte ${at}`)
}

function tooDeep(at: number, maxDepth: number): Problem {
  return new Problem('cbor.too-deep', `more than ${maxDepth} levels at byte ${at}`)
}

function duplicate(at: number): Problem {
  return new Problem('cbor.duplicate-key', `at byte ${at}`)
}
