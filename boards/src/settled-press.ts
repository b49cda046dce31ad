/**
 * One press of a key is one press (S15, S17): a worn contact opens and closes again for some milliseconds when it is pressed
 * and when it is let go. Counted as presses these would dial another PIN than the person does.
 */
import type { Clock } from '@azukari/protocol/ports'

/** A contact that has not changed for so long has come to rest; nobody presses a key so fast again. */
export const settleMs = 30

export class SettledPress {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  #changedAtMs = Number.NEGATIVE_INFINITY

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock
  }

  /** The contact has closed. @returns whether that is a press, or a contact that has not come to rest */
  closed(): boolean {
    return this.#changed() >= settleMs
  }

  /** The contact has opened. */
  opened(): void {
    this.#changed()
  }

  /** How long it had rested before, ms. */
  #changed(): number {
    const nowMs = this.#clock.monotonicMs()
    const restedMs = nowMs - this.#changedAtMs
    this.#changedAtMs = nowMs
    return restedMs
  }
}
