/** How a service in a process of its own stands, as the gateway asks it (D6): facts, metrics and pages come through. */
import type { ReplyOf, ServiceName } from '@azukari/protocol/contract'
import { serviceHealth, servicePage } from '@azukari/protocol/contracts/internal'
import type { Clock, Log } from '@azukari/protocol/ports'
import type { Caller } from '../transport/spread-client.ts'
import type { HealthPage } from './service-module.ts'

export type HealthReport = ReplyOf<typeof serviceHealth>

export interface RemoteHealthOptions {
  name: ServiceName
  /** Paths of the pages that it shows. */
  pages: readonly string[]
  client: Caller
  clock: Pick<Clock, 'monotonicMs'>
  log: Log
}

/** What one answer is good for: a scrape asks for many figures at once, ms. */
const freshMs = 1_000
/** Prometheus gives up after ten seconds by itself, so whoever hangs must not take the others along. */
const idleMs = 3_000

export class RemoteHealth {
  readonly name: ServiceName
  readonly pages: readonly string[]
  readonly #options: RemoteHealthOptions
  #asked: { atMs: number; report: Promise<HealthReport | undefined> } | undefined
  #isAway = false

  constructor(options: RemoteHealthOptions) {
    this.name = options.name
    this.pages = options.pages
    this.#options = options
  }

  /** Undefined when it does not answer. */
  report(): Promise<HealthReport | undefined> {
    const atMs = this.#options.clock.monotonicMs()
    if (!this.#asked || atMs - this.#asked.atMs >= freshMs) this.#asked = { atMs, report: this.#ask() }
    return this.#asked.report
  }

  /** @throws {Problem} `object.unknown`, `server.unreachable`, `link.timeout` */
  page(path: string): Promise<HealthPage> {
    return this.#options.client.call(servicePage, { path }, { idleMs })
  }

  async #ask(): Promise<HealthReport | undefined> {
    const { name, client, log } = this.#options
    try {
      const report = await client.call(serviceHealth, {}, { idleMs })
      if (this.#isAway) log.info('a service answers again', { service: name })
      this.#isAway = false
      return report
    } catch (error) {
      if (!this.#isAway) log.warn('a service does not say how it stands', { service: name, error: String(error) })
      this.#isAway = true
      return undefined
    }
  }
}
