/** Sessions that were called up (S12), until the card has answered again or is gone. In memory, bounded in time. */
import type { Clock } from '@azukari/protocol/ports'

/** How long a card that is still there may take to prove itself again, ms. */
const answerMs = 20_000

export class Recalls {
  readonly #clock: Clock
  readonly #waiting = new Map<string, Set<(proven: boolean) => void>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Waits for the next answer of the member's card at a device.
   * @returns whether it proved itself: a card that was rejected or does not answer in time did not
   */
  async wait(member: Uint8Array, device: string, signal: AbortSignal): Promise<boolean> {
    const name = nameOf(member, device)
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const waiting = this.#waiting.get(name) ?? new Set()
    this.#waiting.set(name, waiting.add(resolve))
    const leave = () => resolve(false)
    if (signal.aborted) leave()
    signal.addEventListener('abort', leave, { once: true })
    using _late = this.#clock.timer(answerMs, leave)
    try {
      return await promise
    } finally {
      signal.removeEventListener('abort', leave)
      waiting.delete(resolve)
      if (waiting.size === 0) this.#waiting.delete(name)
    }
  }

  /** The card of a member has answered a challenge at a device. */
  answered(member: Uint8Array, device: string, proven: boolean): void {
    for (const resolve of this.#waiting.get(nameOf(member, device)) ?? []) resolve(proven)
  }
}

function nameOf(member: Uint8Array, device: string): string {
  return `${Buffer.from(member).toString('hex')} ${device}`
}
