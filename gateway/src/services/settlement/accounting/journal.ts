/** The journal as accountants keep it (P9): what moved between two accounts on a day, for a reason, in one sum. */
import { type Currency, isCurrency } from '@azukari/protocol/money'
import { InternalError } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { addDays, type CivilDate, startOfDay } from '../billing/calendar.ts'
import { dateOfQuarter, quarterMs } from '../statistics/quarters.ts'
import { type AccountName, accountName } from './chart.ts'

export interface JournalEntry {
  day: CivilDate
  /** Why, as the ledger names it. */
  reason: string
  currency: Currency
  debit: AccountName
  credit: AccountName
  minor: bigint
}

/** In the order of days, reasons and accounts; the same period gives the same entries. @param to the last day */
export async function journal(
  sql: Sql,
  { from, to }: { from: CivilDate; to: CivilDate },
  timeZone: string,
): Promise<JournalEntry[]> {
  const rows = await sql.all<{
    quarter: number
    reason: string
    currency: string
    debit: string
    credit: string
    minor: number
  }>(
    `SELECT p.at / ${quarterMs} AS quarter, p.reason, d.currency, d.code AS debit, c.code AS credit, sum(l.amount) AS minor
     FROM ledger_postings p JOIN ledger_legs l ON l.posting = p.seq
       JOIN ledger_accounts d ON d.id = l.debit JOIN ledger_accounts c ON c.id = l.credit
     WHERE l.kind IN ('post', 'capture') AND p.at >= ? AND p.at < ?
     GROUP BY quarter, p.reason, d.currency, d.code, c.code`,
    startOfDay(from, timeZone),
    startOfDay(addDays(to, 1), timeZone),
  )
  const dateOf = dateOfQuarter(timeZone)
  const entries = new Map<string, JournalEntry>()
  for (const { quarter, reason, currency, minor, ...codes } of rows) {
    if (!isCurrency(currency)) throw new InternalError(`no currency: ${currency}`)
    const [debit, credit] = [accountName(codes.debit), accountName(codes.credit)]
    // From one member to another within the same account nothing moves for whoever reads the books.
    if (debit === credit) continue
    const day = dateOf(quarter)
    const key = [day, reason, debit.english, credit.english, currency].join('/')
    const entry = entries.get(key) ?? { day, reason, currency, debit, credit, minor: 0n }
    entry.minor += BigInt(minor)
    entries.set(key, entry)
  }
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
}
