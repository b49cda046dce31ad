/**
 * Erases what members do not want any more (D8): takes an object out of the tables with its keys, writes that into the
 * journal of two regions, has every server that holds something of it destroy it, and signs what was destroyed where.
 * A server that does not answer is asked again until it has. All it knows is in the database.
 */

import { createHash } from 'node:crypto'
import { encodeDeterministic } from '@azukari/protocol/codec'
import {
  type ClosingReceipt,
  closingDomain,
  type ErasureReceipt,
  erasureDomain,
} from '@azukari/protocol/contracts/member-request'
import { sign1 } from '@azukari/protocol/cose'
import { mapInOrder } from '@azukari/protocol/in-order'
import { parseCoseKey } from '@azukari/protocol/keys'
import { openRemovalReceipt } from '@azukari/protocol/manifest'
import { isProblem } from '@azukari/protocol/problem'
import { PeriodicWorker } from '../../../service/periodic-worker.ts'
import { sealEntry } from '../journal/journal.ts'
import type { ReplacePorts } from '../moves/making.ts'
import type { Mover } from '../moves/mover.ts'
import { awayForGood } from '../moves/watch.ts'
import { destroy } from '../replicas/deliver.ts'
import type { SaveWorker } from '../saves/worker.ts'
import { catalogueMedia, journal, members, type SaveRow, servers } from '../store.ts'
import { beginErasure, erasing, erasures, gather, gathered, memberRequests } from './erasures.ts'
import { type ErasureReport, erasureReport } from './report.ts'
import type { ErasingRow, ErasureRow, RequestRow } from './tables.ts'

export interface EraserPorts extends ReplacePorts {
  worker: Pick<SaveWorker, 'left'>
  mover: Pick<Mover, 'exclusive'>
  /** Gives back what the receive buffer holds. */
  release(transfer: Uint8Array): Promise<void>
}

const atOnce = 16
const idleMs = 60_000
const waitAtMostMs = 300_000
const retentionEveryMs = 3_600_000
const dayMs = 86_400_000
/** Above every epoch of a replica: whatever lies there is meant. */
const anyEpoch = 0x7fff_ffff

export class Eraser {
  readonly #o: EraserPorts
  readonly #worker: PeriodicWorker
  #retentionMs = Number.NEGATIVE_INFINITY

  constructor(ports: EraserPorts) {
    this.#o = ports
    const { clock, log } = ports
    this.#worker = new PeriodicWorker({ name: 'erasing', clock, log, idleMs, round: () => this.#round() })
  }

  /** For metrics. */
  async status(): Promise<ErasureReport> {
    return erasureReport(this.#o.store.sql)
  }

  start(): void {
    this.#worker.start()
  }

  stop(): Promise<void> {
    return this.#worker.stop()
  }

  /** There may be something to do. */
  wake(): void {
    this.#worker.wake()
  }

  async #round(): Promise<number> {
    const { store, clock } = this.#o
    await this.#expire()
    let worked = false
    for (const row of await erasures.toGather(store.sql, atOnce)) {
      await this.#gather(row)
      worked = true
    }
    const due = await erasing.due(store.sql, clock.now(), atOnce)
    // Nothing is destroyed before the journal of two regions knows that it is to be.
    if (due.length > 0) await this.#o.journal.push()
    for (const row of due) {
      this.#worker.signal.throwIfAborted()
      if (await this.#destroy(row)) worked = true
    }
    for (const row of await erasures.finished(store.sql, atOnce)) await this.#finish(row)
    for (const wish of await memberRequests.closable(store.sql)) await this.#close(wish)
    return worked ? 0 : idleMs
  }

  /** What was kept longer than its member wants. */
  async #expire(): Promise<void> {
    const { store, clock, random } = this.#o
    const nowMs = clock.now()
    if (clock.monotonicMs() < this.#retentionMs) return
    const due = await store.sql.all<SaveRow>(
      `SELECT s.* FROM members AS m JOIN saves AS s ON s.member = m.id
       WHERE m.retention > 0 AND s.state = 'kept' AND s.kept < ? - m.retention * ${dayMs} AND s.media <> ? LIMIT 256`,
      nowMs,
      catalogueMedia,
    )
    if (due.length < 256) this.#retentionMs = clock.monotonicMs() + retentionEveryMs
    if (due.length === 0) return
    await store.transaction(async ({ sql }) => {
      for (const row of due)
        if (!(await erasures.of(sql, row.object)))
          await beginErasure(sql, row, { act: random.bytes(16), cause: 'retention', atMs: nowMs })
    })
  }

  async #gather(row: ErasureRow): Promise<void> {
    const { store, keys, random, worker, mover, release } = this.#o
    await worker.left(row.object)
    let transfers: Uint8Array[] = []
    await mover.exclusive(row.object, async () => {
      await store.transaction(async ({ sql }) => {
        const found = await gather(sql, row)
        const entry = {
          kind: 'erased' as const,
          object: row.object,
          member: row.member,
          act: row.act,
          cause: row.cause,
          asked: row.at,
          keys: found.keys,
          places: found.places,
        }
        await gathered(sql, row, found, await journal.append(sql, sealEntry(entry, keys.recovery, random)))
        transfers = found.transfers
      })
    })
    for (const transfer of transfers) await release(transfer).catch(() => undefined)
  }

  /** @returns whether it is done there */
  async #destroy(row: ErasingRow): Promise<boolean> {
    const { store, clock, log } = this.#o
    const nowMs = clock.now()
    const server = await servers.byId(store.sql, row.server)
    const later = (state: ErasingRow['state'], waitMs: number) =>
      store.transaction(({ sql }) =>
        erasing.set(sql, row, { state, at: nowMs, receipt: null, tries: row.tries + 1, not_before: nowMs + waitMs }),
      )
    const erasure = await erasures.of(store.sql, row.object)
    if (!erasure?.journal || !(await this.#o.journal.isSafe(erasure.journal))) {
      await later(row.state, waitAtMostMs / 10)
      return false
    }
    // Gone for good with what it held; should it come back, it is asked after all.
    if (!server || (server.state === 'lost' && server.away === awayForGood)) {
      await later('lost', dayMs)
      return row.state === 'open'
    }
    try {
      const { object, version, slot } = row
      const receipt = await destroy(this.#o, server, { object, version, slot }, anyEpoch, this.#worker.signal)
      const { held, atMs } = openRemovalReceipt(receipt, parseCoseKey(server.key))
      await store.transaction(({ sql }) =>
        erasing.set(sql, row, {
          state: held ? 'destroyed' : 'absent',
          at: atMs,
          receipt,
          tries: row.tries,
          not_before: 0,
        }),
      )
      return true
    } catch (error) {
      if (this.#worker.signal.aborted || !isProblem(error)) throw error
      log.info('to be destroyed still', { server: row.server, code: error.code })
      await later(row.state, Math.min(waitAtMostMs, 1_000 * 2 ** Math.min(9, row.tries)))
      return false
    }
  }

  async #finish(row: ErasureRow): Promise<void> {
    const { store, signer, clock } = this.#o
    await store.transaction(async ({ sql }) => {
      const receipt: ErasureReceipt = {
        object: row.object,
        member: row.member,
        act: row.act,
        cause: row.cause,
        askedMs: row.at,
        doneMs: clock.now(),
        keys: row.keys,
        places: await mapInOrder(
          await erasing.of(sql, row.object),
          async ({ version, slot, server, state, at, receipt: told }) => ({
            version,
            slot,
            server,
            region: (await servers.byId(sql, server))?.region ?? 'XX',
            outcome: state === 'open' ? 'lost' : state,
            atMs: at,
            ...(told ? { receipt: told } : {}),
          }),
        ),
      }
      await erasures.done(sql, row.object, receipt.doneMs, sign1(encodeDeterministic(receipt), signer, erasureDomain))
    })
  }

  /** The account's own row goes last, with the member's key. */
  async #close(wish: RequestRow): Promise<void> {
    const { store, signer, clock, keys, random } = this.#o
    await store.transaction(async ({ sql }) => {
      if (!(await members.byId(sql, wish.member))) return
      const receipts = createHash('sha256')
      let objects = 0
      for (const { receipt } of await sql.all<{ receipt: Uint8Array }>(
        'SELECT receipt FROM erasures WHERE act = ? ORDER BY object',
        wish.act,
      )) {
        receipts.update(receipt)
        objects++
      }
      await sql.run('DELETE FROM conditions WHERE member = ?', wish.member)
      await sql.run('DELETE FROM catalogues WHERE member = ?', wish.member)
      await sql.run('DELETE FROM members WHERE id = ?', wish.member)
      await journal.append(sql, sealEntry({ kind: 'closed', member: wish.member }, keys.recovery, random))
      const closing: ClosingReceipt = {
        member: wish.member,
        act: wish.act,
        askedMs: wish.at,
        doneMs: clock.now(),
        objects,
        receipts: new Uint8Array(receipts.digest()),
      }
      await memberRequests.closed(sql, wish.act, sign1(encodeDeterministic(closing), signer, closingDomain))
    })
  }
}
