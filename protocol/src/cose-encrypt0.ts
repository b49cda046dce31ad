/**
 * COSE_Encrypt0 (RFC 9052 §5.2): one key that both ends hold. It seals every message of a channel, so its one
 * shape is written and read by hand; any other shape takes the general way.
 */
import {
  type AeadAlgorithm,
  aeadId,
  aeadOf,
  authTagBytes,
  ivBytes,
  open,
  profile,
  type Rules,
  sealInto,
} from './cose-algorithms.ts'
import {
  byteString,
  eitherHeader,
  encStructure,
  kidOf,
  label,
  messageLimits,
  parseHeaders,
  parseMessage,
  tag,
  writeByteString,
  writeByteStringHead,
} from './cose-structure.ts'
import { InternalError, Problem } from './problem.ts'

/** One key, or how to find it by kid. */
export type KeySource = Uint8Array | ((kid: Uint8Array | undefined) => Uint8Array | undefined)

/**
 * Seals `plaintext`.
 * @param key 32 bytes
 * @param iv 12 bytes, never twice under one key
 */
export function encrypt0(
  plaintext: Uint8Array,
  key: Uint8Array,
  iv: Uint8Array,
  externalAad: Uint8Array,
  options?: { algorithm?: AeadAlgorithm; kid?: Uint8Array },
): Uint8Array {
  if (iv.length !== ivBytes) throw new InternalError('an iv of the wrong length')
  const id = aeadId[options?.algorithm ?? 'A256GCM']
  const header = headerOf(id, options?.kid)
  const sealedBytes = plaintext.length + authTagBytes
  const message = new Uint8Array(2 + 5 + header.length + 3 + ivBytes + 5 + sealedBytes)
  message[0] = 0xd0 // tag 16
  message[1] = 0x83 // an array of three
  let at = writeByteString(message, 2, header)
  message[at++] = 0xa1 // the unprotected header: {iv}
  message[at++] = label.iv
  at = writeByteString(message, at, iv)
  at = writeByteStringHead(message, at, sealedBytes)
  sealInto(message, at, aeadOf(id, profile), key, iv, encStructure('Encrypt0', header, externalAad), plaintext)
  return message.subarray(0, at + sealedBytes)
}

/**
 * Opens what `encrypt0` or another implementation sealed.
 * @throws {Problem} `cbor.*`, `cose.malformed`, `cose.wrong-algorithm`, `cose.unknown-key`, `cose.decrypt-failed`
 */
export function decrypt0(message: Uint8Array, keyFor: KeySource, externalAad: Uint8Array): Uint8Array {
  return decrypt0By(profile, message, keyFor, externalAad)
}

/** As `decrypt0`, under other rules than the profile's: for the tests. */
export function decrypt0By(rules: Rules, message: Uint8Array, keyFor: KeySource, externalAad: Uint8Array): Uint8Array {
  const { algorithm, kid, header, iv, sealed } = readUsual(message) ?? readAny(message, rules)
  const aead = aeadOf(algorithm, rules)
  const key = typeof keyFor === 'function' ? keyFor(kid) : keyFor
  if (!key) throw new Problem('cose.unknown-key')
  return open(aead, key, iv, encStructure('Encrypt0', header, externalAad), sealed)
}

interface Parts {
  algorithm: unknown
  kid: Uint8Array | undefined
  header: Uint8Array
  iv: Uint8Array
  sealed: Uint8Array
}

/** The protected header as we write it: `{1: alg}` or `{1: alg, 4: kid}`. */
function headerOf(id: number, kid: Uint8Array | undefined): Uint8Array {
  const idBytes = id < 24 ? 1 : 2
  const header = new Uint8Array(2 + idBytes + (kid ? 6 + kid.length : 0))
  header[0] = kid ? 0xa2 : 0xa1
  header[1] = label.alg
  if (id < 24) header[2] = id
  else {
    header[2] = 0x18
    header[3] = id
  }
  if (!kid) return header
  header[2 + idBytes] = label.kid
  return header.subarray(0, writeByteString(header, 3 + idBytes, kid))
}

/** Reads exactly the shape that `encrypt0` writes with a header below 256 bytes; undefined for any other. */
function readUsual(message: Uint8Array): Parts | undefined {
  const end = message.length
  if (end < 40 || end > messageLimits.maxBytes || message[0] !== 0xd0 || message[1] !== 0x83) return undefined
  let at = 2
  let length = message[at++]! - 0x40
  if (length === 0x18) {
    length = message[at++]!
    if (length < 24) return undefined
  } else if (length < 3 || length > 23) return undefined
  const headerAt = at
  const headerEnd = at + length
  // After the header: a1 05 4c, twelve bytes of iv, and at least a head.
  if (headerEnd + 17 > end) return undefined

  const entries = message[at++]! - 0xa0
  if ((entries !== 1 && entries !== 2) || message[at++] !== label.alg) return undefined
  let algorithm = message[at++]!
  if (algorithm === 0x18) {
    algorithm = message[at++]!
    if (algorithm < 24) return undefined
  } else if (algorithm > 23) return undefined
  let kidAt = -1
  if (entries === 2) {
    if (message[at++] !== label.kid) return undefined
    let kidLength = message[at++]! - 0x40
    if (kidLength === 0x18) {
      kidLength = message[at++]!
      if (kidLength < 24) return undefined
    } else if (kidLength < 0 || kidLength > 23) return undefined
    kidAt = at
    at += kidLength
  }
  if (at !== headerEnd) return undefined

  if (message[at] !== 0xa1 || message[at + 1] !== label.iv || message[at + 2] !== 0x40 + ivBytes) return undefined
  const ivAt = at + 3
  at = ivAt + ivBytes
  const sealedAt = at + headBytes(message[at]!)
  if (sealedAt === at || sealedAt > end) return undefined
  let sealedBytes = sealedAt === at + 1 ? message[at]! - 0x40 : 0
  for (let i = at + 1; i < sealedAt; i++) sealedBytes = sealedBytes * 256 + message[i]!
  if (sealedAt + sealedBytes !== end) return undefined
  return {
    algorithm,
    kid: kidAt < 0 ? undefined : view(message, kidAt, headerEnd),
    header: view(message, headerAt, headerEnd),
    iv: view(message, ivAt, ivAt + ivBytes),
    sealed: view(message, sealedAt, end),
  }
}

/** Bytes of the head of a byte string that begins with `initial`; 0 for anything else. */
function headBytes(initial: number): number {
  if (initial >= 0x40 && initial <= 0x57) return 1
  return initial === 0x58 ? 2 : initial === 0x59 ? 3 : initial === 0x5a ? 5 : 0
}

/** A plain view, also of a Node `Buffer`. */
function view(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start)
}

function readAny(message: Uint8Array, rules: Rules): Parts {
  const layer = parseMessage(message, tag.encrypt0, 3)
  const headers = parseHeaders(layer)
  const algorithm = headers.protectedMap.get(label.alg)
  // Asked first: what else a header holds depends on the algorithm.
  aeadOf(algorithm, rules)
  return {
    algorithm,
    kid: kidOf(headers),
    header: headers.protectedBytes,
    iv: byteString(eitherHeader(headers, label.iv), 'the iv'),
    sealed: byteString(layer[2], 'the ciphertext'),
  }
}
