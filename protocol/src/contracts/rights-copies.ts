/**
 * Copies that are made for each buyer (R3): the rights service has a work offered among the site's content, content has a copy made at
 * each purchase, and says so when the purchase came to nothing.
 */
import { Bytes, Count, contract, Hash, Id, Text, Type } from '../contract.ts'
import { CurrencyCode } from '../money.ts'
import { contentPictureMaxBytes, Version } from './content.ts'
import { SaleId, WorkId } from './rights.ts'
import { SettlementNumber } from './settlement-members.ts'

/** Bytes of a copy that one answer carries. */
export const copyPieceMaxBytes = 512 * 1024

const priceMinor = Type.Integer({ minimum: 0, maximum: 999_999_999 })

export const offerMade = contract({
  name: 'content.offer-made',
  kind: 'internal',
  service: 'content',
  authority: 'service',
  idempotent: true,
  title:
    'Offers something of which each buyer gets a copy of their own; what is offered already gets these words and this price',
  serves: ['R3', 'C5'],
  request: Type.Object({
    /** The same work is the same content. */
    work: WorkId,
    /** Who is paid. */
    provider: SettlementNumber,
    title: Text(200),
    terms: Text(1_000),
    mediaType: Text(64),
    /** About how large a copy is. */
    sizeBytes: Type.Integer({ minimum: 1, maximum: 64 << 20 }),
    priceMinor,
    currency: CurrencyCode,
    /** A small JPEG for the list. */
    picture: Bytes(1, contentPictureMaxBytes),
  }),
  reply: Type.Object({ content: Id, version: Version }),
  problems: ['content.unsuitable', 'content.withdrawn'],
})

export const buyCopy = contract({
  name: 'rights.buy',
  kind: 'internal',
  service: 'rights',
  authority: 'service',
  idempotent: true,
  title: 'Records a sale to a member, once for a delivery, and gives a piece of the copy that carries it',
  serves: ['R3', 'R7'],
  request: Type.Object({
    /** Content's own: the same again is the same sale. */
    delivery: Id,
    work: WorkId,
    content: Id,
    /** Of the member who buys; nothing else of them is told. */
    card: Hash,
    priceMinor,
    currency: CurrencyCode,
    /** Where in the copy the piece begins. */
    from: Count,
  }),
  reply: Type.Object({
    sale: SaleId,
    sizeBytes: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    piece: Bytes(0, copyPieceMaxBytes),
  }),
  problems: [
    'rights.work-unknown',
    'rights.sale-unknown',
    'rights.not-offered',
    'mark.unsuitable',
    'mark.unreadable',
    'storage.failed',
  ],
})

export const voidPurchase = contract({
  name: 'rights.void',
  kind: 'act',
  service: 'rights',
  authority: 'service',
  title: 'A purchase came to nothing: its sale is void, and its copy may be nowhere',
  serves: ['R3', 'C7'],
  request: Type.Object({ delivery: Id, reason: Text(64) }),
  /** Without a sale nothing was recorded of that delivery. */
  reply: Type.Object({ sale: Type.Optional(SaleId) }),
})
