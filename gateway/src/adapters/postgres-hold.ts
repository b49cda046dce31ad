/**
 * Who works in a schema (D5): one process alone, or several that share it. An advisory lock on a line of its own keeps others
 * out; the name in `store_holder`, which every transaction reads, stops whoever lost that line and was followed.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { DatabaseProblem } from '../storage/database.ts'

/** How long after its line broke the lock on a schema is asked for again, and who waits for a schema looks again, ms. */
const againMs = 500
/** What those who share a schema are called begins with it. */
const sharing = 'shared/'
/** Notices for those who share a schema. */
const channel = 'slow_work'

export interface HoldOptions {
  schema: string
  settings: pg.ClientConfig
  translate(error: unknown): unknown
}

export class SchemaHold {
  readonly #o: HoldOptions
  /** By which this process is known in `store_holder`. */
  #holder: string
  #isShared: boolean
  #line: pg.Client | undefined
  readonly #closed = new AbortController()
  #keeping: Promise<void> = Promise.resolve()
  /** Hears notices of others who share the schema. */
  heard: () => void = () => undefined

  /** It is one of several processes, though it may have the schema alone yet. */
  readonly isJoining: boolean

  private constructor(options: HoldOptions, holder: string, kind: { isJoining: boolean; isShared: boolean }) {
    this.#o = options
    this.#holder = holder
    this.isJoining = kind.isJoining
    this.#isShared = kind.isShared
  }

  /** Holds a schema alone. @throws {DatabaseProblem} `storage.held` while another process is there */
  static async alone(options: HoldOptions): Promise<SchemaHold> {
    const hold = new SchemaHold(options, randomUUID(), { isJoining: false, isShared: false })
    if (!(await hold.#begin())) throw held(options.schema)
    return hold
  }

  /**
   * Holds a schema alone, to share it later, or shares it with those who are there.
   * @param waitMs how long somebody who is alone is waited for. @throws {DatabaseProblem} `storage.held` when that was not enough
   */
  static async oneOfSeveral(options: HoldOptions, waitMs: number): Promise<SchemaHold> {
    for (const untilMs = performance.now() + waitMs; ; await setTimeout(againMs)) {
      const alone = new SchemaHold(options, randomUUID(), { isJoining: true, isShared: false })
      if (await alone.#begin()) return alone
      const shared = new SchemaHold(options, `${sharing}${randomUUID()}`, { isJoining: true, isShared: true })
      if (await shared.#begin()) return shared
      if (performance.now() > untilMs) throw held(options.schema)
    }
  }

  get holder(): string {
    return this.#holder
  }

  get isShared(): boolean {
    return this.#isShared
  }

  /** Lets others in that share. What this process has under way goes on. */
  async share(): Promise<void> {
    if (this.#isShared) return
    const before = this.#holder
    const holder = `${sharing}${randomUUID()}`
    const line = this.#line
    if (!line) throw held(this.#o.schema)
    try {
      const { rowCount } = await line.query('UPDATE store_holder SET holder = $1 WHERE id = 1 AND holder = $2', [
        holder,
        before,
      ])
      if (rowCount === 0) throw held(this.#o.schema)
      await line.query('SELECT pg_advisory_lock_shared(hashtextextended($1, 0))', [this.#key])
      await line.query('SELECT pg_advisory_unlock(hashtextextended($1, 0))', [this.#key])
      await line.query(`LISTEN ${this.#o.schema}_${channel}`)
    } catch (error) {
      throw this.#o.translate(error)
    }
    this.#holder = holder
    this.#isShared = true
  }

  /** Runs a statement on the line, where it waits for no other work and commits by itself. @throws {DatabaseProblem} `storage.*` */
  async query(sql: string): Promise<Record<string, unknown>[]> {
    if (!this.#line) throw new DatabaseProblem('storage.unreachable', 'the line that holds the schema broke')
    try {
      return (await this.#line.query(sql)).rows
    } catch (error) {
      throw this.#o.translate(error)
    }
  }

  /** Tells all who share the schema. */
  async notify(): Promise<void> {
    await this.query(`NOTIFY ${this.#o.schema}_${channel}`)
  }

  async close(): Promise<void> {
    this.#closed.abort()
    await this.#keeping
  }

  get #key(): string {
    return `azukari/${this.#o.schema}`
  }

  async #begin(): Promise<boolean> {
    const line = await this.#lock()
    if (!line) return false
    try {
      await this.#enter(line)
    } catch (error) {
      await line.end()
      throw this.#o.translate(error)
    }
    this.#keeping = this.#keep(line)
    return true
  }

  /** Enters its name, or takes the one by which those are known who share the schema already. */
  async #enter(line: pg.Client): Promise<void> {
    await line.query('CREATE TABLE IF NOT EXISTS store_holder (id BIGINT NOT NULL PRIMARY KEY, holder TEXT NOT NULL)')
    const { rows } = await line.query<{ holder: string }>(
      `INSERT INTO store_holder (id, holder) VALUES (1, $1)
       ON CONFLICT (id) DO UPDATE
         SET holder = CASE WHEN $2 AND store_holder.holder LIKE '${sharing}%' THEN store_holder.holder ELSE excluded.holder END
       RETURNING holder`,
      [this.#holder, this.#isShared],
    )
    this.#holder = rows[0]!.holder
  }

  /** A line of its own with the lock on it; undefined while it is not to be had. */
  async #lock(): Promise<pg.Client | undefined> {
    const { settings, translate, schema } = this.#o
    // A host that lost its power says no goodbye: the server finds that out in half a minute in place of two hours.
    const keepalive = '-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3'
    const options = `${settings.options} ${keepalive} -c default_transaction_isolation=read\\ committed`
    const line = new pg.Client({ ...settings, options, keepAlive: true })
    // Whoever waits for the line hears of its end.
    line.on('error', () => undefined)
    line.on('notification', () => this.heard())
    try {
      await line.connect()
      const kind = this.#isShared ? '_shared' : ''
      const { rows } = await line.query(`SELECT pg_try_advisory_lock${kind}(hashtextextended($1, 0)) AS held`, [
        this.#key,
      ])
      if (rows[0].held === 1) {
        if (this.#isShared) await line.query(`LISTEN ${schema}_${channel}`)
        return line
      }
    } catch (error) {
      await line.end().catch(() => undefined)
      throw translate(error)
    }
    await line.end()
    return undefined
  }

  /** Takes the lock again whenever its line broke, as long as nobody followed. */
  async #keep(first: pg.Client): Promise<void> {
    const { signal } = this.#closed
    const stop = Promise.withResolvers<void>()
    signal.addEventListener('abort', () => stop.resolve(), { once: true })
    for (let line: pg.Client | undefined = first; !signal.aborted; ) {
      if (line) {
        const { promise: gone, resolve } = Promise.withResolvers<void>()
        line.once('end', resolve)
        this.#line = line
        await Promise.race([gone, stop.promise])
        this.#line = undefined
        await line.end().catch(() => undefined)
      }
      if (!signal.aborted) await setTimeout(againMs, undefined, { signal }).catch(() => undefined)
      line = signal.aborted ? undefined : await this.#lock().catch(() => undefined)
      if (line && (await this.#isFollowed(line))) {
        await line.end().catch(() => undefined)
        return
      }
    }
  }

  /** Somebody had the schema meanwhile: what holds it now is not to be kept from others. */
  async #isFollowed(line: pg.Client): Promise<boolean> {
    const found = await line
      .query<{ holder: string }>('SELECT holder FROM store_holder WHERE id = 1')
      .catch(() => undefined)
    return found !== undefined && found.rows[0]?.holder !== this.#holder
  }
}

function held(schema: string): DatabaseProblem {
  return new DatabaseProblem('storage.held', `another process works in the schema ${schema}`)
}
