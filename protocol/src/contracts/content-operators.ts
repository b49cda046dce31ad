/** What operators tell content on behalf of providers (C5, C7–C9), as contracts. */
import { Count, contract, Slug, type Static, Text, TimeMs, Type } from '../contract.ts'
import { CurrencyCode } from '../money.ts'

const frame = { kind: 'command', service: 'content', authority: 'operator' } as const
const editor = { role: 'content' } as const

const ContentId = Type.String({ pattern: '^[0-9a-f]{32}$', description: 'id of the content, as content list shows it' })
const provider = Type.String({ pattern: '^\\d{14}$', description: 'the provider’s member number: who is paid' })
const price = Type.Integer({
  minimum: 0,
  maximum: 999_999_999,
  description: 'what its content costs, in the smallest unit of the site’s currency; 0 = free',
})

export const OfferedContent = Type.Object({
  id: Text(32),
  provider: Text(32),
  title: Text(200),
  mediaType: Text(64),
  version: Count,
  sizeBytes: Count,
  contentMinor: Count,
  currency: CurrencyCode,
  state: Type.Union([Type.Literal('offered'), Type.Literal('withdrawn')]),
  origin: Text(32),
})
export type OfferedContent = Static<typeof OfferedContent>

export const addContent = contract({
  ...frame,
  name: 'content.add',
  operator: editor,
  title: 'Registers a file of a provider: its bytes go to a data server, its origin, and it is offered at once',
  serves: ['C5'],
  request: Type.Object({
    file: Type.String({ minLength: 1, maxLength: 1_000, description: 'at most 64 MiB' }),
    provider,
    title: Type.String({ minLength: 1, maxLength: 200, description: 'what people see and search by' }),
    price,
    terms: Type.Optional(Type.String({ maxLength: 1_000, description: 'what a member agrees to' })),
    type: Type.Optional(
      Type.String({ pattern: '^[a-z]+/[a-z0-9.+-]{1,48}$', description: 'media type; else by the file’s ending' }),
    ),
    picture: Type.Optional(
      Type.String({ minLength: 1, maxLength: 1_000, description: 'a small picture for the list, at most 48 KiB' }),
    ),
    origin: Type.Optional(
      Type.String({ ...Slug, description: 'the data server that keeps it; else the one with most room' }),
    ),
    replaces: Type.Optional(
      Type.String({ pattern: '^[0-9a-f]{32}$', description: 'id of the content of which this is a new version' }),
    ),
  }),
  reply: OfferedContent,
  problems: ['content.unsuitable', 'content.unknown', 'content.withdrawn', 'server.unreachable', 'storage.full'],
})

export const listContent = contract({
  ...frame,
  name: 'content.list',
  operator: editor,
  title: 'What is and was offered',
  serves: ['C5'],
  request: Type.Object({
    words: Type.Optional(Type.String({ maxLength: 100, description: 'only with these words in the title' })),
  }),
  reply: Type.Array(OfferedContent),
})

export const showContent = contract({
  ...frame,
  name: 'content.show',
  operator: editor,
  title: 'One content: its versions, who holds it, how often it was delivered',
  serves: ['C4', 'C5'],
  request: Type.Object({ content: ContentId }),
  reply: Type.Object({
    content: OfferedContent,
    terms: Text(1_000),
    versions: Type.Array(Type.Object({ version: Count, sizeBytes: Count, root: Text(64), atMs: TimeMs })),
    holders: Type.Array(Type.Object({ server: Text(32), isOrigin: Type.Boolean(), untilMs: TimeMs })),
    avoided: Type.Array(Type.Object({ server: Text(32), why: Text(16), times: Count, untilMs: TimeMs })),
    deliveries: Count,
  }),
  problems: ['content.unknown'],
})

export const withdrawContent = contract({
  ...frame,
  name: 'content.withdraw',
  operator: editor,
  title: 'Ends the offer at once: no new request is taken; what was delivered stays charged',
  serves: ['C5'],
  request: Type.Object({ content: ContentId }),
  reply: Type.Object({ content: Text(32), state: Text(16) }),
  problems: ['content.unknown'],
})

export const linkContent = contract({
  ...frame,
  name: 'content.link',
  operator: editor,
  title: 'Makes a link with which a player fetches it for a member, who pays when its first bytes are asked for',
  serves: ['C14'],
  request: Type.Object({
    content: ContentId,
    card: Type.String({
      pattern: '^[0-9a-f]{64}$',
      description: 'the card of the member who pays, as member add tells it',
    }),
    minutes: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10_080, description: 'how long it is good; 60 unless told, a week at most' }),
    ),
    region: Type.Optional(
      Type.String({ pattern: '^[A-Z]{2}-[0-9A-Z]{1,3}$', description: 'where the player is, such as JP-13' }),
    ),
  }),
  reply: Type.Object({ link: Text(2_000), untilMs: TimeMs }),
  problems: [
    'content.unknown',
    'content.withdrawn',
    'content.price-changed',
    'content.unsuitable',
    'object.unavailable',
  ],
})

const Entry = Type.Object({
  ledger: Type.Union([Type.Literal('service'), Type.Literal('content')]),
  server: Text(32),
  seq: Count,
  kind: Type.Union([Type.Literal('charge'), Type.Literal('reversal')]),
  state: Type.Union([
    Type.Literal('counted'),
    Type.Literal('refused'),
    Type.Literal('cancelled'),
    Type.Literal('free'),
    Type.Literal('paid'),
  ]),
  delivery: Text(32),
  content: Text(32),
  provider: Text(32),
  fee: Text(16),
  minor: Count,
  currency: CurrencyCode,
  atMs: TimeMs,
  problem: Type.Optional(Text(100)),
})

const Sum = Type.Object({
  ledger: Text(16),
  state: Text(16),
  currency: Text(8),
  charges: Count,
  reversals: Count,
  minor: Count,
})

export const listCharges = contract({
  ...frame,
  name: 'content.charges',
  operator: editor,
  title: 'The two fee ledgers: sums by state, and their newest entries; what is new at the data servers is taken first',
  serves: ['C7', 'C8'],
  request: Type.Object({
    content: Type.Optional(ContentId),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 500, description: 'entries that are shown; 50 unless told' }),
    ),
  }),
  reply: Type.Object({ sums: Type.Array(Sum), entries: Type.Array(Entry, { maxItems: 500 }) }),
})

export const showEarnings = contract({
  ...frame,
  name: 'content.earnings',
  operator: editor,
  title: 'What a provider, or who runs a data server, has earned by content, and with what',
  serves: ['C9'],
  request: Type.Object({ provider }),
  reply: Type.Object({
    provider: Text(32),
    parts: Type.Array(
      Type.Object({
        content: Text(32),
        title: Text(200),
        ledger: Text(16),
        part: Text(16),
        currency: Text(8),
        deliveries: Count,
        paidMinor: Count,
        waitingMinor: Count,
      }),
    ),
  }),
})

export const proveDelivery = contract({
  ...frame,
  name: 'content.proof',
  operator: editor,
  title: 'What proves both fees of one delivery: the data server’s signed records, and who shares them',
  serves: ['C7'],
  request: Type.Object({
    delivery: Type.String({ pattern: '^[0-9a-f]{32}$', description: 'as content charges shows it' }),
  }),
  reply: Type.Object({
    delivery: Text(32),
    state: Text(16),
    server: Text(32),
    /** Where that server had the bytes from: itself on a hit; absent where nothing was charged. */
    from: Type.Optional(Text(32)),
    serverKey: Text(1_300),
    entries: Type.Array(Entry),
    records: Type.Array(Type.Object({ seq: Count, kind: Text(16), signed: Text(8_192) })),
    shares: Type.Array(Type.Object({ ledger: Text(16), part: Text(16), payee: Text(32), minor: Count })),
  }),
  problems: ['object.unknown'],
})
