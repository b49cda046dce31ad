/** Databases over `node:sqlite`: WAL, and every commit on disk before it returns (`synchronous=FULL`). */
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { InternalError } from '@azukari/protocol/problem'
import { DatabaseProblem, type FollowedDatabase, type Row, type Sql, type SqlValue } from '../storage/database.ts'

export interface DatabaseOptions {
  /** Pages that SQLite keeps in memory, in KiB. */
  cacheKib?: number
  /** WAL pages (4 KiB) at which a commit also copies them into the main file. */
  checkpointPages?: number
}

/** Statements kept prepared; beyond it the oldest goes. Dynamic SQL must not grow memory without bound. */
const statementsAtMost = 256

/** Opens (and creates) a database file. @throws {DatabaseProblem} `storage.failed` when it cannot be opened */
export function openDatabase(path: string, options: DatabaseOptions = {}): FollowedDatabase {
  return new SqliteDatabase(path, options)
}

/** A database that lives in memory only; for tests and trials. */
export function memoryDatabase(): FollowedDatabase {
  return new SqliteDatabase(':memory:', {})
}

class SqliteDatabase implements FollowedDatabase {
  readonly #path: string
  readonly #sqlite: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  #depth = 0

  constructor(path: string, { cacheKib = 16_384, checkpointPages = 4_096 }: DatabaseOptions) {
    this.#path = path
    this.#sqlite = translated(() => new DatabaseSync(path, { enableForeignKeyConstraints: true }))
    this.script(
      `PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000; PRAGMA temp_store=MEMORY;
       PRAGMA cache_size=-${cacheKib}; PRAGMA wal_autocheckpoint=${checkpointPages}; PRAGMA journal_size_limit=67108864`,
    )
  }

  run(sql: string, ...parameters: SqlValue[]): { changes: number } {
    try {
      return this.#prepare(sql).run(...parameters) as { changes: number }
    } catch (error) {
      throw translate(error)
    }
  }

  get<T = Row>(sql: string, ...parameters: SqlValue[]): T | undefined {
    try {
      return this.#prepare(sql).get(...parameters) as T | undefined
    } catch (error) {
      throw translate(error)
    }
  }

  all<T = Row>(sql: string, ...parameters: SqlValue[]): T[] {
    try {
      return this.#prepare(sql).all(...parameters) as T[]
    } catch (error) {
      throw translate(error)
    }
  }

  script(sql: string): void {
    translated(() => this.#sqlite.exec(sql))
  }

  transaction<T>(work: (sql: Sql) => T): T {
    if (this.#depth !== 0) throw new InternalError('a transaction inside a transaction')
    this.run('BEGIN IMMEDIATE')
    this.#depth = 1
    try {
      const result = refusePromise(work(this))
      this.run('COMMIT')
      return result
    } catch (error) {
      // A full disk makes SQLite roll back by itself.
      if (this.#sqlite.isTransaction) this.run('ROLLBACK')
      throw error
    } finally {
      this.#depth = 0
    }
  }

  recorded<T>(work: (sql: Sql) => T, seal: (changes: Uint8Array) => void): T {
    return this.transaction((sql) => {
      const session = this.#sqlite.createSession()
      let result: T
      let changes: Uint8Array
      try {
        result = refusePromise(work(sql))
        changes = session.changeset()
      } finally {
        session.close()
      }
      if (changes.length > 0) seal(changes)
      return result
    })
  }

  apply(changes: Uint8Array): void {
    if (this.#depth === 0) throw new InternalError('changes are applied in a transaction')
    if (!translated(() => this.#sqlite.applyChangeset(changes)))
      throw new InternalError('the rows are not those that were changed')
  }

  copyTo(path: string): void {
    this.run('VACUUM INTO ?', path)
    syncPath(path)
    syncPath(dirname(path))
  }

  savepoint<T>(work: () => T): T {
    if (this.#depth === 0) throw new InternalError('a savepoint outside a transaction')
    const name = `s${this.#depth++}`
    this.run(`SAVEPOINT ${name}`)
    try {
      const result = refusePromise(work())
      this.run(`RELEASE ${name}`)
      return result
    } catch (error) {
      if (!this.#sqlite.isTransaction)
        throw error instanceof DatabaseProblem
          ? error
          : new DatabaseProblem('storage.failed', 'the transaction is gone', { cause: error })
      this.run(`ROLLBACK TO ${name}`)
      this.run(`RELEASE ${name}`)
      throw error
    } finally {
      this.#depth--
    }
  }

  backup(label: string): void {
    if (this.#path === ':memory:') return
    const target = `${this.#path}.${label}`
    const half = `${target}.half`
    rmSync(half, { force: true })
    this.copyTo(half)
    renameSync(half, target)
    syncPath(dirname(target))
  }

  close(): void {
    this.#statements.clear()
    if (this.#sqlite.isOpen) this.#sqlite.close()
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (!statement) {
      statement = this.#sqlite.prepare(sql)
      if (this.#statements.size >= statementsAtMost) this.#statements.delete(this.#statements.keys().next().value!)
      this.#statements.set(sql, statement)
    }
    return statement
  }
}

function refusePromise<T>(result: T): T {
  if (result instanceof Promise) throw new InternalError('work in a transaction must not await')
  return result
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
