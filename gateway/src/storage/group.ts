/**
 * Writes that may share a commit: what is asked for while one commit is under way goes into the next, each under its own
 * savepoint, all with one fsync. A storm of ten thousand births is then some dozens of commits.
 */
import type { Database, Sql } from './database.ts'

interface Waiting {
  work: (sql: Sql) => unknown
  resolve: (value: never) => void
  reject: (error: unknown) => void
}

export class CommitGroup {
  readonly #database: Database
  readonly #soon: (work: () => void) => void
  readonly #mostPerCommit: number
  #waiting: Waiting[] = []

  constructor(database: Database, soon: (work: () => void) => void, mostPerCommit = 512) {
    this.#database = database
    this.#soon = soon
    this.#mostPerCommit = mostPerCommit
  }

  /** Resolves after the commit. A throw of `work` undoes only what `work` did; when the commit fails, all reject. */
  run<T>(work: (sql: Sql) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as Waiting['resolve'], reject })
      if (this.#waiting.length === 1) this.#soon(() => this.#commit())
    })
  }

  /** Commits what waits, now. */
  flush(): void {
    while (this.#waiting.length > 0) this.#commit()
  }

  #commit(): void {
    if (this.#waiting.length === 0) return
    const group = this.#waiting.splice(0, this.#mostPerCommit)
    if (this.#waiting.length > 0) this.#soon(() => this.#commit())
    try {
      const settle = this.#database.transaction((sql) =>
        group.map(({ work, resolve, reject }) => {
          try {
            const value = this.#database.savepoint(() => work(sql))
            return () => resolve(value as never)
          } catch (error) {
            return () => reject(error)
          }
        }),
      )
      for (const tell of settle) tell()
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }
}
