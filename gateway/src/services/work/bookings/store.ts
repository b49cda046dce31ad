/** SQL of bookings: rows in, rows out, no decisions. */
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import type { BookingRow } from '../tables.ts'

export const bookings = {
  get: (sql: Sql, id: Uint8Array) => sql.get<BookingRow>('SELECT * FROM bookings WHERE id = ?', id),
  add: (sql: Sql, row: BookingRow) => insertRow(sql, 'bookings', row),
  setState: (sql: Sql, { id, state, problem, next_ms }: BookingRow) =>
    sql.run(
      `UPDATE bookings SET state = ?, problem = ?, next_ms = ? WHERE id = ? AND state = 'due'`,
      state,
      problem,
      next_ms,
      id,
    ),
  due: (sql: Sql, nowMs: number, limit: number) =>
    sql.all<BookingRow>(
      `SELECT * FROM bookings WHERE state = 'due' AND next_ms <= ? ORDER BY next_ms, id LIMIT ?`,
      nowMs,
      limit,
    ),
  /** When the next one is to be tried. */
  nextMs: async (sql: Sql): Promise<number | undefined> =>
    (await sql.get<{ at: number | null }>(`SELECT min(next_ms) AS at FROM bookings WHERE state = 'due'`))?.at ??
    undefined,
  /** Points that an owner has redeemed; what was refused does not count. */
  redeemedBy: async (sql: Sql, owner: string): Promise<number> =>
    (await sql.get<{ sum: number }>(
      `SELECT coalesce(sum(micro_points), 0) AS sum FROM bookings WHERE owner = ? AND state <> 'refused'`,
      owner,
    ))!.sum,
  newestOf: (sql: Sql, owner: string, limit: number) =>
    sql.all<BookingRow>('SELECT * FROM bookings WHERE owner = ? ORDER BY at_ms DESC, id LIMIT ?', owner, limit),
}
