/** What devices and claimants may have under way in the router. */
import { Problem } from '@azukari/protocol/problem'
import type { Budgets } from '../budgets/budgets.ts'
import { type Pool, quotaExceeded, Reservation } from '../budgets/pool.ts'
import type { Rate } from '../budgets/rate.ts'

export interface RouterLimits {
  /** Requests under way of one device, and of all. */
  deviceRequests: number
  requests: number
  /** Bytes of the requests under way of one device, and of all. */
  deviceRequestBytes: number
  requestBytes: number
  /** Births under way: each costs signatures. */
  greetings: number
  /** Enrolments under way: each costs signatures, and anybody can send one. */
  enrolments: number
}

export const routerLimits: RouterLimits = {
  deviceRequests: 256,
  requests: 16_384,
  deviceRequestBytes: 16 * 2 ** 20,
  requestBytes: 256 * 2 ** 20,
  greetings: 2_048,
  enrolments: 256,
}

/** Births of one device, and enrolments under one name. */
const greetingRate = { perSecond: 1, burst: 32 }

export class RouterBudgets {
  readonly #requests: Pool
  readonly #bytes: Pool
  readonly #greetings: Pool
  readonly #greetingRate: Rate

  constructor(budgets: Budgets, limits: RouterLimits) {
    this.#requests = budgets.pool('requests', { device: { all: limits.requests, each: limits.deviceRequests } })
    this.#bytes = budgets.pool('request_bytes', {
      device: { all: limits.requestBytes, each: limits.deviceRequestBytes },
    })
    this.#greetings = budgets.pool('greetings', {
      device: { all: limits.greetings, each: 4 },
      claimant: { all: limits.enrolments, each: 4 },
    })
    this.#greetingRate = budgets.rate('greeting_rate', { device: greetingRate, claimant: greetingRate })
  }

  /** Room for one request of so many bytes, or what the device is told. */
  request(device: string, bytes: number): Reservation | Problem {
    const busy = () => new Problem('service.busy')
    const place = this.#requests.reserve('device', device, 1, busy)
    if (place instanceof Problem) return place
    const room = this.#bytes.reserve('device', device, bytes, busy)
    if (room instanceof Problem) {
      place.release()
      return room
    }
    return new Reservation(1, () => {
      place.release()
      room.release()
    })
  }

  /** Room to look at a birth or an enrolment, or what its sender is told. */
  greeting(kind: 'device' | 'claimant', who: string, nowMs: number): Reservation | Problem {
    const { burst } = greetingRate
    if (this.#greetingRate.take(kind, who, nowMs) > 0)
      return quotaExceeded(this.#greetingRate.name, { held: burst, limit: burst })
    return this.#greetings.reserve(kind, who, 1, () => new Problem('service.busy'))
  }
}
