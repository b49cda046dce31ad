/** Reads replicas to hold them against what was signed (S11): constant memory, whatever the size. */

import { createHash } from 'node:crypto'
import { sameBytes } from '@azukari/protocol/bytes'
import { mapInOrder } from '@azukari/protocol/in-order'
import { TreeHash } from '@azukari/protocol/merkle'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { type SealAlgorithm, segmentCount, segmentPlainBytes, Unsealer } from '@azukari/protocol/sealed'
import { unwrapDataKey, unwrapMemberKey } from '../keys/keystore.ts'
import type { ReplacePorts, Standing } from '../moves/making.ts'
import { readSealed } from '../moves/reseal.ts'
import { type ReplicaRow, servers } from '../store.ts'
import { addDifferences, Ranges } from './differences.ts'

/** Changed segments whose content is kept for the member to see. */
const piecesMax = 64

/** One replica's own key, ready to open segments. */
export function unsealerOf({ keys }: ReplacePorts, { row, member }: Standing, replica: ReplicaRow): Unsealer {
  const { object, version, slot, algorithm, key_id: keyId, prefix } = replica
  const dataKey = unwrapDataKey(unwrapMemberKey(keys, member.wrapped_key), replica.wrapped_key)
  return new Unsealer(
    { object, version, slot },
    { algorithm: algorithm as SealAlgorithm, keyId, dataKey, prefix },
    segmentCount(row.size),
  )
}

/** Sealed segments as the server sends them, in order. @throws {Problem} the server's */
async function sealedOf(
  ports: ReplacePorts,
  { row }: Standing,
  replica: ReplicaRow,
  signal: AbortSignal,
  count = segmentCount(row.size),
): Promise<AsyncGenerator<Uint8Array>> {
  const server = await servers.byId(ports.store.sql, replica.server)
  if (!server) throw new Problem('server.unreachable', 'not in the register')
  return readSealed(ports.dataServers.of(server), replica, count, signal)
}

/** The root over what a server sends, of as many segments as it says that it has. @throws {Problem} `replica.damaged`, `server.unreachable`, … */
export async function readRoot(
  ports: ReplacePorts,
  standing: Standing,
  replica: ReplicaRow,
  signal: AbortSignal,
  count: number | undefined,
): Promise<Uint8Array> {
  const tree = new TreeHash()
  for await (const segment of await sealedOf(ports, standing, replica, signal, count)) tree.add(segment)
  return tree.root()
}

/** What opening both copies of an object found (S11): which slots are not as they were signed. */
export interface Opened {
  bytes: number
  /** By slot: why it is not good. A server that does not answer is no finding. */
  faults: { slot: 1 | 2; met: 'damaged' | 'differs' | 'missing' | 'refused' }[]
  /** A server did not answer. */
  silent: boolean
}

/** Fetches both replicas, opens them side by side and compares them with each other and with what the member signed. */
export async function openBoth(ports: ReplacePorts, standing: Standing, signal: AbortSignal): Promise<Opened> {
  const { row, old, other } = standing
  const opened: Opened = { bytes: 0, faults: [], silent: false }
  const sides = await mapInOrder([old, other], async (replica) => {
    const unsealer = unsealerOf(ports, standing, replica)
    const source = await sealedOf(ports, standing, replica, signal)
    return { replica, unsealer, source, tree: new TreeHash(), plain: createHash('sha256'), good: true }
  })
  const count = segmentCount(row.size)
  const spoil = (side: (typeof sides)[number], error: unknown) => {
    signal.throwIfAborted()
    if (!isProblem(error)) throw error
    side.good = false
    const met = metBy(error)
    if (met) opened.faults.push({ slot: side.replica.slot, met })
    else opened.silent = true
  }
  for (let index = 0; index < count; index++)
    await Promise.all(
      sides.map(async (side) => {
        if (!side.good) return
        try {
          const { value, done } = await side.source.next()
          if (done) throw new Problem('replica.damaged', 'it ends early')
          opened.bytes += value.length
          side.tree.add(value)
          side.plain.update(openOr(side.unsealer, index, value))
        } catch (error) {
          spoil(side, error)
        }
      }),
    )
  for (const side of sides) {
    await side.source.return(undefined)
    if (!side.good) continue
    if (!sameBytes(side.tree.root(), side.replica.root!) || !sameBytes(side.plain.digest(), row.sha256))
      opened.faults.push({ slot: side.replica.slot, met: 'differs' })
  }
  return opened
}

/** What does not open is not what was sealed: whatever the server says about its checksums. */
function openOr(unsealer: Unsealer, index: number, sealed: Uint8Array): Uint8Array {
  try {
    return unsealer.open(index, sealed)
  } catch (error) {
    if (isProblem(error, 'replica.damaged')) throw new Problem('transfer.bad-root', error.detail)
    throw error
  }
}

/** What a server's problem says about a replica; undefined: nothing, it is to be asked again. */
export function metBy(error: Problem): 'damaged' | 'differs' | 'missing' | 'refused' | undefined {
  if (error.code === 'replica.damaged' || error.code === 'storage.failed') return 'damaged'
  if (error.code === 'replica.missing') return 'missing'
  if (error.code === 'transfer.bad-root') return 'differs'
  return error.retry === 'later' ? undefined : 'refused'
}

/** Where a changed replica differs from the good one, and what stands there instead as far as it opens. */
export interface Difference {
  ranges: Ranges
  pieces: { index: number; bytes: Uint8Array }[]
}

/** @returns undefined when the other slot is not what was signed either: then nobody can say what is different */
export async function differenceOf(
  ports: ReplacePorts,
  standing: Standing,
  signal: AbortSignal,
): Promise<Difference | undefined> {
  const { row, old, other } = standing
  const found: Difference = { ranges: new Ranges(), pieces: [] }
  const good = unsealerOf(ports, standing, other)
  const changed = unsealerOf(ports, standing, old)
  const plain = createHash('sha256')
  const theirs = await sealedOf(ports, standing, old, signal)
  let index = 0
  try {
    for await (const sealed of await sealedOf(ports, standing, other, signal)) {
      const segment = good.open(index, sealed)
      plain.update(segment)
      const next = await theirs.next().catch(() => undefined)
      const instead = next && !next.done ? tryOpen(changed, index, next.value) : undefined
      addDifferences(found.ranges, index * segmentPlainBytes, segment, instead ?? new Uint8Array(0))
      if (instead && !sameBytes(instead, segment) && found.pieces.length < piecesMax)
        found.pieces.push({ index, bytes: instead })
      index++
    }
  } catch (error) {
    signal.throwIfAborted()
    if (isProblem(error)) return undefined
    throw error
  } finally {
    await theirs.return(undefined)
  }
  return sameBytes(plain.digest(), row.sha256) ? found : undefined
}

function tryOpen(unsealer: Unsealer, index: number, sealed: Uint8Array): Uint8Array | undefined {
  try {
    return unsealer.open(index, sealed)
  } catch (error) {
    if (isProblem(error)) return undefined
    throw error
  }
}
