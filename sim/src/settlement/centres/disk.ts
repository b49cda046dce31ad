/** A centre's disk, which outlives its processes: they die before or after any commit, and at a copy's last step. */
import { memoryDatabase } from '@azukari/gateway/adapters/database'
import type { CentreStore } from '@azukari/gateway/services/settlement/centre/centre'
import { settlementMigrations } from '@azukari/gateway/services/settlement/migrations'
import type { FollowedDatabase, Row, Sql, SqlValue } from '@azukari/gateway/storage/database'
import { migrate } from '@azukari/gateway/storage/migrate'
import { decode, encode } from '@azukari/protocol/codec'
import { Crash } from '../crash-database.ts'

export interface CrashPlan {
  /** Commits from now. */
  after: number
  side: 'before' | 'after'
}

export class CentreDisk {
  sqlite: FollowedDatabase = fresh()
  plan: CrashPlan | undefined

  /** One life of a process. @param died hears of its crash */
  open(died: () => void): CentreStore & { kill(): void } {
    let dead = false
    const alive = () => {
      if (dead) throw new Crash('the process is gone')
    }
    const die = (): never => {
      dead = true
      this.plan = undefined
      died()
      throw new Crash('the process died')
    }
    const around = <T>(work: (last: () => void) => T): T => {
      alive()
      const plan = this.plan
      const now = plan !== undefined && plan.after-- <= 0
      const result = work(() => {
        if (now && plan.side === 'before') die()
      })
      if (now && plan.side === 'after') die()
      return result
    }
    const database: FollowedDatabase = {
      run: (sql: string, ...parameters: SqlValue[]) => {
        alive()
        return this.sqlite.run(sql, ...parameters)
      },
      get: <T = Row>(sql: string, ...parameters: SqlValue[]) => {
        alive()
        return this.sqlite.get<T>(sql, ...parameters)
      },
      all: <T = Row>(sql: string, ...parameters: SqlValue[]) => {
        alive()
        return this.sqlite.all<T>(sql, ...parameters)
      },
      script: (sql) => this.sqlite.script(sql),
      savepoint: (work) => this.sqlite.savepoint(work),
      backup: () => {},
      close: () => {},
      copyTo: (path) => this.sqlite.copyTo(path),
      apply: (changes) => this.sqlite.apply(changes),
      transaction: <T>(work: (sql: Sql) => T): T =>
        around((last) =>
          this.sqlite.transaction((sql) => {
            const made = work(sql)
            last()
            return made
          }),
        ),
      recorded: <T>(work: (sql: Sql) => T, seal: (changes: Uint8Array) => void): T =>
        around((last) =>
          this.sqlite.recorded(work, (changes) => {
            seal(changes)
            last()
          }),
        ),
    }
    return {
      database,
      copy: () => {
        alive()
        return pieces(whole(this.sqlite))
      },
      replace: async (copy) => {
        const chunks: Uint8Array[] = []
        for await (const chunk of copy) chunks.push(chunk)
        around((last) => {
          last()
          this.sqlite = loaded(Buffer.concat(chunks))
        })
      },
      kill: () => {
        dead = true
      },
    }
  }
}

function fresh(): FollowedDatabase {
  const database = memoryDatabase()
  migrate(database, [{ set: 'settlement', migrations: settlementMigrations }], 0)
  return database
}

/** All rows by table, in the order of their keys. */
export function rowsOf(database: FollowedDatabase): Record<string, SqlValue[][]> {
  const tables = database.all<{ name: string }>(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
  )
  return Object.fromEntries(
    tables.map(({ name }) => [
      name,
      database.all(`SELECT * FROM ${name} ORDER BY 1, 2`).map((row) => Object.values(row)),
    ]),
  )
}

/** What a copy of the file holds. */
function whole(database: FollowedDatabase): Uint8Array {
  return encode(rowsOf(database))
}

function loaded(copy: Uint8Array): FollowedDatabase {
  const database = fresh()
  const tables = decode(copy, { maxBytes: 1 << 28, maxItems: 1 << 24 }) as ReturnType<typeof rowsOf>
  database.transaction((sql) => {
    database.script('PRAGMA defer_foreign_keys=ON')
    for (const [name, rows] of Object.entries(tables))
      for (const row of rows)
        sql.run(`INSERT OR REPLACE INTO ${name} VALUES (${row.map(() => '?').join(', ')})`, ...row)
  })
  return database
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}
