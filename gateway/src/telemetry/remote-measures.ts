/** What a service in a process of its own says for telemetry (D6): asked for now and then, and believed for a while. */
import type { Measure } from '@azukari/protocol/contracts/internal'
import type { Clock, Log, Timer } from '@azukari/protocol/ports'

export interface RemoteMeasuresOptions {
  /** Undefined when it does not answer, which whoever asks has logged. */
  ask: () => Promise<readonly Measure[] | undefined>
  everyMs: number
  clock: Clock
  log: Log
}

/** How long an answer counts: risks that nobody looks after any more must not stand as if they were of now. */
const believedMs = 15 * 60_000

export class RemoteMeasures {
  readonly #options: RemoteMeasuresOptions
  #last: { measures: readonly Measure[]; atMs: number } | undefined
  #timer: Timer | undefined
  #stopped = false

  constructor(options: RemoteMeasuresOptions) {
    this.#options = options
  }

  /** None before the first answer, and when the service has been silent for too long. */
  get measures(): readonly Measure[] {
    const { clock } = this.#options
    return this.#last && clock.monotonicMs() - this.#last.atMs < believedMs ? this.#last.measures : []
  }

  /** Asks for the first time; from then on by itself. */
  async start(): Promise<void> {
    const { ask, clock, log, everyMs } = this.#options
    const measures = await ask()
    if (measures) this.#last = { measures, atMs: clock.monotonicMs() }
    if (this.#stopped) return
    this.#timer = clock.timer(everyMs, () => {
      this.start().catch((error) => log.error('telemetry of a service failed', { error: String(error) }))
    })
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }
}
