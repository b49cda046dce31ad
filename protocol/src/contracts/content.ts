/** What a member's board asks of content (C2–C4, C14): to look around, and to get something. */
import { Bytes, Count, contract, Id, type Static, Text, Type } from '../contract.ts'
import { objectMaxBytes } from '../delivery.ts'
import { CurrencyCode } from '../money.ts'
import { Offer } from './download.ts'
import { FilePiece, pieceRequest } from './https.ts'

const asked = { kind: 'call', service: 'content', authority: 'member' } as const

/** Picture of an item in the list, JPEG, PNG or WebP. */
export const contentPictureMaxBytes = 48 * 1024

export const Version = Type.Integer({ minimum: 1, maximum: 0xffff_ffff })

export const ContentItem = Type.Object({
  content: Id,
  version: Version,
  title: Text(200),
  mediaType: Text(64),
  sizeBytes: Type.Integer({ minimum: 1, maximum: objectMaxBytes }),
  /** Who offers it. */
  provider: Text(32),
  terms: Text(1_000),
  /** What a request costs, and what its content costs. */
  serviceMinor: Count,
  contentMinor: Count,
  currency: CurrencyCode,
  hasPicture: Type.Boolean(),
})
export type ContentItem = Static<typeof ContentItem>

export const browseContent = contract({
  ...asked,
  name: 'content.browse',
  title: 'What is offered, a page at a time, with the words that its title must have',
  serves: ['C4', 'C14'],
  request: Type.Object({
    words: Type.Optional(Text(100)),
    /** Where the page before ended. */
    after: Type.Optional(Text(300)),
    limit: Type.Integer({ minimum: 1, maximum: 48 }),
  }),
  reply: Type.Object({
    items: Type.Array(ContentItem, { maxItems: 48 }),
    /** There is more: ask on from here. */
    next: Type.Optional(Text(300)),
  }),
})

export const contentPicture = contract({
  ...asked,
  name: 'content.picture',
  title: 'The picture of an item in the list; looking around costs nothing',
  serves: ['C14'],
  request: Type.Object({ content: Id }),
  reply: Type.Object({ mediaType: Text(64), picture: Bytes(1, contentPictureMaxBytes) }),
  problems: ['content.unknown', 'content.withdrawn'],
})

export const getContent = contract({
  ...asked,
  name: 'content.get',
  title: 'A member’s request: accepted by their data server, charged there, and offered to this device',
  serves: ['C2', 'C3', 'C7'],
  request: Type.Object({
    /** The device's own: the same again is the same delivery, and is charged once. */
    delivery: Id,
    content: Id,
    /** What the member agreed to. */
    version: Version,
    serviceMinor: Count,
    contentMinor: Count,
    currency: CurrencyCode,
  }),
  reply: Type.Object({
    offer: Offer,
    fee: Type.Union([Type.Literal('purchase'), Type.Literal('reference')]),
    /** The data server that delivers, and the one that it had it from. */
    server: Text(32),
    from: Text(32),
  }),
  problems: [
    'content.unknown',
    'content.withdrawn',
    'content.price-changed',
    'object.unavailable',
    'act.conflict',
    'transfer.expired',
    'server.unreachable',
    'server.refused',
  ],
})

export const playContent = contract({
  name: 'content.play',
  kind: 'https',
  service: 'content',
  authority: 'link',
  https: { method: 'GET', path: '/v1/content/{delivery}' },
  title: 'Content by a signed link, whole or a range: charged once, when its first bytes are asked for',
  serves: ['C7', 'C14'],
  request: Type.Object({ delivery: Type.String({ pattern: '^[0-9a-f]{32}$' }), ...pieceRequest }),
  reply: FilePiece,
  problems: [
    'object.unknown',
    'content.unknown',
    'content.withdrawn',
    'content.price-changed',
    'object.unavailable',
    'transfer.expired',
    'transfer.bad-root',
    'server.unreachable',
    'server.refused',
  ],
})
