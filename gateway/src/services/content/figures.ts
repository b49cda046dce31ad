/** What the ledgers say in sum (C7–C9). */
import type { Sql } from '../../storage/database.ts'
import type { EntryRow } from './ledgers.ts'

export interface SumRow {
  ledger: string
  state: string
  currency: string
  charges: number
  reversals: number
  minor: number
}

/** By ledger and state; what was cancelled sums to nothing. */
export function sumsOf(sql: Sql, content: Uint8Array | undefined): Promise<SumRow[]> {
  return sql.all<SumRow>(
    `SELECT ledger, state, currency,
       sum(CASE WHEN kind = 'charge' THEN 1 ELSE 0 END) AS charges,
       sum(CASE WHEN kind = 'reversal' THEN 1 ELSE 0 END) AS reversals,
       sum(CASE WHEN kind = 'charge' AND state <> 'cancelled' AND state <> 'refused' THEN minor ELSE 0 END) AS minor
     FROM fee_entries WHERE (CAST(?1 AS BLOB) IS NULL OR content = ?1)
     GROUP BY ledger, state, currency ORDER BY ledger, state, currency`,
    content ?? null,
  )
}

/** The newest first. */
export function entriesOf(sql: Sql, content: Uint8Array | undefined, limit: number): Promise<EntryRow[]> {
  return sql.all<EntryRow>(
    `SELECT * FROM fee_entries WHERE (CAST(?1 AS BLOB) IS NULL OR content = ?1)
     ORDER BY at DESC, server, seq DESC, ledger LIMIT ?2`,
    content ?? null,
    limit,
  )
}

export function entriesOfDelivery(sql: Sql, delivery: Uint8Array): Promise<EntryRow[]> {
  return sql.all<EntryRow>('SELECT * FROM fee_entries WHERE delivery = ? ORDER BY ledger, server, seq', delivery)
}

export interface EarningRow {
  content: Uint8Array
  title: string
  ledger: string
  part: string
  currency: string
  deliveries: number
  paidMinor: number
  waitingMinor: number
}

/** What one payee has earned, by content and part. */
export function earningsOf(sql: Sql, payee: string): Promise<EarningRow[]> {
  return sql.all<EarningRow>(
    `SELECT e.content AS content, c.title AS title, e.ledger AS ledger, s.part AS part, e.currency AS currency,
       count(*) AS deliveries,
       sum(CASE WHEN e.state = 'paid' THEN s.minor ELSE 0 END) AS "paidMinor",
       sum(CASE WHEN e.state = 'counted' THEN s.minor ELSE 0 END) AS "waitingMinor"
     FROM fee_shares s
       JOIN fee_entries e ON e.ledger = s.ledger AND e.server = s.server AND e.seq = s.seq
       JOIN contents c ON c.id = e.content
     WHERE s.payee = ? AND e.state IN ('paid', 'counted')
     GROUP BY e.content, c.title, e.ledger, s.part, e.currency ORDER BY c.title, e.ledger, s.part`,
    payee,
  )
}
