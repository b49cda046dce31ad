/** SQL of jobs: rows in, rows out, no decisions. */
import type { Sql } from '../../../storage/database.ts'
import type { JobRow } from '../tables.ts'

export const jobs = {
  get: (sql: Sql, id: Uint8Array) => sql.get<JobRow>('SELECT * FROM jobs WHERE id = ?', id),
  newest: (sql: Sql, limit: number) =>
    sql.all<JobRow>('SELECT * FROM jobs ORDER BY submitted_ms DESC, id LIMIT ?', limit),
  running: (sql: Sql) => sql.all<JobRow>(`SELECT * FROM jobs WHERE state = 'running' ORDER BY submitted_ms`),
  add: (sql: Sql, job: JobRow) =>
    sql.run(
      `INSERT INTO jobs (id, name, customer, member, module, mode, merge, fuel, memory_bytes, wall_ms, price, points, currency,
         ceiling, deadline_ms, submitted_by, submitted_ms, state, problem, ended_ms, units, valid, failed, fuel_used)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      job.id,
      job.name,
      job.customer,
      job.member,
      job.module,
      job.mode,
      job.merge,
      job.fuel,
      job.memory_bytes,
      job.wall_ms,
      job.price,
      job.points,
      job.currency,
      job.ceiling,
      job.deadline_ms,
      job.submitted_by,
      job.submitted_ms,
      job.state,
      job.problem,
      job.ended_ms,
      job.units,
      job.valid,
      job.failed,
      job.fuel_used,
    ),
  /** What changes while it runs. */
  set: (sql: Sql, { id, state, problem, ended_ms, valid, failed, fuel_used }: JobRow) =>
    sql.run(
      'UPDATE jobs SET state = ?, problem = ?, ended_ms = ?, valid = ?, failed = ?, fuel_used = ? WHERE id = ?',
      state,
      problem,
      ended_ms,
      valid,
      failed,
      fuel_used,
      id,
    ),
}
