/**
 * The small decoder for what the fast one cannot give: maps with integer keys as `Map` (COSE, CWT), tags as `Tagged`,
 * integers beyond 2^53 as bigint. It trusts its input: only bytes that passed the guard come here.
 */
import { Tagged } from './cbor-write.ts'

let source: Uint8Array
let view: DataView
let at = 0
let mapsOnly = false

const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Builds the value of guarded bytes. @param everyMap whether maps whose keys are all text become `Map` too */
export function readGuarded(bytes: Uint8Array, everyMap: boolean): unknown {
  source = bytes
  view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  at = 0
  mapsOnly = everyMap
  return read()
}

function read(): unknown {
  const initial = source[at++]!
  const major = initial >> 5
  const info = initial & 0x1f
  if (major === 7) return readSimple(info)
  const argument = readArgument(info)
  if (typeof argument === 'bigint') return major === 0 ? argument : -1n - argument
  switch (major) {
    case 0:
      return argument
    case 1:
      return argument === Number.MAX_SAFE_INTEGER ? -1n - BigInt(argument) : -1 - argument
    case 2:
      at += argument
      return source.subarray(at - argument, at)
    case 3:
      return readText(argument)
    case 4: {
      const array: unknown[] = []
      for (let i = 0; i < argument; i++) array.push(read())
      return array
    }
    case 5:
      return readMap(argument)
    default:
      return new Tagged(argument, read())
  }
}

function readArgument(info: number): number | bigint {
  if (info < 24) return info
  if (info === 24) return source[at++]!
  if (info === 25) {
    at += 2
    return view.getUint16(at - 2)
  }
  if (info === 26) {
    at += 4
    return view.getUint32(at - 4)
  }
  at += 8
  const high = view.getUint32(at - 8)
  return high > 0x1f_ffff ? view.getBigUint64(at - 8) : high * 0x1_0000_0000 + view.getUint32(at - 4)
}

function readText(length: number): string {
  const end = at + length
  if (length <= 24) {
    let short = ''
    let i = at
    for (; i < end; i++) {
      const byte = source[i]!
      if (byte >= 0x80) break
      short += String.fromCharCode(byte)
    }
    if (i === end) {
      at = end
      return short
    }
  }
  const long = text.decode(source.subarray(at, end))
  at = end
  return long
}

/** A plain object when every key is text, unless Maps are asked for; a Map otherwise, in the order of the bytes. */
function readMap(size: number): unknown {
  if (mapsOnly) return readIntoMap(new Map(), size)
  const object: Record<string, unknown> = {}
  for (let i = 0; i < size; i++) {
    if (source[at]! >> 5 !== 3) {
      const map = new Map<unknown, unknown>()
      if (i > 0) refill(map, object)
      return readIntoMap(map, size - i)
    }
    const key = readText(readArgument(source[at++]! & 0x1f) as number)
    object[key] = read()
  }
  return object
}

function refill(map: Map<unknown, unknown>, object: Record<string, unknown>): void {
  for (const key of Object.keys(object)) map.set(key, object[key])
}

function readIntoMap(map: Map<unknown, unknown>, size: number): Map<unknown, unknown> {
  for (let i = 0; i < size; i++) {
    const key = read()
    map.set(key, read())
  }
  return map
}

function readSimple(info: number): unknown {
  switch (info) {
    case 20:
      return false
    case 21:
      return true
    case 22:
      return null
    case 23:
      return undefined
    case 25:
      at += 2
      return halfAt(at - 2)
    case 26:
      at += 4
      return view.getFloat32(at - 4)
    default:
      at += 8
      return view.getFloat64(at - 8)
  }
}

/** RFC 8949 appendix D. */
function halfAt(from: number): number {
  const bits = view.getUint16(from)
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  const sign = bits & 0x8000 ? -1 : 1
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (1024 + fraction) * 2 ** (exponent - 25)
}
