/**
 * The time as this device knows it: the clock that everything in the runtime is given. A board without a battery for its
 * clock begins somewhere in the past after a power cut, and others run fast; what its member signs must have the site's
 * time. So the time that the site tells is what counts from then on, carried forward by the monotonic clock; the latest
 * is kept, and time never stands before it after a restart.
 */
import type { Clock, Timer } from '@azukari/protocol/ports'
import type { DeviceDatabase } from './database.ts'

const schema = `CREATE TABLE IF NOT EXISTS known_time (id INTEGER PRIMARY KEY CHECK (id = 1), ms INTEGER NOT NULL)`

export class KnownTime implements Clock {
  readonly #database: DeviceDatabase
  readonly #clock: Clock
  readonly #startMs: number
  /** Time at the start of this process, as far as it is known. */
  #latestMs: number
  #told = false

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

  /**
   * The site's time since it was told; before that the wall clock, but never before what was known at the start and has
   * passed since. Ms since the epoch.
   */
  now(): number {
    const knownMs = this.#latestMs + Math.round(this.#clock.monotonicMs() - this.#startMs)
    return this.#told ? knownMs : Math.max(this.#clock.now(), knownMs)
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#clock.sleep(ms, signal)
  }

  timer(ms: number, fire: () => void): Timer {
    return this.#clock.timer(ms, fire)
  }

  /** The site says so; durable. */
  async learn(siteMs: number): Promise<void> {
    const ms = Math.round(siteMs)
    this.#latestMs = ms - Math.round(this.#clock.monotonicMs() - this.#startMs)
    this.#told = true
    await this.#database.run(
      'INSERT INTO known_time (id, ms) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET ms = excluded.ms',
      ms,
    )
  }
}
