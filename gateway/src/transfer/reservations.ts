/**
 * What transfers have reserved of the receive buffer (S4): from their announcement, before anything is waited for, until
 * they are released, expire, or their device is revoked. No device can have it all (see `fair` of a share), and an
 * announcement that nothing follows is given back long before its own date.
 */
import { Problem } from '@azukari/protocol/problem'
import type { Budgets } from '../budgets/budgets.ts'
import { type Pool, Reservation } from '../budgets/pool.ts'

export interface ReservationLimits {
  /** Announced bytes of all transfers together, and of one device's. */
  totalBytes: number
  deviceBytes: number
  /** Transfers at once, of all devices and of one. */
  transfers: number
  deviceTransfers: number
  /** An announcement of which no block came for so long is given back. */
  unsentMs: number
  /** A transfer that was begun and does not go on for so long, too. */
  idleMs: number
}

interface Held {
  device: string
  sizeBytes: number
  receivedBytes: number
  complete: boolean
  usedMs: number
  places: readonly Reservation[]
}

export class TransferReservations {
  readonly #limits: ReservationLimits
  readonly #bytes: Pool
  readonly #transfers: Pool
  readonly #held = new Map<string, Held>()
  #unsentBytes = 0

  constructor(budgets: Budgets, limits: ReservationLimits) {
    this.#limits = limits
    const { totalBytes, deviceBytes, transfers, deviceTransfers } = limits
    this.#bytes = budgets.pool('buffer_bytes', { device: { all: totalBytes, each: deviceBytes, fair: true } })
    this.#transfers = budgets.pool('transfers', { device: { all: transfers, each: deviceTransfers, fair: true } })
  }

  get usage(): { bytes: number; transfers: number } {
    return { bytes: this.#bytes.held('device'), transfers: this.#held.size }
  }

  /** Announced bytes that have not come: room that the disk still has to give. */
  get unsentBytes(): number {
    return this.#unsentBytes
  }

  has(name: string): boolean {
    return this.#held.has(name)
  }

  /** @throws {Problem} `transfer.quota` for what one device may have, `storage.full` for all */
  announce(device: string, name: string, sizeBytes: number, nowMs: number): void {
    const place = this.#take(this.#transfers, device, 1, 'transfers')
    try {
      const places = [place, this.#take(this.#bytes, device, sizeBytes, 'bytes')]
      this.#hold(name, { device, sizeBytes, receivedBytes: 0, complete: false, usedMs: nowMs, places })
    } catch (error) {
      place.release()
      throw error
    }
  }

  /** What the disk held at the start. */
  adopt(name: string, found: Omit<Held, 'places' | 'usedMs'>, nowMs: number): void {
    const places = [
      this.#transfers.adopt('device', found.device, 1),
      this.#bytes.adopt('device', found.device, found.sizeBytes),
    ]
    this.#hold(name, { ...found, usedMs: nowMs, places })
  }

  /** Something came of a transfer, or its device asked for it. */
  used(name: string, nowMs: number, receivedBytes?: number): void {
    const held = this.#held.get(name)
    if (!held) return
    held.usedMs = nowMs
    if (receivedBytes === undefined) return
    const bytes = Math.min(receivedBytes, held.sizeBytes)
    this.#unsentBytes -= bytes - held.receivedBytes
    held.receivedBytes = bytes
  }

  completed(name: string): void {
    const held = this.#held.get(name)
    if (!held) return
    this.used(name, held.usedMs, held.sizeBytes)
    held.complete = true
  }

  release(name: string): void {
    const held = this.#held.get(name)
    if (!held) return
    this.#held.delete(name)
    this.#unsentBytes -= held.sizeBytes - held.receivedBytes
    for (const place of held.places) place.release()
  }

  /** Transfers that were announced, or begun, and do not go on. */
  idle(nowMs: number): string[] {
    const { unsentMs, idleMs } = this.#limits
    return [...this.#held]
      .filter(([, { complete, receivedBytes, usedMs }]) => {
        return !complete && nowMs - usedMs >= (receivedBytes === 0 ? unsentMs : idleMs)
      })
      .map(([name]) => name)
  }

  devices(): Set<string> {
    return new Set([...this.#held.values()].map(({ device }) => device))
  }

  of(device: string): { name: string; complete: boolean }[] {
    return [...this.#held].flatMap(([name, held]) => (held.device === device ? { name, complete: held.complete } : []))
  }

  #take(pool: Pool, device: string, amount: number, what: string): Reservation {
    const taken = pool.take('device', device, amount)
    if (taken instanceof Reservation) return taken
    if (taken.refused === 'all') throw new Problem('storage.full', 'the receive buffer is full')
    throw new Problem('transfer.quota', `${taken.held} of ${taken.limit} ${what} are used`)
  }

  #hold(name: string, held: Held): void {
    this.#held.set(name, held)
    this.#unsentBytes += held.sizeBytes - held.receivedBytes
  }
}
