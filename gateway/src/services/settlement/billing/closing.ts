/** The closing day (S13): each member has an own one, so that not all are closed at once; what was missed is made good. */
import { createHash } from 'node:crypto'
import type { PaymentWay } from '@azukari/protocol/contracts/settlement-billing'
import type { AccountFacts } from '@azukari/protocol/contracts/settlement-placement'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { levelBefore } from '../members/level-history.ts'
import type { MemberRow } from '../members/registers.ts'
import { defaultRules } from '../service-context.ts'
import { addDays, addMonths, type CivilDate, civilDate } from './calendar.ts'
import type { BillingPorts } from './ports.ts'
import { priceOf } from './price.ts'
import { type Issue, issueStatement, type Period, pricedBy } from './statements.ts'

export interface BillingAccount {
  member: Uint8Array
  closing_day: number
  payment: PaymentWay
  /** The card company's token of the member's credit card, sealed. */
  token: Uint8Array | null
  /** The last day that was billed. */
  closed: CivilDate
}

/** Members whose facts are asked for at once. */
const atOnce = 8
const membersPerRun = 1_000

/** 1 to 28, spread over members. */
function closingDayOf(member: Uint8Array): number {
  return 1 + (createHash('sha256').update(member).digest().readUInt32BE(0) % 28)
}

/** The first closing day after a date. */
function nextClosing(after: CivilDate, closingDay: number): CivilDate {
  const sameMonth = `${after.slice(0, 8)}${String(closingDay).padStart(2, '0')}`
  return sameMonth > after ? sameMonth : addMonths(sameMonth, 1)
}

/** Noon of a civil date, near enough to any zone's day for asking about a period. */
function momentOf(date: CivilDate): number {
  return Date.parse(`${date}T12:00:00Z`)
}

/**
 * What placement says of a period, with the level that the member had at its end.
 * @throws {Problem} `placement.unavailable`, `card.unknown`
 */
export async function factsOf(
  { placement, shared }: BillingPorts,
  member: MemberRow,
  { from, to }: Period,
): Promise<AccountFacts> {
  const card = member.card!
  const toMs = momentOf(to)
  const facts = await placement.account({ card, fromMs: momentOf(addDays(from, -1)), toMs })
  return { ...facts, level: (await levelBefore(shared.store.sql, card, toMs)) ?? facts.level }
}

/**
 * Closes every period that has ended, up to and including today. A member whose data placement cannot check now is left
 * for the next run. Returns the statements that were issued.
 * @throws {Problem} `config.invalid` when the site has not said who issues them
 */
export async function closePeriods(ports: BillingPorts): Promise<{ issued: string[]; postponed: number }> {
  const { shared, rules } = ports
  if (shared.rules.issuer.invoiceNumber === defaultRules.issuer.invoiceNumber)
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
  ).filter(({ closed, closing_day }) => nextClosing(closed, closing_day) <= today)
  const issued: string[] = []
  let postponed = 0
  for (let at = 0; at < due.length; at += atOnce)
    await Promise.all(
      due.slice(at, at + atOnce).map(async (account) => {
        try {
          issued.push(...(await closeOne(ports, account, today)))
        } catch (error) {
          if (!isProblem(error)) throw error
          postponed++
          shared.log.warn('a period could not be closed', { code: error.code })
        }
      }),
    )
  return { issued, postponed }
}

async function closeOne(ports: BillingPorts, account: BillingAccount, today: CivilDate): Promise<string[]> {
  const { shared } = ports
  const numbers: string[] = []
  for (let { closed } = account; nextClosing(closed, account.closing_day) <= today; ) {
    const period = { from: addDays(closed, 1), to: nextClosing(closed, account.closing_day) }
    const member = (await shared.store.sql.get<MemberRow>('SELECT * FROM members WHERE id = ?', account.member))!
    const facts = await factsOf(ports, member, period)
    const by = pricedBy(ports, facts, period)
    const issue: Issue = { facts, by, price: priceOf(by.facts, by.tariff), payment: account.payment }
    const row = await shared.store.transaction(async (within) => {
      const moved = (
        await within.sql.run(
          'UPDATE billing_accounts SET closed = ? WHERE member = ? AND closed = ?',
          period.to,
          account.member,
          closed,
        )
      ).changes
      // Another run was quicker.
      return moved === 0 ? undefined : await issueStatement(ports, within, member, period, issue)
    })
    if (row) numbers.push(row.number)
    closed = period.to
  }
  return numbers
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
  await insertRow(sql, 'billing_accounts', {
    member: member.id,
    closing_day: closingDayOf(member.id),
    payment: 'debit',
    closed: addDays(civilDate(member.since!, timeZone), -1),
  })
  return openAccount(sql, member, timeZone)
}
