/**
 * Judges a sighting and writes it down, whoever tells it (R4, R5), and opens a case for a breach, once for each work at each place. Inside
 * a transaction.
 */
import type { Sql } from '../../../storage/database.ts'
import { firstState } from '../cases/steps.ts'
import { casesOfHostSince, noteEvent, openCase } from '../cases/store.ts'
import { warningsOf } from '../cases/worker.ts'
import type { RightsSettings } from '../settings.ts'
import { judge, type Verdict } from './judge.ts'
import { hostOf, isOnTheWeb, noLocation } from './place.ts'
import { noteSighting, permissionsOf } from './store.ts'

export interface Told {
  work: string
  /** As `locationOf` gives it, or `noLocation`. */
  location: string
  /** When it was seen; without it the place alone is judged. */
  seenMs: number | undefined
  reporter: string
}

export interface Judged {
  work: string
  location: string
  verdict: Verdict
  /** Number of the case, of a breach. */
  case?: number
}

const dayMs = 86_400_000
const hostCasesPerDay = 20

export async function takeSighting(
  { sql, nowMs }: { sql: Sql; nowMs: number },
  { work, location, seenMs, reporter }: Told,
  settings: RightsSettings,
): Promise<Judged> {
  const verdict: Verdict =
    location === noLocation ? { is: 'unplaced' } : judge({ location, seenMs }, await permissionsOf(sql, work))
  await noteSighting(sql, {
    work,
    location,
    day: new Date(seenMs ?? nowMs).toISOString().slice(0, 10),
    seen_ms: seenMs ?? null,
    at_ms: nowMs,
    reporter,
    times: 1,
    verdict: verdict.is,
    why: reasonOf(verdict),
  })
  if (verdict.is !== 'breach') return { work, location, verdict }
  const host = hostOf(location)
  const before = await casesOfHostSince(sql, host, nowMs - dayMs)
  const isFlood = before >= (settings.casesPerHostDay ?? hostCasesPerDay)
  // What the site itself offers is looked at by its own people: there is no host to write to, and nothing to fetch.
  const state = firstState(warningsOf(settings), isFlood || !isOnTheWeb(location))
  const opened = { work, location, host, why: verdict.why, state, opened_ms: nowMs }
  const { number, isNew } = await openCase(sql, opened)
  if (isNew) await noteEvent(sql, number, nowMs, state === 'held' ? 'held' : 'opened', `${verdict.why}, by ${reporter}`)
  return { work, location, verdict, case: number }
}

/** Why, in one word: the kind of a breach, the sale that permits it, or what permits it. */
export function reasonOf(verdict: Verdict): string {
  if (verdict.is === 'breach') return verdict.why
  if (verdict.is === 'unplaced') return 'no address'
  return verdict.sale ?? verdict.by
}
