/** How much it hurries that a bucket leaves a server (ARCHITECTURE §7, "Re-place"). */

import type { RiskTerm } from '../risk/risk.ts'
import type { Candidate } from '../saves/choose.ts'
import type { MoveCause } from './tables.ts'

export interface Leave {
  cause: MoveCause
  urgency: number
}

/** Lead times are not taken for shorter than this. */
const leadLeastMs = 900_000
const hourMs = 3_600_000

/** Exposure ÷ lead time (§7): how probable a loss is per hour until it comes. */
export function urgencyOf(candidate: Pick<Candidate, 'risk'>, nowMs: number): number {
  let most = candidate.risk.value / (365 * 24)
  for (const term of candidate.risk.terms) {
    if (!isLive(term, nowMs)) continue
    const leadMs = Math.max(leadLeastMs, (term.arrivesMs ?? nowMs) - nowMs)
    most = Math.max(most, (term.probability * term.vulnerability * hourMs) / leadMs)
  }
  return most
}

/** A hazard's term, not a rate that always holds. */
export function isLive(term: RiskTerm, nowMs: number): boolean {
  return (
    (term.hazard !== undefined || term.arrivesMs !== undefined || term.untilMs !== undefined) &&
    (term.untilMs === undefined || term.untilMs > nowMs)
  )
}

export function worst(leave: Map<string, Leave>): Leave | undefined {
  let most: Leave | undefined
  for (const one of leave.values()) if (!most || one.urgency > most.urgency) most = one
  return most
}

/** The live term that weighs most. */
export function worstLive(terms: readonly RiskTerm[], nowMs: number): RiskTerm | undefined {
  let most: RiskTerm | undefined
  for (const term of terms)
    if (
      isLive(term, nowMs) &&
      term.probability * term.vulnerability > (most ? most.probability * most.vulnerability : 0)
    )
      most = term
  return most
}
