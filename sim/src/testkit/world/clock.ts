/**
 * Simulated time (ARCHITECTURE §11): a queue of things to happen, in order of time and then of asking. Nothing waits for
 * the machine's clock, so hours pass in seconds and a seed replays exactly.
 */
import type { Clock, Timer } from '@azukari/protocol/ports'

interface Entry {
  atMs: number
  order: number
  fire: (() => void) | undefined
}

export class SimClock implements Clock {
  readonly #heap: Entry[] = []
  #nowMs: number
  /** How much of it nobody lived through. */
  #leaptMs = 0
  #order = 0
  /** Resolves when everything has settled at this instant; libraries on streams take longer than our own code. */
  settle: () => Promise<void> = settled
  /** Things that happened since the start. */
  fired = 0

  /** @param startMs the wall clock at the start, ms since the epoch */
  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs
  }

  now(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs - this.#leaptMs
  }

  /** Days pass in which nothing happens, as for a site without power: what was to come comes as much later. */
  leap(ms: number): void {
    this.#nowMs += ms
    this.#leaptMs += ms
    for (const entry of this.#heap) entry.atMs += ms
  }

  timer(ms: number, fire: () => void): Timer {
    const entry: Entry = { atMs: this.#nowMs + Math.max(0, Math.ceil(ms)), order: this.#order++, fire }
    this.#push(entry)
    const cancel = () => {
      entry.fire = undefined
    }
    return { cancel, [Symbol.dispose]: cancel }
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const abort = () => {
        timer.cancel()
        reject(signal!.reason)
      }
      const timer = this.timer(ms, () => {
        signal?.removeEventListener('abort', abort)
        resolve()
      })
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  /** Lets time pass until `untilMs`, or until `done` says so; all promises settle between two instants. */
  async runUntil(untilMs: number, done: () => boolean | Promise<boolean> = () => false): Promise<void> {
    await this.settle()
    while (!(await done())) {
      this.#dropCancelled()
      const next = this.#heap[0]
      if (!next || next.atMs > untilMs) break
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      // All that is due at this instant, in the order of asking; then whatever follows from it.
      while (this.#heap[0] && this.#heap[0].atMs <= this.#nowMs) {
        const fire = this.#pop().fire
        if (!fire) continue
        this.fired++
        fire()
      }
      await this.settle()
    }
    if (!(await done())) this.#nowMs = Math.max(this.#nowMs, untilMs)
  }

  #dropCancelled(): void {
    while (this.#heap[0] && !this.#heap[0].fire) this.#pop()
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(entry)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(entry, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = entry
  }

  #pop(): Entry {
    const heap = this.#heap
    const top = heap[0]!
    const last = heap.pop()!
    if (heap.length > 0) {
      let at = 0
      for (;;) {
        let child = 2 * at + 1
        if (child >= heap.length) break
        if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
        if (!isBefore(heap[child]!, last)) break
        heap[at] = heap[child]!
        at = child
      }
      heap[at] = last
    }
    return top
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

/** Resolves when every promise that could settle has settled: the microtask queue is empty before an immediate runs. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
