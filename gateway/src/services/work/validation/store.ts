/** Credit: one append-only row for each valid result (W11). */
import type { Sql } from '../../../storage/database.ts'
import type { CopyRow } from '../tables.ts'

export async function credit(sql: Sql, copy: CopyRow, nowMs: number): Promise<void> {
  const { job, unit, attempt, owner, device, fuel, micro_points, charged } = copy
  await sql.run(
    `INSERT INTO points (job, unit, attempt, owner, device, fuel, micro_points, at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    job,
    unit,
    attempt,
    owner,
    device,
    fuel,
    micro_points,
    nowMs,
  )
  await sql.run(
    'UPDATE copies SET micro_points = ?, charged = ? WHERE job = ? AND unit = ? AND attempt = ?',
    micro_points,
    charged,
    job,
    unit,
    attempt,
  )
}
