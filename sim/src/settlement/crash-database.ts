/** A database whose process dies before or after any commit: nothing more is heard of it until it is opened anew. */
import { memoryDatabase } from '@azukari/gateway/adapters/database'
import type { Database, Row, Sql, SqlValue } from '@azukari/gateway/storage/database'

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
    return {
      run: (sql: string, ...parameters: SqlValue[]) => {
        alive()
        return sqlite.run(sql, ...parameters)
      },
      get: <T = Row>(sql: string, ...parameters: SqlValue[]) => {
        alive()
        return sqlite.get<T>(sql, ...parameters)
      },
      all: <T = Row>(sql: string, ...parameters: SqlValue[]) => {
        alive()
        return sqlite.all<T>(sql, ...parameters)
      },
      script: (sql: string) => sqlite.script(sql),
      savepoint: (work) => sqlite.savepoint(work),
      backup: () => {},
      close: () => {},
      transaction: <T>(work: (sql: Sql) => T): T => {
        alive()
        const now = ++this.commits
        const result = sqlite.transaction((sql) => {
          const made = work(sql)
          if (this.plan?.at === now && this.plan.side === 'before') die()
          return made
        })
        if (this.plan?.at === now && this.plan.side === 'after') die()
        return result
      },
    }
  }
}
