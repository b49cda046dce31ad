/** Words of the rights service (R1–R8): ids of works and sales, places, conditions of use. */
import { Count, type Static, Text, TimeMs, Type } from '../contract.ts'
import { AmountMinor, CurrencyCode } from '../money.ts'

export const WorkId = Type.String({ pattern: '^[0-9a-f]{16}$', description: 'id of a work, 16 hexadecimal digits' })
export const SaleId = Type.String({ pattern: '^[0-9a-f]{10}$', description: 'id of a sale, 10 hexadecimal digits' })
/** An address where a copy is or may be; `content:` and an id: as that content of the site. */
export const PlaceUrl = Type.String({
  pattern: '^(https?://[^\\s/\\p{Cc}]+(/[^\\s\\p{Cc}]*)?|content:[0-9a-f]{32})$',
  maxLength: 500,
})

/** Words that stand in letters and lists: one line, no control characters. */
export const lineOf = (maxLength: number, description: string) =>
  Type.String({ pattern: '^[^\\p{Cc}\\u2028\\u2029]*$', minLength: 1, maxLength, description })

/** What a buyer may ask for (R3). */
export const Offer = Type.Object({
  priceMinor: AmountMinor,
  currency: CurrencyCode,
  /** The longest use, days. */
  maxDays: Type.Integer({ minimum: 1, maximum: 36_500 }),
  /** The most different addresses at which a copy may be. */
  maxUses: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
  /** Whether the buyer may sell the copy on. */
  resale: Type.Boolean(),
})
export type Offer = Static<typeof Offer>

/** A work's conditions as they are published (R3). */
export const PublishedConditions = Type.Object({
  work: WorkId,
  title: Text(200),
  author: Text(200),
  offer: Offer,
})
export type PublishedConditions = Static<typeof PublishedConditions>

/** What was agreed at one sale (R3, Fig. 4). */
export const SaleConditions = Type.Object({
  /** The copy may be below these. */
  places: Type.Array(PlaceUrl, { minItems: 1, maxItems: 32 }),
  untilMs: TimeMs,
  uses: Count,
  resale: Type.Boolean(),
})
export type SaleConditions = Static<typeof SaleConditions>
