/** What rights operators tell the rights service to do (R1–R8), as contracts: works, sales, conditions. */
import { Count, contract, Nothing, Text, TimeMs, Type } from '../contract.ts'
import { AmountMinor, type Currency, CurrencyCode } from '../money.ts'
import { Offer, PlaceUrl, PublishedConditions, SaleConditions, SaleId, WorkId } from './rights.ts'

const frame = {
  kind: 'command',
  service: 'rights',
  authority: 'operator',
  operator: { role: 'rights' },
} as const

const file = Type.String({ maxLength: 1_000, description: 'the picture: JPEG, PNG or WebP, without a mark' })
const out = Type.String({ maxLength: 1_000, description: 'file to write, in place of what is there' })
const title = Text(200)
const author = Text(200)
const days = Type.Integer({
  minimum: 1,
  maximum: 36_500,
  description: 'the longest use that is sold, days; 365 unless told',
})
const maxUses = Type.Integer({
  minimum: 1,
  maximum: 1_000_000,
  description: 'at how many different addresses a copy may be; 1 unless told',
})

const WorkShown = Type.Object({
  work: WorkId,
  title,
  author,
  offer: Offer,
  /** Where the work may be without a sale. */
  published: Type.Array(PlaceUrl),
  registeredMs: TimeMs,
  by: Text(160),
  width: Count,
  height: Count,
  sales: Count,
})

const SaleShown = Type.Object({
  sale: SaleId,
  work: WorkId,
  buyer: Text(200),
  contact: Text(200),
  soldMs: TimeMs,
  conditions: SaleConditions,
  priceMinor: AmountMinor,
  currency: CurrencyCode,
  /** How the sale's key follows from the service's secret. */
  derivation: Text(100),
  by: Text(160),
  stoppedMs: Type.Optional(TimeMs),
})

export const registerWork = contract({
  ...frame,
  name: 'rights.register',
  title:
    'Registers a picture as a work: looks for a mark first, embeds a new id, signs the registration, and gives the marked picture back',
  serves: ['R1', 'R2', 'D6'],
  request: Type.Object({
    file,
    author: Type.String({ minLength: 1, maxLength: 200, description: 'whose work it is' }),
    title: Type.String({ minLength: 1, maxLength: 200, description: 'what it is called' }),
    price: Type.Integer({
      minimum: 0,
      maximum: 999_999_999_999,
      description: 'of one sale, in the smallest unit of the currency',
    }),
    currency: Type.Optional(Type.Unsafe<Currency>({ ...CurrencyCode, description: 'JPY unless told' })),
    published: Type.Optional(
      Type.Array(PlaceUrl, {
        maxItems: 32,
        description: 'address below which the work may be seen by all; may be repeated',
      }),
    ),
    days: Type.Optional(days),
    uses: Type.Optional(maxUses),
    resale: Type.Optional(Type.Boolean({ description: 'buyers may be allowed to sell their copy on' })),
    out: Type.String({
      ...out,
      description: 'file for the marked picture, in place of what is there; the signed record goes beside it (.record)',
    }),
  }),
  reply: Type.Object({
    work: WorkId,
    title,
    author,
    registeredMs: TimeMs,
    width: Count,
    height: Count,
    psnrDb: Type.Number(),
    out: Text(1_000),
  }),
  problems: [
    'mark.unsuitable',
    'mark.unreadable',
    'mark.present',
    'rights.registered',
    'service.busy',
    'message.too-large',
  ],
})

export const listWorks = contract({
  ...frame,
  name: 'rights.list',
  title: 'The registered works, the newest first',
  serves: ['R1', 'D6'],
  request: Nothing,
  reply: Type.Array(WorkShown),
})

export const showWork = contract({
  ...frame,
  name: 'rights.show',
  title: 'A work with its sales',
  serves: ['R1', 'R3', 'D6'],
  request: Type.Object({ work: WorkId }),
  reply: Type.Object({ work: WorkShown, sales: Type.Array(SaleShown), record: Text(65_536) }),
  problems: ['rights.work-unknown'],
})

export const listConditions = contract({
  ...frame,
  name: 'rights.conditions',
  title: 'The conditions under which works are sold, to be published',
  serves: ['R3', 'D6'],
  request: Type.Object({ work: Type.Optional(Type.String({ ...WorkId, description: 'of this work alone' })) }),
  reply: Type.Array(PublishedConditions),
  problems: ['rights.work-unknown'],
})

export const sellWork = contract({
  ...frame,
  name: 'rights.sell',
  title: 'Records a sale and gives the buyer’s own copy, which carries the sale’s id',
  serves: ['R3', 'R7', 'D6'],
  request: Type.Object({
    work: WorkId,
    buyer: Type.String({ minLength: 1, maxLength: 200, description: 'who buys' }),
    contact: Type.String({
      pattern: '^[^\\s@<>]+@[^\\s@<>]+$',
      maxLength: 200,
      description: 'the buyer’s mail address, for warnings',
    }),
    url: Type.Array(PlaceUrl, {
      minItems: 1,
      maxItems: 32,
      description: 'address below which the copy may be; may be repeated',
    }),
    until: Type.String({
      pattern: '^\\d{4}-\\d{2}-\\d{2}$',
      description: 'last day of use, such as 2027-03-31 (ends at midnight UTC)',
    }),
    uses: Type.Optional(maxUses),
    resale: Type.Optional(Type.Boolean({ description: 'the buyer may sell the copy on' })),
    out,
  }),
  reply: Type.Object({
    sale: SaleId,
    work: WorkId,
    soldMs: TimeMs,
    conditions: SaleConditions,
    priceMinor: AmountMinor,
    currency: CurrencyCode,
    out: Text(1_000),
  }),
  problems: ['rights.work-unknown', 'rights.not-offered', 'mark.unsuitable', 'mark.unreadable', 'service.busy'],
})

export const copySale = contract({
  ...frame,
  name: 'rights.copy',
  title: 'Gives the copy of a sale again, the same bytes',
  serves: ['R3', 'D6'],
  request: Type.Object({ sale: SaleId, out }),
  reply: Type.Object({ sale: SaleId, out: Text(1_000) }),
  problems: ['rights.sale-unknown', 'mark.unsuitable', 'mark.unreadable', 'service.busy'],
})
