/**
 * A synchronous SQLite database. Nothing awaits inside a transaction, so no act can see or undo another's half
 * (FACTS: two async handlers in one transaction). Implemented over `node:sqlite` in `adapters/`, and by the simulation,
 * which restarts it at the last commit.
 */
import { Problem, type ProblemOptions } from '@azukari/protocol/problem'

export type SqlValue = null | number | bigint | string | Uint8Array
export type Row = Record<string, SqlValue>

export interface Sql {
  /** Runs one statement; prepared statements are cached by text. */
  run(sql: string, ...parameters: SqlValue[]): { changes: number }
  get<T = Row>(sql: string, ...parameters: SqlValue[]): T | undefined
  all<T = Row>(sql: string, ...parameters: SqlValue[]): T[]
}

export interface Database extends Sql {
  /** Several statements, without parameters. */
  script(sql: string): void
  /**
   * Runs `work` in one transaction and commits it durably (synchronous=FULL); rolls back when it throws.
   * @throws {DatabaseProblem} when the disk is full or fails; then nothing of `work` remains
   */
  transaction<T>(work: (sql: Sql) => T): T
  /** Inside a transaction: runs `work` so that a throw undoes only what `work` did. */
  savepoint<T>(work: () => T): T
  /** Copies the whole database beside it, durably, in place of an older copy of that label; does nothing for one in memory. */
  backup(label: string): void
  close(): void
}

/** A database whose changes can be followed by another one (P9). Every table has a primary key, or it is not followed. */
export interface FollowedDatabase extends Database {
  /** As `transaction`; `seal` gets what rows `work` changed, and what it writes itself is not among it. */
  recorded<T>(work: (sql: Sql) => T, seal: (changes: Uint8Array) => void): T
  /** Inside a transaction: makes recorded changes here. @throws {InternalError} when the rows are not as they were there */
  apply(changes: Uint8Array): void
  /** Writes a whole copy, durably, to a file that does not exist. */
  copyTo(path: string): void
}

/**
 * The medium below the database failed (`storage.full`, `storage.failed`): the transaction is gone and may be tried
 * again, unlike a refusal that a handler throws on purpose.
 */
export class DatabaseProblem extends Problem {
  constructor(code: 'storage.full' | 'storage.failed', detail: string, options?: ProblemOptions) {
    super(code, detail, options)
    this.name = 'DatabaseProblem'
  }
}
