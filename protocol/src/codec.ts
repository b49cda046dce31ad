/**
 * CBOR as this protocol speaks it (ARCHITECTURE §4, RFC 8949): `encode`/`decode` for messages, by cbor-x behind the
 * guard; `encodeDeterministic` for all that is signed.
 */
import { Encoder } from 'cbor-x'
import { readGuarded } from './cbor-read.ts'
import { encodeDeterministic, Tagged } from './cbor-write.ts'
import { type DecodeLimits, defaultLimits, guardScan } from './guard.ts'
import { InternalError, Problem } from './problem.ts'

export { encodeDeterministic, Tagged } from './cbor-write.ts'
export { type DecodeLimits, defaultLimits, guard } from './guard.ts'

// `useRecords: false` keeps private tags out; `tagUint8Array: false` writes byte strings without tag 64.
const fast = new Encoder({
  useRecords: false,
  mapsAsObjects: true,
  variableMapSize: true,
  tagUint8Array: false,
  int64AsNumber: true,
} as ConstructorParameters<typeof Encoder>[0] & { int64AsNumber: boolean })

const { maxDepth } = defaultLimits

/**
 * Encodes an unsigned message. Object keys keep their order.
 * @throws {Problem} `cbor.bad-utf8` for text with a lone surrogate, `cbor.too-deep`
 * @throws {InternalError} for a value that was never meant for the wire
 */
export function encode(value: unknown): Uint8Array {
  const prepared = prepare(value, 0)
  if (prepared === unusual) return encodeDeterministic(value)
  return new Uint8Array(fast.encode(prepared))
}

/** Stands for "holds something that only our own encoder writes as we want it". */
const unusual = Symbol('unusual')

/**
 * Checks a value and readies it for cbor-x, which writes integers outside 32 bits as floats: those become bigints, in
 * a copy of the containers around them. Where nothing needs to change, the value itself comes back.
 */
function prepare(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) throw new Problem('cbor.bad-utf8', 'a lone surrogate')
      return value
    case 'number':
      if (value >>> 0 === value) return value === 0 && Object.is(value, -0) ? unusual : value
      return Number.isSafeInteger(value) && (value < -0x1_0000_0000 || value > 0) ? BigInt(value) : value
    case 'boolean':
    case 'undefined':
      return value
    case 'object':
      break
    case 'bigint':
      return unusual
    default:
      throw new InternalError(`a ${typeof value} cannot be encoded`)
  }
  if (value === null || value instanceof Uint8Array) return value
  if (depth === maxDepth) throw new Problem('cbor.too-deep', `more than ${maxDepth} levels`)
  if (Array.isArray(value)) return prepareArray(value, depth)
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype) {
    if (prototype === null || value instanceof Map || value instanceof Tagged) return unusual
    throw new InternalError(`a ${prototype.constructor?.name ?? 'strange object'} cannot be encoded`)
  }
  return prepareObject(value as Record<string, unknown>, depth)
}

function prepareArray(array: unknown[], depth: number): unknown {
  let result = array
  for (let i = 0; i < array.length; i++) {
    const item = array[i]
    const prepared = prepare(item, depth + 1)
    if (prepared === unusual) return unusual
    if (!Object.is(prepared, item)) {
      if (result === array) result = array.slice()
      result[i] = prepared
    }
  }
  return result
}

function prepareObject(object: Record<string, unknown>, depth: number): unknown {
  let result = object
  for (const key of Object.keys(object)) {
    const item = object[key]
    const prepared = prepare(item, depth + 1)
    // Keys that are not well formed, or `__proto__`, are refused by the other encoder.
    if (prepared === unusual || key === '__proto__' || !key.isWellFormed()) return unusual
    if (!Object.is(prepared, item)) {
      if (result === object) result = { ...object }
      result[key] = prepared
    }
  }
  return result
}

/**
 * Decodes one message, after the guard. Maps are plain objects when all their keys are text, else `Map`; integers
 * beyond 2^53 are bigint; byte strings are `Uint8Array` and may alias the input: copy what outlives the handler.
 * @throws {Problem} `cbor.*`
 */
export function decode(bytes: Uint8Array, limits?: Partial<DecodeLimits>): unknown {
  const flags = guardScan(bytes, limits)
  const plain = plainBytes(bytes)
  if (flags !== 0) return readGuarded(plain, false)
  try {
    return fast.decode(plain)
  } catch (cause) {
    throw new InternalError('the guard let pass what the decoder refuses', { cause })
  }
}

/**
 * As `decode`, with every map as a `Map`, for structures with integer keys (COSE, CWT): there an empty map and one with
 * text keys must not look different from the rest.
 * @throws {Problem} `cbor.*`; `cbor.malformed` also when the outermost item is not a map
 */
export function decodeMap(bytes: Uint8Array, limits?: Partial<DecodeLimits>): Map<number | string, unknown> {
  const value = decodeMaps(bytes, limits)
  if (!(value instanceof Map)) throw new Problem('cbor.malformed', 'not a map')
  return value as Map<number | string, unknown>
}

/** As `decode`, with every map as a `Map` and any outermost item. @throws {Problem} `cbor.*` */
export function decodeMaps(bytes: Uint8Array, limits?: Partial<DecodeLimits>): unknown {
  guardScan(bytes, limits)
  return readGuarded(plainBytes(bytes), true)
}

/** A plain view, so that byte strings cut from a Node `Buffer` are plain `Uint8Array` too. */
function plainBytes(bytes: Uint8Array): Uint8Array {
  return bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
