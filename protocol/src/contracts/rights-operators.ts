/** What rights operators tell the rights service to do (R1–R8), as contracts: works, sales, conditions. */
import { Count, contract, Nothing, Region, Text, TimeMs, Type } from '../contract.ts'
import { AmountMinor, type Currency, CurrencyCode } from '../money.ts'
import { lineOf, Offer, PlaceUrl, PublishedConditions, SaleConditions, SaleId, WorkId } from './rights.ts'

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
  /** The purchase came to nothing. */
  voidedMs: Type.Optional(TimeMs),
})

export const registerWork = contract({
  ...frame,
  name: 'rights.register',
  title:
    'Registers a picture as a work: looks for a mark first, embeds a new id, signs the registration, and gives the marked picture back',
  serves: ['R1', 'R2', 'D6'],
  request: Type.Object({
    file,
    author: lineOf(200, 'whose work it is'),
    title: lineOf(200, 'what it is called'),
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
    another: Type.Optional(Type.Boolean({ description: 'although it looks like a registered work: it is another' })),
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
    'rights.alike',
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
    buyer: lineOf(200, 'who buys'),
    contact: Type.String({
      pattern: '^[^\\s\\p{Cc}@<>]+@[^\\s\\p{Cc}@<>]+$',
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

export const offerWork = contract({
  ...frame,
  name: 'rights.offer',
  title:
    'Offers a work to members among the site’s content: whoever buys it at a board gets a copy of their own, under the published conditions',
  serves: ['R3', 'D6'],
  request: Type.Object({
    work: WorkId,
    provider: Type.String({ pattern: '^\\d{14}$', description: 'the author’s member number: who is paid' }),
  }),
  reply: Type.Object({ work: WorkId, content: Text(32), version: Count, terms: Text(1_000) }),
  problems: ['rights.work-unknown', 'content.unsuitable', 'content.withdrawn', 'mark.unreadable'],
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

const number = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: 'number of the case' })
const reason = lineOf(500, 'why, as the buyer reads it')

const CaseShown = Type.Object({
  number: Count,
  work: WorkId,
  location: Text(500),
  why: Text(32),
  state: Text(32),
  openedMs: TimeMs,
  /** The sale that the copy was traced to. */
  sale: Type.Optional(SaleId),
  score: Type.Optional(Type.Number()),
  threshold: Type.Optional(Type.Number()),
  decision: Type.Optional(Text(32)),
  decidedBy: Type.Optional(Text(160)),
  reason: Type.Optional(Text(500)),
  amountMinor: Type.Optional(AmountMinor),
})

export const reportSighting = contract({
  ...frame,
  name: 'rights.report',
  title: 'Tells where a copy was seen, and says whether it may be there; a breach opens a case',
  serves: ['R4', 'R5', 'D6'],
  request: Type.Object({
    url: Type.String({ minLength: 1, maxLength: 500, description: 'address of the picture itself' }),
    file: Type.Optional(
      Type.String({ maxLength: 1_000, description: 'the copy, as it was downloaded; fetched without it' }),
    ),
    work: Type.Optional(Type.String({ ...WorkId, description: 'whose copy it is, where the mark was removed' })),
    seen: Type.Optional(
      Type.String({
        pattern: '^\\d{4}-\\d{2}-\\d{2}(T[\\d:.]+Z)?$',
        description: 'when it was seen, as 2026-12-01 or with its time in UTC; now unless told',
      }),
    ),
  }),
  reply: Type.Object({
    work: WorkId,
    location: Text(500),
    verdict: Text(32),
    why: Text(64),
    case: Type.Optional(Count),
  }),
  problems: [
    'rights.location',
    'rights.no-mark',
    'rights.work-unknown',
    'copy.unreachable',
    'copy.gone',
    'copy.refused',
    'copy.too-large',
    'copy.no-picture',
    'mark.unreadable',
    'mark.unsuitable',
    'service.busy',
    'message.too-large',
  ],
})

export const listSightings = contract({
  ...frame,
  name: 'rights.sightings',
  title: 'Where a work was seen, day by day: by people’s enquiries and by boards in normal use, with their regions',
  serves: ['R4', 'D6'],
  request: Type.Object({ work: WorkId }),
  reply: Type.Array(
    Type.Object({
      day: Text(10),
      /** Absent where a member had it for themselves. */
      location: Type.Optional(Text(500)),
      times: Count,
      /** Of the boards that met it there. */
      regions: Type.Array(Region),
      verdict: Text(32),
      why: Text(64),
    }),
  ),
  problems: ['rights.work-unknown'],
})

export const listCases = contract({
  ...frame,
  name: 'rights.cases',
  title: 'The cases, the newest first',
  serves: ['R6', 'D6'],
  request: Type.Object({ open: Type.Optional(Type.Boolean({ description: 'only those that are not decided' })) }),
  reply: Type.Array(CaseShown),
})

export const showCase = contract({
  ...frame,
  name: 'rights.case',
  title: 'A case with all that happened; with --out the copy that was found, and the whole case beside it (.json)',
  serves: ['R6', 'D6'],
  request: Type.Object({
    number,
    out: Type.Optional(Type.String({ maxLength: 1_000, description: 'file for the copy that was found' })),
  }),
  reply: Type.Object({
    case: CaseShown,
    events: Type.Array(Type.Object({ atMs: TimeMs, what: Text(64), detail: Text(1_000) })),
    sightings: Type.Array(
      Type.Object({ day: Text(10), times: Count, reporter: Text(160), verdict: Text(32), why: Text(64) }),
    ),
  }),
  problems: ['rights.case-unknown'],
})

const decided = {
  reply: Type.Object({ number: Count, decision: Text(32) }),
  serves: ['R6', 'R8', 'D6'],
}

export const dismissCase = contract({
  ...frame,
  ...decided,
  name: 'rights.dismiss',
  title: 'Ends a case: there was no breach',
  request: Type.Object({ number, reason }),
  problems: ['rights.case-unknown', 'rights.case-decided'],
})

export const stopUse = contract({
  ...frame,
  ...decided,
  name: 'rights.stop',
  title: 'Ends the use of the copy that a case was traced to: from now on it may be nowhere, and the buyer is told',
  request: Type.Object({ number, reason }),
  problems: ['rights.case-unknown', 'rights.case-decided', 'rights.no-buyer'],
})

/** Two people, for money is asked. */
export const chargeCase = contract({
  ...frame,
  ...decided,
  operator: { role: 'rights', twoPeople: true },
  name: 'rights.charge',
  title: 'Asks an additional charge of the buyer whose copy a case was traced to',
  request: Type.Object({
    number,
    amount: Type.Integer({
      minimum: 1,
      maximum: 999_999_999_999,
      description: 'in the smallest unit of the sale’s currency',
    }),
    reason,
  }),
  problems: ['rights.case-unknown', 'rights.case-decided', 'rights.no-buyer'],
})
