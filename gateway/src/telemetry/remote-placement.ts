/** What placement in a process of its own says for telemetry (D6): asked for now and then, and believed for a while. */
import type { PlacementFacts } from '@azukari/protocol/contracts/hazard'
import type { Clock, Log, Timer } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'

export interface RemotePlacementOptions {
  ask: () => Promise<PlacementFacts>
  everyMs: number
  clock: Clock
  log: Log
}

/** How long an answer counts: risks that nobody looks after any more must not stand as if they were of now. */
const believedMs = 15 * 60_000

export class RemotePlacement {
  readonly #options: RemotePlacementOptions
  #last: { facts: PlacementFacts; atMs: number } | undefined
  #timer: Timer | undefined
  #stopped = false
  #silent = false

  constructor(options: RemotePlacementOptions) {
    this.#options = options
  }

  /** Undefined before the first answer, and when placement has been silent for too long. */
  get facts(): PlacementFacts | undefined {
    const { clock } = this.#options
    return this.#last && clock.monotonicMs() - this.#last.atMs < believedMs ? this.#last.facts : undefined
  }

  /** Asks for the first time; from then on by itself. */
  async start(): Promise<void> {
    const { ask, clock, log, everyMs } = this.#options
    try {
      const facts = await ask()
      this.#last = { facts, atMs: clock.monotonicMs() }
      this.#silent = false
    } catch (error) {
      if (!isProblem(error)) throw error
      if (!this.#silent) log.warn('placement says nothing for telemetry', { code: error.code })
      this.#silent = true
    }
    if (this.#stopped) return
    this.#timer = clock.timer(everyMs, () => {
      this.start().catch((error) => log.error('telemetry of placement failed', { error: String(error) }))
    })
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }
}
