/** What was chosen, and perhaps written, for saves that will not be kept there: its room is given back and it is destroyed. */
import type { Clock, Log } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import { sealedBytes as sealedSize } from '@azukari/protocol/sealed'
import type { ServiceStore } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { leaveBucket } from '../moves/buckets.ts'
import { type AbandonedRow, abandoned, type ReplicaRow, replicas, type SaveRow, saves, servers } from '../store.ts'

/** The life of a device's offer: a save that the buffer lost may begin again for so long, and one that is held may wait. */
const lostMs = 30 * 86_400_000
/** How often they are looked for; it reads the whole table. */
const lostLookMs = 86_400_000
/** How long a server that could not be reached is left alone, ms. */
const againMs = 60_000

export interface GivenUpPorts {
  store: ServiceStore
  clock: Clock
  log: Log
  signal: AbortSignal
  /** Has the row's server destroy what it holds of a slot up to the row's epoch. */
  remove(row: AbandonedRow): Promise<unknown>
}

export class GivenUp {
  readonly #o: GivenUpPorts
  readonly #notBefore = new Map<string, number>()
  #lostNotBefore = 0
  #cleaning: Promise<void> | undefined

  constructor(ports: GivenUpPorts) {
    this.#o = ports
  }

  /** Has what was given up destroyed where it may lie; what cannot be reached is tried again later. One run at a time. */
  clean(): void {
    this.#cleaning ??= this.#clean()
      .catch((error) => {
        if (!this.#o.signal.aborted)
          this.#o.log.error('what was given up could not be removed', { error: String(error) })
      })
      .finally(() => {
        this.#cleaning = undefined
      })
  }

  /** Resolves when no run is under way. */
  async idle(): Promise<void> {
    await this.#cleaning
  }

  async #clean(): Promise<void> {
    const { store, clock, signal } = this.#o
    await this.#giveUpLost()
    for (const row of await abandoned.some(store.sql, 32)) {
      if (signal.aborted) return
      const now = clock.monotonicMs()
      if ((this.#notBefore.get(row.server) ?? 0) > now) continue
      try {
        await this.#o.remove(row).catch((error) => {
          // A newer one lies there by now, and that one is wanted.
          if (!isProblem(error, 'replica.superseded')) throw error
        })
        await store.transaction(({ sql }) => abandoned.done(sql, row))
      } catch (error) {
        if (!isProblem(error)) throw error
        this.#notBefore.set(row.server, now + againMs)
      }
    }
  }

  /**
   * What the buffer lost and no device brought again within the life of its offer will not come, and what no card came for
   * by then will not be kept: its room is given back.
   */
  async #giveUpLost(): Promise<void> {
    const { store, clock } = this.#o
    if (clock.monotonicMs() < this.#lostNotBefore) return
    this.#lostNotBefore = clock.monotonicMs() + lostLookMs
    for (const row of await saves.lostBefore(store.sql, clock.now() - lostMs, 1024))
      await store.transaction(async ({ sql }) => {
        await saves.set(sql, row, { state: 'refused', problem: row.problem ?? 'transfer.expired', held: null })
        await giveUpAll(sql, row)
      })
  }
}

/** The row goes or is replaced; the server may hold what was written without an answer. */
export async function giveUp(sql: Sql, { server, object, version, slot, epoch, sealed }: ReplicaRow): Promise<void> {
  await servers.reserve(sql, server, -sealed)
  await abandoned.add(sql, { server, object, version, slot, epoch })
}

/** What was chosen for a save and no server has signed for: it is chosen anew when the save goes on. */
export async function giveUpUnwritten(sql: Sql, { object, version }: SaveRow): Promise<void> {
  for (const replica of await replicas.of(sql, object, version)) {
    if (replica.receipt) continue
    const { server, slot, epoch } = replica
    await abandoned.add(sql, { server, object, version, slot, epoch })
    await replicas.remove(sql, replica)
  }
}

/** What was chosen, and perhaps written, for a save that will not be kept. */
export async function giveUpAll(sql: Sql, row: SaveRow): Promise<void> {
  const { object, version } = row
  await leaveBucket(sql, row, sealedSize(row.size))
  for (const replica of await replicas.of(sql, object, version)) {
    const { server, slot, epoch } = replica
    await abandoned.add(sql, { server, object, version, slot, epoch })
    await replicas.remove(sql, replica)
  }
}
