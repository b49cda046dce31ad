/** Commands about sightings and cases, each a contract (R4–R6, R8). */
import { UsageError } from '@azukari/protocol/adapters/command-line'
import type { ReplyOf } from '@azukari/protocol/contract'
import {
  chargeCase,
  dismissCase,
  listCases,
  listSightings,
  reportSighting,
  showCase,
  stopUse,
} from '@azukari/protocol/contracts/rights-operators'
import { commandName, serviceContractCommand } from '../../../operator-api/contract-command.ts'
import type { CaseRow } from '../cases/store.ts'
import { noLocation } from '../sightings/place.ts'
import type { SeenPlace } from '../sightings/store.ts'
import { reasonOf } from '../sightings/take.ts'
import { dayOf, operatorOf, type RightsCommands, type RightsContext } from './context.ts'

type CaseShown = ReplyOf<typeof listCases>[number]

export const caseCommands: RightsCommands = {
  [commandName(reportSighting)]: serviceContractCommand(
    reportSighting,
    { positionals: ['url'], filesIn: ['file'] },
    async ({ service, ports }: RightsContext, { url, file, work, seen }, act) => {
      const judged = await service.sightings.report(
        {
          location: url,
          work,
          picture: file === undefined ? undefined : act.file('file').bytes,
          seenMs: seen === undefined ? ports.clock.now() : seenAt(seen, ports.clock.now()),
          reporter: operatorOf(act),
        },
        act.signal,
      )
      const { verdict, case: number } = judged
      const why = reasonOf(verdict)
      const reply: ReplyOf<typeof reportSighting> = {
        work: judged.work,
        location: judged.location,
        verdict: verdict.is,
        why,
      }
      if (number !== undefined) reply.case = number
      const text = number === undefined ? `permitted: ${why}` : `a breach (${why}): case ${number}`
      return { reply, text: `work ${judged.work}: ${text}` }
    },
  ),

  [commandName(listSightings)]: {
    ...serviceContractCommand(
      listSightings,
      { positionals: ['work'] },
      async ({ service }: RightsContext, { work }) => {
        const reply = (await service.sightings.ofWork(work)).map(seenOf)
        return { reply, text: reply.map(seenLine).join('\n') || 'seen nowhere so far' }
      },
    ),
    offline: true,
  },

  [commandName(listCases)]: {
    ...serviceContractCommand(listCases, {}, async ({ service }: RightsContext, { open = false }) => {
      const cases = (await service.cases.list()).filter(({ decision }) => !open || decision === null).map(shownOf)
      return { reply: cases, text: cases.map(lineOf).join('\n') || 'none' }
    }),
    offline: true,
  },

  [commandName(showCase)]: serviceContractCommand(
    showCase,
    { positionals: ['number'], filesOut: ['out'] },
    async ({ service }: RightsContext, { number, out }, act) => {
      const { row, events, sightings } = await service.cases.get(number)
      const reply: ReplyOf<typeof showCase> = {
        case: shownOf(row),
        events: events.map(({ at_ms, what, detail }) => ({ atMs: at_ms, what, detail })),
        sightings: sightings.map(({ day, times, reporter, verdict, why }) => ({ day, times, reporter, verdict, why })),
      }
      if (out !== undefined) {
        const found = await service.cases.found(number)
        if (found) await act.give({ option: 'out', bytes: found })
        const bytes = new TextEncoder().encode(`${JSON.stringify(reply, null, 2)}\n`)
        await act.give({ option: 'out', suffix: '.json', bytes })
      }
      const lines = reply.events.map(({ atMs, what, detail }) => `${new Date(atMs).toISOString()}  ${what}: ${detail}`)
      return { reply, text: [lineOf(reply.case), ...lines].join('\n') }
    },
  ),

  [commandName(dismissCase)]: serviceContractCommand(
    dismissCase,
    { positionals: ['number'] },
    async ({ service }: RightsContext, { number, reason }, act) => {
      await service.cases.decide(number, { decision: 'dismissed', by: operatorOf(act), reason })
      return { reply: { number, decision: 'dismissed' }, text: `case ${number} is dismissed` }
    },
  ),

  [commandName(stopUse)]: serviceContractCommand(
    stopUse,
    { positionals: ['number'] },
    async ({ service }: RightsContext, { number, reason }, act) => {
      await service.cases.decide(number, { decision: 'stopped', by: operatorOf(act), reason })
      return { reply: { number, decision: 'stopped' }, text: `the copy of case ${number} may be nowhere from now on` }
    },
  ),

  [commandName(chargeCase)]: serviceContractCommand(
    chargeCase,
    { positionals: ['number'] },
    async ({ service }: RightsContext, { number, amount, reason }, act) => {
      await service.cases.decide(number, { decision: 'charged', by: operatorOf(act), reason, amount })
      return { reply: { number, decision: 'charged' }, text: `the buyer of case ${number} is asked for ${amount}` }
    },
  ),
}

/** @throws {UsageError} for what is no day, or is to come: by it a buyer would be warned too early */
export function seenAt(seen: string, nowMs: number): number {
  const seenMs = Date.parse(seen)
  if (Number.isNaN(seenMs) || new Date(seenMs).toISOString().slice(0, 10) !== seen.slice(0, 10))
    throw new UsageError(`--seen ${seen} is no day`)
  if (seenMs > nowMs) throw new UsageError(`--seen ${seen} is yet to come`)
  return seenMs
}

type SeenShown = ReplyOf<typeof listSightings>[number]

function seenOf({ day, location, times, regions, verdict, why }: SeenPlace): SeenShown {
  const shown: SeenShown = { day, times, regions, verdict, why }
  if (location !== noLocation) shown.location = location
  return shown
}

function seenLine({ day, location = 'kept by a member', times, regions, verdict, why }: SeenShown): string {
  const where = regions.length > 0 ? ` (${regions.join(', ')})` : ''
  return `${day}  ${location}${where}  ${times} times  ${verdict}: ${why}`
}

function shownOf(row: CaseRow): CaseShown {
  const shown: CaseShown = {
    number: row.number,
    work: row.work,
    location: row.location,
    why: row.why,
    state: row.state,
    openedMs: row.opened_ms,
  }
  if (row.sale !== null) shown.sale = row.sale
  if (row.score_centi !== null) shown.score = row.score_centi / 100
  if (row.threshold_centi !== null) shown.threshold = row.threshold_centi / 100
  if (row.decision !== null) shown.decision = row.decision
  if (row.decided_by !== null) shown.decidedBy = row.decided_by
  if (row.reason !== null) shown.reason = row.reason
  if (row.amount !== null) shown.amountMinor = row.amount
  return shown
}

function lineOf({ number, openedMs, work, location, why, state, sale, decision }: CaseShown): string {
  const traced = sale === undefined ? '' : `, sale ${sale}`
  return `${number}  ${dayOf(openedMs)}  work ${work}${traced}  ${location}  ${why}; ${decision ?? state}`
}
