/** Settlement's keys: with which it signs, to which others seal, and the key of personal data at rest. */
import type { RandomSource } from '@azukari/protocol/keys'
import type { PassphraseKdf } from '../../passphrase-key.ts'
import { atRestKeyOf, type ServiceKeys, sealServiceKeys } from '../../service/service-keys.ts'

export { createServiceKeys as createSettlementKeys } from '../../service/service-keys.ts'

/** `atRest` seals personal data, letters and statements in the database. */
export type SettlementKeys = ServiceKeys

const name = 'settlement'

export function sealSettlementKeys(
  keys: SettlementKeys,
  passphrase: string,
  random: RandomSource,
  kdf?: PassphraseKdf,
): Uint8Array {
  return sealServiceKeys(name, keys, passphrase, random, kdf)
}

/** A key for one kind of content at rest, so that a box can never be read as another kind. */
export function atRestKey(keys: SettlementKeys, use: string): Uint8Array {
  return atRestKeyOf(name, keys, use)
}
