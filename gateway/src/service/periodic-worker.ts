/** A loop that looks whether there is something to do: when it is told so, and after a time. */
import type { Clock, Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Duty } from '../storage/database.ts'
import { soleDuty } from '../storage/duty.ts'

export interface PeriodicWorkerOptions {
  /** What it does, for the log. */
  name: string
  clock: Clock
  log: Log
  /** When to look again after a round that failed, ms. */
  idleMs: number
  /** Whose turn it is, where several processes do the same work; without it always this one's. */
  duty?: Duty | undefined
  /** One look around. @returns when to look again at the latest, ms */
  round(): number | Promise<number>
}

export class PeriodicWorker {
  readonly #o: PeriodicWorkerOptions
  readonly #stop = new AbortController()
  #wake = Promise.withResolvers<void>()
  #ended = Promise.withResolvers<void>()
  /** How often it was told to look, and how often it had been when the last round that has ended began. */
  #told = 0
  #seen = 0
  #running: Promise<void> | undefined
  readonly #duty: Duty

  constructor(options: PeriodicWorkerOptions) {
    this.#o = options
    this.#duty = options.duty ?? soleDuty
  }

  /** Aborted, with a problem to throw, when it is to stop. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  start(): void {
    if (this.#running) return
    this.#told++
    const off = this.#duty.onCall(() => this.#look())
    this.#running = this.#run().finally(off)
  }

  /** Resolves when the round that is under way has ended. */
  async stop(): Promise<void> {
    this.#stop.abort(new Problem('service.unavailable', 'stopping'))
    this.#look()
    await this.#running
  }

  /** There may be something to do: what comes during a round makes another follow it. */
  wake(): void {
    this.#duty.call()
    this.#look()
  }

  #look(): void {
    this.#told++
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }

  /** Resolves when no round is under way and none follows at once. */
  async idle(): Promise<void> {
    while (this.#running && !this.signal.aborted && this.#seen < this.#told)
      await Promise.race([this.#ended.promise, this.#running])
    if (this.signal.aborted) await this.#running
  }

  async #run(): Promise<void> {
    const { name, clock, log, idleMs, round } = this.#o
    while (!this.signal.aborted) {
      const wake = this.#wake.promise
      const told = this.#told
      let waitMs = idleMs
      try {
        if (this.#duty.isHeld) waitMs = Math.min(await round(), this.#duty.lookMs)
      } catch (error) {
        if (this.signal.aborted) return
        log.error(name, { error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
      } finally {
        this.#seen = told
        this.#ended.resolve()
        this.#ended = Promise.withResolvers()
      }
      using _tick = clock.timer(Math.max(1, Math.ceil(waitMs)), () => this.#look())
      await wake
    }
  }
}
