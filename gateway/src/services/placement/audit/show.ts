/** What was changed, for its member to see (S11): the good bytes from the replica that stands, and what stood there instead. */
import { decode } from '@azukari/protocol/codec'
import { decrypt0 } from '@azukari/protocol/cose'
import { Problem } from '@azukari/protocol/problem'
import { segmentPlainBytes } from '@azukari/protocol/sealed'
import { unwrapDataKey, unwrapMemberKey } from '../keys/keystore.ts'
import type { ReplacePorts } from '../moves/making.ts'
import { ReplicaContent } from '../moves/reseal.ts'
import { members, replicas, saves } from '../store.ts'
import type { ByteRange } from './differences.ts'
import { piecesDomain } from './remediate.ts'
import { differences, verdicts } from './store.ts'

/** Larger objects are shown by their ranges only. */
const showMaxBytes = 64 * 1024 * 1024

export interface Shown {
  media: string
  ranges: ByteRange[]
  good: Uint8Array
  /** What stood there, zeros where it did not open. */
  changed: Uint8Array
}

/** @throws {Problem} `object.unknown` when there is nothing to show, `message.too-large` */
export async function showDifference(ports: ReplacePorts, id: number, signal: AbortSignal): Promise<Shown> {
  const { store, keys } = ports
  const { sql } = store
  const verdict = await verdicts.byId(sql, id)
  const difference = await differences.of(sql, id)
  if (!verdict?.object || verdict.version === null || !difference)
    throw new Problem('object.unknown', `verdict ${id} shows no difference`)
  const row = await saves.get(sql, verdict.object, verdict.version)
  const member = row && (await members.byId(sql, row.member))
  // The other slot was good then, and the one made anew from it is good now: whichever can be read.
  const standing = await replicas.of(sql, verdict.object, verdict.version)
  if (!row || !member || standing.length === 0) throw new Problem('object.unknown', 'the object is gone')
  if (row.size > showMaxBytes) throw new Problem('message.too-large', `${row.size} bytes`)
  const memberKey = unwrapMemberKey(keys, member.wrapped_key)
  const good = new Uint8Array(row.size)
  let failure: unknown
  for (const replica of standing) {
    try {
      const content = new ReplicaContent(ports, row, replica, unwrapDataKey(memberKey, replica.wrapped_key), signal)
      let at = 0
      for await (const { segment } of content.segments()) {
        good.set(segment, at)
        at += segment.length
      }
      failure = undefined
      break
    } catch (error) {
      failure = error
    }
  }
  if (failure) throw failure
  const ranges = JSON.parse(difference.ranges) as ByteRange[]
  const changed = Uint8Array.from(good)
  for (const [from, to] of ranges) changed.fill(0, from, to)
  const pieces = decode(decrypt0(difference.pieces, memberKey, piecesDomain), { maxBytes: 16 << 20 }) as [
    number,
    Uint8Array,
  ][]
  for (const [index, bytes] of pieces) {
    const at = index * segmentPlainBytes
    changed.set(bytes.subarray(0, Math.max(0, changed.length - at)), at)
  }
  return { media: row.media, ranges, good, changed }
}
