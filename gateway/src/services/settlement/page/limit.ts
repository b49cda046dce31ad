/** How many applications may come: from one address, and in all. Without it one person could fill the clerks' desk. */
import type { Clock } from '@azukari/protocol/ports'

export interface RateRule {
  /** Within `perMs`. */
  most: number
  perMs: number
}

/** Counts in windows that begin with the first of them; as many names at once as `namesMost`, then the oldest go. */
export class RateLimit {
  readonly #clock: Clock
  readonly #rule: RateRule
  readonly #windows = new Map<string, { fromMs: number; count: number }>()
  readonly #namesMost: number

  constructor(clock: Clock, rule: RateRule, namesMost = 10_000) {
    this.#clock = clock
    this.#rule = rule
    this.#namesMost = namesMost
  }

  /** Counts one more; says whether it is within the rule, and else when the next may come, ms from now. */
  take(name: string): { ok: true } | { ok: false; againMs: number } {
    const now = this.#clock.monotonicMs()
    const before = this.#windows.get(name)
    const window = before && now - before.fromMs < this.#rule.perMs ? before : { fromMs: now, count: 0 }
    if (window.count >= this.#rule.most) return { ok: false, againMs: window.fromMs + this.#rule.perMs - now }
    window.count++
    this.#windows.delete(name)
    this.#windows.set(name, window)
    if (this.#windows.size > this.#namesMost) this.#windows.delete(this.#windows.keys().next().value!)
    return { ok: true }
  }
}
