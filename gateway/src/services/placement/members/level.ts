/** Which level a member has (S16): what the plan gives, and what the years of membership add. */
import { Problem } from '@azukari/protocol/problem'

/** Levels that plans begin with. */
const planLevels = { light: 0, basic: 1, standard: 2, premium: 3 } as const
export type Plan = keyof typeof planLevels

export const levelMax = 3
/** Years of membership that are worth a level. */
const yearsPerLevel = 5
/** Levels that years can add at most: what was never paid for is not the highest. */
const levelsByYearsMax = 1

/** @throws {Problem} `config.invalid` */
export function parsePlan(text: string): Plan {
  if (Object.hasOwn(planLevels, text)) return text as Plan
  throw new Problem('config.invalid', `the plan is one of ${Object.keys(planLevels).join(', ')}`)
}

/**
 * The level of a plan after some years (S16).
 * @param sinceMs when the membership began, ms since the epoch; in the future counts as now
 */
export function levelOf(plan: Plan, sinceMs: number, nowMs: number): number {
  const byYears = Math.min(levelsByYearsMax, Math.max(0, Math.floor(yearsBetween(sinceMs, nowMs) / yearsPerLevel)))
  return Math.min(levelMax, planLevels[plan] + byYears)
}

/** Whole calendar years (UTC). */
function yearsBetween(fromMs: number, toMs: number): number {
  const from = new Date(fromMs)
  const to = new Date(toMs)
  const years = to.getUTCFullYear() - from.getUTCFullYear()
  const anniversary = Date.UTC(
    to.getUTCFullYear(),
    from.getUTCMonth(),
    from.getUTCDate(),
    from.getUTCHours(),
    from.getUTCMinutes(),
    from.getUTCSeconds(),
    from.getUTCMilliseconds(),
  )
  return anniversary > toMs ? years - 1 : years
}
