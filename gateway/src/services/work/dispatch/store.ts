/** SQL of units and their copies: rows in, rows out, no decisions. */
import type { Sql } from '../../../storage/database.ts'
import type { CopyRow, UnitRow } from '../tables.ts'

type CopyKey = Pick<CopyRow, 'job' | 'unit' | 'attempt'>

export const units = {
  get: (sql: Sql, job: Uint8Array, unit: number) =>
    sql.get<UnitRow>('SELECT * FROM units WHERE job = ? AND unit = ?', job, unit),
  ofJob: (sql: Sql, job: Uint8Array) => sql.all<UnitRow>('SELECT * FROM units WHERE job = ? ORDER BY unit', job),
  add: (sql: Sql, { job, unit, input, round }: Pick<UnitRow, 'job' | 'unit' | 'input' | 'round'>) =>
    sql.run(
      `INSERT INTO units (job, unit, input, state, quorum, missing, round) VALUES (?, ?, ?, 'open', 0, 1, ?)`,
      job,
      unit,
      input,
      round,
    ),
  set: (sql: Sql, { job, unit, state, quorum, missing, hash, problem }: UnitRow) =>
    sql.run(
      'UPDATE units SET state = ?, quorum = ?, missing = ?, hash = ?, problem = ? WHERE job = ? AND unit = ?',
      state,
      quorum,
      missing,
      hash,
      problem,
      job,
      unit,
    ),
  /** The next one of a running job of which no copy is, or was answered, with a device of that owner. */
  next: (sql: Sql, owner: string, nowMs: number) =>
    sql.get<UnitRow>(
      `SELECT u.* FROM units u JOIN jobs j ON j.id = u.job
       WHERE u.missing > 0 AND j.state = 'running' AND j.deadline_ms > ? AND NOT EXISTS
       (SELECT 1 FROM copies c WHERE c.job = u.job AND c.unit = u.unit AND c.owner = ? AND c.state <> 'lost')
       ORDER BY j.submitted_ms, u.job, u.unit LIMIT 1`,
      nowMs,
      owner,
    ),
}

export const copies = {
  get: (sql: Sql, { job, unit, attempt }: CopyKey) =>
    sql.get<CopyRow>('SELECT * FROM copies WHERE job = ? AND unit = ? AND attempt = ?', job, unit, attempt),
  ofUnit: (sql: Sql, job: Uint8Array, unit: number) =>
    sql.all<CopyRow>('SELECT * FROM copies WHERE job = ? AND unit = ? ORDER BY attempt', job, unit),
  ofJob: (sql: Sql, job: Uint8Array) =>
    sql.all<CopyRow>('SELECT * FROM copies WHERE job = ? ORDER BY unit, attempt', job),
  heldBy: (sql: Sql, device: string) =>
    sql.get<CopyRow>(
      `SELECT * FROM copies WHERE device = ? AND state = 'leased' ORDER BY lease_ms DESC LIMIT 1`,
      device,
    ),
  add: (
    sql: Sql,
    { job, unit, attempt, device, owner, lease_ms }: CopyKey & Pick<CopyRow, 'device' | 'owner' | 'lease_ms'>,
  ) =>
    sql.run(
      `INSERT INTO copies (job, unit, attempt, device, owner, state, lease_ms, micro_points, charged)
       VALUES (?, ?, ?, ?, ?, 'leased', ?, 0, 0)`,
      job,
      unit,
      attempt,
      device,
      owner,
      lease_ms,
    ),
  setState: (sql: Sql, { job, unit, attempt }: CopyKey, state: CopyRow['state']) =>
    sql.run('UPDATE copies SET state = ? WHERE job = ? AND unit = ? AND attempt = ?', state, job, unit, attempt),
  setLease: (sql: Sql, { job, unit, attempt }: CopyKey, leaseMs: number) =>
    sql.run('UPDATE copies SET lease_ms = ? WHERE job = ? AND unit = ? AND attempt = ?', leaseMs, job, unit, attempt),
  setResult: (sql: Sql, { job, unit, attempt, state, hash, fuel, problem, receipt }: CopyRow) =>
    sql.run(
      `UPDATE copies SET state = ?, hash = ?, fuel = ?, problem = ?, receipt = ?
       WHERE job = ? AND unit = ? AND attempt = ?`,
      state,
      hash,
      fuel,
      problem,
      receipt,
      job,
      unit,
      attempt,
    ),
  /** Those whose lease has ended. */
  silent: (sql: Sql, nowMs: number, limit: number) =>
    sql.all<CopyRow>(
      `SELECT * FROM copies WHERE state = 'leased' AND lease_ms <= ? ORDER BY lease_ms LIMIT ?`,
      nowMs,
      limit,
    ),
  nextLease: async (sql: Sql): Promise<number | undefined> =>
    (await sql.get<{ at: number | null }>(`SELECT min(lease_ms) AS at FROM copies WHERE state = 'leased'`))?.at ??
    undefined,
  /** Results of a device that nobody has confirmed yet. */
  waiting: async (sql: Sql, device: string): Promise<number> =>
    (await sql.get<{ n: number }>(`SELECT count(*) AS n FROM copies WHERE device = ? AND state = 'returned'`, device))!
      .n,
  computing: async (sql: Sql, job: Uint8Array): Promise<number> =>
    (await sql.get<{ n: number }>(`SELECT count(*) AS n FROM copies WHERE job = ? AND state = 'leased'`, job))!.n,
}
