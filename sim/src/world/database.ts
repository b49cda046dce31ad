/**
 * Databases of simulated machines: SQLite in memory, which a crash or a power cut leaves at the last commit. The medium
 * outlives its processes; each life opens it anew and loses it at its end.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { DeviceDatabase, DeviceValue } from '@azukari/device/database'
import { memoryDatabase } from '@azukari/gateway/adapters/database'
import type { Database, Row, Sql, SqlValue } from '@azukari/gateway/storage/database'
import { Died, type Life } from './life.ts'

/** What a gateway's or a service's database lies on. */
export class DatabaseMedium {
  readonly #sqlite = memoryDatabase()
  /** A planted bug: commits are acknowledged at once and made so much later, ms. */
  lazyMs: number | undefined
  #lazyOpen = false

  /** Reads what is committed, for the checks of the simulation only. */
  get sql(): Sql {
    return this.#sqlite
  }

  open(life: Life, later: (ms: number, work: () => void) => void): Database {
    const sqlite = this.#sqlite
    const transaction = <T>(work: (sql: Sql) => T): T => {
      life.check()
      const result = this.#transaction(
        (sql) => {
          const made = work(sql)
          life.step({ kind: 'before-commit' })
          return made
        },
        later,
        life,
      )
      life.step({ kind: 'after-commit' })
      return result
    }
    // A statement outside a transaction commits by itself.
    let inside = 0
    const database: Database = {
      run: (sql, ...parameters) => {
        life.check()
        if (inside > 0 || !isChange(sql)) return sqlite.run(sql, ...parameters)
        life.step({ kind: 'before-commit' })
        const result = sqlite.run(sql, ...parameters)
        life.step({ kind: 'after-commit' })
        return result
      },
      get: <T = Row>(sql: string, ...parameters: SqlValue[]) => {
        life.check()
        return sqlite.get<T>(sql, ...parameters)
      },
      all: <T = Row>(sql: string, ...parameters: SqlValue[]) => {
        life.check()
        return sqlite.all<T>(sql, ...parameters)
      },
      script: (sql) => {
        life.check()
        sqlite.script(sql)
      },
      transaction: (work) => {
        inside++
        try {
          return transaction(() => work(database))
        } finally {
          inside--
        }
      },
      savepoint: (work) => {
        life.check()
        return this.#savepoint(work)
      },
      backup: () => life.check(),
      close: () => {},
    }
    return database
  }

  /** The process is gone: what was not committed is, too. */
  crash(): void {
    if (!this.#lazyOpen) return
    this.#lazyOpen = false
    this.#sqlite.run('ROLLBACK')
  }

  #transaction<T>(work: (sql: Sql) => T, later: (ms: number, work: () => void) => void, life: Life): T {
    if (this.lazyMs === undefined) return this.#sqlite.transaction(work)
    if (!this.#lazyOpen) {
      this.#sqlite.run('BEGIN')
      this.#lazyOpen = true
      later(this.lazyMs, () => {
        if (!this.#lazyOpen || !life.alive) return
        this.#lazyOpen = false
        this.#sqlite.run('COMMIT')
      })
    }
    return this.#savepoint(() => work(this.#sqlite))
  }

  #savepoint<T>(work: () => T): T {
    if (!this.#lazyOpen) return this.#sqlite.savepoint(work)
    this.#sqlite.run('SAVEPOINT lazy')
    try {
      const result = work()
      if (!this.#lazyOpen) throw new Died()
      this.#sqlite.run('RELEASE lazy')
      return result
    } catch (error) {
      // Gone already when the process died in the middle.
      if (this.#lazyOpen) {
        this.#sqlite.run('ROLLBACK TO lazy')
        this.#sqlite.run('RELEASE lazy')
      }
      throw error
    }
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
