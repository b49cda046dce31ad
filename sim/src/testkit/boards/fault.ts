/** Faults that tests and the simulation plan for a part: the next so many calls fail in one way. */
import { type PartErrorKind, type PartKind, partProblem } from '@azukari/device/drivers'

export class Faults {
  readonly #part: PartKind
  #next: { kind: PartErrorKind; times: number } | undefined

  constructor(part: PartKind) {
    this.#part = part
  }

  /** The next `times` calls fail so; `Infinity` until cleared. */
  fail(kind: PartErrorKind, times = 1): void {
    this.#next = { kind, times }
  }

  clear(): void {
    this.#next = undefined
  }

  /** What is wrong now, without using it up. */
  get current(): PartErrorKind | undefined {
    return this.#next?.kind
  }

  /** Throws the planned fault, if any. @throws {Problem} as planned */
  check(): void {
    if (!this.#next) return
    const { kind } = this.#next
    if (--this.#next.times <= 0) this.#next = undefined
    throw partProblem(this.#part, kind, 'simulated')
  }
}
