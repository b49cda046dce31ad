/**
 * Where devices ask from (S9, claim 11): the second replica lies outside the asking device's region too, so what a device
 * brought is placed anew when that device stands elsewhere from now on. The region is the registry's, of the device's last enrolment.
 */
import type { Sql } from '../../../storage/database.ts'
import { leaveBucket } from './buckets.ts'

/** Told by the host with every message: see `Caller`. */
interface Asking {
  device: string
  region: string
}

/** Read before the transaction, since devices stand where they stood. */
export async function asksFromElsewhere(sql: Sql, { device, region }: Asking): Promise<boolean> {
  return (await sql.get<{ region: string }>('SELECT region FROM asking WHERE device = ?', device))?.region !== region
}

/**
 * A device asks from a region: what it brought counts as asked for from there, where its member lets the device's own
 * place decide (D8).
 * @returns whether something is to be placed anew
 */
export async function noteAsking(sql: Sql, { device, region }: Asking): Promise<boolean> {
  if (!(await asksFromElsewhere(sql, { device, region }))) return false
  await sql.run(
    'INSERT INTO asking (device, region) VALUES (?, ?) ON CONFLICT (device) DO UPDATE SET region = excluded.region',
    device,
    region,
  )
  const rows = await sql.all<{
    object: Uint8Array
    version: number
    class: number
    place: number
    sealed: number | null
  }>(
    `SELECT s.object, s.version, s.class, s.place, r.sealed FROM saves AS s
     JOIN members AS m ON m.id = s.member
     LEFT JOIN replicas AS r ON r.object = s.object AND r.version = s.version AND r.slot = 1
     WHERE s.device = ? AND s.asking <> ? AND m.location = 1`,
    device,
    region,
  )
  for (const row of rows) {
    await sql.run('UPDATE saves SET asking = ? WHERE object = ? AND version = ?', region, row.object, row.version)
    if (row.class !== 0) await leaveBucket(sql, row, row.sealed ?? 0)
  }
  return rows.length > 0
}
