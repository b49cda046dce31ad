/** What other services post to settlement: charges, points, sales (C8, C9, W11, R3). Each is done once, whole or not at all. */
import { Count, contract, Hash, Id, Text, TimeMs, Type } from '../contract.ts'
import { CurrencyCode } from '../money.ts'
import { SettlementNumber } from './settlement-members.ts'
import { TaxRate } from './settlement-purchase.ts'

/** An account of a member: `value` what is stored, `payable` what the next payout takes, `receivable` what is owed to us. */
export const MemberParty = Type.Object({
  member: SettlementNumber,
  account: Type.Union([Type.Literal('value'), Type.Literal('payable'), Type.Literal('receivable')]),
})
/** The same by the card that they hold: who has seen only the card knows no number. */
export const CardParty = Type.Object({
  card: Hash,
  account: Type.Union([Type.Literal('value'), Type.Literal('payable'), Type.Literal('receivable')]),
})
/** Our own: fees earned, and the tax upon them. */
export const OwnParty = Type.Object({ own: Type.Union([Type.Literal('income'), Type.Literal('tax')]) })
export const Party = Type.Union([MemberParty, CardParty, OwnParty])

/** What a charge was for, as the member's next statement tells it (S13). */
export const ChargeItem = Type.Object({
  /** Of whom. */
  card: Hash,
  title: Text(200),
  /** When it was bought. */
  atMs: TimeMs,
  /** With tax: what the moves take from this card's stored value; of what was reversed, what it would have been. */
  minor: Type.Integer({ minimum: 1, maximum: 999_999_999_999 }),
  currency: CurrencyCode,
  tax: TaxRate,
  /** It was not delivered, and is not charged: a charge of no moves. */
  isReversed: Type.Boolean(),
})

export const postCharge = contract({
  name: 'settle.charge',
  kind: 'internal',
  service: 'settlement',
  authority: 'service',
  idempotent: true,
  title: 'A service posts what its members owe and earn',
  serves: ['C8', 'C9', 'W11', 'R3', 'P9'],
  request: Type.Object({
    /** The service’s own: the same again is the same charge. */
    id: Id,
    reason: Type.String({ pattern: '^[a-z-]{1,24}$' }),
    reference: Text(64),
    moves: Type.Array(
      Type.Object({
        from: Party,
        to: Party,
        minor: Type.Integer({ minimum: 1, maximum: 999_999_999_999 }),
        currency: CurrencyCode,
      }),
      { maxItems: 32 },
    ),
    item: Type.Optional(ChargeItem),
  }),
  reply: Type.Object({ seq: Count, atMs: TimeMs }),
  problems: [
    'register.unknown-number',
    'ledger.insufficient',
    'ledger.conflict',
    'ledger.same-account',
    'member.suspended',
  ],
})
