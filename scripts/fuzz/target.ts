/** What a fuzz target is: a parser of what strangers send, with inputs to begin from. */
export interface FuzzTarget {
  what: string
  /** Whole inputs of the project's own, as real ones are. */
  corpus(): Uint8Array[]
  /**
   * Reads one input. A `Problem` is an answer, anything else that is thrown is a finding; so is what `run` itself finds
   * wrong in an answer.
   */
  run(bytes: Uint8Array): void
}

/** Something that must hold of every answer. */
export function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(`does not hold: ${what}`)
}
