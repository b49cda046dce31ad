/** What settlement does by itself, every few seconds: unpaid orders and unused reservations end, the day's journal head is signed. */
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
}

export class Housekeeping {
  readonly #o: HousekeepingOptions
  #timer: Timer | undefined

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
    const { shared, timeZone, lapse } = this.#o
    await lapse()
    await this.#signYesterday(civilDate(shared.clock.now(), timeZone))
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
