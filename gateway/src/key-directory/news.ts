/** Tells devices that there is something to ask for, a few at a time: a whole fleet that asks at once would wait for itself. */
import type { Clock, Timer } from '@azukari/protocol/ports'

export interface NewsOptions {
  clock: Clock
  tell: (device: string) => void
  /** Devices told in a second. */
  perSecond?: number
}

/** A tenth of a second's worth at a time. */
const stepMs = 100

export class News {
  readonly #clock: Clock
  readonly #tell: (device: string) => void
  readonly #perStep: number
  readonly #waiting = new Set<string>()
  #timer: Timer | undefined

  constructor({ clock, tell, perSecond = 500 }: NewsOptions) {
    this.#clock = clock
    this.#tell = tell
    this.#perStep = Math.ceil((perSecond * stepMs) / 1_000)
  }

  add(devices: Iterable<string>): void {
    for (const device of devices) this.#waiting.add(device)
    if (!this.#timer) this.#step()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#waiting.clear()
  }

  #step(): void {
    this.#timer = undefined
    let left = this.#perStep
    for (const device of this.#waiting) {
      if (left-- === 0) break
      this.#waiting.delete(device)
      this.#tell(device)
    }
    if (this.#waiting.size > 0) this.#timer = this.#clock.timer(stepMs, () => this.#step())
  }
}
