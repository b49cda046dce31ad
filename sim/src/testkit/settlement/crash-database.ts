/** A database whose process dies before or after any commit: nothing more is heard of it until it is opened anew. */
import { memoryDatabase } from '@azukari/gateway/adapters/database'
import type { Database, Sql, Transaction } from '@azukari/gateway/storage/database'

export class Crash extends Error {
  override readonly name = 'Crash'
}

/** The file, which outlives the processes that open it. */
export class CrashMedium {
  readonly sqlite: Database = memoryDatabase()
  /** Commits so far. */
  commits = 0
  /** The commit at which the process dies, and on which side of it. */
  plan: { at: number; side: 'before' | 'after' } | undefined
  crashes = 0

  /** One life of a process: after its crash every call fails. */
  open(): Database {
    let dead = false
    const { sqlite } = this
    const alive = () => {
      if (dead) throw new Crash('the process is gone')
    }
    const die = (): never => {
      dead = true
      this.crashes++
      this.plan = undefined
      throw new Crash('the process died')
    }
    const guarded = (sql: Sql): Sql => ({
      engine: sql.engine,
      run: async (text, ...parameters) => {
        alive()
        return sql.run(text, ...parameters)
      },
      get: async (text, ...parameters) => {
        alive()
        return sql.get(text, ...parameters)
      },
      all: async (text, ...parameters) => {
        alive()
        return sql.all(text, ...parameters)
      },
    })
    return {
      ...guarded(sqlite),
      script: (sql) => sqlite.script(sql),
      backup: async () => {},
      close: async () => {},
      transaction: async <T>(work: (sql: Transaction) => Promise<T> | T): Promise<T> => {
        alive()
        const now = ++this.commits
        const result = await sqlite.transaction(async (sql) => {
          const inside: Transaction = {
            ...guarded(sql),
            script: (text) => sql.script(text),
            savepoint: (inner) => sql.savepoint(inner),
          }
          const made = await work(inside)
          if (this.plan?.at === now && this.plan.side === 'before') die()
          return made
        })
        if (this.plan?.at === now && this.plan.side === 'after') die()
        return result
      },
    }
  }
}
