/**
 * The time as this device knows it. A board without a battery for its clock begins somewhere in the past after a power
 * cut; what its member signs then must not be too old for the site when the network comes back. So the latest time that
 * the site agreed to is kept, and time never stands before it.
 */
import type { Clock } from '@azukari/protocol/ports'
import type { DeviceDatabase } from './database.ts'

const schema = `CREATE TABLE IF NOT EXISTS known_time (id INTEGER PRIMARY KEY CHECK (id = 1), ms INTEGER NOT NULL)`

export class KnownTime {
  readonly #database: DeviceDatabase
  readonly #clock: Clock
  readonly #startMs: number
  #latestMs: number

  private constructor(database: DeviceDatabase, clock: Clock, latestMs: number) {
    this.#database = database
    this.#clock = clock
    this.#startMs = clock.monotonicMs()
    this.#latestMs = latestMs
  }

  static async open(database: DeviceDatabase, clock: Clock): Promise<KnownTime> {
    await database.exec(schema)
    const row = await database.get<{ ms: number }>('SELECT ms FROM known_time')
    return new KnownTime(database, clock, row?.ms ?? 0)
  }

  /** The wall clock, but never before what was known at the start and has passed since; ms since the epoch. */
  now(): number {
    return Math.max(this.#clock.now(), this.#latestMs + Math.round(this.#clock.monotonicMs() - this.#startMs))
  }

  /** The site says so; durable. */
  async learn(siteMs: number): Promise<void> {
    const ms = Math.round(siteMs)
    this.#latestMs = ms - Math.round(this.#clock.monotonicMs() - this.#startMs)
    await this.#database.run(
      'INSERT INTO known_time (id, ms) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET ms = excluded.ms',
      ms,
    )
  }
}
