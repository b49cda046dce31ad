/**
 * What is signed around the delivery of content (C2, C3, C7): the content service's orders to data servers, and a data
 * server's own charging records. All are COSE_Sign1 over deterministic CBOR and can be judged alone, later, by anyone.
 */
import type { KeyObject } from 'node:crypto'
import { decode, encodeDeterministic } from './codec.ts'
import { Bytes, Count, checker, Hash, Id, Slug, type Static, Text, TimeMs, Type } from './contract.ts'
import { type DirectSigner, peek1, sign1, verify1 } from './cose.ts'
import type { KeyFinder } from './manifest.ts'
import { CurrencyCode } from './money.ts'
import { Problem } from './problem.ts'

const utf8 = new TextEncoder()
const grantDomain = utf8.encode('azukari/object-grant/1')
const orderDomain = utf8.encode('azukari/delivery-order/1')
const reversalDomain = utf8.encode('azukari/delivery-reversal/1')
const recordDomain = utf8.encode('azukari/delivery-record/1')

/** Whose key signs grants and orders. */
export const deliveryIssuer = 'content'

/** Largest object: what one operator's call brings. */
export const objectMaxBytes = 64 * 2 ** 20
/** Leaf hashes of the largest object. */
export const objectLeavesMaxBytes = (objectMaxBytes / 65_536) * 32

/** Lets one peer do one thing with one object, for a time: never by its role alone. */
export const ObjectGrant = Type.Object({
  /** RFC 9162 root over its blocks: an object is named by what it is. */
  root: Hash,
  /** `read`: blocks. `keep`: sent here to be kept and never evicted. `drop`: removed here. */
  use: Type.Union([Type.Literal('read'), Type.Literal('keep'), Type.Literal('drop')]),
  /** Certificate name of the peer that may use it. */
  peer: Text(32),
  /** At which data server. */
  server: Slug,
  expiresMs: TimeMs,
})
export type ObjectGrant = Static<typeof ObjectGrant>

/** Where an object can be fetched, and the grant for it. */
export const ObjectSource = Type.Object({ server: Slug, url: Text(256), grant: Bytes(64, 1024) })
export type ObjectSource = Static<typeof ObjectSource>

/** One request of a client for one object, as content orders a data server to answer it. */
export const DeliveryOrder = Type.Object({
  delivery: Id,
  /** The data server that is to deliver. */
  server: Slug,
  content: Id,
  version: Type.Integer({ minimum: 1, maximum: 0xffff_ffff }),
  root: Hash,
  sizeBytes: Type.Integer({ minimum: 1, maximum: objectMaxBytes }),
  /** A pseudonym: what the site's ledgers know the client by. */
  client: Hash,
  /** Always who registered it, whoever holds it. */
  provider: Text(32),
  /** What the client agreed to. */
  serviceMinor: Count,
  contentMinor: Count,
  currency: CurrencyCode,
  expiresMs: TimeMs,
})
export type DeliveryOrder = Static<typeof DeliveryOrder>

export const ReversalOrder = Type.Object({ delivery: Id, server: Slug, reason: Text(64) })
export type ReversalOrder = Static<typeof ReversalOrder>

/** A data server's charging record (C7), or the second record that reverses one. */
export const DeliveryRecord = Type.Object({
  server: Slug,
  /** Its place in the server's journal: with `server` it names the record. */
  seq: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  kind: Type.Union([Type.Literal('charge'), Type.Literal('reversal')]),
  delivery: Id,
  content: Id,
  version: Type.Integer({ minimum: 1, maximum: 0xffff_ffff }),
  root: Hash,
  client: Hash,
  provider: Text(32),
  atMs: TimeMs,
  /** C8: `reference` when it was held for this client already, else `purchase`. */
  fee: Type.Union([Type.Literal('purchase'), Type.Literal('reference')]),
  /** Where the bytes came from: this server itself, or the peer that it fetched them from. */
  from: Slug,
  serviceMinor: Count,
  contentMinor: Count,
  currency: CurrencyCode,
  /** Of a reversal: which record, and why. */
  reverses: Type.Optional(Count),
  reason: Type.Optional(Text(64)),
})
export type DeliveryRecord = Static<typeof DeliveryRecord>

const checkGrant = checker(ObjectGrant, 'object grant')
const checkOrder = checker(DeliveryOrder, 'delivery order')
const checkReversal = checker(ReversalOrder, 'reversal order')
const checkRecord = checker(DeliveryRecord, 'delivery record')

export function signGrant(grant: ObjectGrant, signer: DirectSigner): Uint8Array {
  return sign1(encodeDeterministic(checkGrant(grant)), signer, grantDomain)
}

/** @throws {Problem} `cose.*`, `cbor.*`, `message.invalid` */
export function openGrant(signed: Uint8Array, find: KeyFinder): ObjectGrant {
  return checkGrant(decode(verify1(signed, find, grantDomain).payload))
}

export function signDeliveryOrder(order: DeliveryOrder, signer: DirectSigner): Uint8Array {
  return sign1(encodeDeterministic(checkOrder(order)), signer, orderDomain)
}

/** @throws {Problem} `cose.*`, `cbor.*`, `message.invalid` */
export function openDeliveryOrder(signed: Uint8Array, find: KeyFinder): DeliveryOrder {
  return checkOrder(decode(verify1(signed, find, orderDomain).payload))
}

export function signReversal(order: ReversalOrder, signer: DirectSigner): Uint8Array {
  return sign1(encodeDeterministic(checkReversal(order)), signer, reversalDomain)
}

/** @throws {Problem} `cose.*`, `cbor.*`, `message.invalid` */
export function openReversal(signed: Uint8Array, find: KeyFinder): ReversalOrder {
  return checkReversal(decode(verify1(signed, find, reversalDomain).payload))
}

export function signRecord(record: DeliveryRecord, signer: DirectSigner): Uint8Array {
  return sign1(encodeDeterministic(checkRecord(record)), signer, recordDomain)
}

/** @throws {Problem} `cose.*`, `cbor.*`, `message.invalid`; `server.refused` when another server's or number's */
export function openRecord(
  signed: Uint8Array,
  serverKey: KeyObject,
  asked: { server: string; seq: number },
): DeliveryRecord {
  const record = checkRecord(decode(verify1(signed, () => serverKey, recordDomain).payload))
  if (record.server !== asked.server || record.seq !== asked.seq)
    throw new Problem('server.refused', `record ${record.seq} of ${record.server} in place of ${asked.seq}`)
  return record
}

/** A data server reads its own records without judging them: they stand in its own journal. @throws {Problem} `cose.*`, `cbor.*`, `message.invalid` */
export function peekRecord(signed: Uint8Array): DeliveryRecord {
  return checkRecord(decode(peek1(signed).payload))
}
