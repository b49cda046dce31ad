/** What the chip of a card computes; here in software, with its private keys, per kind of card. */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import type { CardKind } from '@azukari/protocol/card/layout'
import { agree } from '@azukari/protocol/keys'
import NodeRSA from 'node-rsa'

const x25519Prefix = Buffer.from('302a300506032b656e032100', 'hex')
const p256Prefix = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex')

/** Signs: Ed25519, ES256 as r ‖ s, or RSASSA-PSS with SHA-256 and a salt of 32 bytes. */
export function signWith(kind: CardKind, key: KeyObject, message: Uint8Array): Uint8Array {
  if (kind === 'ed25519') return sign(null, message, key)
  if (kind === 'p256') return sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' })
  return rsa(key).sign(message)
}

/**
 * PSO:DECIPHER. RSA: 00 ‖ cryptogram (OAEP, SHA-256). Others: A6{7F49{86 public point}}, answered by the agreed secret.
 * Undefined when the input is none of these, or does not decipher.
 */
export function decipherWith(kind: CardKind, key: KeyObject, input: Uint8Array): Uint8Array | undefined {
  try {
    if (kind === 'rsa') return input[0] === 0 ? rsa(key).decrypt(input.subarray(1)) : undefined
    const point = keyAgreementPoint(input)
    if (!point || point.length !== (kind === 'ed25519' ? 32 : 65)) return undefined
    const prefix = kind === 'ed25519' ? x25519Prefix : p256Prefix
    return agree(key, createPublicKey({ key: Buffer.concat([prefix, point]), format: 'der', type: 'spki' }))
  } catch {
    // A point off the curve or bad padding: the card says no more than that it will not.
    return undefined
  }
}

/** Whether the provider's key (Ed25519 or P-256) signed. */
export function providerSigned(key: KeyObject, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== 64) return false
  return key.asymmetricKeyType === 'ed25519'
    ? verify(null, message, key, signature)
    : verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature)
}

/** The value of A6{7F49{86 …}} with lengths below 128, as OpenPGP cards have it. */
function keyAgreementPoint(input: Uint8Array): Uint8Array | undefined {
  const length = input.length
  if (length < 7 || input[0] !== 0xa6 || input[1] !== length - 2) return undefined
  if (input[2] !== 0x7f || input[3] !== 0x49 || input[4] !== length - 5) return undefined
  if (input[5] !== 0x86 || input[6] !== length - 7) return undefined
  return input.subarray(7)
}

const rsaKeys = new WeakMap<KeyObject, NodeRSA>()

/** node-rsa with the parameters we accept; its defaults (salt of 20 bytes, SHA-1) are not. */
function rsa(key: KeyObject): NodeRSA {
  let made = rsaKeys.get(key)
  if (!made) {
    made = new NodeRSA(key.export({ format: 'der', type: 'pkcs8' }), 'pkcs8-private-der', {
      signingScheme: { scheme: 'pss', hash: 'sha256', saltLength: 32 },
      encryptionScheme: { scheme: 'pkcs1_oaep', hash: 'sha256' },
    })
    rsaKeys.set(key, made)
  }
  return made
}
