/**
 * A centre's log (P9): every commit's changed rows, written in that commit, in a hash chain. The leader writes it and hands
 * it on; the backup checks the chain, makes the same changes and keeps the same log, so that either can go on from it.
 */
import { hash } from 'node:crypto'
import { InternalError, Problem } from '@azukari/protocol/problem'
import type { FollowedDatabase, Sql } from '../../../storage/database.ts'
import { chainStart, nextChain } from '../ledger/chain.ts'

/** One commit. */
export interface Entry {
  /** 1, 2, 3, … without gaps. */
  n: number
  /** Of the leadership under which it was made. */
  epoch: number
  chain: Uint8Array
  changes: Uint8Array
}

/** Where a log ends. */
export interface LogTip {
  n: number
  chain: Uint8Array
}

/** Entries kept for a backup that comes back; one that was away for longer gets a whole copy. */
const keptEntries = 10_000
const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0

export class CentreLog {
  readonly #database: FollowedDatabase

  /** @param database with the centre's tables */
  constructor(database: FollowedDatabase) {
    this.#database = database
  }

  /** The newest epoch this centre knows of. */
  get epoch(): number {
    return this.#self<{ epoch: number }>('epoch').epoch
  }

  /** The history that it follows; undefined while it has nothing. */
  get genesis(): Uint8Array | undefined {
    return this.#self<{ genesis: Uint8Array | null }>('genesis').genesis ?? undefined
  }

  get leading(): boolean {
    return this.#self<{ leading: number }>('leading').leading === 1
  }

  /** Up to where both centres had everything when that was last written down: for clerks' processes. */
  get acknowledged(): number {
    return this.#self<{ acknowledged: number }>('acknowledged').acknowledged
  }

  set acknowledged(n: number) {
    this.#database.transaction((sql) => sql.run('UPDATE centre_self SET acknowledged = ? WHERE id = 1', n))
  }

  /** Begins a history, with what is in the database. @param genesis its name */
  found(genesis: Uint8Array): void {
    this.#database.transaction((sql) => sql.run('UPDATE centre_self SET genesis = ? WHERE id = 1', genesis))
  }

  /** Begins to lead. @throws {Problem} `centre.old-epoch` */
  lead(epoch: number): void {
    this.#database.transaction((sql) => {
      this.#raise(sql, epoch)
      sql.run('UPDATE centre_self SET leading = 1, acknowledged = 0 WHERE id = 1')
    })
  }

  /** Leads no more. */
  rest(): void {
    if (this.leading)
      this.#database.transaction((sql) => sql.run('UPDATE centre_self SET leading = 0, acknowledged = 0 WHERE id = 1'))
  }

  tip(): LogTip {
    return (
      this.#database.get<{ n: number; chain: Uint8Array }>(
        'SELECT n, chain FROM centre_log ORDER BY n DESC LIMIT 1',
      ) ?? {
        n: 0,
        chain: chainStart,
      }
    )
  }

  /** Whether this log has, at that place, that chain. */
  holds({ n, chain }: LogTip): boolean {
    if (n === 0) return same(chain, chainStart)
    const row = this.#database.get<{ chain: Uint8Array }>('SELECT chain FROM centre_log WHERE n = ?', n)
    return row !== undefined && same(row.chain, chain)
  }

  /** The leader's way to commit. @throws what `work` throws, `centre.not-leader` */
  write<T>(work: (sql: Sql) => T): T {
    return this.#database.recorded(
      (sql) => {
        if (!this.leading) throw new Problem('centre.not-leader')
        return work(sql)
      },
      (changes) => {
        const { n, chain } = this.tip()
        this.#keep(entryAfter({ n, chain }, this.epoch, changes))
      },
    )
  }

  /** Entries that follow `n`, as many as fit, at least one. Undefined when they are not kept any more. */
  after(n: number, bytesAtMost: number): Entry[] | undefined {
    const first = this.#database.get<{ n: number | null }>('SELECT min(n) AS n FROM centre_log')!.n
    if (first !== null && first > n + 1) return undefined
    const entries: Entry[] = []
    let bytes = 0
    while (entries.length < 512) {
      const entry = this.#database.get<Entry>('SELECT * FROM centre_log WHERE n = ?', n + entries.length + 1)
      if (!entry || (entries.length > 0 && bytes + entry.changes.length > bytesAtMost)) break
      bytes += entry.changes.length
      entries.push(entry)
    }
    return entries
  }

  /**
   * Takes the leader's entries; what it has already is passed over. On disk when it returns.
   * @throws {Problem} `centre.old-epoch`, `centre.behind` when entries before these are missing, `centre.chain` when they
   * do not continue this log
   */
  receive(epoch: number, entries: readonly Entry[]): LogTip {
    this.#database.transaction((sql) => {
      this.#raise(sql, epoch)
      for (const entry of entries) {
        const tip = this.tip()
        if (entry.epoch > epoch) throw new Problem('centre.chain', `entry ${entry.n} is of a later epoch`)
        if (entry.n <= tip.n) {
          if (!this.holds(entry)) throw new Problem('centre.chain', `entry ${entry.n}`)
          continue
        }
        if (entry.n > tip.n + 1) throw new Problem('centre.behind', `entry ${entry.n} after ${tip.n}`)
        if (!same(entryAfter(tip, entry.epoch, entry.changes).chain, entry.chain))
          throw new Problem('centre.chain', `entry ${entry.n}`)
        this.#database.apply(entry.changes)
        this.#keep(entry)
      }
    })
    return this.tip()
  }

  /** A whole copy of the leader's database was put in place of this one. */
  adopt(epoch: number): LogTip {
    this.#database.transaction((sql) => {
      this.#raise(sql, epoch)
      sql.run('UPDATE centre_self SET leading = 0, acknowledged = 0 WHERE id = 1')
    })
    return this.tip()
  }

  #keep({ n, epoch, chain, changes }: Entry): void {
    this.#database.run(
      'INSERT INTO centre_log (n, epoch, chain, changes) VALUES (?, ?, ?, ?)',
      n,
      epoch,
      chain,
      changes,
    )
    this.#database.run('DELETE FROM centre_log WHERE n <= ?', n - keptEntries)
  }

  #raise(sql: Sql, epoch: number): void {
    const known = this.epoch
    if (epoch < known) throw new Problem('centre.old-epoch', `epoch ${epoch} after ${known}`)
    if (epoch > known) sql.run('UPDATE centre_self SET epoch = ? WHERE id = 1', epoch)
  }

  #self<T>(column: string): T {
    const row = this.#database.get<T>(`SELECT ${column} FROM centre_self WHERE id = 1`)
    if (!row) throw new InternalError('the centre has no row of its own')
    return row
  }
}

function entryAfter({ n, chain }: LogTip, epoch: number, changes: Uint8Array): Entry {
  const content = hash('sha256', changes, 'buffer')
  return { n: n + 1, epoch, chain: nextChain(chain, { seq: n + 1, atMs: 0, epoch, content }), changes }
}
