/** The closing day (S13): each member has an own one, so that not all are closed at once; what was missed is made good. */
import { createHash } from 'node:crypto'
import type { PaymentWay } from '@azukari/protocol/contracts/settlement-billing'
import type { AccountFacts } from '@azukari/protocol/contracts/settlement-placement'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { levelBefore } from '../members/level-history.ts'
import type { MemberRow } from '../members/registers.ts'
import { defaultRules, type ServiceContext } from '../service-context.ts'
import { addDays, addMonths, type CivilDate, civilDate, startOfDay } from './calendar.ts'
import type { BillingPorts } from './ports.ts'
import { priceOf, type Window } from './price.ts'
import { type Issue, issueStatement, keptPrice, pricedBy, type StatementRow } from './statements.ts'

export interface BillingAccount {
  member: Uint8Array
  closing_day: number
  payment: PaymentWay
  /** The card company's token of the member's credit card, sealed. */
  token: Uint8Array | null
  /** The last day that was billed. */
  closed: CivilDate
  /** The moment up to which it was billed, ms; null for an account from before it was kept. */
  closed_ms: number | null
}

/** Members whose facts are asked for at once. */
const atOnce = 8
const membersPerRun = 1_000
const dayMs = 86_400_000

/** 1 to 28, spread over members. */
function closingDayOf(member: Uint8Array): number {
  return 1 + (createHash('sha256').update(member).digest().readUInt32BE(0) % 28)
}

/** The first closing day after a date. */
function nextClosing(after: CivilDate, closingDay: number): CivilDate {
  const sameMonth = `${after.slice(0, 8)}${String(closingDay).padStart(2, '0')}`
  return sameMonth > after ? sameMonth : addMonths(sameMonth, 1)
}

/** Whether the period after a date has ended: with its closing day, not on it. */
function isOver(closed: CivilDate, closingDay: number, today: CivilDate): boolean {
  return nextClosing(closed, closingDay) < today
}

/** Where periods met before their moments were kept. */
function noonOf(date: CivilDate): number {
  return Date.parse(`${date}T12:00:00Z`)
}

/** The moments of a period: it ends with its closing day, in the site's zone, and begins where the one before it ended. */
export function windowAfter(
  { closed, closed_ms }: Pick<BillingAccount, 'closed' | 'closed_ms'>,
  to: CivilDate,
  timeZone: string,
): Window {
  return { fromMs: closed_ms ?? noonOf(closed), toMs: startOfDay(addDays(to, 1), timeZone) }
}

/** The moments that a statement is of. */
export function windowOf(row: StatementRow): Window {
  return keptPrice(row)?.window ?? { fromMs: noonOf(addDays(row.from_date, -1)), toMs: noonOf(row.to_date) }
}

/**
 * What placement says of a period, with the level that the member had at its end.
 * @throws {Problem} `placement.unavailable`, `card.unknown`
 */
export async function factsOf(
  { placement, shared }: BillingPorts,
  member: MemberRow,
  { fromMs, toMs }: Window,
  checkedSinceMs?: number,
): Promise<AccountFacts> {
  const card = member.card!
  const period = { card, fromMs, toMs }
  const facts = await placement.account(checkedSinceMs === undefined ? period : { ...period, checkedSinceMs })
  return { ...facts, level: (await levelBefore(shared.store.sql, card, toMs)) ?? facts.level }
}

/** Whether the site has said who issues its statements. */
export function isIssuerNamed({ rules }: Pick<ServiceContext, 'rules'>): boolean {
  return rules.issuer.invoiceNumber !== defaultRules.issuer.invoiceNumber
}

/**
 * Whether the closing waits: the data is looked at, and what is bad is stored again, before the price is computed. After some days
 * the statement is made all the same, and says what is not whole.
 */
export function isBeingChecked({ check }: AccountFacts, { toMs }: Window, waitDays: number, nowMs: number): boolean {
  return (check.waiting ?? 0) + check.bad > 0 && nowMs < toMs + waitDays * dayMs
}

/**
 * Closes every period whose closing day is over. A member whose data placement cannot check now, or is still checking or mending, is
 * left for the next run. Returns the statements that were issued.
 * @throws {Problem} `config.invalid` when the site has not said who issues them
 */
export async function closePeriods(ports: BillingPorts): Promise<{ issued: string[]; postponed: number }> {
  const { shared, rules } = ports
  if (!isIssuerNamed(shared))
    throw new Problem('config.invalid', 'settlement.json does not name the issuer of statements (issuer)')
  const today = civilDate(shared.clock.now(), rules.timeZone)
  await openAccounts(ports)
  const due = (
    await shared.store.sql.all<BillingAccount & { row: Uint8Array }>(
      `SELECT b.* FROM billing_accounts b JOIN members m ON m.id = b.member WHERE m.state IN ('active', 'blocked')
       AND m.card IS NOT NULL AND b.closed < ? ORDER BY b.closed LIMIT ?`,
      today,
      membersPerRun,
    )
  ).filter(({ closed, closing_day }) => isOver(closed, closing_day, today))
  const issued: string[] = []
  let postponed = 0
  for (let at = 0; at < due.length; at += atOnce)
    await Promise.all(
      due.slice(at, at + atOnce).map(async (account) => {
        try {
          const { numbers, isWaiting } = await closeOne(ports, account, today)
          issued.push(...numbers)
          if (isWaiting) postponed++
        } catch (error) {
          if (!isProblem(error)) throw error
          postponed++
          shared.log.warn('a period could not be closed', { code: error.code })
        }
      }),
    )
  return { issued, postponed }
}

async function closeOne(
  ports: BillingPorts,
  account: BillingAccount,
  today: CivilDate,
): Promise<{ numbers: string[]; isWaiting: boolean }> {
  const { shared, rules } = ports
  const numbers: string[] = []
  for (let { closed, closed_ms } = account; isOver(closed, account.closing_day, today); ) {
    const period = { from: addDays(closed, 1), to: nextClosing(closed, account.closing_day) }
    const member = (await shared.store.sql.get<MemberRow>('SELECT * FROM members WHERE id = ?', account.member))!
    const window = windowAfter({ closed, closed_ms }, period.to, rules.timeZone)
    const nowMs = shared.clock.now()
    const facts = await factsOf(ports, member, window, Math.max(0, nowMs - rules.checkDays * dayMs))
    if (isBeingChecked(facts, window, rules.checkWaitDays, nowMs)) return { numbers, isWaiting: true }
    const by = { ...pricedBy(ports, facts, period), window }
    const issue: Issue = { facts, by, price: priceOf(by.facts, by.tariff), payment: account.payment, toMs: window.toMs }
    const row = await shared.store.transaction(async (within) => {
      const moved = (
        await within.sql.run(
          'UPDATE billing_accounts SET closed = ?, closed_ms = ? WHERE member = ? AND closed = ?',
          period.to,
          window.toMs,
          account.member,
          closed,
        )
      ).changes
      // Another run was quicker.
      return moved === 0 ? undefined : await issueStatement(ports, within, member, period, issue)
    })
    if (row) numbers.push(row.number)
    closed = period.to
    closed_ms = window.toMs
  }
  return { numbers, isWaiting: false }
}

/** Every member with a card has an account for billing, from the day of registration. */
async function openAccounts({ shared, rules }: BillingPorts): Promise<void> {
  await shared.store.transaction(async ({ sql }) => {
    const without = await sql.all<MemberRow>(
      `SELECT m.* FROM members m LEFT JOIN billing_accounts b ON b.member = m.id
       WHERE b.member IS NULL AND m.card IS NOT NULL AND m.since IS NOT NULL LIMIT ?`,
      membersPerRun,
    )
    for (const member of without) await openAccount(sql, member, rules.timeZone)
  })
}

/** A member's account for billing, opened when it is first asked for. */
export async function openAccount(sql: Sql, member: MemberRow, timeZone: string): Promise<BillingAccount> {
  const known = await sql.get<BillingAccount>('SELECT * FROM billing_accounts WHERE member = ?', member.id)
  if (known) return known
  const first = civilDate(member.since!, timeZone)
  await insertRow(sql, 'billing_accounts', {
    member: member.id,
    closing_day: closingDayOf(member.id),
    payment: 'debit',
    closed: addDays(first, -1),
    closed_ms: startOfDay(first, timeZone),
  })
  return openAccount(sql, member, timeZone)
}
