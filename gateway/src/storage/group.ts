/**
 * Writes that may share a commit: what is asked for while one commit is under way goes into the next, each under its own
 * savepoint, all with one fsync. A storm of ten thousand births is then some dozens of commits. PostgreSQL groups commits
 * of its own connections, so there each write is a transaction.
 */
import type { Database, Transaction } from './database.ts'

interface Waiting {
  work: (sql: Transaction) => Promise<unknown> | unknown
  resolve: (value: never) => void
  reject: (error: unknown) => void
}

export class CommitGroup {
  readonly #database: Database
  readonly #defer: (work: () => void) => void
  readonly #maxPerCommit: number
  #waiting: Waiting[] = []
  #committing: Promise<void> | undefined

  constructor(database: Database, defer: (work: () => void) => void, maxPerCommit = 512) {
    this.#database = database
    this.#defer = defer
    this.#maxPerCommit = maxPerCommit
  }

  /** Resolves after the commit. A throw of `work` undoes only what `work` did; when the commit fails, all reject. */
  run<T>(work: (sql: Transaction) => Promise<T> | T): Promise<T> {
    if (this.#database.engine === 'postgres') return this.#database.transaction(work)
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as Waiting['resolve'], reject })
      if (this.#waiting.length === 1) this.#defer(() => void this.flush())
    })
  }

  /** Commits what waits, now; resolves when nothing waits any more. */
  async flush(): Promise<void> {
    if (!this.#committing && this.#waiting.length > 0) this.#committing = this.#commitAll()
    await this.#committing
  }

  async #commitAll(): Promise<void> {
    // Nothing may stand between the last look and the end, or what comes then would wait for ever.
    while (this.#waiting.length > 0) await this.#commit(this.#waiting.splice(0, this.#maxPerCommit))
    this.#committing = undefined
  }

  async #commit(group: Waiting[]): Promise<void> {
    try {
      const settlements = await this.#database.transaction(async (sql) => {
        const settlements: (() => void)[] = []
        for (const { work, resolve, reject } of group) {
          try {
            const value = await sql.savepoint(() => work(sql))
            settlements.push(() => resolve(value as never))
          } catch (error) {
            settlements.push(() => reject(error))
          }
        }
        return settlements
      })
      for (const settle of settlements) settle()
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }
}
