/**
 * COSE_Encrypt for one recipient (RFC 9052 §5.1, §8.5): the content under a fresh key, and that key for whoever has the
 * private key: agreed on by ECDH (RFC 9053 §6.3, 6.4) or transported by RSA (RFC 8230 §3). Cards do the secret step.
 */
import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { decodeMap, encodeDeterministic, Tagged } from './codec.ts'
import {
  aeadId,
  aeadOf,
  ivBytes,
  open,
  profile,
  type Rules,
  rsaDecrypt,
  rsaEncrypt,
  seal,
  unwrapKey,
  wrapKey,
  wrapKeyBytes,
} from './cose-algorithms.ts'
import {
  byteString,
  eitherHeader,
  encStructure,
  type Headers,
  label,
  parseHeaders,
  parseMessage,
  protectedHeader,
  tag,
} from './cose-structure.ts'
import { agree, coseKey, ephemeralX25519, generateKey, keyOf, kindOf, publicOf, type RandomSource } from './keys.ts'
import { InternalError, isProblem, Problem } from './problem.ts'

/** The private key, or what a card gives in its stead: the raw ECDH secret, or the deciphering of a wrapped key. */
export type RecipientSecret = KeyObject | { agreed: Uint8Array } | { decipher: (ciphertext: Uint8Array) => Uint8Array }

/** How a recipient algorithm comes to the content key. */
type Way =
  | { kind: 'direct' }
  | { kind: 'wrap'; wrapId: number }
  | { kind: 'agree'; hash: 'sha256' | 'sha512' }
  | { kind: 'agree-wrap'; hash: 'sha256'; wrapId: number }
  | { kind: 'transport'; hash: 'sha1' | 'sha256' | 'sha512' }

const ways: ReadonlyMap<number, Way> = new Map<number, Way>([
  [-31, { kind: 'agree-wrap', hash: 'sha256', wrapId: -5 }],
  [-41, { kind: 'transport', hash: 'sha256' }],
  // Beyond the profile.
  [-3, { kind: 'wrap', wrapId: -3 }],
  [-4, { kind: 'wrap', wrapId: -4 }],
  [-5, { kind: 'wrap', wrapId: -5 }],
  [-6, { kind: 'direct' }],
  [-25, { kind: 'agree', hash: 'sha256' }],
  [-26, { kind: 'agree', hash: 'sha512' }],
  [-29, { kind: 'agree-wrap', hash: 'sha256', wrapId: -3 }],
  [-30, { kind: 'agree-wrap', hash: 'sha256', wrapId: -4 }],
  [-40, { kind: 'transport', hash: 'sha1' }],
  [-42, { kind: 'transport', hash: 'sha512' }],
])

const ecdhEsA256kw = -31
const rsaOaepSha256 = -41

/**
 * Encrypts for the holder of an X25519 or P-256 key (ECDH-ES+A256KW, A256GCM). The ephemeral key is in the protected
 * header, hence part of the key derivation.
 */
export function encryptTo(
  recipient: KeyObject,
  plaintext: Uint8Array,
  externalAad: Uint8Array,
  random: RandomSource,
  options?: { kid?: Uint8Array },
): Uint8Array {
  const kind = kindOf(recipient)
  if (kind !== 'x25519' && kind !== 'p256') throw new Problem('cose.wrong-algorithm', `${kind} keys do not agree`)
  const ephemeral = kind === 'x25519' ? ephemeralX25519(random) : generateKey(kind, random)
  const header = protectedHeader([
    [label.alg, ecdhEsA256kw],
    ...(options?.kid ? [[label.kid, options.kid] as const] : []),
    [label.ephemeralKey, decodeMap(coseKey(ephemeral))],
  ])
  const contentKey = random.bytes(32)
  const wrappingKey = derive('sha256', agree(ephemeral, publicOf(recipient)), -5, 32, parseHeaders([header, new Map()]))
  return message(plaintext, externalAad, contentKey, random.bytes(ivBytes), [
    header,
    new Map(),
    wrapKey(-5, wrappingKey, contentKey),
  ])
}

/**
 * Encrypts for the holder of an RSA key (RSAES-OAEP with SHA-256, A256GCM). OAEP's own seed comes from the platform, so
 * the result differs each time even when `random` replays.
 */
export function encryptToRsa(
  recipient: KeyObject,
  plaintext: Uint8Array,
  externalAad: Uint8Array,
  random: RandomSource,
): Uint8Array {
  if (kindOf(recipient) !== 'rsa') throw new Problem('cose.wrong-algorithm', 'not an RSA key')
  const contentKey = random.bytes(32)
  const wrapped = rsaEncrypt(publicOf(recipient), contentKey)
  // RFC 9052 §8.5.3: a key transport recipient has an empty protected header.
  return message(plaintext, externalAad, contentKey, random.bytes(ivBytes), [
    new Uint8Array(0),
    new Map([[label.alg, rsaOaepSha256]]),
    wrapped,
  ])
}

/** The sender's ephemeral public key, so that a card can agree with it inside. @throws {Problem} `cbor.*`, `cose.*` */
export function ephemeralOf(encrypted: Uint8Array): KeyObject {
  const { way, recipient } = parse(encrypted, profile)
  if (way.kind !== 'agree-wrap') throw new Problem('cose.wrong-algorithm', 'there is no ephemeral key')
  return ephemeralIn(recipient)
}

/**
 * Opens what `encryptTo` or `encryptToRsa` made.
 * @throws {Problem} `cbor.*`, `cose.malformed`, `cose.wrong-algorithm`, `cose.decrypt-failed`
 */
export function decryptFrom(encrypted: Uint8Array, secret: RecipientSecret, externalAad: Uint8Array): Uint8Array {
  return decryptBy(profile, encrypted, secret, externalAad)
}

/** As `decryptFrom`, under other rules than the profile's and with symmetric keys too: for the tests. */
export function decryptBy(
  rules: Rules,
  encrypted: Uint8Array,
  secret: RecipientSecret,
  externalAad: Uint8Array,
): Uint8Array {
  const { headers, contentId, sealed, way, recipient, wrapped } = parse(encrypted, rules)
  const aead = aeadOf(contentId, rules)
  const iv = byteString(eitherHeader(headers, label.iv), 'the iv')
  const key = contentKeyOf()
  return open(aead, key, iv, encStructure('Encrypt', headers.protectedBytes, externalAad), sealed)

  function contentKeyOf(): Uint8Array {
    switch (way.kind) {
      case 'agree-wrap': {
        const keyBytes = wrapKeyBytes(way.wrapId)
        return unwrapKey(
          way.wrapId,
          derive(way.hash, agreed(secret, recipient), way.wrapId, keyBytes, recipient),
          wrapped,
        )
      }
      case 'transport':
        return transported(way.hash, secret, wrapped, rules)
      case 'agree':
        return derive(way.hash, agreed(secret, recipient), contentId as number, aead.keyBytes, recipient)
      case 'wrap':
        return unwrapKey(way.wrapId, symmetric(secret), wrapped)
      case 'direct':
        return symmetric(secret)
    }
  }
}

function message(
  plaintext: Uint8Array,
  externalAad: Uint8Array,
  key: Uint8Array,
  iv: Uint8Array,
  recipient: unknown[],
): Uint8Array {
  const header = protectedHeader([[label.alg, aeadId.A256GCM]])
  const aead = aeadOf(aeadId.A256GCM, profile)
  const sealed = seal(aead, key, iv, encStructure('Encrypt', header, externalAad), plaintext)
  return encodeDeterministic(new Tagged(tag.encrypt, [header, new Map([[label.iv, iv]]), sealed, [recipient]]))
}

function parse(encrypted: Uint8Array, rules: Rules) {
  const layer = parseMessage(encrypted, tag.encrypt, 4)
  const headers = parseHeaders(layer)
  const sealed = byteString(layer[2], 'the ciphertext')
  const recipients = layer[3]
  if (!Array.isArray(recipients) || recipients.length !== 1 || !Array.isArray(recipients[0]))
    throw new Problem('cose.malformed', 'not exactly one recipient')
  // A fourth part would be recipients of the recipient's key.
  if (recipients[0].length !== 3) throw new Problem('cose.wrong-algorithm', 'recipients within a recipient')
  const recipient = parseHeaders(recipients[0])
  const wrapped = byteString(recipients[0][2], 'the wrapped key')
  const contentId = headers.protectedMap.get(label.alg)
  aeadOf(contentId, rules)
  const id = eitherHeader(recipient, label.alg)
  const way = rules.recipient.has(id as number) ? ways.get(id as number) : undefined
  if (!way) throw new Problem('cose.wrong-algorithm', `recipient algorithm ${String(id)}`)
  // What agrees on a key authenticates its protected header; the others cannot and must have none.
  const authenticated = way.kind === 'agree' || way.kind === 'agree-wrap'
  if (authenticated !== recipient.protectedMap.has(label.alg) || (!authenticated && recipient.protectedMap.size > 0))
    throw new Problem('cose.malformed', 'the recipient’s algorithm is in the wrong header')
  if ((way.kind === 'direct' || way.kind === 'agree') && wrapped.length > 0)
    throw new Problem('cose.malformed', 'a wrapped key where none belongs')
  return { headers, contentId, sealed, way, recipient, wrapped }
}

function ephemeralIn(recipient: Headers): KeyObject {
  const labels = eitherHeader(recipient, label.ephemeralKey)
  if (!(labels instanceof Map)) throw new Problem('cose.malformed', 'the ephemeral key')
  if (labels.has(-4)) throw new Problem('cose.malformed', 'the ephemeral key is a private one')
  try {
    return keyOf(labels)
  } catch (cause) {
    if (isProblem(cause)) throw cause
    throw new Problem('cose.malformed', 'the ephemeral key', { cause })
  }
}

function agreed(secret: RecipientSecret, recipient: Headers): Uint8Array {
  if ('agreed' in secret) {
    if (secret.agreed.length !== 32) throw new InternalError('an agreed secret has 32 bytes')
    // The card has seen the key through `ephemeralOf`; a message changed since then must not pass.
    ephemeralIn(recipient)
    return secret.agreed
  }
  if ('decipher' in secret || secret.type !== 'private') throw wrongSecret()
  return agree(secret, ephemeralIn(recipient))
}

function transported(hash: string, secret: RecipientSecret, wrapped: Uint8Array, rules: Rules): Uint8Array {
  if ('agreed' in secret) throw wrongSecret()
  if ('decipher' in secret) return secret.decipher(wrapped)
  if (secret.type !== 'private' || kindOf(secret) !== 'rsa') throw wrongSecret()
  return rsaDecrypt(secret, hash, wrapped, rules.rsaMinBits)
}

function symmetric(secret: RecipientSecret): Uint8Array {
  if ('agreed' in secret || 'decipher' in secret || secret.type !== 'secret') throw wrongSecret()
  return secret.export()
}

function wrongSecret(): Problem {
  return new Problem('cose.wrong-algorithm', 'the secret is of another kind than the message needs')
}

/** HKDF over COSE_KDF_Context (RFC 9053 §5.2): the key is bound to its algorithm, both parties and the header. */
function derive(hash: string, secret: Uint8Array, id: number, keyBytes: number, recipient: Headers): Uint8Array {
  const party = (first: number) => [0, -1, -2].map((step) => eitherHeader(recipient, first + step) ?? null)
  const context = [id, party(-21), party(-24), [keyBytes * 8, recipient.protectedBytes]]
  const salt = eitherHeader(recipient, -20) ?? new Uint8Array(0)
  return new Uint8Array(
    hkdfSync(hash, createSecretKey(secret), byteString(salt, 'the salt'), encodeDeterministic(context), keyBytes),
  )
}
