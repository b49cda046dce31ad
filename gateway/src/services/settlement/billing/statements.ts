/** Statements: made from facts, booked, kept as a page, sent signed and sealed (S13). */
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { checker } from '@azukari/protocol/contract'
import {
  type PaymentWay,
  Statement,
  type StatementLine,
  statementDomain,
  statementSent,
} from '@azukari/protocol/contracts/settlement-billing'
import type { AccountFacts } from '@azukari/protocol/contracts/settlement-placement'
import { decrypt0, encrypt0 } from '@azukari/protocol/cose'
import type { Currency } from '@azukari/protocol/money'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { ledgerOf } from '../centre/epoch.ts'
import { sendPage } from '../documents/pages.ts'
import { type Addressee, statementPdf } from '../documents/statement.ts'
import { type Document, keepDocument } from '../documents/store.ts'
import { atRestKey } from '../keystore.ts'
import { memberAccount, ownAccount } from '../ledger/accounts.ts'
import type { Leg } from '../ledger/model.ts'
import { type MemberRow, members, openPerson } from '../members/registers.ts'
import { nextNumber } from '../numbers.ts'
import { derivedId, type Within } from '../service-context.ts'
import { tell } from '../tell.ts'
import { addBankDays, addDays, type CivilDate, civilDate, yearsBetween } from './calendar.ts'
import type { BillingPorts } from './ports.ts'
import { type Priced, type PricedBy, type PriceFacts, partOf } from './price.ts'
import type { StatementState } from './stages.ts'

export interface StatementRow {
  number: string
  member: Uint8Array
  from_date: CivilDate
  to_date: CivilDate
  /** 0, and one more with every reissue. */
  version: number
  /** JSON of `StatementLine[]`. */
  lines: string
  net: number
  tax: number
  total: number
  currency: Currency
  state: StatementState
  object_by: CivilDate
  debit_on: CivilDate
  payment: PaymentWay
  replaces: string | null
  tries: number
  /** The signed content, sealed at rest. */
  document: Uint8Array
  hold: Uint8Array | null
  at: number
  /** JSON of `PricedBy`; null for one from before it was kept. */
  priced_by: string | null
}

export interface Period {
  from: CivilDate
  to: CivilDate
}

export const statements = {
  get: (sql: Sql, number: string) => sql.get<StatementRow>('SELECT * FROM statements WHERE number = ?', number),
  set: async (sql: Sql, number: string, change: Partial<StatementRow>) => {
    const entries = Object.entries(change)
    await sql.run(
      `UPDATE statements SET ${entries.map(([name]) => `${name} = ?`).join(', ')} WHERE number = ?`,
      ...entries.map(([, value]) => value as string | number | Uint8Array | null),
      number,
    )
  },
}

const sealedDomain = new TextEncoder().encode('azukari/statement-at-rest/1')
const checkStatement = checker(Statement, 'statement')
const howToObject = {
  ja: '端末の「明細書」から期限までにお申し出ください。審査が終わるまで引き落としは行いません。',
  en: 'Object on the terminal under “statements” until the deadline. Nothing is collected until your objection is decided.',
}

export function linesOf(row: StatementRow): StatementLine[] {
  return JSON.parse(row.lines) as StatementLine[]
}

/** By what a period is priced: the tariff in force, and placement's facts. */
export function pricedBy({ rules }: BillingPorts, account: AccountFacts, { from, to }: Period): PricedBy {
  const { level, bytes, tamperings } = account
  const years = yearsBetween(civilDate(account.sinceMs, rules.timeZone), to)
  const facts: PriceFacts = { level, bytes, tamperings, years }
  const short = partOf(from, to)
  if (short && rules.firstPeriod !== 'whole') facts.part = rules.firstPeriod === 'free' ? { ...short, days: 0 } : short
  return { facts, tariff: rules.tariff }
}

/** By what a statement was priced; undefined for one from before that was kept. */
export function keptPrice({ priced_by }: StatementRow): PricedBy | undefined {
  return priced_by === null ? undefined : (JSON.parse(priced_by) as PricedBy)
}

/** What a statement is issued with. */
export interface Issue {
  /** What placement says of the data. */
  facts: AccountFacts
  price: Priced
  by: PricedBy | undefined
  payment: PaymentWay
  /** The one that it takes the place of. */
  replaced?: StatementRow
}

/** Issues a statement: number, booking, page, message. The period of a member is issued once per version. */
export async function issueStatement(
  ports: BillingPorts,
  within: Within,
  member: MemberRow,
  { from, to }: Period,
  { facts, price, by, payment, replaced }: Issue,
): Promise<StatementRow> {
  const { shared, rules } = ports
  const { sql, nowMs } = within
  const { lines, taxes, total } = price
  const number = await nextNumber(sql, 'statement', nowMs)
  const objectBy = addDays(civilDate(nowMs, rules.timeZone), rules.objectDays)
  const debitOn = addBankDays(addDays(objectBy, 1), rules.debitBankDays)
  const body: Statement = {
    contract: statementSent.id,
    audience: shared.self,
    act: shared.random.bytes(16),
    issuedMs: nowMs,
    expiresMs: nowMs,
    statement: number,
    ...(replaced ? { replaces: replaced.number } : {}),
    member: member.id,
    from,
    to,
    lines,
    taxes,
    total: { minor: total, currency: rules.currency },
    issuer: shared.rules.issuer,
    check: facts.check,
    kept: facts.kept,
    faults: facts.faults,
    objectBy,
    howToObject,
    debitOn,
    payment,
  }
  const tax = taxes.reduce((sum, one) => sum + one.tax, 0)
  const row: StatementRow = {
    number,
    member: member.id,
    from_date: from,
    to_date: to,
    version: (replaced?.version ?? -1) + 1,
    lines: JSON.stringify(lines),
    net: total - tax,
    tax,
    total,
    currency: rules.currency,
    // Nothing to pay is paid: there is nothing to collect or to object to.
    state: total === 0 ? 'paid' : 'sent',
    object_by: objectBy,
    debit_on: debitOn,
    payment,
    replaces: replaced?.number ?? null,
    tries: 0,
    hold: null,
    at: nowMs,
    priced_by: by ? JSON.stringify(by) : null,
    document: encrypt0(
      encodeDeterministic(body),
      atRestKey(shared.keys, 'statement'),
      shared.random.bytes(12),
      sealedDomain,
    ),
  }
  await insertRow(sql, 'statements', row)
  await bookStatement(within, row, 'issue')
  const page: Document = {
    id: derivedId('statement', number),
    kind: 'statement',
    member: member.id,
    at: nowMs,
    media: 'application/pdf',
    name: `statement-${number}.pdf`,
    content: statementPdf(body, addressee(ports, member)),
  }
  await keepDocument(shared, sql, page)
  await sendPage(shared, within, page)
  const { audience: _a, act: _b, issuedMs: _c, expiresMs: _d, ...said } = body
  await tell(shared, within, {
    member: member.id,
    contract: statementSent,
    domain: statementDomain,
    body: said,
    wrap: (statement) => ({ statement }),
  })
  return row
}

/** The statement as it was made. */
export function contentOf({ shared }: BillingPorts, row: StatementRow): Statement {
  return checkStatement(
    decode(decrypt0(row.document, atRestKey(shared.keys, 'statement'), sealedDomain), { maxBytes: 1 << 20 }),
  )
}

/** Books a statement's fee and tax against what the member owes, or takes all of it back. */
export async function bookStatement({ sql, nowMs }: Within, row: StatementRow, way: 'issue' | 'credit'): Promise<void> {
  if (row.total === 0) return
  const ledger = ledgerOf(sql)
  const owed = await memberAccount(ledger, 'receivable', row.member, row.currency)
  const leg = (account: string, minor: number): Leg[] =>
    minor === 0
      ? []
      : [
          {
            kind: 'post',
            debit: way === 'issue' ? owed : account,
            credit: way === 'issue' ? account : owed,
            amountMinor: BigInt(minor),
          },
        ]
  await ledger.post(
    {
      id: derivedId('statement', way, row.number),
      reason: way === 'issue' ? 'statement' : 'credit-note',
      reference: row.number,
      legs: [
        ...leg(await ownAccount(ledger, 'income', row.currency), row.net),
        ...leg(await ownAccount(ledger, 'tax', row.currency), row.tax),
      ],
    },
    nowMs,
  )
}

export function addressee({ shared, rules }: BillingPorts, member: MemberRow): Addressee {
  return {
    name: openPerson(shared.keys, member.id, member.person).name,
    number: member.number,
    font: shared.font?.(),
    timeZone: rules.timeZone,
  }
}

export async function memberOf(sql: Sql, row: StatementRow): Promise<MemberRow> {
  return (await members.get(sql, row.member))!
}
