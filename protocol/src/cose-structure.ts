/**
 * The parts that all COSE messages share (RFC 9052 §2, §3): the tagged array, its two header maps, and the structures
 * over which signatures and authentication tags are computed (§4.4, §5.3).
 */
import { decodeMap, decodeMaps, encodeDeterministic, Tagged } from './codec.ts'
import type { DecodeLimits } from './guard.ts'
import { Problem } from './problem.ts'

/** Header labels (RFC 9052 §3.1, RFC 9053 §6.3). */
export const label = { alg: 1, crit: 2, kid: 4, iv: 5, ephemeralKey: -1 } as const

export const tag = { encrypt0: 16, sign1: 18, encrypt: 96 } as const

/** A message is a few items around one long byte string; what is in that string has its own limits. */
export const messageLimits: DecodeLimits = { maxBytes: 16 << 20, maxDepth: 8, maxItems: 256 }
const headerMaxBytes = 8192

export type HeaderMap = ReadonlyMap<number | string, unknown>

/** Both header maps of one layer, and the protected one as it stood, over which it is authenticated. */
export interface Headers {
  readonly protectedBytes: Uint8Array
  readonly protectedMap: HeaderMap
  readonly unprotectedMap: HeaderMap
}

/**
 * Takes a message of the given tag apart into its array.
 * @throws {Problem} `cbor.*`, `cose.malformed`, `cose.wrong-algorithm` for another kind of COSE message
 */
export function parseMessage(message: Uint8Array, wanted: number, length: number): unknown[] {
  const value = decodeMaps(message, messageLimits)
  if (!(value instanceof Tagged)) throw new Problem('cose.malformed', 'the message has no COSE tag')
  if (value.tag !== wanted)
    throw new Problem('cose.wrong-algorithm', `COSE tag ${value.tag} where ${wanted} is asked for`)
  if (!Array.isArray(value.value) || value.value.length !== length)
    throw new Problem('cose.malformed', `not an array of ${length}`)
  return value.value
}

/** The headers at the front of a layer. A label may stand in one of the maps only; critical ones are none we know. */
export function parseHeaders(layer: readonly unknown[]): Headers {
  const protectedBytes = byteString(layer[0], 'the protected header')
  const unprotectedMap = layer[1]
  if (!(unprotectedMap instanceof Map)) throw new Problem('cose.malformed', 'the unprotected header is not a map')
  const protectedMap: HeaderMap =
    protectedBytes.length === 0 ? new Map() : decodeMap(protectedBytes, { maxBytes: headerMaxBytes })
  for (const key of unprotectedMap.keys())
    if (protectedMap.has(key)) throw new Problem('cose.malformed', `label ${String(key)} stands in both headers`)
  if (protectedMap.has(label.crit) || unprotectedMap.has(label.crit))
    throw new Problem('cose.wrong-algorithm', 'a critical header that is not known here')
  return { protectedBytes, protectedMap, unprotectedMap }
}

/** A header wherever it stands: only for those whose change cannot go unnoticed (kid, iv, key agreement). */
export function eitherHeader(headers: Headers, key: number): unknown {
  return headers.protectedMap.has(key) ? headers.protectedMap.get(key) : headers.unprotectedMap.get(key)
}

/** The kid of a layer, or undefined. @throws {Problem} `cose.malformed` when it is not a byte string */
export function kidOf(headers: Headers): Uint8Array | undefined {
  const kid = eitherHeader(headers, label.kid)
  return kid === undefined ? undefined : byteString(kid, 'kid')
}

export function byteString(value: unknown, what: string): Uint8Array {
  if (value instanceof Uint8Array) return value
  throw new Problem('cose.malformed', `${what} is not a byte string`)
}

/** A protected header as bytes; an empty one is the empty byte string. */
export function protectedHeader(entries: readonly (readonly [number, unknown])[]): Uint8Array {
  return entries.length === 0 ? new Uint8Array(0) : encodeDeterministic(new Map(entries))
}

/** Sig_structure of COSE_Sign1 (RFC 9052 §4.4): what the signature covers. */
export function toBeSigned(header: Uint8Array, payload: Uint8Array, externalAad: Uint8Array): Uint8Array {
  return encodeDeterministic(['Signature1', header, externalAad, payload])
}

const encrypt0Start = Uint8Array.from([0x83, 0x68, ...new TextEncoder().encode('Encrypt0')])
const encryptStart = Uint8Array.from([0x83, 0x67, ...new TextEncoder().encode('Encrypt')])

/** Enc_structure (RFC 9052 §5.3): what an AEAD authenticates besides the ciphertext. */
export function encStructure(context: 'Encrypt0' | 'Encrypt', header: Uint8Array, externalAad: Uint8Array): Uint8Array {
  const start = context === 'Encrypt0' ? encrypt0Start : encryptStart
  const structure = new Uint8Array(start.length + 18 + header.length + externalAad.length)
  structure.set(start)
  let at = writeByteString(structure, start.length, header)
  at = writeByteString(structure, at, externalAad)
  return structure.subarray(0, at)
}

/** Writes a byte string, head and all, and returns where it ends. */
export function writeByteString(target: Uint8Array, at: number, bytes: Uint8Array): number {
  const from = writeByteStringHead(target, at, bytes.length)
  target.set(bytes, from)
  return from + bytes.length
}

/** Writes the head of a byte string and returns where its content goes. */
export function writeByteStringHead(target: Uint8Array, at: number, length: number): number {
  if (length < 24) {
    target[at] = 0x40 | length
    return at + 1
  }
  if (length < 0x100) {
    target[at] = 0x58
    target[at + 1] = length
    return at + 2
  }
  if (length < 0x1_0000) {
    target[at] = 0x59
    target[at + 1] = length >>> 8
    target[at + 2] = length & 0xff
    return at + 3
  }
  target[at] = 0x5a
  target[at + 1] = length >>> 24
  target[at + 2] = (length >>> 16) & 0xff
  target[at + 3] = (length >>> 8) & 0xff
  target[at + 4] = length & 0xff
  return at + 5
}
