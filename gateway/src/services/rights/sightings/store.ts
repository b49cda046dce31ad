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

/** A work at a place on a day, by how many, and in which regions boards met it there. */
export interface SeenPlace extends SightingRow {
  regions: string[]
}

/** The newest first. */
export async function seenPlaces(sql: Sql, work: string, limit: number): Promise<SeenPlace[]> {
  const rows = await sql.all<SightingRow>(
    'SELECT * FROM sightings WHERE work = ? ORDER BY day DESC, location LIMIT ?',
    work,
    limit,
  )
  const boards = await sql.all<{ location: string; day: string; region: string }>(
    'SELECT DISTINCT location, day, region FROM board_sightings WHERE work = ? ORDER BY region',
    work,
  )
  const regions = Map.groupBy(boards, ({ location, day }) => `${day} ${location}`)
  return rows.map((row) => ({
    ...row,
    regions: (regions.get(`${row.day} ${row.location}`) ?? []).map(({ region }) => region),
  }))
}
