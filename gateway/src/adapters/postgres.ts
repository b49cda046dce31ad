/**
 * The store over PostgreSQL 15 or newer: every transaction is serialisable and runs again after a conflict, so work sees
 * what it sees on SQLite, where one transaction follows the other. A service has a schema of its own in the site's database.
 */
import { createHash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { InternalError, Problem } from '@azukari/protocol/problem'
import pg from 'pg'
import type { Duty } from '../storage/database.ts'
import { type Database, DatabaseProblem, type Row, type SqlValue, type Transaction } from '../storage/database.ts'
import { postgresSchema, postgresText } from '../storage/postgres-text.ts'
import { SchemaHold } from './postgres-hold.ts'
import { WorkLease } from './postgres-lease.ts'

export interface PostgresOptions {
  /** `postgres://user@host:port/database`. */
  url: string
  /** Asked for at each connection, so that it can be changed while everything runs; without one, what the URL says. */
  password?: () => string
  /** The server is authenticated, by the authorities of this PEM file or the system's. */
  tls?: { ca: string | undefined }
  /** The service's own schema; made when it is not there. */
  schema: string
  /** Connections at most. */
  connections?: number
}

/** Conflicts after which a transaction is given up, and its device comes again. */
const maxTries = 60
/** How often a key that is there twice is tried again. */
const maxTwice = 4
const maxPauseMs = 40
const connectMs = 10_000
const statementMs = 60_000
const maxTexts = 1_024
/** Conflicts after which a transaction asks for the schema alone, where a process holds it. */
const patientTries = 8
/** How long a process that has the schema alone at its start is waited for, ms. */
const startMs = 60_000

/**
 * Opens a service's schema. @throws {DatabaseProblem} `storage.unreachable` when the server does not answer;
 * @throws {Problem} `config.invalid` when the database does not compare text byte by byte, as SQLite does
 */
export async function openPostgres(options: PostgresOptions): Promise<PostgresDatabase> {
  if (!/^[a-z][a-z0-9_]{0,40}$/.test(options.schema)) throw new InternalError(`no name of a schema: ${options.schema}`)
  const settings: pg.PoolConfig = {
    ...connectionOf(options),
    connectionTimeoutMillis: connectMs,
    statement_timeout: statementMs,
    idle_in_transaction_session_timeout: statementMs,
    application_name: `azukari-${options.schema}`,
    options: `-c search_path=${options.schema} -c synchronous_commit=on -c default_transaction_isolation=serializable`,
    types: { getTypeParser: parserOf as never },
  }
  // What does not use it any more may end without closing it.
  const pool = new pg.Pool({ ...settings, max: options.connections ?? 8, allowExitOnIdle: true })
  // A connection that breaks while nobody uses it: the next statement opens another.
  pool.on('error', () => undefined)
  const database = new PostgresDatabase(pool, options.schema, settings)
  try {
    const found = await database.get<{ collation: string; version: number }>(
      `SELECT datcollate AS collation, current_setting('server_version_num')::bigint AS version
       FROM pg_database WHERE datname = current_database()`,
    )
    if (found!.version < 150_000) throw new Problem('config.invalid', 'PostgreSQL 15 or newer is needed')
    if (!/^(C|POSIX)(\.|$)/.test(found!.collation))
      throw new Problem(
        'config.invalid',
        `the database sorts text by ${found!.collation}: make it with LC_COLLATE 'C' (createdb -T template0 --locale=C)`,
      )
    await database.run(`CREATE SCHEMA IF NOT EXISTS ${options.schema}`)
    return database
  } catch (error) {
    await pool.end()
    throw error
  }
}

/** The URL in parts: given whole, what it says would count before what is given beside it. */
function connectionOf({ url, password, tls }: PostgresOptions): pg.PoolConfig {
  const { hostname, port, pathname, username, password: inUrl, searchParams } = new URL(url)
  const host = decodeURIComponent(hostname)
  return {
    // A folder of a Unix socket stands in the query, since it is no name of a host.
    host: searchParams.get('host') ?? (host || 'localhost'),
    port: Number(port || 5432),
    database: decodeURIComponent(pathname.slice(1)),
    user: decodeURIComponent(username),
    password: password ?? decodeURIComponent(inUrl),
    ...(tls && { ssl: { ca: tls.ca, rejectUnauthorized: true, servername: host } }),
  }
}

export class PostgresDatabase implements Database {
  readonly engine = 'postgres'
  readonly schema: string
  /** Transactions that ran again after a conflict. */
  conflicts = 0
  /** Requests that no server answered. */
  failures = 0
  readonly #pool: pg.Pool
  readonly #settings: pg.PoolConfig
  #hold: SchemaHold | undefined
  #lease: WorkLease | undefined

  constructor(pool: pg.Pool, schema: string, settings: pg.PoolConfig) {
    this.#pool = pool
    this.schema = schema
    this.#settings = settings
  }

  /**
   * From now on this process alone works in the schema (D5), as a lock on a folder would have it: a second one is refused while the
   * first is there, and a first one that lost its line and was followed by another writes nothing more, since every
   * transaction looks who holds the schema.
   * @throws {Problem} `storage.held` while another process holds it
   */
  async hold(): Promise<void> {
    this.#hold = await SchemaHold.alone(this.#holdOptions)
  }

  /**
   * The same for one of several processes: it has the schema alone until `share`, or shares it with those who are there.
   * @throws {Problem} `storage.held` while a process holds it that does not share
   */
  async join(waitMs = startMs): Promise<void> {
    this.#hold = await SchemaHold.oneOfSeveral(this.#holdOptions, waitMs)
  }

  async share(): Promise<void> {
    const hold = this.#hold
    if (!hold?.isJoining || this.#lease) return
    await this.script(
      `CREATE TABLE IF NOT EXISTS store_lease (
         name TEXT NOT NULL PRIMARY KEY, holder TEXT NOT NULL, epoch INTEGER NOT NULL, until INTEGER NOT NULL
       )`,
    )
    await hold.share()
    const lease = new WorkLease({
      sharedBy: hold.holder,
      query: (sql) => hold.query(sql),
      notify: () => hold.notify(),
    })
    hold.heard = () => lease.heard()
    this.#lease = lease
    lease.start()
  }

  get isShared(): boolean {
    return this.#hold?.isShared ?? false
  }

  get duty(): Duty | undefined {
    return this.#lease
  }

  /** The present epoch of slow work, where several processes share it and it is this one's turn. */
  get workEpoch(): number | undefined {
    return this.#lease?.isHeld ? this.#lease.epoch : undefined
  }

  get #holdOptions() {
    return { schema: this.schema, settings: this.#settings, translate }
  }

  async run(sql: string, ...parameters: SqlValue[]): Promise<{ changes: number }> {
    if (this.#hold) return this.transaction((transaction) => transaction.run(sql, ...parameters))
    return { changes: (await this.#again(() => query(this.#pool, sql, parameters))).rowCount ?? 0 }
  }

  async get<T = Row>(sql: string, ...parameters: SqlValue[]): Promise<T | undefined> {
    return (await this.#again(() => query(this.#pool, sql, parameters))).rows[0] as T | undefined
  }

  async all<T = Row>(sql: string, ...parameters: SqlValue[]): Promise<T[]> {
    return (await this.#again(() => query(this.#pool, sql, parameters))).rows as T[]
  }

  async script(sql: string): Promise<void> {
    await this.#again(() => this.#pool.query(postgresSchema(sql)))
  }

  transaction<T>(work: (sql: Transaction) => Promise<T> | T): Promise<T> {
    return this.#again((tries) => this.#once(work, tries > patientTries))
  }

  get connections(): { open: number; idle: number; waiting: number } {
    const { totalCount, idleCount, waitingCount } = this.#pool
    return { open: totalCount, idle: idleCount, waiting: waitingCount }
  }

  /** A migration that fails leaves nothing behind; whole copies are made by `pg_dump` (docs/operators.md). */
  async backup(): Promise<void> {}

  async close(): Promise<void> {
    await this.#lease?.stop()
    await this.#hold?.close()
    if (!this.#pool.ended) await this.#pool.end()
  }

  /** Hears of a channel's notices until the signal aborts. A hint only: what is lost is found by looking. */
  async listen(channel: string, heard: () => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const gone = Promise.withResolvers<void>()
      let client: pg.PoolClient | undefined
      const over = () => gone.resolve()
      signal.addEventListener('abort', over, { once: true })
      try {
        client = await this.#pool.connect()
        client.on('notification', heard)
        client.on('error', over)
        client.on('end', over)
        await client.query(`LISTEN ${this.schema}_${channel}`)
        await gone.promise
      } catch {
        await setTimeout(1_000, undefined, { signal }).catch(() => undefined)
      } finally {
        signal.removeEventListener('abort', over)
        // With what it listens to: the pool must not give it to anybody else.
        client?.release(true)
      }
    }
  }

  /** To all who listen, when the transaction commits. */
  static async notify(sql: Transaction, schema: string, channel: string): Promise<void> {
    await sql.run(`SELECT pg_notify(?, '')`, `${schema}_${channel}`)
  }

  async #once<T>(work: (sql: Transaction) => Promise<T> | T, isAlone: boolean): Promise<T> {
    const client = await this.#pool.connect()
    let broken: Error | undefined
    const transaction = new PostgresTransaction(client)
    try {
      if (!this.#hold) await client.query('BEGIN')
      try {
        if (this.#hold) await this.#begin(client, this.#hold, isAlone)
        const result = await work(transaction)
        transaction.over = true
        await client.query('COMMIT')
        return result
      } catch (error) {
        transaction.over = true
        await client.query('ROLLBACK').catch((failure: Error) => {
          broken = failure
        })
        throw error
      }
    } finally {
      client.release(broken)
    }
  }

  /**
   * Begins a transaction and looks, on the same way, whether this process still holds the schema. A table's lock comes before the
   * snapshot: who is alone waits for all others, and meets no conflict then.
   */
  async #begin(client: pg.PoolClient, hold: SchemaHold, isAlone: boolean): Promise<void> {
    const mode = isAlone ? 'EXCLUSIVE' : 'ROW SHARE'
    const answers: unknown = await client.query(
      `BEGIN; LOCK TABLE store_holder IN ${mode} MODE; SELECT holder FROM store_holder WHERE id = 1`,
    )
    const [, , found] = answers as [unknown, unknown, pg.QueryResult<{ holder: string }>]
    if (found.rows[0]?.holder !== hold.holder)
      throw new DatabaseProblem('storage.held', `another process took the schema ${this.schema} over`)
  }

  /** Runs work until it meets no conflict. @throws {DatabaseProblem} `service.busy` when it always does */
  async #again<T>(work: (tries: number) => Promise<T>): Promise<T> {
    for (let tries = 1, twice = 0; ; tries++) {
      try {
        return await work(tries)
      } catch (error) {
        const problem = translate(error)
        if (!(problem instanceof Conflict)) {
          if (problem instanceof DatabaseProblem) this.failures++
          throw problem
        }
        // What is there twice because of another transaction is not so the next time; else it is a fault of ours.
        if (problem.isTwice && ++twice >= maxTwice)
          throw new InternalError(problem.cause instanceof Error ? problem.cause.message : 'there twice', {
            cause: error,
          })
        if (tries >= maxTries) throw new DatabaseProblem('service.busy', 'too many conflicts', { cause: error })
        this.conflicts++
        await setTimeout(Math.random() * Math.min(maxPauseMs, tries * 2))
      }
    }
  }
}

class PostgresTransaction implements Transaction {
  readonly engine = 'postgres'
  readonly #client: pg.PoolClient
  #depth = 0
  over = false

  constructor(client: pg.PoolClient) {
    this.#client = client
  }

  async run(sql: string, ...parameters: SqlValue[]): Promise<{ changes: number }> {
    return { changes: (await this.#query(sql, parameters)).rowCount ?? 0 }
  }

  async get<T = Row>(sql: string, ...parameters: SqlValue[]): Promise<T | undefined> {
    return (await this.#query(sql, parameters)).rows[0] as T | undefined
  }

  async all<T = Row>(sql: string, ...parameters: SqlValue[]): Promise<T[]> {
    return (await this.#query(sql, parameters)).rows as T[]
  }

  async script(sql: string): Promise<void> {
    this.#requireOpen()
    await this.#client.query(postgresSchema(sql))
  }

  async savepoint<T>(work: () => Promise<T> | T): Promise<T> {
    this.#requireOpen()
    const name = `s${this.#depth++}`
    await this.#client.query(`SAVEPOINT ${name}`)
    try {
      const result = await work()
      await this.#client.query(`RELEASE SAVEPOINT ${name}`)
      return result
    } catch (error) {
      // A conflict ends the whole transaction, and a broken connection too: it is begun again from the start.
      if (error instanceof DatabaseProblem) throw error
      await this.#client.query(`ROLLBACK TO SAVEPOINT ${name}; RELEASE SAVEPOINT ${name}`)
      throw error
    } finally {
      this.#depth--
    }
  }

  async #query(sql: string, parameters: SqlValue[]): Promise<pg.QueryResult> {
    this.#requireOpen()
    try {
      return await query(this.#client, sql, parameters)
    } catch (error) {
      throw translate(error)
    }
  }

  #requireOpen(): void {
    if (this.over) throw new InternalError('a statement in a transaction that has ended')
  }
}

/** Two transactions that cannot have run one after the other: this one is begun again. */
class Conflict extends DatabaseProblem {
  /** A key that is there already, as another transaction may have made it meanwhile. */
  readonly isTwice: boolean

  constructor(cause: unknown, isTwice: boolean) {
    super('storage.failed', 'a conflict', { cause })
    this.isTwice = isTwice
  }
}

const texts = new Map<string, { text: string; name: string }>()

function query(on: pg.Pool | pg.PoolClient, sql: string, parameters: SqlValue[]): Promise<pg.QueryResult> {
  let known = texts.get(sql)
  if (!known) {
    const text = postgresText(sql)
    known = { text, name: createHash('sha256').update(text).digest('base64url').slice(0, 24) }
    if (texts.size >= maxTexts) texts.delete(texts.keys().next().value!)
    texts.set(sql, known)
  }
  return on.query({ ...known, values: parameters.map(bound) })
}

function bound(value: SqlValue): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  return typeof value === 'bigint' ? value.toString() : value
}

// OIDs of pg_type.dat.
const [bool, bytea, int8, int2, int4, float4, float8, numeric] = [16, 17, 20, 21, 23, 700, 701, 1700]

function parserOf(oid: number): (text: string) => SqlValue {
  switch (oid) {
    case int8:
    case numeric:
      return exactNumber
    case int2:
    case int4:
    case float4:
    case float8:
      return Number
    case bool:
      return (text) => (text === 't' ? 1 : 0)
    case bytea:
      return bytesOf
    default:
      return (text) => text
  }
}

/** As SQLite's binding does: a number that is not exact is no number. */
function exactNumber(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw new InternalError(`${text} is beyond 2^53`)
  return value
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.slice(2), 'hex'))
}

// Classes and codes of errors (PostgreSQL 15, appendix A).
const uniqueViolation = '23505'
const conflicts = new Set(['40001', '40P01', uniqueViolation])
const full = new Set(['53100', '53200'])

function translate(error: unknown): unknown {
  if (error instanceof Problem || error instanceof InternalError) return error
  if (!(error instanceof Error)) return error
  const code = 'code' in error ? String(error.code) : ''
  if (conflicts.has(code)) return new Conflict(error, code === uniqueViolation)
  if (full.has(code)) return new DatabaseProblem('storage.full', 'the database cannot grow', { cause: error })
  const away =
    /^(08|57|58|53|25)/.test(code) || /^E[A-Z]+$/.test(code) || /terminated|timeout|Connection/i.test(error.message)
  return away
    ? new DatabaseProblem('storage.unreachable', code || error.message, { cause: error })
    : new InternalError(`${code} ${error.message}`.trim(), { cause: error })
}
