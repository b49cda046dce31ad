/** What settlement does by itself: unpaid orders and unused reservations end, the day's journal head is signed, periods are closed (S13). */
import type { Timer } from '@azukari/protocol/ports'
import type { Duty } from '../../storage/database.ts'
import { addDays, civilDate } from './billing/calendar.ts'
import { ledgerOf } from './centre/epoch.ts'
import { signHead } from './ledger/head.ts'
import type { ServiceContext } from './service-context.ts'

export interface HousekeepingOptions {
  shared: ServiceContext
  duty: Duty
  timeZone: string
  /** ms between rounds; 0: never by itself. */
  everyMs: number
  lapse: () => Promise<number>
  /** Closes what is over, where that is not left to the command. */
  close: () => Promise<void>
}

/** How often periods that are over are looked for; those that wait for placement are asked for as often. */
const closeMs = 600_000

export class Housekeeping {
  readonly #o: HousekeepingOptions
  #timer: Timer | undefined
  #closeAgainMs = 0

  constructor(options: HousekeepingOptions) {
    this.#o = options
  }

  async start(): Promise<void> {
    if (this.#o.everyMs === 0) return
    this.#later()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #later(): void {
    this.#timer = this.#o.shared.clock.timer(this.#o.everyMs, async () => {
      try {
        if (this.#o.duty.isHeld) await this.#round()
      } catch (error) {
        this.#o.shared.log.error('housekeeping failed and is tried again', { error: String(error) })
      }
      if (this.#timer) this.#later()
    })
  }

  async #round(): Promise<void> {
    const { shared, timeZone, lapse, close } = this.#o
    await lapse()
    await this.#signYesterday(civilDate(shared.clock.now(), timeZone))
    if (shared.clock.monotonicMs() < this.#closeAgainMs) return
    this.#closeAgainMs = shared.clock.monotonicMs() + closeMs
    await close()
  }

  /** A day's head is signed when the day is over and something was posted since the last head. */
  async #signYesterday(today: string): Promise<void> {
    const { shared } = this.#o
    const day = addDays(today, -1)
    const { sql } = shared.store
    const last = await sql.get<{ day: string; seq: number }>(
      'SELECT day, seq FROM ledger_heads ORDER BY day DESC LIMIT 1',
    )
    const { seq } = await ledgerOf(sql).tip()
    if (seq === 0 || (last && (last.day >= day || last.seq >= seq))) return
    await shared.store.transaction((within) =>
      signHead(within.sql, ledgerOf(within.sql), shared.signer, day, within.nowMs),
    )
  }
}
