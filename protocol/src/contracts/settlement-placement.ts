/** What settlement asks placement on the closing day and after an objection (S13): profile, data check, where the data lies. */
import { Count, contract, Hash, type Static, Text, TimeMs, Type } from '../contract.ts'
import { KeptWhere } from './settlement-billing.ts'

export const AccountFacts = Type.Object({
  level: Type.Integer({ minimum: 0, maximum: 9 }),
  home: Text(8),
  sinceMs: TimeMs,
  objects: Count,
  bytes: Count,
  /** Verdicts of tampering within the period. */
  tamperings: Count,
  /** `bad`: objects that are not whole in both places. */
  check: Type.Object({ objects: Count, checked: Count, bad: Count, atMs: TimeMs }),
  kept: Type.Array(KeptWhere, { maxItems: 64 }),
  faults: Type.Array(Type.Object({ atMs: TimeMs, verdict: Text(32), server: Text(32) }), { maxItems: 64 }),
})
export type AccountFacts = Static<typeof AccountFacts>

export const readAccountFacts = contract({
  name: 'placement.account',
  kind: 'internal',
  service: 'placement',
  authority: 'service',
  title: 'A member’s profile and the state of the data, for the statement of a period',
  serves: ['S13'],
  request: Type.Object({
    /** Thumbprint of the card’s authentication key: both registers know the member by it. */
    card: Hash,
    fromMs: TimeMs,
    toMs: TimeMs,
  }),
  reply: AccountFacts,
  problems: ['card.unknown'],
})
