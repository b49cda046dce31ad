/**
 * Messages that are signed and encrypted (P3, P5, P6): a COSE_Sign1 inside a COSE_Encrypt to the receiver. The content
 * key is made for this one exchange. What is signed can be shown to a third party later without the receiver's key.
 */
import type { KeyObject } from 'node:crypto'
import { encodeDeterministic } from './codec.ts'
import { Hash, Id, TimeMs } from './contract.ts'
import { type DirectSigner, decryptFrom, encryptTo, type RecipientSecret, sign1 } from './cose.ts'
import type { RandomSource } from './keys.ts'

/** What every signed payload carries, so that it can be judged alone, later, by anyone (ARCHITECTURE §4). */
export const signedFields = {
  /** Thumbprint of the key of whom it is for. */
  audience: Hash,
  /** Unique per key: the same act is never done twice. */
  act: Id,
  issuedMs: TimeMs,
  /** From then on it is refused. */
  expiresMs: TimeMs,
}

/** Signs `body` and seals it for the holder of `recipient`; both layers are bound to `domain`. */
export function sealSigned(
  body: unknown,
  signer: DirectSigner,
  domain: Uint8Array,
  recipient: KeyObject,
  random: RandomSource,
): Uint8Array {
  return encryptTo(recipient, sign1(encodeDeterministic(body), signer, domain), domain, random)
}

/** The COSE_Sign1 inside, not yet verified. @throws {Problem} `cbor.*`, `cose.*` */
export function openSealed(sealed: Uint8Array, secret: RecipientSecret, domain: Uint8Array): Uint8Array {
  return decryptFrom(sealed, secret, domain)
}
