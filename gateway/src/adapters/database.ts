/** Databases over `node:sqlite`: WAL, and every commit on disk before it returns (`synchronous=FULL`). */
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { clearImmediate, setImmediate } from 'node:timers'
import { InternalError } from '@azukari/protocol/problem'
import {
  DatabaseProblem,
  type FollowedDatabase,
  type Row,
  type SqlValue,
  type SyncSql,
  type Transaction,
} from '../storage/database.ts'

export interface DatabaseOptions {
  /** Pages that SQLite keeps in memory, in KiB. */
  cacheKib?: number
  /** WAL pages (4 KiB) at which a commit also copies them into the main file. */
  checkpointPages?: number
}

/** Statements kept prepared; beyond it the oldest goes. Dynamic SQL must not grow memory without bound. */
const maxStatements = 256

/** Opens (and creates) a database file. @throws {DatabaseProblem} `storage.failed` when it cannot be opened */
export function openDatabase(path: string, options: DatabaseOptions = {}): SqliteDatabase {
  return new SqliteDatabase(path, options)
}

/** A database that lives in memory only; for tests and trials. */
export function memoryDatabase(): SqliteDatabase {
  return new SqliteDatabase(':memory:', {})
}

export class SqliteDatabase implements FollowedDatabase {
  readonly engine = 'sqlite'
  readonly #path: string
  readonly #sqlite: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  /** What waits for the transaction under way to end, in order. */
  readonly #waiting: (() => void)[] = []
  #busy = false

  constructor(path: string, { cacheKib = 16_384, checkpointPages = 4_096 }: DatabaseOptions) {
    this.#path = path
    this.#sqlite = translated(() => new DatabaseSync(path, { enableForeignKeyConstraints: true }))
    translated(() =>
      this.#sqlite.exec(
        `PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000; PRAGMA temp_store=MEMORY;
         PRAGMA cache_size=-${cacheKib}; PRAGMA wal_autocheckpoint=${checkpointPages}; PRAGMA journal_size_limit=67108864`,
      ),
    )
  }

  /** Statements that do not wait: only where no transaction can be under way. */
  readonly sync: SyncSql = {
    run: (sql, ...parameters) => translated(() => this.#prepare(sql).run(...parameters)) as { changes: number },
    get: <T>(sql: string, ...parameters: SqlValue[]) =>
      translated(() => this.#prepare(sql).get(...parameters)) as T | undefined,
    all: <T>(sql: string, ...parameters: SqlValue[]) => translated(() => this.#prepare(sql).all(...parameters)) as T[],
  }

  async run(sql: string, ...parameters: SqlValue[]): Promise<{ changes: number }> {
    if (this.#busy) await this.#turn()
    return this.#outside(() => this.sync.run(sql, ...parameters))
  }

  async get<T = Row>(sql: string, ...parameters: SqlValue[]): Promise<T | undefined> {
    if (this.#busy) await this.#turn()
    return this.#outside(() => this.sync.get<T>(sql, ...parameters))
  }

  async all<T = Row>(sql: string, ...parameters: SqlValue[]): Promise<T[]> {
    if (this.#busy) await this.#turn()
    return this.#outside(() => this.sync.all<T>(sql, ...parameters))
  }

  async script(sql: string): Promise<void> {
    if (this.#busy) await this.#turn()
    this.#outside(() => translated(() => this.#sqlite.exec(sql)))
  }

  async transaction<T>(work: (sql: Transaction) => Promise<T> | T): Promise<T> {
    if (this.#busy) await this.#turn()
    this.#busy = true
    try {
      this.sync.run('BEGIN IMMEDIATE')
      const transaction = new SqliteTransaction(this.#sqlite, this.sync)
      try {
        const made = work(transaction)
        const result = made instanceof Promise ? await transaction.onlyStatements(made) : made
        this.sync.run('COMMIT')
        return result
      } catch (error) {
        // A full disk makes SQLite roll back by itself.
        if (this.#sqlite.isTransaction) this.sync.run('ROLLBACK')
        throw error
      } finally {
        transaction.over = true
      }
    } finally {
      this.#next()
    }
  }

  recorded<T>(
    work: (sql: Transaction) => Promise<T> | T,
    seal: (changes: Uint8Array, sql: Transaction) => Promise<void>,
  ): Promise<T> {
    return this.transaction(async (sql) => {
      const session = this.#sqlite.createSession()
      let result: T
      let changes: Uint8Array
      try {
        result = await work(sql)
        changes = session.changeset()
      } finally {
        session.close()
      }
      if (changes.length > 0) await seal(changes, sql)
      return result
    })
  }

  async apply(_sql: Transaction, changes: Uint8Array): Promise<void> {
    if (!this.#busy) throw new InternalError('changes are applied in a transaction')
    if (!translated(() => this.#sqlite.applyChangeset(changes)))
      throw new InternalError('the rows are not those that were changed')
  }

  async copyTo(path: string): Promise<void> {
    await this.run('VACUUM INTO ?', path)
    syncPath(path)
    syncPath(dirname(path))
  }

  async backup(label: string): Promise<void> {
    if (this.#path === ':memory:') return
    const target = `${this.#path}.${label}`
    const half = `${target}.half`
    rmSync(half, { force: true })
    await this.copyTo(half)
    renameSync(half, target)
    syncPath(dirname(target))
  }

  async close(): Promise<void> {
    if (this.#busy) await this.#turn()
    this.#statements.clear()
    if (this.#sqlite.isOpen) this.#sqlite.close()
    this.#next()
  }

  /** Resolves when the transaction under way has ended and those that waited before have had their turn. */
  #turn(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** A statement by itself; it has the turn if it waited for one. */
  #outside<T>(statement: () => T): T {
    try {
      return statement()
    } finally {
      if (this.#busy) this.#next()
    }
  }

  #next(): void {
    const next = this.#waiting.shift()
    // Whoever is next stands in the turn from now on: nothing that comes meanwhile overtakes it.
    this.#busy = next !== undefined
    next?.()
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (!statement) {
      statement = this.#sqlite.prepare(sql)
      if (this.#statements.size >= maxStatements) this.#statements.delete(this.#statements.keys().next().value!)
      this.#statements.set(sql, statement)
    }
    return statement
  }
}

class SqliteTransaction implements Transaction {
  readonly engine = 'sqlite'
  readonly #sqlite: DatabaseSync
  readonly #sync: SyncSql
  #depth = 0
  over = false

  constructor(sqlite: DatabaseSync, sync: SyncSql) {
    this.#sqlite = sqlite
    this.#sync = sync
  }

  async run(sql: string, ...parameters: SqlValue[]): Promise<{ changes: number }> {
    this.#requireOpen()
    return this.#sync.run(sql, ...parameters)
  }

  async get<T = Row>(sql: string, ...parameters: SqlValue[]): Promise<T | undefined> {
    this.#requireOpen()
    return this.#sync.get<T>(sql, ...parameters)
  }

  async all<T = Row>(sql: string, ...parameters: SqlValue[]): Promise<T[]> {
    this.#requireOpen()
    return this.#sync.all<T>(sql, ...parameters)
  }

  async script(sql: string): Promise<void> {
    this.#requireOpen()
    translated(() => this.#sqlite.exec(sql))
  }

  async savepoint<T>(work: () => Promise<T> | T): Promise<T> {
    this.#requireOpen()
    const name = `s${this.#depth++}`
    this.#sync.run(`SAVEPOINT ${name}`)
    try {
      const result = await work()
      this.#requireOpen()
      this.#sync.run(`RELEASE ${name}`)
      return result
    } catch (error) {
      if (this.over || !this.#sqlite.isTransaction)
        throw error instanceof DatabaseProblem
          ? error
          : new DatabaseProblem('storage.failed', 'the transaction is gone', { cause: error })
      this.#sync.run(`ROLLBACK TO ${name}`)
      this.#sync.run(`RELEASE ${name}`)
      throw error
    } finally {
      this.#depth--
    }
  }

  /**
   * Waits for work that awaits nothing but statements: those resolve in microtasks, so it has ended before the event loop
   * turns once. @throws {InternalError} when it has not
   */
  onlyStatements<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const watch = setImmediate(() =>
        reject(new InternalError('work in a transaction awaited something else than its statements')),
      )
      work.then(resolve, reject).finally(() => clearImmediate(watch))
    })
  }

  #requireOpen(): void {
    if (this.over) throw new InternalError('a statement in a transaction that has ended')
  }
}

function syncPath(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function translated<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw translate(error)
  }
}

// Primary result codes of SQLite (sqlite.org/rescode.html).
const full = 13
const media = new Map([
  [8, 'read-only'],
  [10, 'input or output failed'],
  [11, 'the file is damaged'],
  [14, 'cannot be opened'],
  [26, 'not a database'],
  [5, 'locked by another process'],
])

function translate(error: unknown): unknown {
  if (!(error instanceof Error) || !('errcode' in error)) return error
  const code = Number(error.errcode) & 0xff
  if (code === full) return new DatabaseProblem('storage.full', 'the database cannot grow', { cause: error })
  const what = media.get(code)
  return what
    ? new DatabaseProblem('storage.failed', `the database: ${what}`, { cause: error })
    : new InternalError(error.message, { cause: error })
}
