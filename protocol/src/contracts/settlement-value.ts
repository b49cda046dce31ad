/** Stored value: the four ways in, what was issued, balance and history (P5, P6, P8). */
import { Bytes, Count, contract, Id, type Static, Text, TimeMs, Type } from '../contract.ts'
import { CurrencyCode, Money } from '../money.ts'
import { signedFields } from '../signed-sealed.ts'
import { Sealed, SettlementNumber, signerProblems } from './settlement-members.ts'

const utf8 = new TextEncoder()
export const topUpDomain = utf8.encode('azukari/value-request/1')
export const issueDomain = utf8.encode('azukari/value-issue/1')
export const accountQueryDomain = utf8.encode('azukari/account-query/1')
export const accountStateDomain = utf8.encode('azukari/account-state/1')

/** `credit`: card company; `transfer`: bank or postal transfer by instruction; `deposit`: paid in directly; `cash`: registered post. */
export const TopUpWay = Type.Union([
  Type.Literal('credit'),
  Type.Literal('transfer'),
  Type.Literal('deposit'),
  Type.Literal('cash'),
])
export type TopUpWay = Static<typeof TopUpWay>

export const TopUpRequest = Type.Object({
  contract: Type.Literal('value.request@1'),
  ...signedFields,
  way: TopUpWay,
  amount: Money,
  /** The card company's token of the member's credit card; never the card's number. */
  cardToken: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
})
export type TopUpRequest = Static<typeof TopUpRequest>

export const TopUpState = Type.Union([
  Type.Literal('waiting'),
  Type.Literal('authorised'),
  Type.Literal('issued'),
  Type.Literal('declined'),
  Type.Literal('expired'),
  Type.Literal('reversed'),
])
export type TopUpState = Static<typeof TopUpState>

export const requestValue = contract({
  name: 'value.request',
  kind: 'act',
  service: 'settlement',
  authority: 'signed',
  signed: { in: 'request', body: TopUpRequest, domain: topUpDomain, sealed: true },
  title: 'A member asks for stored value',
  serves: ['P5'],
  request: Type.Object({ request: Sealed }),
  /** `payment`: the number to state when paying, so that the money finds its owner. */
  reply: Type.Object({ request: Id, payment: SettlementNumber, state: TopUpState, payByMs: TimeMs }),
  problems: ['ledger.bad-amount', 'ledger.wrong-currency', ...signerProblems],
})

/** Signed by settlement, sealed for the member. */
export const ValueIssue = Type.Object({
  contract: Type.Literal('value.issued@1'),
  ...signedFields,
  request: Id,
  payment: SettlementNumber,
  state: TopUpState,
  amount: Money,
  balance: Money,
})
export type ValueIssue = Static<typeof ValueIssue>

export const valueIssued = contract({
  name: 'value.issued',
  kind: 'event',
  service: 'settlement',
  authority: 'service',
  title: 'Value was issued, or why not',
  serves: ['P5'],
  request: Type.Object({ issue: Sealed }),
  reply: Type.Object({}),
})

export const AccountQuery = Type.Object({
  contract: Type.Literal('pay.account@1'),
  ...signedFields,
  currency: CurrencyCode,
  /** Lines older than this one; absent: the newest. */
  beforeSeq: Type.Optional(Count),
})
export type AccountQuery = Static<typeof AccountQuery>

export const AccountLine = Type.Object({
  seq: Count,
  atMs: TimeMs,
  reason: Text(32),
  reference: Text(96),
  /** What came in is positive. */
  changeMinor: Type.Integer(),
})
export const AccountState = Type.Object({
  contract: Type.Literal('pay.account@1'),
  ...signedFields,
  balance: Money,
  /** What is not reserved. */
  available: Money,
  lines: Type.Array(AccountLine, { maxItems: 50 }),
})
export type AccountState = Static<typeof AccountState>

export const readAccount = contract({
  name: 'pay.account',
  kind: 'call',
  service: 'settlement',
  authority: 'signed',
  signed: { in: 'query', body: AccountQuery, domain: accountQueryDomain, sealed: true },
  title: 'Balance and history of the member who signs',
  serves: ['P6', 'P8', 'P9'],
  request: Type.Object({ query: Sealed }),
  reply: Type.Object({ state: Bytes(64, 32_768) }),
  problems: [...signerProblems],
})
