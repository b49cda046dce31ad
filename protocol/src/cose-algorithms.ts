/**
 * The algorithms of the profile and what they are on node:crypto (RFC 9053, RFC 8230), as a table. A few beyond the
 * profile are in it, so that the working group's examples can prove the code around them; messages that use them are
 * refused unless `Rules` allow them, and only the tests do.
 */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  sign,
  verify,
} from 'node:crypto'
import { kindOf } from './keys.ts'
import { InternalError, Problem } from './problem.ts'

export type SignAlgorithm = 'EdDSA' | 'ES256' | 'PS256'
export type AeadAlgorithm = 'A256GCM' | 'ChaCha20Poly1305'

export const signId: Readonly<Record<SignAlgorithm, number>> = { EdDSA: -8, ES256: -7, PS256: -37 }
const signName = new Map(Object.entries(signId).map(([name, id]) => [id, name as SignAlgorithm]))
const signAlgorithmOf = { ed25519: 'EdDSA', p256: 'ES256', rsa: 'PS256', x25519: undefined } as const

export const aeadId: Readonly<Record<AeadAlgorithm, number>> = { A256GCM: 3, ChaCha20Poly1305: 24 }

/** What a message may use. */
export interface Rules {
  /** Ids of content algorithms. */
  readonly content: ReadonlySet<number>
  /** Ids of recipient algorithms. */
  readonly recipient: ReadonlySet<number>
  readonly rsaMinBits: number
}

/** ECDH-ES+A256KW and RSAES-OAEP with SHA-256; 256-bit AEAD. */
export const profile: Rules = { content: new Set([3, 24]), recipient: new Set([-31, -41]), rsaMinBits: 3072 }

/** The one signature algorithm of a key. @throws {Problem} `cose.wrong-algorithm` for a key that does not sign */
export function signAlgorithmFor(key: KeyObject): SignAlgorithm {
  const algorithm = signAlgorithmOf[kindOf(key)]
  if (!algorithm) throw new Problem('cose.wrong-algorithm', 'this key agrees, it does not sign')
  return algorithm
}

/** The algorithm of a protected header's `alg`. @throws {Problem} `cose.wrong-algorithm` */
export function signAlgorithmNamed(id: unknown): SignAlgorithm {
  const algorithm = signName.get(id as number)
  if (!algorithm) throw new Problem('cose.wrong-algorithm', `signature algorithm ${String(id)}`)
  return algorithm
}

const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }

export function signBytes(algorithm: SignAlgorithm, key: KeyObject, bytes: Uint8Array): Uint8Array {
  switch (algorithm) {
    case 'EdDSA':
      return new Uint8Array(sign(null, bytes, key))
    case 'ES256':
      return new Uint8Array(sign('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }))
    case 'PS256':
      return new Uint8Array(sign('sha256', bytes, { key, ...pss }))
  }
}

/** @throws {Problem} `cose.wrong-algorithm` when the key is not of that algorithm, or an RSA key too small */
export function verifyBytes(
  algorithm: SignAlgorithm,
  key: KeyObject,
  bytes: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (signAlgorithmFor(key) !== algorithm)
    throw new Problem('cose.wrong-algorithm', `${algorithm} with a key of another kind`)
  switch (algorithm) {
    case 'EdDSA':
      return signature.length === 64 && verify(null, bytes, key, signature)
    case 'ES256':
      return signature.length === 64 && verify('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, signature)
    case 'PS256':
      requireRsaBits(key, profile.rsaMinBits)
      return verify('sha256', bytes, { key, ...pss }, signature)
  }
}

/** @throws {Problem} `cose.wrong-algorithm` */
function requireRsaBits(key: KeyObject, minBits: number): void {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (bits < minBits) throw new Problem('cose.wrong-algorithm', `an RSA key of ${bits} bits`)
}

interface Aead {
  readonly cipher: 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'
  readonly keyBytes: number
}

const aeads: ReadonlyMap<number, Aead> = new Map([
  [3, { cipher: 'aes-256-gcm', keyBytes: 32 }],
  [24, { cipher: 'chacha20-poly1305', keyBytes: 32 }],
  [1, { cipher: 'aes-128-gcm', keyBytes: 16 }],
  [2, { cipher: 'aes-192-gcm', keyBytes: 24 }],
])

export const ivBytes = 12
export const authTagBytes = 16
const authTag = { authTagLength: authTagBytes }

/** The content algorithm of an id, when the rules allow it. @throws {Problem} `cose.wrong-algorithm` */
export function aeadOf(id: unknown, rules: Rules): Aead {
  const aead = rules.content.has(id as number) ? aeads.get(id as number) : undefined
  if (!aead) throw new Problem('cose.wrong-algorithm', `content algorithm ${String(id)}`)
  return aead
}

/**
 * Node takes 8 µs to import raw key bytes and 1 µs with a KeyObject, so the last import of each array is kept as long as
 * the array lives. An array whose bytes have changed since is another key.
 */
const imports = new WeakMap<Uint8Array, { copy: Uint8Array; key: KeyObject }>()

function imported(bytes: Uint8Array): KeyObject {
  const kept = imports.get(bytes)
  if (kept && sameBytes(kept.copy, bytes)) return kept.key
  const key = createSecretKey(bytes)
  imports.set(bytes, { copy: bytes.slice(), key })
  return key
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!
  return difference === 0
}

/** Ciphertext and tag, as COSE keeps them in one byte string. */
export function seal(aead: Aead, key: Uint8Array, iv: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(plaintext.length + authTagBytes)
  sealInto(sealed, 0, aead, key, iv, aad, plaintext)
  return sealed
}

/** As `seal`, written into `target` at `at`: saves a copy per message. */
export function sealInto(
  target: Uint8Array,
  at: number,
  aead: Aead,
  key: Uint8Array,
  iv: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): void {
  if (key.length !== aead.keyBytes || iv.length !== ivBytes) throw new InternalError('a key or iv of the wrong length')
  const cipher = createCipheriv(aead.cipher as 'aes-256-gcm', imported(key), iv, authTag)
  cipher.setAAD(aad)
  target.set(cipher.update(plaintext), at)
  cipher.final()
  target.set(cipher.getAuthTag(), at + plaintext.length)
}

/** @throws {Problem} `cose.decrypt-failed`; it never says why, so that nobody can ask their way to the key */
export function open(aead: Aead, key: Uint8Array, iv: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array {
  if (iv.length !== ivBytes) throw new Problem('cose.malformed', 'the iv')
  if (key.length !== aead.keyBytes || sealed.length < authTagBytes) throw new Problem('cose.decrypt-failed')
  const decipher = createDecipheriv(aead.cipher as 'aes-256-gcm', imported(key), iv, authTag)
  decipher.setAAD(aad)
  const length = sealed.length - authTagBytes
  decipher.setAuthTag(sealed.subarray(length))
  const plaintext = decipher.update(sealed.subarray(0, length))
  try {
    decipher.final()
  } catch {
    throw new Problem('cose.decrypt-failed')
  }
  return new Uint8Array(plaintext.buffer, plaintext.byteOffset, plaintext.length)
}

/** AES Key Wrap (RFC 3394) by id. */
const wraps: ReadonlyMap<number, { cipher: string; keyBytes: number }> = new Map([
  [-5, { cipher: 'id-aes256-wrap', keyBytes: 32 }],
  [-3, { cipher: 'id-aes128-wrap', keyBytes: 16 }],
  [-4, { cipher: 'id-aes192-wrap', keyBytes: 24 }],
])
const wrapIv = new Uint8Array(8).fill(0xa6)

export function wrapKeyBytes(wrapId: number): number {
  return wraps.get(wrapId)!.keyBytes
}

export function wrapKey(wrapId: number, key: Uint8Array, content: Uint8Array): Uint8Array {
  const cipher = createCipheriv(wraps.get(wrapId)!.cipher, createSecretKey(key), wrapIv)
  return new Uint8Array(Buffer.concat([cipher.update(content), cipher.final()]))
}

/** @throws {Problem} `cose.decrypt-failed` */
export function unwrapKey(wrapId: number, key: Uint8Array, wrapped: Uint8Array): Uint8Array {
  const { cipher, keyBytes } = wraps.get(wrapId)!
  if (key.length !== keyBytes || wrapped.length < 24 || wrapped.length % 8 !== 0)
    throw new Problem('cose.decrypt-failed')
  try {
    const decipher = createDecipheriv(cipher, createSecretKey(key), wrapIv)
    return new Uint8Array(Buffer.concat([decipher.update(wrapped), decipher.final()]))
  } catch {
    throw new Problem('cose.decrypt-failed')
  }
}

/** RSAES-OAEP with SHA-256 throughout and no label (RFC 8230 §3). @throws {Problem} `cose.wrong-algorithm` */
export function rsaEncrypt(key: KeyObject, content: Uint8Array): Uint8Array {
  requireRsaBits(key, profile.rsaMinBits)
  return new Uint8Array(publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, content))
}

/** @throws {Problem} `cose.decrypt-failed`, `cose.wrong-algorithm` */
export function rsaDecrypt(key: KeyObject, hash: string, wrapped: Uint8Array, minBits: number): Uint8Array {
  requireRsaBits(key, minBits)
  try {
    return new Uint8Array(privateDecrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash }, wrapped))
  } catch {
    throw new Problem('cose.decrypt-failed')
  }
}
