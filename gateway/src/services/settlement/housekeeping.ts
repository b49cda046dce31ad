/**
 * What settlement does by itself, every few seconds: unpaid orders and unused reservations end, the day's journal head is
 * signed, and what clerks' commands did in processes of their own is told to the devices that wait for it.
 */
import type { Timer } from '@azukari/protocol/ports'
import type { EventListener } from '../../service/service.ts'
import { addDays, civilDate } from './billing/calendar.ts'
import type { Desk } from './desk.ts'
import { ledgerOf } from './epoch.ts'
import { signHead } from './ledger/head.ts'

export interface HousekeepingOptions {
  desk: Desk
  timeZone: string
  /** ms between rounds; 0: never by itself. */
  everyMs: number
  lapse: () => Promise<number>
  /** Another process has written something. */
  written: () => void
  listeners: ReadonlySet<EventListener>
}

/** Devices told of in one round; the rest hear in the next. */
const devicesAtMost = 1_000

export class Housekeeping {
  readonly #o: HousekeepingOptions
  #timer: Timer | undefined
  #version = -1

  constructor(options: HousekeepingOptions) {
    this.#o = options
  }

  async start(): Promise<void> {
    if (this.#o.everyMs === 0) return
    this.#version = await this.#dataVersion()
    this.#later()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #later(): void {
    this.#timer = this.#o.desk.clock.timer(this.#o.everyMs, async () => {
      try {
        await this.#round()
      } catch (error) {
        this.#o.desk.log.error('housekeeping failed and is tried again', { error: String(error) })
      }
      if (this.#timer) this.#later()
    })
  }

  async #round(): Promise<void> {
    const { desk, timeZone, lapse, listeners } = this.#o
    await lapse()
    await this.#signYesterday(civilDate(desk.clock.now(), timeZone))
    const version = await this.#dataVersion()
    if (version === this.#version) return
    this.#version = version
    this.#o.written()
    const devices = (
      await desk.store.sql.all<{ device: string }>('SELECT DISTINCT device FROM events LIMIT ?', devicesAtMost)
    ).map(({ device }) => device)
    if (devices.length > 0) for (const listener of listeners) listener([], devices)
  }

  /** A day's head is signed when the day is over and something was posted since the last head. */
  async #signYesterday(today: string): Promise<void> {
    const { desk } = this.#o
    const day = addDays(today, -1)
    const { sql } = desk.store
    const last = await sql.get<{ day: string; seq: number }>(
      'SELECT day, seq FROM ledger_heads ORDER BY day DESC LIMIT 1',
    )
    const { seq } = await ledgerOf(sql).tip()
    if (seq === 0 || (last && (last.day >= day || last.seq >= seq))) return
    await desk.store.transaction((within) => signHead(within.sql, ledgerOf(within.sql), desk.signer, day, within.nowMs))
  }

  /** Grows when another process has written. */
  async #dataVersion(): Promise<number> {
    return (await this.#o.desk.store.sql.get<{ data_version: number }>('PRAGMA data_version'))!.data_version
  }
}
