/** Figures for the centre (P9): what moved, by day and reason, from the journal. No person is in it. */
import type { Sql } from '../../../storage/database.ts'

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

/** The last days, oldest first. @param offsetMs of the site's civil day against UTC */
export async function dayFigures(sql: Sql, offsetMs: number): Promise<DayFigure[]> {
  return (
    await sql.all<Omit<DayFigure, 'day'> & { day: number }>(
      `SELECT (p.at + CAST(?1 AS INTEGER)) / ${dayMs} AS day, p.reason, a.currency, count(DISTINCT p.seq) AS postings, sum(l.amount) AS minor
       FROM ledger_postings p JOIN ledger_legs l ON l.posting = p.seq JOIN ledger_accounts a ON a.id = l.debit
       WHERE l.kind IN ('post', 'capture') AND p.at > (SELECT coalesce(max(at), 0) FROM ledger_postings) - ?2
       GROUP BY day, p.reason, a.currency ORDER BY day, p.reason`,
      offsetMs,
      maxDays * dayMs,
    )
  ).map((row) => ({ ...row, day: new Date(row.day * dayMs).toISOString().slice(0, 10) }))
}

/** The operation log, oldest first. */
export async function operationLog(sql: Sql, limit: number): Promise<Operation[]> {
  return sql.all<Operation>('SELECT at, clerk, what, detail FROM operations ORDER BY n LIMIT ?', limit)
}
