/**
 * Placement's word on what happened to a replica or a server (S11, S12): signed, kept for good, with the evidence on which
 * it rests, so that it can be judged alone, later, by anyone.
 */
import { decode, encodeDeterministic } from './codec.ts'
import { Bytes, Count, checker, Hash, Slug, type Static, Text, TimeMs, Type } from './contract.ts'
import { type DirectSigner, sign1, verify1 } from './cose.ts'
import type { KeyFinder } from './manifest.ts'
import { manifestMaxBytes, ReplicaRef } from './manifest.ts'

const verdictDomain = new TextEncoder().encode('azukari/verdict/1')

/**
 * `media`: checksum or parity disagree with the bytes. `tampering`: changed, and the server's own fresh reading finds every
 * checksum sound. `unexplained`: changed or gone without that evidence. `rollback`: an older state that was once true
 * stands there. `impostor`: the server does not prove its key. `contained`: it proves its key and refuses.
 */
export const verdictKinds = ['media', 'tampering', 'unexplained', 'rollback', 'impostor', 'contained'] as const
export type VerdictKind = (typeof verdictKinds)[number]
export const VerdictKindSchema = Type.Union([
  Type.Literal('media'),
  Type.Literal('tampering'),
  Type.Literal('unexplained'),
  Type.Literal('rollback'),
  Type.Literal('impostor'),
  Type.Literal('contained'),
])

export const Verdict = Type.Object({
  kind: VerdictKindSchema,
  atMs: TimeMs,
  server: Slug,
  /** Absent when it is about the server as a whole. */
  replica: Type.Optional(ReplicaRef),
  epoch: Type.Optional(Count),
  /** What decided, in one line. */
  because: Text(400),
  evidence: Type.Object({
    /** What the server had signed for. */
    receipt: Type.Optional(Bytes(64, 4096)),
    manifest: Type.Optional(Bytes(64, manifestMaxBytes)),
    /** COSE_Sign1 of an `Examination` by the server. */
    examination: Type.Optional(Bytes(64, 16_384)),
    /** Over the sealed segments as placement itself read them. */
    readRoot: Type.Optional(Hash),
  }),
})
export type Verdict = Static<typeof Verdict>

const checkVerdict = checker(Verdict, 'verdict')

export function signVerdict(verdict: Verdict, signer: DirectSigner): Uint8Array {
  return sign1(encodeDeterministic(checkVerdict(verdict)), signer, verdictDomain)
}

/** @throws {Problem} `cose.*`, `cbor.*`, `message.invalid` */
export function openVerdict(signed: Uint8Array, placementKey: KeyFinder): Verdict {
  return checkVerdict(decode(verify1(signed, placementKey, verdictDomain).payload))
}
