/**
 * A replica moved as it is (S9): its sealed bytes are copied to another server, checked against the signed root on the
 * way, and only the manifest changes: server and epoch. The card's keys go on opening it.
 */
import { sameBytes } from '@azukari/protocol/bytes'
import { TreeHash } from '@azukari/protocol/merkle'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { segmentCount } from '@azukari/protocol/sealed'
import type { ReplicaRow } from '../store.ts'
import { begin, finish, ReplaceFailure, type ReplaceOrder, type ReplacePorts, serverOr, standingOf } from './making.ts'
import { readSealed } from './reseal.ts'

/**
 * Copies a slot's replica to the given server. May be called again after a crash or failure with the same order.
 * @returns the replica that stands in the slot now
 * @throws {ReplaceFailure} `source`: what lies there is damaged or cannot be reached, so seal it anew from the other slot;
 * `target`: choose another server; `journal`: later
 * @throws {Problem} `object.unknown` when it is not kept
 */
export async function copy(ports: ReplacePorts, order: ReplaceOrder, signal: AbortSignal): Promise<ReplicaRow> {
  const { store, dataServers } = ports
  const { old, row: save } = await standingOf(store.sql, order)
  if (old.server === order.to) return old
  const row = await begin(ports, order, 'copy', ({ algorithm, key_id, wrapped_key, prefix, root, sealed }) => ({
    algorithm,
    key_id,
    wrapped_key,
    prefix,
    root,
    sealed,
  }))
  let failure: ReplaceFailure | undefined
  const segments = async function* () {
    failure = undefined
    try {
      const count = segmentCount(save.size)
      const tree = new TreeHash()
      let index = 0
      for await (const segment of readSealed(
        dataServers.of(await serverOr(store.sql, old.server, 'source')),
        old,
        count,
        signal,
      )) {
        tree.add(segment)
        index++
        // Before the last one is passed on, so that what is wrong is known to be wrong here.
        if (index === count && !sameBytes(tree.root(), old.root!))
          throw new Problem('replica.damaged', 'the bytes are not those of the signed root')
        yield segment
      }
    } catch (error) {
      if (error instanceof ReplaceFailure) failure = error
      else if (isProblem(error)) failure = new ReplaceFailure('source', old.server, error)
      throw failure?.problem ?? error
    }
  }
  return finish(ports, row, segments, () => failure, signal)
}
