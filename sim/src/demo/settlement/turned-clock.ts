/** The real clock with the days turned on: closing days and deadlines come when the demo needs them; waits stay real. */
import { systemClock } from '@azukari/protocol/adapters/clock'
import type { Clock, Timer } from '@azukari/protocol/ports'

export class TurnedClock implements Clock {
  #aheadMs = 0

  now(): number {
    return systemClock.now() + this.#aheadMs
  }
  monotonicMs(): number {
    return systemClock.monotonicMs()
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal)
  }
  timer(ms: number, fire: () => void): Timer {
    return systemClock.timer(ms, fire)
  }
  /** Onward only. */
  turnDays(days: number): void {
    this.#aheadMs += days * 86_400_000
  }
}
