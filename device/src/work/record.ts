/** What this board has computed, in its database: each copy of a unit once, with what became of its result. */
import type { WorkResult } from '@azukari/protocol/contracts/work'
import type { DeviceDatabase } from '../database.ts'

type CopyKey = Pick<WorkResult, 'job' | 'unit' | 'attempt'>

export interface Totals {
  computed: number
  valid: number
  wrong: number
  /** Of all that it has computed, whatever became of it. */
  fuel: number
}

/** Rows that are kept, so that a small disk does not fill. */
const rowsMax = 10_000

export class WorkRecord {
  readonly #database: DeviceDatabase

  private constructor(database: DeviceDatabase) {
    this.#database = database
  }

  static async open(database: DeviceDatabase): Promise<WorkRecord> {
    await database.exec(
      `CREATE TABLE IF NOT EXISTS work_results (
         job BLOB NOT NULL, unit INTEGER NOT NULL, attempt INTEGER NOT NULL, act BLOB NOT NULL UNIQUE, fuel INTEGER NOT NULL,
         at INTEGER NOT NULL, standing TEXT, PRIMARY KEY (job, unit, attempt)
       )`,
    )
    return new WorkRecord(database)
  }

  async add({ job, unit, attempt, act, fuelUsed, issuedMs }: WorkResult): Promise<void> {
    await this.#database.run(
      `INSERT INTO work_results (job, unit, attempt, act, fuel, at) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (job, unit, attempt) DO UPDATE SET act = excluded.act, fuel = excluded.fuel, at = excluded.at, standing = NULL`,
      job,
      unit,
      attempt,
      act,
      fuelUsed,
      issuedMs,
    )
    await this.#database.run(
      'DELETE FROM work_results WHERE standing IS NOT NULL AND rowid <= (SELECT max(rowid) FROM work_results) - ?',
      rowsMax,
    )
  }

  async settle(act: Uint8Array, standing: string): Promise<void> {
    await this.#database.run('UPDATE work_results SET standing = ? WHERE act = ?', standing, act)
  }

  /** Whether the result of this copy waits to be delivered. */
  async isOnItsWay({ job, unit, attempt }: CopyKey): Promise<boolean> {
    const row = await this.#database.get(
      'SELECT 1 AS n FROM work_results WHERE job = ? AND unit = ? AND attempt = ? AND standing IS NULL',
      job,
      unit,
      attempt,
    )
    return row !== undefined
  }
}

export const noTotals: Totals = { computed: 0, valid: 0, wrong: 0, fuel: 0 }

/** Of all that is recorded; nothing where there is no record yet. */
export async function totalsIn(database: Pick<DeviceDatabase, 'get'>): Promise<Totals> {
  const table = await database.get(`SELECT 1 AS n FROM sqlite_schema WHERE type = 'table' AND name = 'work_results'`)
  if (!table) return noTotals
  const row = await database.get<Totals>(
    `SELECT count(*) AS computed, coalesce(sum(standing = 'valid'), 0) AS valid,
       coalesce(sum(standing = 'wrong'), 0) AS wrong, coalesce(sum(fuel), 0) AS fuel
     FROM work_results`,
  )
  return row ?? noTotals
}
