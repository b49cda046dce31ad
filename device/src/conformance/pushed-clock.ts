/** A clock that stands until a suite pushes it: what a driver waits for on it comes at once, and a missing limit shows. */
import type { Clock, Timer } from '@azukari/protocol/ports'

interface Waiting {
  atMs: number
  fire(): void
}

export class PushedClock implements Clock {
  readonly #startMs = Date.now()
  readonly #waiting = new Set<Waiting>()
  #passedMs = 0

  now(): number {
    return this.#startMs + this.#passedMs
  }

  monotonicMs(): number {
    return this.#passedMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason)
        return
      }
      const left = () => {
        timer.cancel()
        reject(signal?.reason)
      }
      const timer = this.timer(ms, () => {
        signal?.removeEventListener('abort', left)
        resolve()
      })
      signal?.addEventListener('abort', left, { once: true })
    })
  }

  timer(ms: number, fire: () => void): Timer {
    const waiting = { atMs: this.#passedMs + ms, fire }
    this.#waiting.add(waiting)
    const cancel = () => void this.#waiting.delete(waiting)
    return { cancel, [Symbol.dispose]: cancel }
  }

  /** Time passes; what was waited for until then comes, earliest first. */
  push(ms: number): void {
    const untilMs = this.#passedMs + ms
    for (;;) {
      const due = [...this.#waiting].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0]
      if (!due) break
      this.#waiting.delete(due)
      this.#passedMs = Math.max(this.#passedMs, due.atMs)
      due.fire()
    }
    this.#passedMs = untilMs
  }
}
