/**
 * A slot made anew from the other one (S9, S11): the other replica is read, opened and held against what the member's
 * card signed, then sealed under a key of its own for this slot. For what is damaged, tampered with, or gone with its
 * server. Constant memory: the source is read twice, once for the root and once to send.
 */
import { parseCoseKey } from '@azukari/protocol/keys'
import { isProblem, Problem } from '@azukari/protocol/problem'
import {
  algorithmOfSlot,
  newReplicaKey,
  type SealAlgorithm,
  sealedBytes,
  segmentCount,
  Unsealer,
} from '@azukari/protocol/sealed'
import type { DataServerPort } from '../../../data-server/port.ts'
import { unwrapDataKey, unwrapMemberKey, wrapDataKey } from '../keys/keystore.ts'
import { type Content, rootsOf, sealedSegments } from '../saves/sealing.ts'
import type { ReplicaRow, SaveRow } from '../store.ts'
import { begin, finish, ReplaceFailure, type ReplaceOrder, type ReplacePorts, serverOr, standingOf } from './making.ts'
import { making } from './store.ts'

/**
 * Makes a slot anew at the given server from the slot that is good. May be called again after a crash or failure with the
 * same order: it goes on. Only one replacement of a slot at a time; the caller sees to it (`Mover.exclusive`).
 * Onto the server where the bad replica lies, that one is destroyed first: the other slot stands meanwhile.
 * @returns the replica that stands in the slot now
 * @throws {ReplaceFailure} `source`: the other slot does not open either; `target`: choose another server; `journal`: later
 * @throws {Problem} `object.unknown` when it is not kept
 */
export async function reseal(ports: ReplacePorts, order: ReplaceOrder, signal: AbortSignal): Promise<ReplicaRow> {
  const { store, keys, random } = ports
  const { member, row: save, other } = await standingOf(store.sql, order)
  const memberKey = unwrapMemberKey(keys, member.wrapped_key)
  const row = await begin(ports, order, 'reseal', () => {
    const key = newReplicaKey(order.slot, random)
    return {
      algorithm: algorithmOfSlot(order.slot),
      key_id: key.keyId,
      wrapped_key: wrapDataKey(memberKey, key.dataKey, random),
      prefix: key.prefix,
      root: null,
      sealed: sealedBytes(save.size),
    }
  })
  const source = new ReplicaContent(ports, save, other, unwrapDataKey(memberKey, other.wrapped_key), signal)
  const failed = () => source.failure && new ReplaceFailure('source', other.server, source.failure)
  if (!row.root) {
    try {
      const [root] = await rootsOf(source, [row], memberKey)
      await store.transaction(({ sql }) => making.set(sql, row, { root: root! }))
    } catch (error) {
      signal.throwIfAborted()
      if (!isProblem(error)) throw error
      // It opens and is not what was signed: no device is to blame, that replica is not good.
      throw failed() ?? new ReplaceFailure('source', other.server, new Problem('replica.damaged', error.detail))
    }
  }
  const dataKey = unwrapDataKey(memberKey, row.wrapped_key)
  return finish(ports, row, () => sealedSegments(source, row, dataKey), failed, signal)
}

/** What a replica holds, opened segment by segment as it comes from its data server. */
export class ReplicaContent implements Content {
  readonly row: SaveRow
  failure: Problem | undefined
  readonly #ports: ReplacePorts
  readonly #replica: ReplicaRow
  readonly #dataKey: Uint8Array
  readonly #signal: AbortSignal

  constructor(ports: ReplacePorts, row: SaveRow, replica: ReplicaRow, dataKey: Uint8Array, signal: AbortSignal) {
    this.row = row
    this.#ports = ports
    this.#replica = replica
    this.#dataKey = dataKey
    this.#signal = signal
  }

  async *segments(): AsyncGenerator<{ segment: Uint8Array; last: boolean }> {
    const { object, version, slot, algorithm, key_id: keyId, prefix, server } = this.#replica
    const count = segmentCount(this.row.size)
    this.failure = undefined
    try {
      const unsealer = new Unsealer(
        { object, version, slot },
        { algorithm: algorithm as SealAlgorithm, keyId, dataKey: this.#dataKey, prefix },
        count,
      )
      const known = await serverOr(this.#ports.store.sql, server, 'source')
      parseCoseKey(known.key)
      let index = 0
      for await (const sealed of readSealed(this.#ports.dataServers.of(known), this.#replica, count, this.#signal)) {
        const segment = unsealer.open(index, sealed)
        index++
        yield { segment, last: index === count }
      }
    } catch (error) {
      if (error instanceof ReplaceFailure) this.failure = error.problem
      else if (isProblem(error)) this.failure = error
      throw this.failure ?? error
    }
  }
}

/** How often a reading that broke off goes on without having come further. */
const triesWithoutProgress = 3

/**
 * All sealed segments of a replica in order; a line that breaks is taken up where it broke.
 * @throws {Problem} `replica.damaged` when there are fewer or more, the server's problems
 */
export async function* readSealed(
  port: DataServerPort,
  { object, version, slot }: Pick<ReplicaRow, 'object' | 'version' | 'slot'>,
  count: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let at = 0
  for (let tries = 0; at < count; ) {
    const before = at
    try {
      for await (const segment of port.readSegments({ object, version, slot }, at, count - at, signal)) {
        if (at >= count) throw new Problem('replica.damaged', 'more segments than it has')
        at++
        yield segment
        signal.throwIfAborted()
      }
      if (at < count) throw new Problem('server.unreachable', 'the segments end early')
    } catch (error) {
      signal.throwIfAborted()
      tries = at > before ? 1 : tries + 1
      if (!isProblem(error, 'server.unreachable') || tries >= triesWithoutProgress) throw error
    }
  }
}
