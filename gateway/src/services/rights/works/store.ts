/** Works as they are kept (R1, R2). */
import type { Offer } from '@azukari/protocol/contracts/rights'
import type { Fingerprint } from '@azukari/protocol/marks/fingerprint'
import type { Currency } from '@azukari/protocol/money'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'

export interface WorkRow {
  id: string
  title: string
  author: string
  price: number
  currency: Currency
  max_days: number
  max_uses: number
  resale: number
  width: number
  height: number
  original: Uint8Array
  marked: Uint8Array
  /** The signed registration. */
  record: Uint8Array
  registered_ms: number
  made_by: string
}

/** A work as it is shown. */
export interface WorkFacts {
  work: string
  title: string
  author: string
  offer: Offer
  published: string[]
  registeredMs: number
  by: string
  width: number
  height: number
  sales: number
}

/** @returns false when the picture, or one that came of it, is registered already */
export async function insertWork(
  sql: Sql,
  row: WorkRow,
  places: readonly string[],
  { hash, quality }: Fingerprint,
): Promise<boolean> {
  if ((await insertRow(sql, 'works', row, 'ON CONFLICT DO NOTHING')) === 0) return false
  for (const url of new Set(places)) await insertRow(sql, 'work_places', { work: row.id, url })
  await insertRow(sql, 'fingerprints', { work: row.id, hash, quality })
  return true
}

/** The work whose picture this is, before or after it was marked, by SHA-256 of the file. */
export async function workOfFile(sql: Sql, hash: Uint8Array): Promise<string | undefined> {
  return (await sql.get<{ id: string }>('SELECT id FROM works WHERE original = ? OR marked = ?', hash, hash))?.id
}

export async function findWork(sql: Sql, id: string): Promise<WorkRow | undefined> {
  return sql.get<WorkRow>('SELECT * FROM works WHERE id = ?', id)
}

/** The newest first. */
export async function worksByTime(sql: Sql, limit: number): Promise<WorkRow[]> {
  return sql.all<WorkRow>('SELECT * FROM works ORDER BY registered_ms DESC, id LIMIT ?', limit)
}

export async function placesOfWork(sql: Sql, work: string): Promise<string[]> {
  const rows = await sql.all<{ url: string }>('SELECT url FROM work_places WHERE work = ? ORDER BY url', work)
  return rows.map(({ url }) => url)
}

/** Where the work may be besides. */
export async function addPlace(sql: Sql, work: string, url: string): Promise<void> {
  await insertRow(sql, 'work_places', { work, url }, 'ON CONFLICT DO NOTHING')
}

export async function factsOf(sql: Sql, row: WorkRow): Promise<WorkFacts> {
  const { n } = (await sql.get<{ n: number }>('SELECT count(*) AS n FROM sales WHERE work = ?', row.id))!
  return {
    work: row.id,
    title: row.title,
    author: row.author,
    offer: offerOf(row),
    published: await placesOfWork(sql, row.id),
    registeredMs: row.registered_ms,
    by: row.made_by,
    width: row.width,
    height: row.height,
    sales: n,
  }
}

export function offerOf({ price, currency, max_days, max_uses, resale }: WorkRow): Offer {
  return { priceMinor: price, currency, maxDays: max_days, maxUses: max_uses, resale: resale === 1 }
}
