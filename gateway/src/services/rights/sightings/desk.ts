/**
 * Takes in where a work was seen (R4), judges it (R5), and opens a case for a breach, once for each work at each address. A
 * report is a hint: what it says of the work is checked against the register, the copy itself is looked at in the case.
 */
import { Problem } from '@azukari/protocol/problem'
import type { OutboundAnswer, OutboundRequest } from '../../../adapters/guarded-fetch.ts'
import type { RightsSettings } from '../settings.ts'
import type { RightsShared } from '../shared.ts'
import { findWork } from '../works/store.ts'
import { fetchCopy } from './found-copy.ts'
import { locationOf } from './place.ts'
import { type SeenPlace, seenPlaces } from './store.ts'
import { type Judged, takeSighting } from './take.ts'

export interface Report {
  location: string
  /** The copy itself; without it and `work` it is fetched to read its mark. */
  picture?: Uint8Array | undefined
  work?: string | undefined
  /** When it was seen. */
  seenMs?: number | undefined
  reporter: string
}

export interface SightingDesk {
  /** @throws {Problem} `rights.location`, `rights.no-mark`, `rights.work-unknown`, `copy.*`, `mark.unreadable`, `service.busy` */
  report(report: Report, signal: AbortSignal): Promise<Judged>
  /** Where a work was seen, the newest first. @throws {Problem} `rights.work-unknown` */
  ofWork(work: string): Promise<SeenPlace[]>
}

const listedMax = 1_000
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
      const judged = await store.transaction((context) =>
        takeSighting(context, { work, location, seenMs, reporter }, settings),
      )
      wake()
      return judged
    },

    async ofWork(work) {
      if (!(await findWork(store.sql, work))) throw new Problem('rights.work-unknown', work)
      return seenPlaces(store.sql, work, listedMax)
    },
  }
}
