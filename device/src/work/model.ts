/** Whether a board may compute now (W4): never while somebody needs it, and as its owner says. Pure. */
import type { PowerState } from '../drivers.ts'
import type { WorkSetting } from './setting.ts'

/** What happens at the board. */
export interface Conditions {
  /** A card is in, or a part works for somebody. */
  isInUse: boolean
  power: PowerState
  /** Minutes since midnight where the board stands. */
  minuteOfDay: number
}

/** Why it rests. */
export type Rest = 'paused' | 'in-use' | 'hours' | 'battery' | 'heat'

/** Where an owner says nothing of it, °C. */
export const restFromC = 75
/** A board that rests for its heat goes on when it is so much cooler. */
const coolerByC = 10

/** @param before why it rests now; heat ends later than it begins */
export function restFor(
  { isPaused, hours, isOnBatteryToo = false, restFromC: limitC = restFromC }: WorkSetting,
  { isInUse, power, minuteOfDay }: Conditions,
  before?: Rest,
): Rest | undefined {
  if (isPaused) return 'paused'
  if (isInUse) return 'in-use'
  if (hours && !isWithin(hours, minuteOfDay)) return 'hours'
  const { isOnMains = true, temperatureC } = power
  if (!isOnMains && !isOnBatteryToo) return 'battery'
  if (temperatureC !== undefined && temperatureC >= (before === 'heat' ? limitC - coolerByC : limitC)) return 'heat'
  return undefined
}

/** Hours may go over midnight; equal ends are the whole day. */
function isWithin({ fromMinute, toMinute }: { fromMinute: number; toMinute: number }, minute: number): boolean {
  if (fromMinute === toMinute) return true
  if (fromMinute < toMinute) return minute >= fromMinute && minute < toMinute
  return minute >= fromMinute || minute < toMinute
}
