/** All budgets of a process under their names: what makes them shows them in the metrics. */
import { type BudgetReport, Pool, type Shares } from './pool.ts'
import { Rate, type RateLimits } from './rate.ts'

export class Budgets {
  readonly #parts = new Map<string, Pool | Rate>()

  /** Makes a pool. A part that starts again takes its name over. */
  pool(name: string, shares: Shares): Pool {
    const pool = new Pool(name, shares)
    this.#parts.set(name, pool)
    return pool
  }

  rate(name: string, limits: RateLimits): Rate {
    const rate = new Rate(name, limits)
    this.#parts.set(name, rate)
    return rate
  }

  report(): BudgetReport[] {
    return [...this.#parts.values()].flatMap((part) => part.report())
  }
}
