/** What a reader of bulletins is told besides the bytes. */
import type { HazardRules } from './rules.ts'

export interface ReadOptions {
  nowMs: number
  rules: HazardRules
}
