/**
 * Whether a work may be where it was seen (R5). By the place alone it is a breach only when neither a publication nor any sale
 * permits it. Pure: what it decides follows from what it is given.
 */
import { isBelow } from './place.ts'

/** What was agreed at a sale, as far as a place is judged by it. */
export interface SaleTerms {
  sale: string
  places: readonly string[]
  untilMs: number
  /** At how many different addresses the copy may be. */
  uses: number
  stoppedMs?: number | undefined
}

export interface Sighting {
  location: string
  /** When it was seen; without it the place alone is judged. */
  seenMs?: number | undefined
}

export interface Permissions {
  /** Where the work may be without a sale. */
  published: readonly string[]
  sales: readonly SaleTerms[]
  /** All addresses at which the work was seen before. */
  seenBefore: readonly string[]
}

export type BreachReason = 'place' | 'expired' | 'stopped' | 'uses'
export type Verdict =
  | { is: 'permitted'; by: 'publication' | 'sale'; sale?: string }
  | { is: 'breach'; why: BreachReason }
  /** It has no address, so that there is nothing to judge. */
  | { is: 'unplaced' }

export function judge({ location, seenMs }: Sighting, { published, sales, seenBefore }: Permissions): Verdict {
  if (published.some((place) => isBelow(location, place))) return { is: 'permitted', by: 'publication' }
  const reasons = new Set<BreachReason>()
  for (const sale of sales) {
    if (!isPlaceOf(sale, location)) continue
    const reason = breachOf(sale, { location, seenMs }, seenBefore)
    if (reason === undefined) return { is: 'permitted', by: 'sale', sale: sale.sale }
    reasons.add(reason)
  }
  const why = (['stopped', 'expired', 'uses'] as const).find((reason) => reasons.has(reason))
  return { is: 'breach', why: why ?? 'place' }
}

const isPlaceOf = ({ places }: SaleTerms, location: string) => places.some((place) => isBelow(location, place))

function breachOf(
  sale: SaleTerms,
  { location, seenMs }: Sighting,
  seenBefore: readonly string[],
): BreachReason | undefined {
  if (seenMs !== undefined && sale.stoppedMs !== undefined && seenMs >= sale.stoppedMs) return 'stopped'
  if (seenMs !== undefined && seenMs >= sale.untilMs) return 'expired'
  const used = new Set(seenBefore.filter((before) => isPlaceOf(sale, before)))
  used.add(location)
  return used.size > sale.uses ? 'uses' : undefined
}
