/** Figures for the centre (P9): what moved, by day and reason, from the journal. No person is in it. */
import type { Sql } from '../../../storage/database.ts'
import { dateOfQuarter, quarterMs } from './quarters.ts'

export interface DayFigure {
  day: string
  reason: string
  currency: string
  postings: number
  minor: number
}

export interface Operation {
  at: number
  clerk: string
  what: string
  detail: string
}

const maxDays = 400
const dayMs = 86_400_000

/** The last days of a time zone, oldest first. */
export async function dayFigures(sql: Sql, timeZone: string): Promise<DayFigure[]> {
  const rows = await sql.all<Omit<DayFigure, 'day'> & { quarter: number }>(
    `SELECT p.at / ${quarterMs} AS quarter, p.reason, a.currency, count(DISTINCT p.seq) AS postings, sum(l.amount) AS minor
     FROM ledger_postings p JOIN ledger_legs l ON l.posting = p.seq JOIN ledger_accounts a ON a.id = l.debit
     WHERE l.kind IN ('post', 'capture') AND p.at > (SELECT coalesce(max(at), 0) FROM ledger_postings) - ?
     GROUP BY quarter, p.reason, a.currency ORDER BY quarter, p.reason, a.currency`,
    maxDays * dayMs,
  )
  const days = new Map<string, DayFigure>()
  const dateOf = dateOfQuarter(timeZone)
  for (const { quarter, reason, currency, postings, minor } of rows) {
    const day = dateOf(quarter)
    const key = `${day}/${reason}/${currency}`
    const figure = days.get(key) ?? { day, reason, currency, postings: 0, minor: 0 }
    figure.postings += postings
    figure.minor += minor
    days.set(key, figure)
  }
  return [...days.values()].sort((a, b) => a.day.localeCompare(b.day) || a.reason.localeCompare(b.reason))
}

/** The operation log, oldest first. */
export async function operationLog(sql: Sql, limit: number): Promise<Operation[]> {
  return sql.all<Operation>('SELECT at, clerk, what, detail FROM operations ORDER BY n LIMIT ?', limit)
}
