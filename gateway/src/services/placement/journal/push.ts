/** Brings the journal to the data servers that keep it: at once when something depends on it, and again when one was away. */

import type { KeyObject } from 'node:crypto'
import { mapInOrder } from '@azukari/protocol/in-order'
import type { Clock, Log } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import type { ServiceStore } from '../../../service/service.ts'
import type { DataServers } from '../replicas/data-servers.ts'
import { riskOf } from '../risk/risk.ts'
import { journal, journalAcks, ratesOf, type ServerRow, servers } from '../store.ts'
import { isSafe, journalServers, journalStream } from './journal.ts'

export interface JournalPushOptions {
  store: ServiceStore
  dataServers: DataServers
  /** Public: names the stream. */
  recovery: KeyObject
  clock: Clock
  log: Log
  signal: AbortSignal
}

/** Entries sent to a server at once. */
const batchEntries = 64
/** How often the ranking of the journal's servers is looked at when nothing was added. */
const lookAgainMs = 60_000

export class JournalPush {
  readonly #o: JournalPushOptions
  /** Up to where each server is known to have the journal, so that only the rest is looked at. */
  readonly #known = new Map<string, number>()
  /** When all servers last had all of the journal, and how much that was. */
  #settled = { last: -1, atMs: 0 }
  #pushing: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(options: JournalPushOptions) {
    this.#o = options
  }

  /** Something was added since all had everything, or it is time to see whether the ranking has changed. */
  async isDue(nowMs: number): Promise<boolean> {
    return (await journal.last(this.#o.store.sql)) !== this.#settled.last || nowMs - this.#settled.atMs > lookAgainMs
  }

  /** Whether an entry lies in two regions, so that it may be relied on. */
  async isSafe(seq: number): Promise<boolean> {
    const { sql } = this.#o.store
    const entry = await journal.get(sql, seq)
    const regions = new Map((await servers.all(sql)).map(({ id, region }) => [id, region]))
    return entry !== undefined && isSafe(journalAcks(entry.acks), (server) => regions.get(server))
  }

  /**
   * Brings every server up to date with at least what is in the journal now. One push at a time: two would send the same
   * entries. Whoever comes while one is under way shares the next. Servers that do not answer are left for later.
   */
  push(): Promise<void> {
    if (!this.#pushing) {
      this.#pushing = this.#pushOnce()
        .catch((error) => this.#o.log.error('the journal could not be pushed', { error: String(error) }))
        .finally(() => {
          this.#pushing = undefined
        })
      return this.#pushing
    }
    this.#next ??= this.#pushing.then(() => {
      this.#next = undefined
      return this.push()
    })
    return this.#next
  }

  async #pushOnce(): Promise<void> {
    const { store, clock } = this.#o
    const last = await journal.last(store.sql)
    let whole = true
    // What is lost or does not answer gives its turn to the next.
    let waiting = journalServers(
      (await servers.all(store.sql))
        .filter((row) => row.state !== 'lost' && row.state !== 'contained')
        .map((row) => ({
          ...row,
          risk: riskOf(ratesOf(row)).value,
          demerits: row.away === null ? row.demerits : 1000,
        })),
    )
    while (waiting.length > 0) {
      const sent = await Promise.all(await mapInOrder(waiting, (server) => this.#send(server)))
      // The acknowledgements of all servers in one commit.
      if (sent.some((one) => one && one.seqs.length > 0))
        await store.commit(async ({ sql }) => {
          for (const one of sent) for (const seq of one?.seqs ?? []) await journal.ack(sql, seq, one!.server.id)
        })
      whole &&= sent.every((one) => one !== undefined)
      waiting = sent.flatMap((one) => (one && one.seqs.length > 0 ? [one.server] : []))
    }
    if (whole) this.#settled = { last, atMs: clock.monotonicMs() }
  }

  /** The next batch that a server lacks; undefined when it did not take it. */
  async #send<S extends ServerRow>(server: S): Promise<{ server: S; seqs: number[] } | undefined> {
    const { store, dataServers, recovery, signal, log } = this.#o
    const last = await journal.last(store.sql)
    const missing = await journal.missingAt(store.sql, server.id, this.#known.get(server.id) ?? 0, batchEntries)
    if (missing.length === 0) {
      this.#known.set(server.id, last)
      return { server, seqs: [] }
    }
    try {
      signal.throwIfAborted()
      const entries = missing.map(({ entry }) => entry)
      await dataServers.of(server).journalAppend(journalStream(recovery), missing[0]!.seq, entries, signal)
      return { server, seqs: missing.map(({ seq }) => seq) }
    } catch (error) {
      const code = isProblem(error) ? error.code : String(error)
      if (!signal.aborted) log.info('the journal waits for a server', { server: server.id, code })
      return undefined
    }
  }
}
