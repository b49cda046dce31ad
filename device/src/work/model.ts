/** Whether a board may compute now (W4): never while somebody needs it. Pure. */
import type { WorkSetting } from './setting.ts'

/** What happens at the board. */
export interface Conditions {
  /** A card is in, or a part works for somebody. */
  isInUse: boolean
}

/** Why it rests. */
export type Rest = 'paused' | 'in-use'

export function restFor({ isPaused }: Pick<WorkSetting, 'isPaused'>, { isInUse }: Conditions): Rest | undefined {
  if (isPaused) return 'paused'
  return isInUse ? 'in-use' : undefined
}
