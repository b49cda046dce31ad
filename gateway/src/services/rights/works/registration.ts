/**
 * The signed registration of a work (R1, R2): who registered what, when, under which id. Of two for one picture the first decides;
 * a mark without one proves nothing.
 */
import type { KeyObject } from 'node:crypto'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { checker, Hash, type Static, Text, TimeMs, Type } from '@azukari/protocol/contract'
import { Offer, PlaceUrl, WorkId } from '@azukari/protocol/contracts/rights'
import { type DirectSigner, sign1, verify1 } from '@azukari/protocol/cose'

const domain = new TextEncoder().encode('azukari/work-registration/1')

const Registration = Type.Object({
  contract: Type.Literal('work-registration@1'),
  work: WorkId,
  title: Text(200),
  author: Text(200),
  offer: Offer,
  published: Type.Array(PlaceUrl, { maxItems: 32 }),
  /** SHA-256 of the picture before it was marked, and of the marked one. */
  original: Hash,
  marked: Hash,
  registeredMs: TimeMs,
  /** Who registered it, as the site knows them. */
  by: Text(160),
})
export type Registration = Static<typeof Registration>
const checkRegistration = checker(Registration, 'registration')

export function signRegistration(body: Omit<Registration, 'contract'>, signer: DirectSigner): Uint8Array {
  return sign1(encodeDeterministic(checkRegistration({ contract: 'work-registration@1', ...body })), signer, domain)
}

/** @throws {Problem} `cose.*`, `cbor.*`, `message.invalid` */
export function openRegistration(record: Uint8Array, keyFor: (kid: Uint8Array) => KeyObject | undefined): Registration {
  return checkRegistration(decode(verify1(record, keyFor, domain).payload))
}
