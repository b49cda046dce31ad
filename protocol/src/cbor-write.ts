/**
 * The deterministic encoder (RFC 8949 §4.2.1) for all that is signed: shortest heads, shortest floats that keep the
 * value, definite lengths, map keys in the bytewise order of their encoding.
 */
import { defaultLimits } from './guard.ts'
import { InternalError, Problem } from './problem.ts'

/** A value under a CBOR tag. */
export class Tagged {
  readonly tag: number
  readonly value: unknown
  constructor(tag: number, value: unknown) {
    this.tag = tag
    this.value = value
  }
}

/** Deeper values are refused by every reader, so they are not written either; it also stops a cycle. */
const { maxDepth } = defaultLimits

const utf8 = new TextEncoder()
let target = new Uint8Array(8192)
let view = new DataView(target.buffer)
let at = 0

/**
 * Encodes a value: integers (numbers that are safe integers, bigints within 64 bits), floats, text, `Uint8Array`, arrays,
 * plain objects, Maps with integer or text keys, booleans, null, undefined, `Tagged`.
 * @throws {Problem} `cbor.bad-utf8` for text with a lone surrogate, `cbor.too-deep`
 * @throws {InternalError} for anything else: it was never meant for the wire
 */
export function encodeDeterministic(value: unknown): Uint8Array {
  at = 0
  write(value, 0)
  const encoded = target.slice(0, at)
  // One large value must not keep its room for ever.
  if (target.length > 1 << 20) allocate(8192)
  return encoded
}

function allocate(size: number): void {
  target = new Uint8Array(size)
  view = new DataView(target.buffer)
}

function room(bytes: number): void {
  if (at + bytes <= target.length) return
  const old = target
  allocate(Math.max(target.length * 2, at + bytes))
  target.set(old.subarray(0, at))
}

function head(major: number, argument: number): void {
  room(9)
  const initial = major << 5
  if (argument < 24) target[at++] = initial | argument
  else if (argument < 0x100) {
    target[at++] = initial | 24
    target[at++] = argument
  } else if (argument < 0x1_0000) {
    target[at++] = initial | 25
    view.setUint16(at, argument)
    at += 2
  } else if (argument < 0x1_0000_0000) {
    target[at++] = initial | 26
    view.setUint32(at, argument)
    at += 4
  } else {
    target[at++] = initial | 27
    view.setUint32(at, Math.floor(argument / 0x1_0000_0000))
    view.setUint32(at + 4, argument >>> 0)
    at += 8
  }
}

function write(value: unknown, depth: number): void {
  switch (typeof value) {
    case 'string':
      writeText(value)
      break
    case 'number':
      writeNumber(value)
      break
    case 'bigint':
      writeBigint(value)
      break
    case 'boolean':
      writeSimple(value ? 0xf5 : 0xf4)
      break
    case 'undefined':
      writeSimple(0xf7)
      break
    case 'object':
      if (value === null) writeSimple(0xf6)
      else if (value instanceof Uint8Array) writeBytes(value)
      else writeContainer(value, depth)
      break
    default:
      throw new InternalError(`a ${typeof value} cannot be encoded`)
  }
}

function writeBytes(bytes: Uint8Array): void {
  head(2, bytes.length)
  room(bytes.length)
  target.set(bytes, at)
  at += bytes.length
}

function writeContainer(value: object, depth: number): void {
  if (depth === maxDepth) throw new Problem('cbor.too-deep', `more than ${maxDepth} levels`)
  if (Array.isArray(value)) {
    head(4, value.length)
    for (let i = 0; i < value.length; i++) write(value[i], depth + 1)
  } else if (value instanceof Map) {
    head(5, value.size)
    writeEntries(
      Array.from(value, ([key, item]) => [encodeKey(key), item]),
      depth,
    )
  } else if (value instanceof Tagged) {
    head(6, value.tag)
    write(value.value, depth + 1)
  } else writeObject(value as Record<string, unknown>, depth)
}

function writeSimple(byte: number): void {
  room(1)
  target[at++] = byte
}

function writeText(text: string): void {
  const length = text.length
  if (length <= 64) {
    // Short text is mostly ASCII: written in place, and taken back when it is not.
    const start = at
    head(3, length)
    room(length)
    let i = 0
    for (; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code >= 0x80) break
      target[at++] = code
    }
    if (i === length) return
    at = start
  }
  if (!text.isWellFormed()) throw new Problem('cbor.bad-utf8', 'a lone surrogate')
  const bytes = utf8.encode(text)
  head(3, bytes.length)
  room(bytes.length)
  target.set(bytes, at)
  at += bytes.length
}

function writeNumber(value: number): void {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) writeFloat(value)
  else if (value >= 0) head(0, value)
  else head(1, -1 - value)
}

function writeBigint(value: bigint): void {
  const argument = value >= 0n ? value : -1n - value
  if (argument > 0xffff_ffff_ffff_ffffn) throw new InternalError('an integer beyond 64 bits cannot be encoded')
  const major = value >= 0n ? 0 : 1
  if (argument < 0x1_0000_0000n) head(major, Number(argument))
  else {
    room(9)
    target[at++] = (major << 5) | 27
    view.setBigUint64(at, argument)
    at += 8
  }
}

function writeFloat(value: number): void {
  room(9)
  if (Number.isNaN(value)) {
    target[at++] = 0xf9
    view.setUint16(at, 0x7e00)
    at += 2
  } else if (Math.fround(value) === value) {
    view.setFloat32(at + 1, value)
    const half = halfOf(view.getUint32(at + 1))
    if (half === undefined) {
      target[at] = 0xfa
      at += 5
    } else {
      target[at++] = 0xf9
      view.setUint16(at, half)
      at += 2
    }
  } else {
    target[at++] = 0xfb
    view.setFloat64(at, value)
    at += 8
  }
}

/** The half-precision bits of a number given as single-precision bits, when none of its bits are lost; else undefined. */
function halfOf(single: number): number | undefined {
  const sign = (single >>> 16) & 0x8000
  const exponent = (single >>> 23) & 0xff
  const fraction = single & 0x7f_ffff
  if (exponent === 0xff) return sign | 0x7c00 | (fraction >>> 13)
  if (exponent === 0 && fraction === 0) return sign
  if (exponent >= 113 && exponent <= 142)
    return (fraction & 0x1fff) === 0 ? sign | ((exponent - 112) << 10) | (fraction >>> 13) : undefined
  if (exponent >= 103 && exponent < 113) {
    // A subnormal half: the implicit one moves into the fraction.
    const whole = fraction | 0x80_0000
    const shift = 126 - exponent
    return (whole & ((1 << shift) - 1)) === 0 ? sign | (whole >>> shift) : undefined
  }
  return undefined
}

function writeObject(object: Record<string, unknown>, depth: number): void {
  const prototype = Object.getPrototypeOf(object)
  if (prototype !== Object.prototype && prototype !== null)
    throw new InternalError(`a ${prototype.constructor?.name ?? 'strange object'} cannot be encoded`)
  const keys = Object.keys(object)
  head(5, keys.length)
  if (!keys.every(isShortAscii)) {
    writeEntries(
      keys.map((key) => [encodeKey(key), object[key]]),
      depth,
    )
    return
  }
  keys.sort(byLengthThenText)
  for (const key of keys) {
    if (key === '__proto__') throw new InternalError('the key __proto__ cannot be encoded')
    writeText(key)
    write(object[key], depth + 1)
  }
}

function writeEntries(entries: [key: Uint8Array, value: unknown][], depth: number): void {
  entries.sort((a, b) => compareBytes(a[0], b[0]))
  for (let i = 0; i < entries.length; i++) {
    const [key, value] = entries[i]!
    if (i > 0 && compareBytes(entries[i - 1]![0], key) === 0) throw new InternalError('a map has the same key twice')
    room(key.length)
    target.set(key, at)
    at += key.length
    write(value, depth + 1)
  }
}

/** The encoding of one key, made at the end of the target and taken off again. */
function encodeKey(key: unknown): Uint8Array {
  const start = at
  if (typeof key === 'string' && key !== '__proto__') writeText(key)
  else if (Number.isSafeInteger(key) || typeof key === 'bigint') write(key, 0)
  else throw new InternalError('a map key must be an integer or text')
  const encoded = target.slice(start, at)
  at = start
  return encoded
}

function isShortAscii(key: string): boolean {
  if (key.length > 64) return false
  for (let i = 0; i < key.length; i++) if (key.charCodeAt(i) >= 0x80) return false
  return true
}

function byLengthThenText(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : 1)
}

/** Bytewise lexicographic order, as RFC 8949 §4.2.1 asks of encoded keys. */
function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!
  return a.length - b.length
}
