/**
 * A centre's log (P9): every commit's changed rows, written in that commit, in a hash chain. The leader writes it and hands
 * it on; the backup checks the chain, makes the same changes and keeps the same log, so that either can go on from it.
 */
import { hash } from 'node:crypto'
import { InternalError, Problem } from '@azukari/protocol/problem'
import type { FollowedDatabase, Sql, Transaction } from '../../../storage/database.ts'
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

  async setAcknowledged(n: number): Promise<void> {
    await this.#database.transaction((sql) => sql.run('UPDATE centre_self SET acknowledged = ? WHERE id = 1', n))
  }

  /** Begins a history, with what is in the database. @param genesis its name */
  async found(genesis: Uint8Array): Promise<void> {
    await this.#database.transaction((sql) => sql.run('UPDATE centre_self SET genesis = ? WHERE id = 1', genesis))
  }

  /** Begins to lead. @throws {Problem} `centre.old-epoch` */
  async lead(epoch: number): Promise<void> {
    await this.#database.transaction(async (sql) => {
      await this.#raise(sql, epoch)
      await sql.run('UPDATE centre_self SET leading = 1, acknowledged = 0 WHERE id = 1')
    })
  }

  /** Leads no more. */
  async rest(): Promise<void> {
    if (this.leading)
      await this.#database.transaction((sql) =>
        sql.run('UPDATE centre_self SET leading = 0, acknowledged = 0 WHERE id = 1'),
      )
  }

  async tip(sql: Sql = this.#database): Promise<LogTip> {
    const last = await sql.get<LogTip>('SELECT n, chain FROM centre_log ORDER BY n DESC LIMIT 1')
    return last ?? { n: 0, chain: chainStart }
  }

  /** Whether this log has, at that place, that chain. */
  async holds({ n, chain }: LogTip, sql: Sql = this.#database): Promise<boolean> {
    if (n === 0) return same(chain, chainStart)
    const row = await sql.get<{ chain: Uint8Array }>('SELECT chain FROM centre_log WHERE n = ?', n)
    return row !== undefined && same(row.chain, chain)
  }

  /** The leader's way to commit. @throws what `work` throws, `centre.not-leader` */
  async write<T>(work: (sql: Transaction) => Promise<T> | T): Promise<T> {
    return this.#database.recorded(
      (sql) => {
        if (!this.leading) throw new Problem('centre.not-leader')
        return work(sql)
      },
      async (changes, sql) => {
        const { n, chain } = await this.tip(sql)
        await this.#keep(sql, entryAfter({ n, chain }, this.epoch, changes))
      },
    )
  }

  /** Entries that follow `n`, as many as fit, at least one. Undefined when they are not kept any more. */
  async after(n: number, bytesAtMost: number): Promise<Entry[] | undefined> {
    const first = (await this.#database.get<{ n: number | null }>('SELECT min(n) AS n FROM centre_log'))!.n
    if (first !== null && first > n + 1) return undefined
    const entries: Entry[] = []
    let bytes = 0
    while (entries.length < 512) {
      const entry = await this.#database.get<Entry>('SELECT * FROM centre_log WHERE n = ?', n + entries.length + 1)
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
  async receive(epoch: number, entries: readonly Entry[]): Promise<LogTip> {
    await this.#database.transaction(async (sql) => {
      await this.#raise(sql, epoch)
      for (const entry of entries) {
        const tip = await this.tip(sql)
        if (entry.epoch > epoch) throw new Problem('centre.chain', `entry ${entry.n} is of a later epoch`)
        if (entry.n <= tip.n) {
          if (!(await this.holds(entry, sql))) throw new Problem('centre.chain', `entry ${entry.n}`)
          continue
        }
        if (entry.n > tip.n + 1) throw new Problem('centre.behind', `entry ${entry.n} after ${tip.n}`)
        if (!same(entryAfter(tip, entry.epoch, entry.changes).chain, entry.chain))
          throw new Problem('centre.chain', `entry ${entry.n}`)
        await this.#database.apply(sql, entry.changes)
        await this.#keep(sql, entry)
      }
    })
    return this.tip()
  }

  /** A whole copy of the leader's database was put in place of this one. */
  async adopt(epoch: number): Promise<LogTip> {
    await this.#database.transaction(async (sql) => {
      await this.#raise(sql, epoch)
      await sql.run('UPDATE centre_self SET leading = 0, acknowledged = 0 WHERE id = 1')
    })
    return this.tip()
  }

  async #keep(sql: Sql, { n, epoch, chain, changes }: Entry): Promise<void> {
    await sql.run('INSERT INTO centre_log (n, epoch, chain, changes) VALUES (?, ?, ?, ?)', n, epoch, chain, changes)
    await sql.run('DELETE FROM centre_log WHERE n <= ?', n - keptEntries)
  }

  async #raise(sql: Sql, epoch: number): Promise<void> {
    const known = this.epoch
    if (epoch < known) throw new Problem('centre.old-epoch', `epoch ${epoch} after ${known}`)
    if (epoch > known) await sql.run('UPDATE centre_self SET epoch = ? WHERE id = 1', epoch)
  }

  #self<T>(column: string): T {
    const row = this.#database.sync.get<T>(`SELECT ${column} FROM centre_self WHERE id = 1`)
    if (!row) throw new InternalError('the centre has no row of its own')
    return row
  }
}

function entryAfter({ n, chain }: LogTip, epoch: number, changes: Uint8Array): Entry {
  const content = hash('sha256', changes, 'buffer')
  return { n: n + 1, epoch, chain: nextChain(chain, { seq: n + 1, atMs: 0, epoch, content }), changes }
}
