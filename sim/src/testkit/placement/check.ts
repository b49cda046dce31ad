/** Looks past all code of placement at what its tables promise: each replica opens to what was kept. Changes nothing. */
import { unwrapDataKey, unwrapMemberKey } from '@azukari/gateway/services/placement/keys/keystore'
import { members, type ReplicaRow, replicas } from '@azukari/gateway/services/placement/store'
import { hex, sameBytes } from '@azukari/protocol/bytes'
import { TreeHash } from '@azukari/protocol/merkle'
import { type SealAlgorithm, segmentCount, Unsealer } from '@azukari/protocol/sealed'
import type { PlacementFixture } from './fixture.ts'

/** Why a replica is not good; undefined when it is. */
export async function faultOf(fixture: PlacementFixture, replica: ReplicaRow): Promise<string | undefined> {
  const original = fixture.originals.get(hex(replica.object))
  if (!original) return 'nothing of that name was kept'
  const server = fixture.servers.get(replica.server)?.server
  if (!server) return `${replica.server} is gone`
  const { object, version, slot, algorithm, key_id: keyId, prefix } = replica
  const member = (await members.byId(fixture.medium.sql, original.member.id))!
  const dataKey = unwrapDataKey(unwrapMemberKey(fixture.keys, member.wrapped_key), replica.wrapped_key)
  const count = segmentCount(original.content.length)
  const unsealer = new Unsealer(
    { object, version, slot },
    { algorithm: algorithm as SealAlgorithm, keyId, dataKey, prefix },
    count,
  )
  const tree = new TreeHash()
  const parts: Uint8Array[] = []
  try {
    for await (const segment of server.readSegments({ object, version, slot }, 0, count)) {
      tree.add(segment)
      parts.push(unsealer.open(parts.length, segment))
    }
  } catch (error) {
    return String(error)
  }
  if (!sameBytes(tree.root(), replica.root!)) return 'another root'
  return Buffer.concat(parts).equals(original.content) ? undefined : 'other bytes'
}

/** The replicas of an object as placement has them. */
export async function standing(fixture: PlacementFixture, object: Uint8Array): Promise<ReplicaRow[]> {
  return replicas.of(fixture.medium.sql, object, 1)
}
