/** What a rig is: a part, and the means to work it as a person would. */
import type { AnyPart } from '@azukari/boards/definitions'
import type { Test } from 'tap'

export interface Rig {
  /** What the driver must be told of this rig. */
  options: Readonly<Record<string, unknown>>
  /** Runs the contract's conformance suite. */
  run(t: Test, make: () => Promise<AnyPart>): Promise<void>
  stop(): Promise<void>
}
