/** Whose turn slow work is where one process is alone: always its own. */
import type { Duty } from './database.ts'

export const soleDuty: Duty = {
  isHeld: true,
  lookMs: Number.POSITIVE_INFINITY,
  check: async () => undefined,
  call: () => undefined,
  onCall: () => () => undefined,
}
