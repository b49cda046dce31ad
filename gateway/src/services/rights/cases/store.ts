/** Cases as they are kept (R6, R8): one for each work at each address, with all that happened, in order. */
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import type { BreachReason } from '../sightings/judge.ts'
import type { CaseState } from './steps.ts'

export interface CaseRow {
  number: number
  work: string
  location: string
  host: string
  why: BreachReason
  state: CaseState
  opened_ms: number
  next_ms: number
  tries: number
  /** The sale that the copy was traced to. */
  sale: string | null
  /** Of the tracing, in hundredths. */
  score_centi: number | null
  threshold_centi: number | null
  /** Media type of the copy that was fetched. */
  media: string | null
  decision: 'dismissed' | 'stopped' | 'charged' | null
  decided_by: string | null
  decided_ms: number | null
  reason: string | null
  amount: number | null
}

export interface CaseEvent {
  at_ms: number
  what: string
  detail: string
}

export type NewCase = Pick<CaseRow, 'work' | 'location' | 'host' | 'why' | 'state' | 'opened_ms'>

/** @returns the case of the work at the address, and whether it is new */
export async function openCase(sql: Sql, row: NewCase): Promise<{ number: number; isNew: boolean }> {
  const fresh = { ...row, next_ms: row.opened_ms, tries: 0 }
  const isNew = (await insertRow(sql, 'cases', fresh, 'ON CONFLICT (work, location) DO NOTHING')) > 0
  const { number } = (await sql.get<{ number: number }>(
    'SELECT number FROM cases WHERE work = ? AND location = ?',
    row.work,
    row.location,
  ))!
  return { number, isNew }
}

export async function findCase(sql: Sql, number: number): Promise<CaseRow | undefined> {
  return sql.get<CaseRow>('SELECT * FROM cases WHERE number = ?', number)
}

/** The newest first. */
export async function listCases(sql: Sql, limit: number): Promise<CaseRow[]> {
  return sql.all<CaseRow>('SELECT * FROM cases ORDER BY number DESC LIMIT ?', limit)
}

/** Those with something to do by now. */
export async function dueCases(sql: Sql, nowMs: number, limit: number): Promise<CaseRow[]> {
  return sql.all<CaseRow>(
    `SELECT * FROM cases WHERE state IN ('warn-host', 'trace', 'warn-buyer', 'tell-decision') AND next_ms <= ?
     ORDER BY next_ms, number LIMIT ?`,
    nowMs,
    limit,
  )
}

/** When the next one after `nowMs` is due; undefined when none is. */
export async function nextDueMs(sql: Sql, nowMs: number): Promise<number | undefined> {
  const row = await sql.get<{ next: number | null }>(
    `SELECT min(next_ms) AS next FROM cases
     WHERE state IN ('warn-host', 'trace', 'warn-buyer', 'tell-decision') AND next_ms > ?`,
    nowMs,
  )
  return row?.next ?? undefined
}

export async function casesOfHostSince(sql: Sql, host: string, sinceMs: number): Promise<number> {
  const row = await sql.get<{ n: number }>(
    'SELECT count(*) AS n FROM cases WHERE host = ? AND opened_ms >= ?',
    host,
    sinceMs,
  )
  return row!.n
}

/** The step is done or given up: what comes next is due at once. */
export async function moveCase(sql: Sql, number: number, from: CaseState, to: CaseState, nowMs: number): Promise<void> {
  await sql.run(
    'UPDATE cases SET state = ?, next_ms = ?, tries = 0 WHERE number = ? AND state = ?',
    to,
    nowMs,
    number,
    from,
  )
}

export async function postponeCase(sql: Sql, number: number, nextMs: number): Promise<void> {
  await sql.run('UPDATE cases SET next_ms = ?, tries = tries + 1 WHERE number = ?', nextMs, number)
}

export interface TracedSale {
  sale: string | null
  score: number | undefined
  threshold: number
  media: string
}

export async function noteTracing(
  sql: Sql,
  number: number,
  { sale, score, threshold, media }: TracedSale,
): Promise<void> {
  await sql.run(
    'UPDATE cases SET sale = ?, score_centi = ?, threshold_centi = ?, media = ? WHERE number = ?',
    sale,
    score === undefined ? null : Math.round(score * 100),
    Math.round(threshold * 100),
    media,
    number,
  )
}

export interface CaseDecision {
  decision: NonNullable<CaseRow['decision']>
  by: string
  reason: string
  amount?: number | undefined
}

/** @returns false when it was decided before */
export async function decideCase(
  sql: Sql,
  number: number,
  { decision, by, reason, amount }: CaseDecision,
  state: CaseState,
  nowMs: number,
): Promise<boolean> {
  const { changes } = await sql.run(
    `UPDATE cases SET decision = ?, decided_by = ?, decided_ms = ?, reason = ?, amount = ?, state = ?, next_ms = ?, tries = 0
     WHERE number = ? AND decision IS NULL`,
    decision,
    by,
    nowMs,
    reason,
    amount ?? null,
    state,
    nowMs,
    number,
  )
  return changes > 0
}

export async function noteEvent(sql: Sql, number: number, atMs: number, what: string, detail: string): Promise<void> {
  const { n } = (await sql.get<{ n: number }>('SELECT count(*) AS n FROM case_events WHERE number = ?', number))!
  await insertRow(sql, 'case_events', { number, seq: n + 1, at_ms: atMs, what, detail: detail.slice(0, 1_000) })
}

export async function eventsOf(sql: Sql, number: number): Promise<CaseEvent[]> {
  return sql.all<CaseEvent>('SELECT at_ms, what, detail FROM case_events WHERE number = ? ORDER BY seq', number)
}
