/**
 * What settlement asks placement on the closing day and after an objection (S13): profile, data check, where the data lies;
 * and how their registers are kept in step (P4): lost cards, plans, levels and home regions.
 */
import { Count, contract, Hash, Id, Region, type Static, Text, TimeMs, Type } from '../contract.ts'
import { KeptWhere } from './settlement-billing.ts'

export const AccountFacts = Type.Object({
  level: Type.Integer({ minimum: 0, maximum: 9 }),
  home: Text(8),
  sinceMs: TimeMs,
  objects: Count,
  bytes: Count,
  /** Verdicts of tampering within the period. */
  tamperings: Count,
  /**
   * `checked`: objects that were opened and compared since the moment asked for; `bad`: those that are not whole in both places;
   * `waiting`: those that have still to be looked at, which is begun by asking.
   */
  check: Type.Object({ objects: Count, checked: Count, bad: Count, atMs: TimeMs, waiting: Type.Optional(Count) }),
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
    /** Evidence of the data's integrity that is older does not count. */
    checkedSinceMs: Type.Optional(TimeMs),
  }),
  reply: AccountFacts,
  problems: ['card.unknown'],
})

export const LevelChange = Type.Object({
  /** Fixes the level by itself, from now on. */
  plan: Type.Optional(
    Type.Union([Type.Literal('light'), Type.Literal('basic'), Type.Literal('standard'), Type.Literal('premium')]),
  ),
  /** In place of a plan. */
  level: Type.Optional(Type.Integer({ minimum: 0, maximum: 3 })),
  home: Type.Optional(Region),
})
export type LevelChange = Static<typeof LevelChange>

const cardWord = {
  name: 'placement.card',
  service: 'placement',
  authority: 'service',
  title: 'Settlement’s word on a card: lost or found, and what changes about its member',
  serves: ['P4', 'S9'],
  request: Type.Object({
    card: Hash,
    /** Grows with every word on this card: one that comes again, or late, changes nothing. */
    revision: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    lost: Type.Boolean(),
    change: Type.Optional(LevelChange),
  }),
  reply: Type.Object({
    /** Whether placement knows the card; a change waits until it does, a loss stands at once. */
    known: Type.Boolean(),
    /** Why the change was refused. */
    refused: Type.Optional(Text(100)),
  }),
} as const

export const keepCard = contract({ ...cardWord, kind: 'act', version: 2 })

/** As settlement of the release before asks it. */
export const keepCardByCall = contract({ ...cardWord, kind: 'internal' })

export const listChanges = contract({
  name: 'placement.members',
  kind: 'internal',
  service: 'placement',
  authority: 'service',
  title: 'Members whose level, home region or standing changed, since a place in placement’s own list of changes',
  serves: ['P4', 'S9'],
  /** `log`: of the list in which `after` is a place; when it is another one, it is told from its beginning. */
  request: Type.Object({ log: Type.Optional(Id), after: Count }),
  reply: Type.Object({
    log: Id,
    /** The place up to which this tells; ask again from there while it grows. */
    last: Count,
    members: Type.Array(
      Type.Object({ card: Hash, level: Type.Integer({ minimum: 0, maximum: 9 }), home: Text(8), plan: Text(16) }),
      { maxItems: 256 },
    ),
  }),
})
