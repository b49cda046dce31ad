/**
 * Databases of simulated machines: SQLite in memory, which a crash or a power cut leaves at the last commit. The medium
 * outlives its processes; each life opens it anew and loses it at its end.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { DeviceDatabase, DeviceValue } from '@azukari/device/database'
import { memoryDatabase, type SqliteDatabase } from '@azukari/gateway/adapters/database'
import type { Database, Sql, SqlValue, Transaction } from '@azukari/gateway/storage/database'
import { Died, type Life } from './life.ts'

/** What a gateway's or a service's database lies on. */
export class DatabaseMedium {
  readonly #sqlite = memoryDatabase()
  /** A planted bug: commits are acknowledged at once and made so much later, ms. */
  lazyMs: number | undefined
  /** The transaction that a planted bug has not committed yet. */
  #lazy: Lazy | undefined

  /** Reads what is committed, for the checks of the simulation only. */
  get sql(): Sql {
    return this.#sqlite
  }

  open(life: Life, later: (ms: number, work: () => void) => void): Database {
    const sqlite = this.#sqlite
    const guarded = (sql: Sql): Sql => ({
      engine: sql.engine,
      run: async (text, ...parameters) => {
        life.check()
        return sql.run(text, ...parameters)
      },
      get: async (text, ...parameters) => {
        life.check()
        return sql.get(text, ...parameters)
      },
      all: async (text, ...parameters) => {
        life.check()
        return sql.all(text, ...parameters)
      },
    })
    const inside = (transaction: Transaction): Transaction => ({
      ...guarded(transaction),
      script: async (text) => {
        life.check()
        await transaction.script(text)
      },
      savepoint: async (work) => {
        life.check()
        return transaction.savepoint(work)
      },
    })
    const outside = guarded(sqlite)
    return {
      ...outside,
      // A statement outside a transaction commits by itself.
      run: async (text, ...parameters) => {
        if (!isChange(text)) return outside.run(text, ...parameters)
        life.check()
        life.step({ kind: 'before-commit' })
        const result = await sqlite.run(text, ...parameters)
        life.step({ kind: 'after-commit' })
        return result
      },
      script: async (text) => {
        life.check()
        await sqlite.script(text)
      },
      transaction: async (work) => {
        life.check()
        const result = await this.#transaction(
          async (sql) => {
            const made = await work(inside(sql))
            life.step({ kind: 'before-commit' })
            return made
          },
          later,
          life,
        )
        life.step({ kind: 'after-commit' })
        return result
      },
      backup: async () => life.check(),
      close: async () => {},
    }
  }

  /** The process is gone: what was not committed is, too. */
  crash(): void {
    this.#lazy?.lose()
    this.#lazy = undefined
  }

  #transaction<T>(
    work: (sql: Transaction) => Promise<T>,
    later: (ms: number, work: () => void) => void,
    life: Life,
  ): Promise<T> {
    if (this.lazyMs === undefined) return this.#sqlite.transaction(work)
    if (!this.#lazy) {
      const lazy = new Lazy(this.#sqlite)
      this.#lazy = lazy
      later(this.lazyMs, () => {
        if (this.#lazy !== lazy || !life.alive) return
        this.#lazy = undefined
        lazy.commit()
      })
    }
    return this.#lazy.run(work)
  }
}

/** Transactions that are told as committed and lie in one that is not (the planted bug). */
class Lazy {
  readonly #sqlite: SqliteDatabase
  #open = true

  constructor(sqlite: SqliteDatabase) {
    this.#sqlite = sqlite
    sqlite.sync.run('BEGIN')
  }

  async run<T>(work: (sql: Transaction) => Promise<T>): Promise<T> {
    const { sync } = this.#sqlite
    const sql: Transaction = {
      engine: 'sqlite',
      run: async (text, ...parameters) => sync.run(text, ...parameters),
      get: async <R>(text: string, ...parameters: SqlValue[]) => sync.get<R>(text, ...parameters),
      all: async <R>(text: string, ...parameters: SqlValue[]) => sync.all<R>(text, ...parameters),
      script: async (text) => void sync.run(text),
      savepoint: (inner) => this.#savepoint('inner', inner),
    }
    return this.#savepoint('lazy', () => work(sql))
  }

  async #savepoint<T>(name: string, work: () => Promise<T> | T): Promise<T> {
    const { sync } = this.#sqlite
    sync.run(`SAVEPOINT ${name}`)
    try {
      const result = await work()
      if (!this.#open) throw new Died()
      sync.run(`RELEASE ${name}`)
      return result
    } catch (error) {
      // Gone already when the process died in the middle.
      if (this.#open) {
        sync.run(`ROLLBACK TO ${name}`)
        sync.run(`RELEASE ${name}`)
      }
      throw error
    }
  }

  commit(): void {
    this.#open = false
    this.#sqlite.sync.run('COMMIT')
  }

  lose(): void {
    this.#open = false
    this.#sqlite.sync.run('ROLLBACK')
  }
}

/** What a device's database lies on: its system's memory card, of which images are taken and put back. */
export class DeviceMedium {
  readonly #sqlite = new DatabaseSync(':memory:')
  readonly #statements = new Map<string, StatementSync>()

  open(life: Life): DeviceDatabase {
    const prepare = (sql: string): StatementSync => this.#prepare(sql)
    const changing = async <T>(work: () => T): Promise<T> => {
      life.step({ kind: 'before-commit' })
      const result = work()
      life.step({ kind: 'after-commit' })
      return result
    }
    return {
      run: (sql, ...values) =>
        life.run(() => changing(() => ({ changes: Number(prepare(sql).run(...values).changes) }))),
      get: <T>(sql: string, ...values: DeviceValue[]) =>
        life.run(async () => prepare(sql).get(...values) as T | undefined),
      all: <T>(sql: string, ...values: DeviceValue[]) => life.run(async () => prepare(sql).all(...values) as T[]),
      exec: (sql) => life.run(() => changing(() => this.#sqlite.exec(sql))),
      close: () => life.run(async () => undefined),
    }
  }

  /** Reads what is committed, for the checks of the simulation only. */
  all<T>(sql: string, ...values: DeviceValue[]): T[] {
    return this.#prepare(sql).all(...values) as T[]
  }

  has(table: string): boolean {
    return this.all(`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?`, table).length > 0
  }

  image(): Uint8Array {
    return Uint8Array.from(this.#sqlite.serialize())
  }

  restore(image: Uint8Array): void {
    this.#statements.clear()
    this.#sqlite.deserialize(image)
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (!statement) {
      statement = this.#sqlite.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }
}

function isChange(sql: string): boolean {
  return !/^\s*(SELECT|PRAGMA|SAVEPOINT|RELEASE|ROLLBACK|BEGIN|COMMIT)/i.test(sql)
}
