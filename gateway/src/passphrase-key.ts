/** A key from a passphrase, under which the keys of services lie in one box. */
import { argon2Sync } from 'node:crypto'

/** Turns a passphrase into a 32-byte key. */
export type PassphraseKdf = (passphrase: string, salt: Uint8Array) => Uint8Array

/** argon2id, 64 MiB, 3 passes, 4 lanes (RFC 9106 §4, second recommended option). */
export const argon2id: PassphraseKdf = (passphrase, salt) =>
  argon2Sync('argon2id', { message: passphrase, nonce: salt, parallelism: 4, tagLength: 32, memory: 65_536, passes: 3 })
