/**
 * How many strangers may try to sign in from other machines (D6): each try costs 64 MiB and a good part of a second, and each
 * leaves an entry in a log that nothing is ever taken out of. Tries at the socket are not counted here.
 */
import { Problem } from '@azukari/protocol/problem'
import type { Budgets } from '../budgets/budgets.ts'
import { type Pool, Reservation } from '../budgets/pool.ts'
import type { Rate } from '../budgets/rate.ts'

export interface SignInLimits {
  /** Tries and calls without a session, of one address. */
  address: { perSecond: number; burst: number }
  /** The same, of all addresses. */
  all: { perSecond: number; burst: number }
  /** Passwords that are worked on at once. */
  atOnce: number
}

const standardLimits: SignInLimits = {
  address: { perSecond: 0.1, burst: 10 },
  all: { perSecond: 2, burst: 60 },
  atOnce: 2,
}

export class SignIns {
  readonly #byAddress: Rate
  readonly #all: Rate
  readonly #work: Pool

  constructor(budgets: Budgets, { address, all, atOnce }: SignInLimits = standardLimits) {
    this.#byAddress = budgets.rate('sign_ins', { stranger: address })
    this.#all = budgets.rate('sign_ins_all', { stranger: all })
    this.#work = budgets.pool('sign_in_work', { stranger: { all: atOnce, each: 1 } })
  }

  /** Room to work on one password. @throws {Problem} `operator.login-wait` */
  begin(address: string, nowMs: number): Reservation {
    this.fail(address, nowMs)
    const taken = this.#work.take('stranger', address)
    if (taken instanceof Reservation) return taken
    throw new Problem('operator.login-wait', '1 s')
  }

  /** Counts a call that had no session. @throws {Problem} `operator.login-wait`; then nothing of it is written down */
  fail(address: string, nowMs: number): void {
    // An address that is refused takes nothing from the others.
    const waitMs = this.#byAddress.take('stranger', address, nowMs) || this.#all.take('stranger', '', nowMs)
    if (waitMs > 0) throw new Problem('operator.login-wait', `${Math.ceil(waitMs / 1_000)} s`)
  }
}
