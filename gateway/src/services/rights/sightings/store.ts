/** Sightings as they are kept, and what a place is judged by (R4, R5). */
import type { Sql } from '../../../storage/database.ts'
import { salesOfWork, termsOf } from '../sales/store.ts'
import { placesOfWork } from '../works/store.ts'
import type { Permissions, Verdict } from './judge.ts'

export interface SightingRow {
  work: string
  location: string
  day: string
  seen_ms: number | null
  at_ms: number
  reporter: string
  times: number
  verdict: Verdict['is']
  why: string
}

export async function permissionsOf(sql: Sql, work: string): Promise<Permissions> {
  const sales = []
  for (const row of await salesOfWork(sql, work)) sales.push(await termsOf(sql, row))
  const seen = await sql.all<{ location: string }>('SELECT DISTINCT location FROM sightings WHERE work = ?', work)
  return { published: await placesOfWork(sql, work), sales, seenBefore: seen.map(({ location }) => location) }
}

/** Notes a sighting; one more of the same work at the same address on the same day is counted. */
export async function noteSighting(sql: Sql, row: SightingRow): Promise<void> {
  await sql.run(
    `INSERT INTO sightings (work, location, day, seen_ms, at_ms, reporter, times, verdict, why)
     VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?)
     ON CONFLICT (work, location, day) DO UPDATE SET times = sightings.times + 1, verdict = excluded.verdict, why = excluded.why`,
    row.work,
    row.location,
    row.day,
    row.seen_ms,
    row.at_ms,
    row.reporter,
    row.verdict,
    row.why,
  )
}

/** The newest first. */
export async function sightingsOf(sql: Sql, work: string, location: string): Promise<SightingRow[]> {
  return sql.all<SightingRow>(
    'SELECT * FROM sightings WHERE work = ? AND location = ? ORDER BY day DESC LIMIT 100',
    work,
    location,
  )
}
