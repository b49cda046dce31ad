/** Billing: statement, objection, decision, receipt (S13, S14). */
import { Bytes, Count, contract, Hash, Id, Nothing, type Static, Text, TimeMs, Type } from '../contract.ts'
import { AmountMinor, CurrencyCode, Money } from '../money.ts'
import { signedFields } from '../signed-sealed.ts'
import { Sealed, SettlementNumber, signerProblems } from './settlement-members.ts'
import { TaxRate } from './settlement-purchase.ts'

const utf8 = new TextEncoder()
export const statementDomain = utf8.encode('azukari/statement/1')
export const objectionDomain = utf8.encode('azukari/objection/1')
export const payChoiceDomain = utf8.encode('azukari/pay-choice/1')
export const decisionDomain = utf8.encode('azukari/objection-decision/1')
export const billReceiptDomain = utf8.encode('azukari/bill-receipt/1')

/** A civil date of the site, `2026-11-21`. */
export const CivilDate = Type.String({ pattern: '^\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])$' })

export const StatementLine = Type.Object({
  what: Text(32),
  /** How the amount came about, term by term. */
  how: Text(200),
  /** Before tax; a reduction is negative. */
  netMinor: Type.Integer(),
  tax: TaxRate,
})
export type StatementLine = Static<typeof StatementLine>

/** Where an object of the member lies: what the statement shows of the keeping itself. */
export const KeptWhere = Type.Object({
  object: Id,
  server: Text(32),
  algorithm: Text(32),
  /** The data key, wrapped for the card; absent where it is too large for a statement. */
  wrappedKey: Type.Optional(Bytes(16, 600)),
})

/** What services charged to stored value: it is told, and no part of the total that is collected. */
export const Bought = Type.Object({
  lines: Type.Array(
    Type.Object({
      /** The service and its reason, such as `content-content-fee`. */
      what: Text(64),
      title: Text(200),
      atMs: TimeMs,
      /** With tax. */
      minor: Type.Integer({ minimum: 1 }),
      tax: TaxRate,
      /** Neither delivered nor charged; no part of the sums. */
      isReversed: Type.Boolean(),
    }),
    { maxItems: 60 },
  ),
  /** Lines that have no place here, counted in the sums. */
  further: Count,
  /** The tax within, by rate. */
  taxes: Type.Array(Type.Object({ rate: TaxRate, gross: AmountMinor, tax: AmountMinor }), { maxItems: 3 }),
  total: Money,
})
export type Bought = Static<typeof Bought>

/** `debit`: the bank collects; `card`: the card company; `value`: from stored value. */
export const PaymentWay = Type.Union([Type.Literal('debit'), Type.Literal('card'), Type.Literal('value')])
export type PaymentWay = Static<typeof PaymentWay>

export const Statement = Type.Object({
  contract: Type.Literal('bill.statement@1'),
  ...signedFields,
  statement: SettlementNumber,
  /** Of a statement that this one takes the place of. */
  replaces: Type.Optional(SettlementNumber),
  member: Id,
  from: CivilDate,
  to: CivilDate,
  lines: Type.Array(StatementLine, { maxItems: 40 }),
  taxes: Type.Array(Type.Object({ rate: TaxRate, net: AmountMinor, tax: AmountMinor }), { maxItems: 3 }),
  total: Money,
  /** Qualified invoice: who issues it. */
  issuer: Type.Object({ name: Text(100), invoiceNumber: Type.String({ pattern: '^T\\d{13}$' }) }),
  /** Verdict of the data check on the closing day. */
  check: Type.Object({ objects: Count, checked: Count, bad: Count, atMs: TimeMs }),
  kept: Type.Array(KeptWhere, { maxItems: 64 }),
  faults: Type.Array(Type.Object({ atMs: TimeMs, verdict: Text(32), server: Text(32) }), { maxItems: 64 }),
  /** Objections are taken until the end of this day. */
  objectBy: CivilDate,
  howToObject: Type.Object({ ja: Text(300), en: Text(300) }),
  debitOn: CivilDate,
  payment: PaymentWay,
  bought: Type.Optional(Bought),
})
export type Statement = Static<typeof Statement>

export const statementSent = contract({
  name: 'bill.statement',
  kind: 'event',
  service: 'settlement',
  authority: 'service',
  title: 'The period’s statement, signed, for the member and the card',
  serves: ['S13'],
  request: Type.Object({ statement: Bytes(64, 65_536) }),
  reply: Nothing,
})

/** The kind of a download: a statement’s page, a COSE_Sign1 of the PDF inside a COSE_Encrypt to the member’s key. */
export const statementPage = 'statement'
export const statementPageDomain = utf8.encode('azukari/statement-page/1')

export const ObjectionAbout = Type.Union([
  Type.Literal('profile'),
  Type.Literal('fee'),
  Type.Literal('data'),
  Type.Literal('other'),
])
export type ObjectionAbout = Static<typeof ObjectionAbout>

export const Objection = Type.Object({
  contract: Type.Literal('bill.object@1'),
  ...signedFields,
  statement: SettlementNumber,
  about: ObjectionAbout,
  text: Text(1000),
})
export type Objection = Static<typeof Objection>

export const objectTo = contract({
  name: 'bill.object',
  kind: 'act',
  service: 'settlement',
  authority: 'signed',
  signed: { in: 'objection', body: Objection, domain: objectionDomain, sealed: true },
  title: 'A member objects to a statement: nothing is collected until it is decided',
  serves: ['S13'],
  request: Type.Object({ objection: Sealed }),
  reply: Type.Object({ objection: Id, atMs: TimeMs }),
  problems: [
    'bill.unknown',
    'bill.late',
    'bill.state',
    'bill.objected',
    'bill.handed-over',
    'register.not-own',
    ...signerProblems,
  ],
})

export const PayChoice = Type.Object({
  contract: Type.Literal('bill.pay-by@1'),
  ...signedFields,
  way: PaymentWay,
  /** The card company's token of the member's credit card, with the way `card`; never the card's number. */
  cardToken: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
})
export type PayChoice = Static<typeof PayChoice>

export const choosePayment = contract({
  name: 'bill.pay-by',
  kind: 'act',
  service: 'settlement',
  authority: 'signed',
  signed: { in: 'choice', body: PayChoice, domain: payChoiceDomain, sealed: true },
  title: 'A member chooses how statements are paid, those included that are open and not being collected',
  serves: ['S14'],
  request: Type.Object({ choice: Sealed }),
  reply: Type.Object({ way: PaymentWay, atMs: TimeMs }),
  problems: ['bill.way', ...signerProblems],
})

/** What the re-check found, term by term, and what follows from it. */
export const Decision = Type.Object({
  contract: Type.Literal('bill.decided@1'),
  ...signedFields,
  objection: Id,
  statement: SettlementNumber,
  upheld: Type.Boolean(),
  findings: Type.Array(Text(200), { maxItems: 20 }),
  /** Credit note over the whole of the old statement, when it was upheld. */
  credit: Type.Optional(Money),
  reissued: Type.Optional(SettlementNumber),
})
export type Decision = Static<typeof Decision>

export const objectionDecided = contract({
  name: 'bill.decided',
  kind: 'event',
  service: 'settlement',
  authority: 'service',
  title: 'What became of an objection: credit note and new statement, or a reasoned refusal',
  serves: ['S13'],
  request: Type.Object({ decision: Sealed }),
  reply: Nothing,
})

/** Small enough for a slot on the card. */
export const BillReceipt = Type.Object({
  kind: Type.Literal('bill'),
  statement: SettlementNumber,
  from: CivilDate,
  to: CivilDate,
  amountMinor: AmountMinor,
  currency: CurrencyCode,
  taxMinor: AmountMinor,
  invoiceNumber: Text(14),
  paidOn: CivilDate,
  payment: Text(8),
  /** The ledger's chain where the payment was posted. */
  chain: Hash,
  seq: Count,
})
export type BillReceipt = Static<typeof BillReceipt>

export const receiptSent = contract({
  name: 'bill.receipt',
  kind: 'event',
  service: 'settlement',
  authority: 'service',
  title: 'Paid: a receipt for the card',
  serves: ['S13', 'S14'],
  /** COSE_Sign1 of a `BillReceipt`. */
  request: Type.Object({ receipt: Bytes(64, 1024), atMs: TimeMs }),
  reply: Nothing,
})
