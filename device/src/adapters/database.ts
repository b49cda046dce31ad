/**
 * The npm package `sqlite` over Node's own `node:sqlite`: a driver of the shape that the package expects, so that a
 * board needs no native build.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { Database as SqliteDatabase } from 'sqlite'
import type { DeviceDatabase } from '../database.ts'

type Callback<T = unknown> = (this: { lastID?: number; changes?: number }, error: Error | null, result?: T) => void

/** What `sqlite` calls of a sqlite3 database; every call finishes before it returns, so order is kept. */
class Driver {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(filename: string, done: (error: Error | null) => void) {
    this.#database = new DatabaseSync(filename)
    this.#database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON')
    queueMicrotask(() => done(null))
  }

  run(sql: string, ...rest: unknown[]): void {
    this.#answer(
      rest,
      (statement, values, done) => {
        const { changes, lastInsertRowid } = statement.run(...values)
        done.call({ changes: Number(changes), lastID: Number(lastInsertRowid) }, null)
      },
      sql,
    )
  }

  get(sql: string, ...rest: unknown[]): void {
    this.#answer(rest, (statement, values, done) => done.call({}, null, statement.get(...values)), sql)
  }

  all(sql: string, ...rest: unknown[]): void {
    this.#answer(rest, (statement, values, done) => done.call({}, null, statement.all(...values)), sql)
  }

  exec(sql: string, done: Callback): void {
    let failure: Error | null = null
    try {
      this.#database.exec(sql)
    } catch (error) {
      failure = error as Error
    }
    done.call({}, failure)
  }

  close(done: Callback): void {
    this.#statements.clear()
    this.#database.close()
    done.call({}, null)
  }

  #answer(
    rest: unknown[],
    work: (statement: StatementSync, values: SQLInputValue[], done: Callback) => void,
    sql: string,
  ): void {
    const done = rest.pop() as Callback
    try {
      let statement = this.#statements.get(sql)
      if (!statement) {
        statement = this.#database.prepare(sql)
        this.#statements.set(sql, statement)
      }
      work(statement, rest as SQLInputValue[], done)
    } catch (error) {
      done.call({}, error as Error)
    }
  }
}

/** Opens (and creates) a device's database. `:memory:` for one that is lost at exit. */
export async function openDeviceDatabase(filename: string): Promise<DeviceDatabase> {
  const database = new SqliteDatabase({ filename, driver: Driver as never })
  await database.open()
  return {
    run: async (sql, ...values) => ({ changes: (await database.run(sql, ...values)).changes ?? 0 }),
    get: (sql, ...values) => database.get(sql, ...values),
    all: (sql, ...values) => database.all(sql, ...values),
    exec: (sql) => database.exec(sql),
    close: () => database.close(),
  }
}
