/** A centre's disk, which outlives its processes: they die before or after any commit, and at a copy's last step. */

import { memoryDatabase } from '@azukari/gateway/adapters/database'
import type { CentreStore } from '@azukari/gateway/services/settlement/centre/centre'
import { settlementMigrations } from '@azukari/gateway/services/settlement/migrations'
import type { FollowedDatabase, Row, SqlValue } from '@azukari/gateway/storage/database'
import { migrate } from '@azukari/gateway/storage/migrate'
import { decode, encode } from '@azukari/protocol/codec'
import { mapInOrder } from '@azukari/protocol/in-order'
import { Crash } from '../../../testkit/settlement/crash-database.ts'

export interface CrashPlan {
  /** Commits from now. */
  after: number
  side: 'before' | 'after'
}

export class CentreDisk {
  sqlite: FollowedDatabase
  plan: CrashPlan | undefined

  private constructor(sqlite: FollowedDatabase) {
    this.sqlite = sqlite
  }

  static async make(): Promise<CentreDisk> {
    return new CentreDisk(await fresh())
  }

  /** One life of a process. @param died hears of its crash */
  open(died: () => void): CentreStore & { kill(): void } {
    let dead = false
    const disk = this
    const alive = () => {
      if (dead) throw new Crash('the process is gone')
    }
    const die = (): never => {
      dead = true
      this.plan = undefined
      died()
      throw new Crash('the process died')
    }
    const around = async <T>(work: (last: () => void) => Promise<T>): Promise<T> => {
      alive()
      const plan = this.plan
      const now = plan !== undefined && plan.after-- <= 0
      const result = await work(() => {
        if (now && plan.side === 'before') die()
      })
      if (now && plan.side === 'after') die()
      return result
    }
    const database: FollowedDatabase = {
      engine: 'sqlite',
      get sync() {
        return disk.sqlite.sync
      },
      run: async (sql: string, ...parameters: SqlValue[]) => {
        alive()
        return this.sqlite.run(sql, ...parameters)
      },
      get: async <T = Row>(sql: string, ...parameters: SqlValue[]) => {
        alive()
        return this.sqlite.get<T>(sql, ...parameters)
      },
      all: async <T = Row>(sql: string, ...parameters: SqlValue[]) => {
        alive()
        return this.sqlite.all<T>(sql, ...parameters)
      },
      script: (sql) => this.sqlite.script(sql),
      backup: async () => {},
      close: async () => {},
      copyTo: (path) => this.sqlite.copyTo(path),
      apply: (sql, changes) => this.sqlite.apply(sql, changes),
      transaction: (work) =>
        around((last) =>
          this.sqlite.transaction(async (sql) => {
            const made = await work(sql)
            last()
            return made
          }),
        ),
      recorded: (work, seal) =>
        around((last) =>
          this.sqlite.recorded(work, async (changes, sql) => {
            await seal(changes, sql)
            last()
          }),
        ),
    }
    return {
      database,
      copy: async () => {
        alive()
        return pieces(await whole(this.sqlite))
      },
      replace: async (copy) => {
        const chunks: Uint8Array[] = []
        for await (const chunk of copy) chunks.push(chunk)
        const copied = await loaded(Buffer.concat(chunks))
        await around(async (last) => {
          last()
          this.sqlite = copied
        })
      },
      kill: () => {
        dead = true
      },
    }
  }
}

async function fresh(): Promise<FollowedDatabase> {
  const database = memoryDatabase()
  await migrate(database, [{ set: 'settlement', migrations: settlementMigrations }], 0)
  return database
}

/** All rows by table, in the order of their keys. */
export async function rowsOf(database: FollowedDatabase): Promise<Record<string, SqlValue[][]>> {
  const tables = await database.all<{ name: string }>(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
  )
  return Object.fromEntries(
    await mapInOrder(
      tables,
      async ({ name }): Promise<[string, SqlValue[][]]> => [
        name,
        (await database.all(`SELECT * FROM ${name} ORDER BY 1, 2`)).map((row) => Object.values(row)),
      ],
    ),
  )
}

/** What a copy of the file holds. */
async function whole(database: FollowedDatabase): Promise<Uint8Array> {
  return encode(await rowsOf(database))
}

async function loaded(copy: Uint8Array): Promise<FollowedDatabase> {
  const database = await fresh()
  const tables = decode(copy, { maxBytes: 1 << 28, maxItems: 1 << 24 }) as Awaited<ReturnType<typeof rowsOf>>
  await database.transaction(async (sql) => {
    await sql.script('PRAGMA defer_foreign_keys=ON')
    for (const [name, rows] of Object.entries(tables))
      for (const row of rows)
        await sql.run(`INSERT OR REPLACE INTO ${name} VALUES (${row.map(() => '?').join(', ')})`, ...row)
  })
  return database
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}
