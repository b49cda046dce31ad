/**
 * Placement's own journal (ARCHITECTURE §7): what it would need to begin again. Each entry is sealed to the recovery key
 * and lies on data servers of two regions before anything that depends on it is told to anybody.
 */
import type { KeyObject } from 'node:crypto'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { Bytes, Count, checker, Id, type Static, Text, Type } from '@azukari/protocol/contract'
import { decryptFrom, encryptTo } from '@azukari/protocol/cose'
import { type RandomSource, thumbprint } from '@azukari/protocol/keys'

const domain = new TextEncoder().encode('azukari/journal/1')

const MemberEntry = Type.Object({
  kind: Type.Literal('member'),
  id: Id,
  number: Text(32),
  name: Text(100),
  level: Count,
  home: Text(8),
  since: Count,
  status: Text(16),
  auth_key: Bytes(32, 1024),
  acts_key: Bytes(32, 1024),
  agreement_key: Bytes(32, 1024),
  wrapped_key: Bytes(32, 1024),
  plan: Type.Optional(Text(32)),
  card_level: Type.Optional(Type.Union([Count, Type.Null()])),
  location: Type.Optional(Count),
  abroad: Type.Optional(Count),
  retention: Type.Optional(Count),
})

const ServerEntry = Type.Object({
  kind: Type.Literal('server'),
  id: Text(32),
  name: Text(100),
  region: Text(8),
  latitude: Type.Number(),
  longitude: Type.Number(),
  domain: Text(64),
  url: Text(200),
  key: Bytes(32, 600),
  capacity: Count,
  rates: Text(8192),
  state: Type.Optional(Text(16)),
})

const ReplicaEntry = Type.Object({
  slot: Type.Integer({ minimum: 1, maximum: 2 }),
  server: Text(32),
  epoch: Count,
  algorithm: Text(32),
  key_id: Bytes(1, 32),
  wrapped_key: Bytes(32, 1024),
  prefix: Bytes(7),
  root: Bytes(32),
  sealed: Count,
  manifest: Bytes(32, 8192),
  receipt: Bytes(32, 8192),
  reason: Text(2000),
})

const KeptEntry = Type.Object({
  kind: Type.Literal('kept'),
  object: Id,
  version: Count,
  member: Id,
  device: Text(32),
  asking: Text(8),
  transfer: Id,
  root: Bytes(32),
  size: Count,
  sha256: Bytes(32),
  name: Text(120),
  media: Text(80),
  taken: Count,
  kept: Count,
  replicas: Type.Array(ReplicaEntry, { minItems: 2, maxItems: 2 }),
})

/** A replica took the place of the one that stood in its slot. */
const MovedEntry = Type.Object({ kind: Type.Literal('moved'), object: Id, version: Count, replica: ReplicaEntry })

/** D8: an object is not wanted any more. Where it may lie is named, so that it is destroyed there after a loss too. */
const ErasedEntry = Type.Object({
  kind: Type.Literal('erased'),
  object: Id,
  member: Id,
  act: Id,
  cause: Text(16),
  asked: Count,
  keys: Count,
  places: Type.Array(
    Type.Object({ version: Count, slot: Type.Integer({ minimum: 1, maximum: 2 }), server: Text(32) }),
    { maxItems: 256 },
  ),
})

/** D8: an account is gone. */
const ClosedEntry = Type.Object({ kind: Type.Literal('closed'), member: Id })

const KeysEntry = Type.Object({ kind: Type.Literal('keys'), keys: Bytes(32, 65_536) })

export const JournalEntry = Type.Union([
  MemberEntry,
  ServerEntry,
  KeptEntry,
  MovedEntry,
  KeysEntry,
  ErasedEntry,
  ClosedEntry,
])
export type JournalEntry = Static<typeof JournalEntry>
export type KeptEntry = Static<typeof KeptEntry>
export type MovedEntry = Static<typeof MovedEntry>
export type ErasedEntry = Static<typeof ErasedEntry>
const checkEntry = checker(JournalEntry, 'journal entry')

/** Seals an entry so that only the holder of the recovery secret reads it. */
export function sealEntry(entry: JournalEntry, recovery: KeyObject, random: RandomSource): Uint8Array {
  return encryptTo(recovery, encodeDeterministic(checkEntry(entry)), domain, random)
}

/** @throws {Problem} `cose.decrypt-failed` with another recovery key, `message.invalid` */
export function openEntry(sealed: Uint8Array, recoverySecret: KeyObject): JournalEntry {
  return checkEntry(decode(decryptFrom(sealed, recoverySecret, domain)))
}

/**
 * Which servers keep the journal: up to three of the lowest risk, each in another region; two must have an entry.
 * The order of the risks decides, not the level of any member: the journal is everybody's.
 */
export function journalServers<T extends { id: string; region: string; risk: number; demerits: number }>(
  servers: readonly T[],
): T[] {
  const chosen: T[] = []
  for (const server of [...servers].sort(
    (a, b) => a.demerits - b.demerits || a.risk - b.risk || (a.id < b.id ? -1 : 1),
  ))
    if (chosen.length < 3 && !chosen.some((other) => other.region === server.region)) chosen.push(server)
  return chosen
}

/** Whether an entry may be relied on: two servers in two regions have it. */
export function isSafe(acks: readonly string[], regionOf: (server: string) => string | undefined): boolean {
  return new Set(acks.map(regionOf).filter((region) => region !== undefined)).size >= 2
}

/** The journal's stream on data servers: named by the recovery key, which is all that is left after a loss. */
export function journalStream(recovery: KeyObject): Uint8Array {
  return thumbprint(recovery).subarray(0, 16)
}
