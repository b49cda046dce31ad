/** The card's share in the vault (P2): what its agreement key agrees on with a point that lies in the vault's file. The key never leaves the card, and the card asks for its PIN. */
import { hkdfSync, type KeyObject } from 'node:crypto'
import { agree, coseKey, generateKey, kindOf, parseCoseKey, publicOf } from '@azukari/protocol/keys'
import type { Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { VaultCard } from './vault.ts'

/** What of the card client it needs. */
export interface AgreeingCard {
  /** The card's public agreement key. */
  readonly agreement: KeyObject
  agree(ephemeral: KeyObject): Promise<Uint8Array>
}

/** @throws {Problem} `card.unsupported` for a card whose key cannot agree (RSA) */
export function cardShare(card: AgreeingCard, random: Pick<Random, 'bytes'>): VaultCard {
  const kind = kindOf(card.agreement)
  if (kind !== 'x25519' && kind !== 'p256') throw new Problem('card.unsupported', 'this card’s key does not agree')
  const secretOf = (agreed: Uint8Array) =>
    new Uint8Array(hkdfSync('sha256', agreed, new Uint8Array(0), 'azukari/vault/card/1', 32))
  return {
    make: async () => {
      const point = generateKey(kind, random)
      // Made here once without the card's private half: the same that the card will say.
      return { hint: coseKey(publicOf(point)), secret: secretOf(agree(point, card.agreement)) }
    },
    recover: async (hint) => secretOf(await card.agree(parseCoseKey(hint))),
  }
}
