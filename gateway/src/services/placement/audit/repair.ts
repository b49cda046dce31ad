/**
 * Segments lost beyond parity, sealed again from the other slot (S11). What stood there is proven by the server's recorded
 * hashes against the signed root, what is taken from the other slot against that slot's; only then is it stored.
 */
import { sameBytes } from '@azukari/protocol/bytes'
import type { Examination } from '@azukari/protocol/examination'
import { leafHash, verifyProof } from '@azukari/protocol/merkle'
import { isProblem } from '@azukari/protocol/problem'
import { Resealer, type SealAlgorithm, segmentCount } from '@azukari/protocol/sealed'
import { unwrapDataKey, unwrapMemberKey } from '../keys/keystore.ts'
import type { ReplacePorts, Standing } from '../moves/making.ts'
import { identify } from '../replicas/identify.ts'
import { type ServerRow, servers } from '../store.ts'
import { unsealerOf } from './read.ts'

/** @returns how many segments were restored; fewer than are lost: the replica has to be made anew */
export async function restoreSegments(
  ports: ReplacePorts,
  standing: Standing,
  server: ServerRow,
  { lost, lostSegments }: Examination,
  signal: AbortSignal,
): Promise<number> {
  if (lostSegments > lost.length) return 0
  const { store, dataServers, signer, random, keys } = ports
  const { row, old, other, member } = standing
  const source = await servers.byId(store.sql, other.server)
  if (!source || source.state === 'contained') return 0
  const count = segmentCount(row.size)
  const from = dataServers.of(source)
  const to = dataServers.of(server)
  const unsealer = unsealerOf(ports, standing, other)
  const { object, version, slot, algorithm, key_id: keyId, prefix } = old
  const dataKey = unwrapDataKey(unwrapMemberKey(keys, member.wrapped_key), old.wrapped_key)
  const key = { algorithm: algorithm as SealAlgorithm, keyId, dataKey, prefix }
  const resealer = new Resealer({ object, version, slot }, key, count)
  let restored = 0
  try {
    await identify(from, source, signer.kid, random, signal)
    for (const stood of await to.proofs({ object, version, slot }, lost, signal)) {
      const { index, leafHash: leaf, proof } = stood
      if (!lost.includes(index) || !verifyProof({ root: old.root!, leafHash: leaf, index, count, proof }))
        return restored
      const [theirs] = await from.challenge({ object, version, slot: other.slot }, [index], true, signal)
      const sealed = theirs?.segment
      const genuine =
        sealed !== undefined &&
        verifyProof({ root: other.root!, leafHash: leafHash(sealed), index, count, proof: theirs!.proof })
      // Another plaintext must never meet this key and place again.
      if (!genuine) return restored
      const again = resealer.seal(index, unsealer.open(index, sealed))
      if (!sameBytes(leafHash(again), leaf)) return restored
      await to.restoreSegments({ object, version, slot }, index, [again], signal)
      restored++
    }
  } catch (error) {
    signal.throwIfAborted()
    if (!isProblem(error)) throw error
    ports.log.info('segments could not be restored', { server: server.id, code: error.code, restored })
  }
  return restored
}
