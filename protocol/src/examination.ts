/**
 * What a data server signs after reading one replica from end to end, because placement asked (S11): the evidence that
 * tells a media error from a change. Fresh by its nonce, and judged alone, later, by anyone.
 */
import type { KeyObject } from 'node:crypto'
import { sameBytes } from './bytes.ts'
import { decode, encodeDeterministic } from './codec.ts'
import { Bytes, Count, checker, Hash, Slug, type Static, TimeMs, Type } from './contract.ts'
import { type DirectSigner, sign1, verify1 } from './cose.ts'
import { manifestMaxBytes, ReplicaRef } from './manifest.ts'
import { Problem } from './problem.ts'

const examinationDomain = new TextEncoder().encode('azukari/examination/1')

/** Lost segments that one examination names; when there are more, the replica is made anew as a whole. */
export const lostNamedMax = 1024

export const Examination = Type.Object({
  server: Slug,
  replica: ReplicaRef,
  nonce: Bytes(16, 64),
  atMs: TimeMs,
  /** False: nothing of that name is on any disk that works. */
  held: Type.Boolean(),
  /** Shards, hash records and copies of the manifest and notes that disagreed with their checksums or could not be read. */
  badParts: Count,
  /** Of them restored from parity or their second copy, durably. */
  repairedParts: Count,
  /** Segments lost beyond parity: how many, and which. */
  lostSegments: Count,
  lost: Type.Array(Count, { maxItems: lostNamedMax }),
  /** The wrapped keys beside the replica are lost. */
  notesLost: Type.Boolean(),
  readBytes: Count,
  /** Over the segments' hashes as they stand; absent when the hashes of a stripe are lost. */
  root: Type.Optional(Hash),
  /** As it stands on the medium; absent when it is lost. */
  manifest: Type.Optional(Bytes(64, manifestMaxBytes)),
})
export type Examination = Static<typeof Examination>

const checkExamination = checker(Examination, 'examination')

export function signExamination(examination: Examination, signer: DirectSigner): Uint8Array {
  return sign1(encodeDeterministic(checkExamination(examination)), signer, examinationDomain)
}

/** @throws {Problem} `cose.*`, `cbor.*`, `message.invalid`; `server.refused` when it answers another question */
export function openExamination(
  signed: Uint8Array,
  serverKey: KeyObject,
  asked: { server: string; replica: ReplicaRef; nonce: Uint8Array },
): Examination {
  const found = checkExamination(decode(verify1(signed, () => serverKey, examinationDomain).payload))
  const { object, version, slot } = found.replica
  if (
    found.server !== asked.server ||
    !sameBytes(found.nonce, asked.nonce) ||
    !sameBytes(object, asked.replica.object) ||
    version !== asked.replica.version ||
    slot !== asked.replica.slot
  )
    throw new Problem('server.refused', 'the examination answers another question')
  return found
}
