/**
 * Those who have not proved who they are. A full lobby does not turn away who comes: the one that has waited longest goes,
 * of the same address first. Whoever says at once who they are always gets in, however many wait and say nothing.
 */
import { type Kind, type Pool, Reservation } from './pool.ts'

export class Lobby<Guest extends object> {
  readonly #pool: Pool
  readonly #kind: Kind
  readonly #sendAway: (guest: Guest) => void
  readonly #guests = new Map<Guest, { address: string; place: Reservation }>()
  readonly #byAddress = new Map<string, Set<Guest>>()

  /** @param sendAway ends the guest's connection; the guest has left already */
  constructor(pool: Pool, kind: Kind, sendAway: (guest: Guest) => void) {
    this.#pool = pool
    this.#kind = kind
    this.#sendAway = sendAway
  }

  /** @param address as `addressKey` gives it; '' when there is none */
  enter(guest: Guest, address: string): void {
    for (;;) {
      const place = this.#pool.take(this.#kind, address)
      if (place instanceof Reservation) {
        this.#guests.set(guest, { address, place })
        const mates = this.#byAddress.get(address) ?? new Set()
        this.#byAddress.set(address, mates.add(guest))
        return
      }
      const queue = place.refused === 'each' ? this.#byAddress.get(address)?.keys() : this.#guests.keys()
      const oldest = queue?.next().value
      // A pool without any place at all.
      if (!oldest) return this.#sendAway(guest)
      this.leave(oldest)
      this.#sendAway(oldest)
    }
  }

  leave(guest: Guest): void {
    const found = this.#guests.get(guest)
    if (!found) return
    this.#guests.delete(guest)
    found.place.release()
    const mates = this.#byAddress.get(found.address)
    mates?.delete(guest)
    if (mates?.size === 0) this.#byAddress.delete(found.address)
  }
}
