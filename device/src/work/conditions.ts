/** What happens at the board, for whoever decides whether it computes: power is asked for every few seconds only. */

import type { Clock, Log } from '@azukari/protocol/ports'
import type { Power, PowerState } from '../drivers.ts'
import type { Conditions } from './model.ts'

const askPowerMs = 5_000

export class BoardConditions {
  readonly #power: Power | undefined
  readonly #isInUse: () => boolean
  readonly #clock: Clock
  readonly #log: Log
  #known: PowerState = {}
  #askedMs = Number.NEGATIVE_INFINITY

  constructor(of: { power: Power | undefined; isInUse: () => boolean; clock: Clock; log: Log }) {
    this.#power = of.power
    this.#isInUse = of.isInUse
    this.#clock = of.clock
    this.#log = of.log
  }

  async now(): Promise<Conditions> {
    const at = new Date(this.#clock.now())
    return {
      isInUse: this.#isInUse(),
      power: await this.#powerNow(),
      minuteOfDay: at.getHours() * 60 + at.getMinutes(),
    }
  }

  /** A part that does not answer tells nothing. */
  async #powerNow(): Promise<PowerState> {
    const nowMs = this.#clock.monotonicMs()
    if (!this.#power || nowMs - this.#askedMs < askPowerMs) return this.#known
    this.#askedMs = nowMs
    this.#known = await this.#power.state().catch((error) => {
      this.#log.warn('the power cannot be read', { error: String(error) })
      return {}
    })
    return this.#known
  }
}
