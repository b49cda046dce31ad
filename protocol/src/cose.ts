/**
 * Signed and encrypted messages (RFC 9052, ARCHITECTURE §4): COSE_Sign1, COSE_Encrypt0 and COSE_Encrypt.
 *
 * What we write has all it can in the protected header, `kid` included, and nothing beside it but the iv, so that
 * a change of any bit is noticed. `externalAad` is the fixed domain string of the message's use.
 */
import type { KeyObject } from 'node:crypto'
import { encodeDeterministic, Tagged } from './codec.ts'
import {
  type SignAlgorithm,
  signAlgorithmFor,
  signAlgorithmNamed,
  signBytes,
  signId,
  verifyBytes,
} from './cose-algorithms.ts'
import {
  byteString,
  kidOf,
  label,
  parseHeaders,
  parseMessage,
  protectedHeader,
  tag,
  toBeSigned,
} from './cose-structure.ts'
import { thumbprint } from './keys.ts'
import { InternalError, Problem } from './problem.ts'

export type { AeadAlgorithm, SignAlgorithm } from './cose-algorithms.ts'
export { decrypt0, encrypt0 } from './cose-encrypt0.ts'
export { decryptFrom, encryptTo, encryptToRsa, ephemeralOf, type RecipientSecret } from './cose-recipient.ts'
export { toBeSigned } from './cose-structure.ts'

/** Something that signs: a key in memory, or a card, which takes its time. */
export interface Signer {
  readonly algorithm: SignAlgorithm
  /** Names the key: its thumbprint, unless both sides have agreed on another name. */
  readonly kid: Uint8Array
  sign(toBeSigned: Uint8Array): Uint8Array | Promise<Uint8Array>
}

/** A signer that needs no waiting. */
export interface DirectSigner extends Signer {
  sign(toBeSigned: Uint8Array): Uint8Array
}

/** What a signature vouches for. */
export interface Verified {
  payload: Uint8Array
  /** Empty when the message names no key. */
  kid: Uint8Array
  algorithm: SignAlgorithm
}

/** A signer over a private key. @throws {Problem} `cose.wrong-algorithm` when the key cannot sign */
export function signerOf(privateKey: KeyObject, kid: Uint8Array = thumbprint(privateKey)): DirectSigner {
  if (privateKey.type !== 'private') throw new InternalError('signing needs a private key')
  const algorithm = signAlgorithmFor(privateKey)
  return { algorithm, kid, sign: (bytes) => signBytes(algorithm, privateKey, bytes) }
}

/** A tagged COSE_Sign1 over `payload`. */
export function sign1(payload: Uint8Array, signer: DirectSigner, externalAad: Uint8Array): Uint8Array {
  const header = signHeader(signer)
  return signed(header, payload, signer.sign(toBeSigned(header, payload, externalAad)))
}

/** As `sign1`, for a signer that may be a card. */
export async function sign1With(payload: Uint8Array, signer: Signer, externalAad: Uint8Array): Promise<Uint8Array> {
  const header = signHeader(signer)
  return signed(header, payload, await signer.sign(toBeSigned(header, payload, externalAad)))
}

/**
 * Checks a COSE_Sign1 and gives what it says. `keyFor` finds the public key of a kid; a message without one asks for
 * the empty kid.
 * @throws {Problem} `cbor.*`, `cose.malformed`, `cose.wrong-algorithm`, `cose.unknown-key`, `cose.bad-signature`
 */
export function verify1(
  message: Uint8Array,
  keyFor: (kid: Uint8Array) => KeyObject | undefined,
  externalAad: Uint8Array,
): Verified {
  const { headers, payload, signature, kid } = parse1(message)
  const algorithm = signAlgorithmNamed(headers.protectedMap.get(label.alg))
  const key = keyFor(kid)
  if (!key) throw new Problem('cose.unknown-key')
  if (!verifyBytes(algorithm, key, toBeSigned(headers.protectedBytes, payload, externalAad), signature))
    throw new Problem('cose.bad-signature')
  return { payload, kid, algorithm }
}

/** As `verify1`, for keys that must be looked up. */
export async function verify1By(
  message: Uint8Array,
  keyFor: (kid: Uint8Array) => Promise<KeyObject | undefined>,
  externalAad: Uint8Array,
): Promise<Verified> {
  const key = await keyFor(parse1(message).kid)
  return verify1(message, () => key, externalAad)
}

/** What a COSE_Sign1 claims, unchecked: only to choose how to check it. @throws {Problem} `cbor.*`, `cose.malformed` */
export function peek1(message: Uint8Array): { payload: Uint8Array; kid: Uint8Array } {
  const { payload, kid } = parse1(message)
  return { payload, kid }
}

function parse1(message: Uint8Array) {
  const layer = parseMessage(message, tag.sign1, 4)
  const headers = parseHeaders(layer)
  const payload = byteString(layer[2], 'the payload')
  const signature = byteString(layer[3], 'the signature')
  return { headers, payload, signature, kid: kidOf(headers) ?? new Uint8Array(0) }
}

function signHeader(signer: Signer): Uint8Array {
  return protectedHeader([
    [label.alg, signId[signer.algorithm]],
    [label.kid, signer.kid],
  ])
}

function signed(header: Uint8Array, payload: Uint8Array, signature: Uint8Array): Uint8Array {
  return encodeDeterministic(new Tagged(tag.sign1, [header, new Map(), payload, signature]))
}
