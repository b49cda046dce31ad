/** Cases for those who decide them (R6, R8): what happened, the evidence, and what follows: dismissed, use stopped, charged. */
import { Problem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { stopSale } from '../sales/store.ts'
import type { RightsShared } from '../shared.ts'
import { type SightingRow, sightingsOf } from '../sightings/store.ts'
import {
  type CaseDecision,
  type CaseEvent,
  type CaseRow,
  decideCase,
  eventsOf,
  findCase,
  listCases,
  noteEvent,
} from './store.ts'
import { buyerWarned } from './worker.ts'

export interface CaseFile {
  row: CaseRow
  events: CaseEvent[]
  sightings: SightingRow[]
}

export interface CaseDesk {
  list(): Promise<CaseRow[]>
  /** @throws {Problem} `rights.case-unknown` */
  get(number: number): Promise<CaseFile>
  /** The copy that was fetched; undefined when none was. @throws {Problem} `rights.case-unknown` */
  found(number: number): Promise<Uint8Array | undefined>
  /** Once. @throws {Problem} `rights.case-unknown`, `rights.case-decided`, `rights.no-buyer` */
  decide(number: number, decision: CaseDecision): Promise<void>
}

const listedMax = 10_000

export function caseDesk({ store, pictures }: RightsShared, wake: () => void): CaseDesk {
  async function require(number: number): Promise<CaseRow> {
    const row = await findCase(store.sql, number)
    if (!row) throw new Problem('rights.case-unknown', String(number))
    return row
  }

  return {
    list: () => listCases(store.sql, listedMax),

    async get(number) {
      const row = await require(number)
      const events = await eventsOf(store.sql, number)
      return { row, events, sightings: await sightingsOf(store.sql, row.work, row.location) }
    },

    async found(number) {
      const { media } = await require(number)
      return media === null ? undefined : pictures.read('found', String(number))
    },

    async decide(number, decision) {
      await require(number)
      await store.transaction(async ({ sql, nowMs }) => {
        const { sale } = (await findCase(sql, number))!
        if (decision.decision !== 'dismissed' && sale === null) throw new Problem('rights.no-buyer', String(number))
        // Whoever was never warned is not told that there was nothing.
        const isOfConcern = decision.decision !== 'dismissed' || (await wasWarned(sql, number))
        const state = sale === null || !isOfConcern ? 'closed' : 'tell-decision'
        if (!(await decideCase(sql, number, decision, state, nowMs)))
          throw new Problem('rights.case-decided', String(number))
        if (decision.decision === 'stopped' && sale !== null) await stopSale(sql, sale, nowMs)
        await noteEvent(sql, number, nowMs, decision.decision, `${decision.by}: ${decision.reason}`)
      })
      wake()
    },
  }
}

async function wasWarned(sql: Sql, number: number): Promise<boolean> {
  return (await eventsOf(sql, number)).some(({ what }) => what === buyerWarned)
}
