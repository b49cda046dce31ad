/**
 * The store port (ARCHITECTURE §5): one interface, two engines. Implemented over `node:sqlite` and over PostgreSQL in
 * `adapters/`, and by the simulation, which restarts it at the last commit.
 *
 * Work in a transaction is async and awaits only the `Sql` that it was given. On SQLite transactions run strictly one at
 * a time and every statement resolves in a microtask, so nobody sees another's half; a transaction that awaits anything
 * else is ended with an error. On PostgreSQL many run at once.
 */
import { Problem, type ProblemOptions } from '@azukari/protocol/problem'

export type SqlValue = null | number | bigint | string | Uint8Array
export type Row = Record<string, SqlValue>
export type Engine = 'sqlite' | 'postgres'

export interface Sql {
  readonly engine: Engine
  /** Runs one statement; prepared statements are cached by text. */
  run(sql: string, ...parameters: SqlValue[]): Promise<{ changes: number }>
  get<T = Row>(sql: string, ...parameters: SqlValue[]): Promise<T | undefined>
  all<T = Row>(sql: string, ...parameters: SqlValue[]): Promise<T[]>
}

/** What work in a transaction gets. It is worth nothing once the transaction has ended. */
export interface Transaction extends Sql {
  /** Several statements, without parameters. */
  script(sql: string): Promise<void>
  /** Runs `work` so that a throw undoes only what `work` did. */
  savepoint<T>(work: () => Promise<T> | T): Promise<T>
}

/** Statements outside a transaction commit by themselves. */
export interface Database extends Sql {
  /** Several processes work in it at once, and this one is not alone: it must not be migrated now. */
  readonly isShared?: boolean
  /** Whose turn slow work is; without one it is always this process's. */
  readonly duty?: Duty | undefined
  /** Lets others in that wait, when all that must be done alone is done. Nothing where processes are alone by their nature. */
  share?(): Promise<void>
  /** Several statements, without parameters. */
  script(sql: string): Promise<void>
  /**
   * Runs `work` in one transaction and commits it durably (synchronous=FULL); rolls back when it throws. On PostgreSQL it
   * runs again after a serialisation conflict, so `work` has no effects but its statements.
   * @throws {DatabaseProblem} when the disk is full or fails; then nothing of `work` remains
   * @throws {InternalError} when `work` awaits anything else than its statements
   */
  transaction<T>(work: (sql: Transaction) => Promise<T> | T): Promise<T>
  /** Copies the whole database beside it, durably, in place of an older copy of that label; does nothing for one in memory. */
  backup(label: string): Promise<void>
  close(): Promise<void>
}

/** Slow work of a service is done by one of its processes at a time (D4, D5, docs/decisions/0034). */
export interface Duty {
  /** Whether it is this process's turn, as far as it knows. A transaction looks again. */
  readonly isHeld: boolean
  /** How often workers look at the latest, ms: what other processes write is told by a hint only. */
  readonly lookMs: number
  /** To be first in each transaction of slow work. @throws {DatabaseProblem} `storage.held` when it is another's turn */
  check(sql: Sql): Promise<void>
  /** Something may be to do: tells the process whose turn it is, if that is another one. */
  call(): void
  /** Hears that its turn began, or that another process calls. Returns a function that ends it. */
  onCall(listener: () => void): () => void
}

/** Statements done at once, without a turn: for what no transaction under way can change. */
export interface SyncSql {
  run(sql: string, ...parameters: SqlValue[]): { changes: number }
  get<T = Row>(sql: string, ...parameters: SqlValue[]): T | undefined
  all<T = Row>(sql: string, ...parameters: SqlValue[]): T[]
}

/** A database whose changes can be followed by another one (P9). Every table has a primary key, or it is not followed. */
export interface FollowedDatabase extends Database {
  readonly sync: SyncSql
  /** As `transaction`; `seal` gets what rows `work` changed, and what it writes itself is not among it. */
  recorded<T>(
    work: (sql: Transaction) => Promise<T> | T,
    seal: (changes: Uint8Array, sql: Transaction) => Promise<void>,
  ): Promise<T>
  /** Makes recorded changes here, in the given transaction. @throws {InternalError} when the rows are not as they were there */
  apply(sql: Transaction, changes: Uint8Array): Promise<void>
  /** Writes a whole copy, durably, to a file that does not exist. */
  copyTo(path: string): Promise<void>
}

export function isFollowed(database: Database): database is FollowedDatabase {
  return 'recorded' in database
}

/**
 * The medium below the database failed (`storage.*`), or conflicts without end (`service.busy`): the transaction is gone
 * and may be tried again, unlike a refusal that a handler throws on purpose.
 */
export class DatabaseProblem extends Problem {
  constructor(
    code: 'storage.full' | 'storage.failed' | 'storage.unreachable' | 'storage.held' | 'service.busy',
    detail: string,
    options?: ProblemOptions,
  ) {
    super(code, detail, options)
    this.name = 'DatabaseProblem'
  }
}
