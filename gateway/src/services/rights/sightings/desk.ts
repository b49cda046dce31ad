/**
 * Takes in where a work was seen (R4), judges it (R5), and opens a case for a breach, once for each work at each address. A
 * report is a hint: what it says of the work is checked against the register, the copy itself is looked at in the case.
 */
import { Problem } from '@azukari/protocol/problem'
import type { OutboundAnswer, OutboundRequest } from '../../../adapters/guarded-fetch.ts'
import { firstState } from '../cases/steps.ts'
import { casesOfHostSince, noteEvent, openCase } from '../cases/store.ts'
import { warningsOf } from '../cases/worker.ts'
import type { RightsSettings } from '../settings.ts'
import type { RightsShared } from '../shared.ts'
import { findWork } from '../works/store.ts'
import { fetchCopy } from './found-copy.ts'
import { judge, type Verdict } from './judge.ts'
import { hostOf, locationOf } from './place.ts'
import { noteSighting, permissionsOf } from './store.ts'

export interface Report {
  location: string
  /** The copy itself; without it and `work` it is fetched to read its mark. */
  picture?: Uint8Array | undefined
  work?: string | undefined
  /** When it was seen. */
  seenMs?: number | undefined
  reporter: string
}

export interface Judged {
  work: string
  location: string
  verdict: Verdict
  /** Number of the case, of a breach. */
  case?: number
}

export interface SightingDesk {
  /** @throws {Problem} `rights.location`, `rights.no-mark`, `rights.work-unknown`, `copy.*`, `mark.unreadable`, `service.busy` */
  report(report: Report, signal: AbortSignal): Promise<Judged>
}

const dayMs = 86_400_000
const hostCasesPerDay = 20
const workDigits = 16

export function sightingDesk(
  shared: RightsShared,
  settings: RightsSettings,
  fetch: (request: OutboundRequest) => Promise<OutboundAnswer>,
  wake: () => void,
): SightingDesk {
  const { store, marks } = shared

  async function workIn(picture: Uint8Array): Promise<string> {
    const read = await marks.read(picture)
    if (read === undefined) throw new Problem('rights.no-mark')
    return read.toString(16).padStart(workDigits, '0')
  }

  return {
    async report({ location: given, picture, work: named, seenMs, reporter }, signal) {
      const location = locationOf(given)
      if (location === undefined) throw new Problem('rights.location', given.slice(0, 100))
      const work =
        named ?? (await workIn(picture ?? (await fetchCopy(location, fetch, settings.fetch ?? [], signal)).bytes))
      if (!(await findWork(store.sql, work))) throw new Problem('rights.work-unknown', work)
      const judged = await store.transaction(async ({ sql, nowMs }): Promise<Judged> => {
        const verdict = judge({ location, seenMs }, await permissionsOf(sql, work))
        await noteSighting(sql, {
          work,
          location,
          day: new Date(seenMs ?? nowMs).toISOString().slice(0, 10),
          seen_ms: seenMs ?? null,
          at_ms: nowMs,
          reporter,
          times: 1,
          verdict: verdict.is,
          why: verdict.is === 'breach' ? verdict.why : (verdict.sale ?? verdict.by),
        })
        if (verdict.is !== 'breach') return { work, location, verdict }
        const host = hostOf(location)
        const before = await casesOfHostSince(sql, host, nowMs - dayMs)
        const isFlood = before >= (settings.casesPerHostDay ?? hostCasesPerDay)
        const state = firstState(warningsOf(settings), isFlood)
        const opened = { work, location, host, why: verdict.why, state, opened_ms: nowMs }
        const { number, isNew } = await openCase(sql, opened)
        if (isNew)
          await noteEvent(sql, number, nowMs, state === 'held' ? 'held' : 'opened', `${verdict.why}, by ${reporter}`)
        return { work, location, verdict, case: number }
      })
      wake()
      return judged
    },
  }
}
