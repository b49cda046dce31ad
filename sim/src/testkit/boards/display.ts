/** A simulated display: it remembers what the member was shown, which must be true. */
import { type Display, partProblem, type Shown } from '@azukari/device/drivers'
import { Faults } from './fault.ts'

/** What is remembered of the past. */
const historyMax = 1000

export class SimulatedDisplay implements Display {
  readonly model: string
  readonly rows: number
  readonly faults = new Faults('display')
  /** Oldest first; at most the latest thousand. */
  readonly history: Shown[] = []
  /** Called with everything that is shown. */
  onShown: ((shown: Shown) => void) | undefined
  #closed = false

  constructor(options: { model?: string; rows?: number } = {}) {
    this.model = options.model ?? 'Azukari Simulated Display'
    this.rows = options.rows ?? 4
  }

  /** What stands there now. */
  get current(): Shown | undefined {
    return this.history.at(-1)
  }

  async show(shown: Shown): Promise<void> {
    if (this.#closed) throw partProblem('display', 'absent', 'closed')
    this.faults.check()
    const kept = { ...shown, lines: shown.lines.slice(0, this.rows) }
    this.history.push(kept)
    if (this.history.length > historyMax) this.history.shift()
    this.onShown?.(kept)
  }

  async close(): Promise<void> {
    this.#closed = true
  }
}
