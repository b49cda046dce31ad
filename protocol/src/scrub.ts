/** What a data server signs after scanning its media (S11): how far it came, what it repaired, what it could not. */
import type { KeyObject } from 'node:crypto'
import { decode, encodeDeterministic } from './codec.ts'
import { Count, checker, Id, Slug, type Static, TimeMs, Type } from './contract.ts'
import { type DirectSigner, sign1, verify1 } from './cose.ts'
import { SlotSchema } from './manifest.ts'

const scrubDomain = new TextEncoder().encode('azukari/scrub/1')

const Found = { object: Id, version: Count, slot: SlotSchema }

export const ScrubReport = Type.Object({
  server: Slug,
  fromMs: TimeMs,
  toMs: TimeMs,
  /** Bytes read from media. */
  readBytes: Count,
  /** Replicas whose last segment was reached. */
  replicas: Count,
  /** Shards that parity restored. */
  repairedShards: Count,
  /** Media error beyond parity: restore these from the other replica. At most 64 replicas, 64 segments each; then the scan stops early. */
  unrepairable: Type.Array(Type.Object({ ...Found, segments: Type.Array(Count, { maxItems: 64 }) }), { maxItems: 64 }),
  /** Checksums agree with the bytes and yet the root is not the manifest's: no media error does that. */
  changed: Type.Array(Type.Object(Found), { maxItems: 64 }),
  /** Replicas in which parity restored something since the last report, while scanning or while reading, and when it last did. */
  repaired: Type.Optional(
    Type.Array(Type.Object({ ...Found, parts: Count, atMs: Type.Optional(TimeMs) }), { maxItems: 64 }),
  ),
  /** Whether the scan came past the last replica and starts over next time. */
  complete: Type.Boolean(),
})
export type ScrubReport = Static<typeof ScrubReport>

const checkReport = checker(ScrubReport, 'scrub report')

export function signScrubReport(report: ScrubReport, signer: DirectSigner): Uint8Array {
  return sign1(encodeDeterministic(checkReport(report)), signer, scrubDomain)
}

/** @throws {Problem} `cose.*`, `cbor.*`, `message.invalid` */
export function openScrubReport(signed: Uint8Array, serverKey: KeyObject): ScrubReport {
  return checkReport(decode(verify1(signed, () => serverKey, scrubDomain).payload))
}
