/**
 * What somebody with the run of a data server's disk can do to a replica so that every checksum of it agrees (S11): its
 * segments are others, and hashes, parity and preambles are made to fit them.
 */
import { filesIn, recordBytes, replicaName, shapeOf, stripeOf } from '@azukari/gateway/data-server/layout'
import { ReplicaReader } from '@azukari/gateway/data-server/reader'
import { ReplicaWriter } from '@azukari/gateway/data-server/writer'
import type { PlacementKeys } from '@azukari/gateway/services/placement/keys/keys'
import { unwrapDataKey, unwrapMemberKey } from '@azukari/gateway/services/placement/keys/keystore'
import { sealerOf } from '@azukari/gateway/services/placement/saves/sealing'
import type { ReplicaRow } from '@azukari/gateway/services/placement/store'
import type { Files, Random } from '@azukari/protocol/ports'
import { segmentPlainBytes, segmentSealedBytes } from '@azukari/protocol/sealed'

/** Where a replica lies on a disk. */
export function replicaFolder(disk: string, replica: Pick<ReplicaRow, 'object' | 'version' | 'slot'>): string {
  const name = replicaName(replica)
  return `${disk}/replicas/${name.slice(0, 2)}/${name}`
}

/** Where the shards of one stripe lie: its segments, then the two of parity. Three bad ones are more than it bears. */
export function shardsOf(
  folder: string,
  sealedBytes: number,
  number: number,
): { path: string; from: number; to: number }[] {
  const { segments, parity } = filesIn(folder)
  const { count, segmentsAt, parityAt, shardBytes } = stripeOf(shapeOf(sealedBytes), number)
  return Array.from({ length: count + 2 }, (_, at) => {
    const data = at < count
    const bytes = data ? segmentSealedBytes : shardBytes
    const from = data ? segmentsAt + at * bytes : parityAt + recordBytes + (at - count) * bytes
    return { path: data ? segments : parity, from, to: from + bytes }
  })
}

/** The sealed segments as they lie there. @throws {Problem} when there is no such replica or it is damaged */
export async function storedSegments(files: Files, folder: string, replica: ReplicaRow): Promise<Uint8Array[]> {
  const shape = shapeOf(replica.sealed)
  const reader = new ReplicaReader(files, folder, shape)
  try {
    return await reader.segments(0, shape.segments, replica.root!)
  } finally {
    await reader.close()
  }
}

/** Without keys: one segment becomes any bytes. */
export function scrambled(stored: readonly Uint8Array[], random: Random): Uint8Array[] {
  const at = Math.floor(random.float() * stored.length)
  return stored.map((segment, index) => (index === at ? random.bytes(segment.length) : segment))
}

/** A few bytes of it changed; the length stays. @param content not empty */
export function someOther(content: Uint8Array, random: Random): Uint8Array {
  const changed = Uint8Array.from(content)
  for (let i = 0; i < 3; i++)
    changed[Math.floor(random.float() * changed.length)]! ^= 1 + Math.floor(random.float() * 255)
  if (changed.every((byte, at) => byte === content[at])) changed[0]! ^= 1
  return changed
}

/** With placement's keys: other plain bytes of the same length, sealed as the member's own would be. */
export function sealedAnew(
  replica: ReplicaRow,
  keys: PlacementKeys,
  wrappedMemberKey: Uint8Array,
  plain: Uint8Array,
): Uint8Array[] {
  const dataKey = unwrapDataKey(unwrapMemberKey(keys, wrappedMemberKey), replica.wrapped_key)
  const sealer = sealerOf(replica, dataKey)
  const { segments } = shapeOf(replica.sealed)
  return Array.from({ length: segments }, (_, at) => {
    const part = plain.subarray(at * segmentPlainBytes, (at + 1) * segmentPlainBytes)
    return at === segments - 1 ? sealer.last(part) : sealer.update(part)
  })
}

/** Writes a whole replica folder around these segments; putting it in the place of the true one is the caller's. */
export async function forge(
  files: Files,
  folder: string,
  replica: ReplicaRow,
  segments: readonly Uint8Array[],
  atMs: number,
): Promise<void> {
  const writer = await ReplicaWriter.open(files, folder, replica.sealed)
  try {
    for (const segment of segments) await writer.add(segment)
    await writer.finish({ manifest: replica.manifest!, atMs }, replica.wrapped_key)
  } finally {
    await writer.close()
  }
}
