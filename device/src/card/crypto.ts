/** How the card's keys look to COSE: a signer that asks the card, and the form in which an ephemeral key reaches it. */
import type { KeyObject } from 'node:crypto'
import { decryptFrom, type SignAlgorithm, type Signer } from '@azukari/protocol/cose'
import { type KeyKind, kindOf, publicOf, thumbprint } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'

const algorithms: Partial<Record<KeyKind, SignAlgorithm>> = { ed25519: 'EdDSA', p256: 'ES256', rsa: 'PS256' }

/** A COSE signer whose private key is in the card. */
export function cardSigner(key: KeyObject, sign: (toBeSigned: Uint8Array) => Promise<Uint8Array>): Signer {
  const algorithm = algorithms[kindOf(key)]
  if (!algorithm) throw new Problem('card.unsupported', 'this key of the card cannot sign')
  return { algorithm, kid: thumbprint(key), sign }
}

/** An ephemeral key as PSO: DECIPHER takes it: A6{7F49{86 point}}, X25519 raw, P-256 uncompressed. */
export function keyAgreementInput(ephemeral: KeyObject): Uint8Array {
  const kind = kindOf(ephemeral)
  if (kind !== 'x25519' && kind !== 'p256') throw new Problem('card.unsupported', `${kind} keys do not agree`)
  const spki = publicOf(ephemeral).export({ format: 'der', type: 'spki' })
  const point = spki.subarray(spki.length - (kind === 'x25519' ? 32 : 65))
  return Uint8Array.of(0xa6, point.length + 5, 0x7f, 0x49, point.length + 2, 0x86, point.length, ...point)
}

/** The wrapped key of a message for an RSA card. Opening does not wait and a card takes its time: so this first pass only looks. */
export function cryptogramOf(message: Uint8Array, aad: Uint8Array): Uint8Array {
  let cryptogram: Uint8Array | undefined
  try {
    decryptFrom(
      message,
      {
        decipher: (found) => {
          cryptogram = found
          throw new Problem('cose.decrypt-failed', 'not yet')
        },
      },
      aad,
    )
  } catch (error) {
    if (!cryptogram) throw error
  }
  return cryptogram!
}
