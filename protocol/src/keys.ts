/**
 * Keys as COSE_Key (RFC 9052 §7, RFC 9053 §7, RFC 8230 §4) and as node's KeyObject: Ed25519 signs, X25519 and P-256
 * agree, P-256 and RSA (≥ 3072 bits) are what cards have. Every key from outside is checked when it is parsed, so
 * that no later step meets a weak or foreign point.
 */
import {
  createECDH,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  ECDH,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { decodeMap, encodeDeterministic } from './codec.ts'
import { InternalError, Problem } from './problem.ts'
import { isEd25519Point, isX25519Point } from './weak-points.ts'

export type KeyKind = 'ed25519' | 'x25519' | 'p256' | 'rsa'

/** The part of the Random port that keys need. */
export interface RandomSource {
  bytes(n: number): Uint8Array
}

const rsaMinBits = 3072
const rsaMaxBits = 8192
const p256Order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** PKCS #8 up to the 32 bytes of the private key (RFC 8410 §7). */
const pkcs8 = {
  ed25519: Buffer.from('302e020100300506032b657004220420', 'hex'),
  x25519: Buffer.from('302e020100300506032b656e04220420', 'hex'),
}
/** SubjectPublicKeyInfo up to the 32 bytes of the public key (RFC 8410 §4). */
const spki = {
  ed25519: Buffer.from('302a300506032b6570032100', 'hex'),
  x25519: Buffer.from('302a300506032b656e032100', 'hex'),
}

// COSE_Key labels and values: kty 1 = OKP, 2 = EC2, 3 = RSA; crv 1 = P-256, 4 = X25519, 6 = Ed25519.
const kty = 1
const okp = { ed25519: { crv: 6, name: 'Ed25519' }, x25519: { crv: 4, name: 'X25519' } } as const
/** Labels of the private part of an RSA key, and their names in a JWK. */
const rsaPrivateParts = [
  [-3, 'd'],
  [-4, 'p'],
  [-5, 'q'],
  [-6, 'dp'],
  [-7, 'dq'],
  [-8, 'qi'],
] as const

/** A private key made of bytes from `random` alone, so that a simulation replays it. */
export function generateKey(kind: 'ed25519' | 'x25519' | 'p256', random: RandomSource): KeyObject {
  if (kind !== 'p256') return okpPrivate(kind, random.bytes(32))
  for (let tries = 0; tries < 100; tries++) {
    const d = random.bytes(32)
    const scalar = BigInt(`0x${Buffer.from(d).toString('hex')}`)
    if (scalar > 0n && scalar < p256Order) return p256Private(d)
  }
  throw new InternalError('the source of randomness gives no usable bytes')
}

/**
 * A private X25519 key for one exchange, as `generateKey` makes it, in two thirds of the time. Its bytes pass through a
 * string, which cannot be wiped: nothing for keys that last.
 */
export function ephemeralX25519(random: RandomSource): KeyObject {
  return createPrivateKey(pem('PRIVATE', pkcs8.x25519, random.bytes(32)))
}

/** A private RSA key from the platform's own randomness: node offers no other way, so simulations load theirs. */
export function generateRsaKey(bits: number = rsaMinBits): KeyObject {
  if (bits < rsaMinBits || bits > rsaMaxBits) throw new InternalError(`an RSA key of ${bits} bits`)
  return generateKeyPairSync('rsa', { modulusLength: bits, publicExponent: 65_537 }).privateKey
}

export function publicOf(key: KeyObject): KeyObject {
  return key.type === 'private' ? createPublicKey(key) : key
}

/** @throws {Problem} `cose.wrong-algorithm` for kinds outside the profile */
export function kindOf(key: KeyObject): KeyKind {
  switch (key.asymmetricKeyType) {
    case 'ed25519':
    case 'x25519':
    case 'rsa':
      return key.asymmetricKeyType
    case 'ec':
      if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'p256'
  }
  throw new Problem('cose.wrong-algorithm', `a key of type ${key.asymmetricKeyType ?? key.type}`)
}

/** The public COSE_Key, deterministic and with the required labels alone: also what the thumbprint is made of. */
export function coseKey(key: KeyObject): Uint8Array {
  return encodeDeterministic(publicLabels(kindOf(key), publicOf(key).export({ format: 'jwk' })))
}

/** The private COSE_Key, for sealed key stores only. */
export function privateCoseKey(key: KeyObject): Uint8Array {
  if (key.type !== 'private') throw new InternalError('not a private key')
  const kind = kindOf(key)
  const jwk = key.export({ format: 'jwk' })
  const labels = publicLabels(kind, jwk)
  if (kind === 'rsa') for (const [label, name] of rsaPrivateParts) labels.set(label, fromBase64(jwk[name]))
  else labels.set(-4, fromBase64(jwk.d))
  return encodeDeterministic(labels)
}

/** SHA-256 COSE key thumbprint (RFC 9679 §4), 32 bytes: a device's identity, and the kid of what it signs. */
export function thumbprint(key: KeyObject): Uint8Array {
  return new Uint8Array(createHash('sha256').update(coseKey(key)).digest())
}

/**
 * A public or private COSE_Key. Refuses points that are off the curve, of small order or not in their one canonical
 * form, private parts that do not belong to the public ones, and RSA keys that are too small.
 * @throws {Problem} `cbor.*`, `cose.malformed`, `cose.wrong-algorithm`
 */
export function parseCoseKey(bytes: Uint8Array): KeyObject {
  const labels = decodeMap(bytes, { maxBytes: 8192 })
  try {
    return keyOf(labels)
  } catch (cause) {
    if (cause instanceof Problem) throw cause
    throw new Problem('cose.malformed', 'the key does not hold together', { cause })
  }
}

/** As `parseCoseKey`, from decoded labels, such as those of an ephemeral key in a header. */
export function keyOf(labels: ReadonlyMap<unknown, unknown>): KeyObject {
  switch (labels.get(kty)) {
    case 1:
      if (labels.get(-1) === okp.ed25519.crv) return okpOf('ed25519', labels)
      if (labels.get(-1) === okp.x25519.crv) return okpOf('x25519', labels)
      break
    case 2:
      if (labels.get(-1) === 1) return p256Of(labels)
      break
    case 3:
      return rsaOf(labels)
  }
  throw new Problem('cose.wrong-algorithm', `key type ${String(labels.get(kty))}, curve ${String(labels.get(-1))}`)
}

/**
 * The raw ECDH secret, 32 bytes: X25519 (RFC 7748 §6.1) or the x coordinate on P-256.
 * @throws {Problem} `cose.wrong-algorithm` for keys of different kinds, `cose.malformed` when nothing is agreed on
 */
export function agree(privateKey: KeyObject, publicKey: KeyObject): Uint8Array {
  const kind = kindOf(privateKey)
  if ((kind !== 'x25519' && kind !== 'p256') || kindOf(publicKey) !== kind)
    throw new Problem('cose.wrong-algorithm', `${kind} and ${kindOf(publicKey)} cannot agree`)
  let secret: Uint8Array
  try {
    secret = new Uint8Array(diffieHellman({ privateKey, publicKey: publicOf(publicKey) }))
  } catch (cause) {
    throw new Problem('cose.malformed', 'the keys agree on nothing', { cause })
  }
  if (secret.every((byte) => byte === 0)) throw new Problem('cose.malformed', 'the keys agree on nothing')
  return secret
}

function publicLabels(kind: KeyKind, jwk: JsonWebKey): Map<number, unknown> {
  if (kind === 'rsa')
    return new Map<number, unknown>([
      [kty, 3],
      [-1, fromBase64(jwk.n)],
      [-2, fromBase64(jwk.e)],
    ])
  const labels = new Map<number, unknown>([
    [kty, kind === 'p256' ? 2 : 1],
    [-1, kind === 'p256' ? 1 : okp[kind].crv],
    [-2, fromBase64(jwk.x)],
  ])
  if (kind === 'p256') labels.set(-3, fromBase64(jwk.y))
  return labels
}

/** Public keys that were good: the same few are met again and again, and looking at a point takes a tenth of a millisecond. */
const publicKeys = new Map<string, KeyObject>()
const maxPublicKeys = 4_096

function okpOf(kind: 'ed25519' | 'x25519', labels: ReadonlyMap<unknown, unknown>): KeyObject {
  const x = bytesOf(labels, -2, 32)
  if (labels.has(-4)) return okpChecked(kind, labels, x)
  const name = kind + base64(x)
  let key = publicKeys.get(name)
  if (!key) {
    key = okpChecked(kind, labels, x)
    // Shares of a single exchange pass through here too: the oldest goes.
    if (publicKeys.size >= maxPublicKeys) publicKeys.delete(publicKeys.keys().next().value!)
    publicKeys.set(name, key)
  }
  return key
}

function okpChecked(kind: 'ed25519' | 'x25519', labels: ReadonlyMap<unknown, unknown>, x: Uint8Array): KeyObject {
  if (kind === 'ed25519' ? !isEd25519Point(x) : !isX25519Point(x))
    throw new Problem('cose.malformed', `the ${kind} key is weak or not a canonical point`)
  if (!labels.has(-4)) return createPublicKey(pem('PUBLIC', spki[kind], x))
  const key = okpPrivate(kind, bytesOf(labels, -4, 32))
  if (key.export({ format: 'jwk' }).x !== base64(x)) throw mismatch()
  return key
}

/** Node asks of everything but text whether it is a key already, by way of an exception each time: 5 µs apiece. */
function pem(what: 'PRIVATE' | 'PUBLIC', prefix: Uint8Array, bytes: Uint8Array): string {
  const body = Buffer.concat([prefix, bytes]).toString('base64')
  return `-----BEGIN ${what} KEY-----\n${body}\n-----END ${what} KEY-----\n`
}

function okpPrivate(kind: 'ed25519' | 'x25519', d: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([pkcs8[kind], d]), format: 'der', type: 'pkcs8' })
}

function p256Of(labels: ReadonlyMap<unknown, unknown>): KeyObject {
  const x = bytesOf(labels, -2, 32)
  const sign = labels.get(-3)
  const y = typeof sign === 'boolean' ? decompress(x, sign) : bytesOf(labels, -3, 32)
  if (!labels.has(-4))
    return createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', x: base64(x), y: base64(y) } })
  const key = p256Private(bytesOf(labels, -4, 32))
  const made = key.export({ format: 'jwk' })
  if (made.x !== base64(x) || made.y !== base64(y)) throw mismatch()
  return key
}

/** y of a compressed point, of which only the sign is given (RFC 9053 §7.1.1). */
function decompress(x: Uint8Array, sign: boolean): Uint8Array {
  const point = Buffer.concat([Buffer.of(sign ? 3 : 2), x])
  return (ECDH.convertKey(point, 'prime256v1', undefined, undefined, 'uncompressed') as Buffer).subarray(33)
}

function p256Private(d: Uint8Array): KeyObject {
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(d)
  const point = ecdh.getPublicKey()
  return createPrivateKey({
    format: 'jwk',
    key: { kty: 'EC', crv: 'P-256', d: base64(d), x: base64(point.subarray(1, 33)), y: base64(point.subarray(33)) },
  })
}

function rsaOf(labels: ReadonlyMap<unknown, unknown>): KeyObject {
  const n = bytesOf(labels, -1)
  const e = bytesOf(labels, -2)
  if (n[0] === 0 || e[0] === 0) throw new Problem('cose.malformed', 'the RSA key is not in its shortest form')
  if (n.length * 8 < rsaMinBits || n.length * 8 > rsaMaxBits || n[0]! < 0x80)
    throw new Problem('cose.wrong-algorithm', `RSA keys have ${rsaMinBits} to ${rsaMaxBits} bits`)
  if (e.length < 3 || e.length > 8 || (e.at(-1)! & 1) === 0 || (n.at(-1)! & 1) === 0)
    throw new Problem('cose.malformed', 'the RSA key is not usable')
  const jwk: JsonWebKey = { kty: 'RSA', n: base64(n), e: base64(e) }
  if (!labels.has(-3)) return createPublicKey({ format: 'jwk', key: jwk })
  for (const [label, name] of rsaPrivateParts) jwk[name] = base64(bytesOf(labels, label))
  const key = createPrivateKey({ format: 'jwk', key: jwk })
  const probe = Buffer.from('does this private key belong to its public key')
  if (
    !verify(
      'sha256',
      probe,
      createPublicKey({ format: 'jwk', key: { kty: 'RSA', n: jwk.n, e: jwk.e } as JsonWebKey }),
      sign('sha256', probe, key),
    )
  )
    throw mismatch()
  return key
}

function bytesOf(labels: ReadonlyMap<unknown, unknown>, label: number, length?: number): Uint8Array {
  const value = labels.get(label)
  if (!(value instanceof Uint8Array) || value.length === 0 || (length !== undefined && value.length !== length))
    throw new Problem('cose.malformed', `label ${label} of the key`)
  return value
}

function mismatch(): Problem {
  return new Problem('cose.malformed', 'the private part does not belong to the public part')
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')
}

function fromBase64(value: string | undefined): Uint8Array {
  if (value === undefined) throw new InternalError('the key lacks a part')
  return new Uint8Array(Buffer.from(value, 'base64url'))
}
