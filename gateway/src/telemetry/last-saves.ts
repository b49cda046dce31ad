/**
 * When each device last saved: noted as the event goes by, written down with the next telemetry, many to a commit. A
 * crash in between loses a time of day and nothing else.
 */
import type { Database } from '../storage/database.ts'
import { queries } from '../storage/query.ts'
import type { TelemetryTables } from './tables.ts'

const query = queries<TelemetryTables>()
const all = query<Record<never, never>>()((db) => db.selectFrom('last_saves').selectAll())
const put = query<{ device: string; at_ms: number }>()((db, p) =>
  db
    .insertInto('last_saves')
    .values({ device: p.device, at_ms: p.at_ms })
    .onConflict((conflict) => conflict.column('device').doUpdateSet({ at_ms: p.at_ms })),
)
const drop = query<{ device: string }>()((db, p) => db.deleteFrom('last_saves').where('device', '=', p.device))

export class LastSaves {
  readonly #database: Database
  readonly #known: Map<string, number>
  readonly #changed = new Set<string>()

  private constructor(database: Database, known: Map<string, number>) {
    this.#database = database
    this.#known = known
  }

  static async open(database: Database): Promise<LastSaves> {
    return new LastSaves(database, new Map((await all.all(database, {})).map((row) => [row.device, row.at_ms])))
  }

  /** An event may come again, and late: the latest time stands. */
  note(device: string, atMs: number): void {
    if ((this.#known.get(device) ?? 0) >= atMs) return
    this.#known.set(device, atMs)
    this.#changed.add(device)
  }

  of(device: string): number | undefined {
    return this.#known.get(device)
  }

  /** Forgets devices that were shut out. */
  async forget(devices: readonly string[]): Promise<void> {
    const known = devices.filter((device) => this.#known.delete(device))
    if (known.length > 0)
      await this.#database.transaction(async (sql) => {
        for (const device of known) await drop.run(sql, { device })
      })
  }

  /** @throws {Problem} `storage.*`; then what changed is written the next time */
  async flush(): Promise<void> {
    if (this.#changed.size === 0) return
    await this.#database.transaction(async (sql) => {
      for (const device of this.#changed) {
        const at_ms = this.#known.get(device)
        if (at_ms !== undefined) await put.run(sql, { device, at_ms })
      }
    })
    this.#changed.clear()
  }
}
