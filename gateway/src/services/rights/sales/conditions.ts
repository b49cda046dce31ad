/** What a buyer asks for, against what the author offers (R3). */
import type { Offer, SaleConditions } from '@azukari/protocol/contracts/rights'
import { Problem } from '@azukari/protocol/problem'

export interface AskedConditions {
  places: readonly string[]
  /** Last day of use, `2027-03-31`: ends at midnight UTC. */
  until: string
  uses: number
  resale: boolean
}

const dayMs = 86_400_000

/** @throws {Problem} `rights.not-offered` */
export function agree(asked: AskedConditions, offer: Offer, nowMs: number): SaleConditions {
  const day = Date.parse(`${asked.until}T00:00:00Z`)
  if (Number.isNaN(day) || new Date(day).toISOString().slice(0, 10) !== asked.until)
    throw new Problem('rights.not-offered', `${asked.until} is no day`)
  const untilMs = day + dayMs
  if (untilMs <= nowMs) throw new Problem('rights.not-offered', `${asked.until} is over`)
  if (day > nowMs + offer.maxDays * dayMs)
    throw new Problem('rights.not-offered', `until ${asked.until}: ${offer.maxDays} days are offered`)
  if (asked.uses > offer.maxUses)
    throw new Problem('rights.not-offered', `${asked.uses} uses: ${offer.maxUses} are offered`)
  if (asked.resale && !offer.resale) throw new Problem('rights.not-offered', 'resale is not offered')
  return { places: [...new Set(asked.places)], untilMs, uses: asked.uses, resale: asked.resale }
}
