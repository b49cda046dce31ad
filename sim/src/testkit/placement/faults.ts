/**
 * What happens to replicas on their media, done to the real storage of a data server: rot, losses, and people who change
 * bytes. Each kind says which verdicts are true of it, so that audits can be held against what was really done.
 */
import { filesIn, recordBytes, shapeOf, stripeOf } from '@azukari/gateway/data-server/layout'
import { members, type ReplicaRow } from '@azukari/gateway/services/placement/store'
import { hex } from '@azukari/protocol/bytes'
import { Problem } from '@azukari/protocol/problem'
import { segmentSealedBytes } from '@azukari/protocol/sealed'
import type { VerdictKind } from '@azukari/protocol/verdict'
import type { PlacementFixture } from './fixture.ts'
import { forge, replicaFolder, scrambled, sealedAnew, shardsOf, someOther, storedSegments } from './forger.ts'

export const faultKinds = [
  'rot within parity',
  'rot beyond parity',
  'rot in the hashes',
  'rot in the manifest',
  'rot in the keys beside it',
  'cut short',
  'segments swapped',
  'unreadable sectors',
  'deleted',
  'flipped on the line',
  'put back to an older state',
  'changed without keys',
  'changed with keys',
  'replaced by another object',
  'changed, and rotten too',
] as const
export type FaultKind = (typeof faultKinds)[number]

/** What may truly be said of each. Only the last four are somebody’s doing that leaves every checksum sound. */
export const truth: Readonly<Record<FaultKind, readonly VerdictKind[]>> = {
  'rot within parity': ['media'],
  'rot beyond parity': ['media'],
  'rot in the hashes': ['media'],
  'rot in the manifest': ['media'],
  'rot in the keys beside it': ['media'],
  'cut short': ['media'],
  'segments swapped': ['media'],
  'unreadable sectors': ['media'],
  deleted: ['unexplained'],
  'flipped on the line': ['unexplained'],
  'put back to an older state': ['rollback'],
  'changed without keys': ['tampering'],
  'changed with keys': ['tampering'],
  'replaced by another object': ['tampering'],
  // A reader may have parity repair the rot before anybody looks for a change.
  'changed, and rotten too': ['unexplained', 'tampering'],
}

/** A fault as it was done. */
export interface Fault {
  kind: FaultKind
  replica: ReplicaRow
}

export function folderOf(replica: Pick<ReplicaRow, 'object' | 'version' | 'slot'>): string {
  return replicaFolder('/disk', replica)
}

/** All files of a replica, as they are now. */
export async function copyOf(fixture: PlacementFixture, replica: ReplicaRow): Promise<Map<string, Uint8Array>> {
  const { files } = fixture.servers.get(replica.server)!
  const found = new Map<string, Uint8Array>()
  const folder = folderOf(replica)
  for (const name of await files.list(folder)) {
    const handle = await files.open(`${folder}/${name}`, 'read')
    found.set(name, await handle.read(0, await handle.size()))
    await handle.close()
  }
  return found
}

/** Puts files in the place of a replica's. */
async function putBack(
  fixture: PlacementFixture,
  replica: ReplicaRow,
  copy: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const { files } = fixture.servers.get(replica.server)!
  const folder = folderOf(replica)
  await files.remove(folder)
  await files.makeDirectory(folder)
  for (const [name, bytes] of copy) {
    const handle = await files.open(`${folder}/${name}`, 'create')
    await handle.write(0, bytes)
    await handle.sync()
    await handle.close()
  }
}

/** What a fault may need beside the replica itself. */
export interface FaultContext {
  /** Files of this slot as they were at an earlier epoch. */
  older?: ReadonlyMap<string, Uint8Array> | undefined
  /** A replica of another object on the same server. */
  another?: ReplicaRow | undefined
}

/** Whether a fault can be done to this replica at all. */
export function canDo(kind: FaultKind, replica: ReplicaRow, { older, another }: FaultContext): boolean {
  const { segments } = shapeOf(replica.sealed)
  if (kind === 'segments swapped') return segments >= 5
  if (kind === 'put back to an older state') return older !== undefined
  if (kind === 'replaced by another object') return another !== undefined
  return kind !== 'changed, and rotten too' || segments >= 2
}

/** Does it. */
export async function inflict(
  fixture: PlacementFixture,
  kind: FaultKind,
  replica: ReplicaRow,
  context: FaultContext = {},
): Promise<void> {
  const { files } = fixture.servers.get(replica.server)!
  const folder = folderOf(replica)
  const paths = filesIn(folder)
  const { random } = fixture
  const shape = shapeOf(replica.sealed)
  const number = random.between(0, shape.stripes - 1)
  const stripe = stripeOf(shape, number)
  const ranges = shardsOf(folder, replica.sealed, number)
  const rotShard = (at: number) => {
    const { path, from, to } = ranges[at]!
    files.rot(path, 4, { from, to })
  }
  const shards = Array.from({ length: stripe.count + 2 }, (_, at) => at).sort(() => random.float() - 0.5)
  switch (kind) {
    case 'rot within parity':
      return shards.slice(0, random.between(1, 2)).forEach(rotShard)
    case 'rot beyond parity': {
      // At least one of them data, or nothing is lost.
      const wanted = new Set([random.between(0, stripe.count - 1), ...shards])
      return [...wanted].slice(0, random.between(3, stripe.count + 2)).forEach(rotShard)
    }
    case 'rot in the hashes': {
      const copies = random.pick([['head'], ['parity'], ['head', 'parity']])
      if (copies.includes('head'))
        files.rot(paths.head, 3, { from: stripe.recordAt, to: stripe.recordAt + recordBytes })
      if (copies.includes('parity'))
        files.rot(paths.parity, 3, { from: stripe.parityAt, to: stripe.parityAt + recordBytes })
      return
    }
    case 'rot in the manifest':
      files.rot(paths.head, 5, { from: 0, to: 400 })
      return files.rot(paths.parity, 5, { from: 0, to: 400 })
    case 'rot in the keys beside it':
      return rotNotes(fixture, replica)
    case 'cut short': {
      const handle = await files.open(paths.segments, 'write')
      await handle.truncate(Math.floor(replica.sealed * random.float()))
      await handle.sync()
      return handle.close()
    }
    case 'segments swapped':
      return swapSegments(fixture, replica)
    case 'unreadable sectors':
      return unreadable(fixture, replica)
    case 'deleted':
      return files.remove(folder)
    case 'flipped on the line':
      return flipOnce(fixture, replica)
    case 'put back to an older state':
      return putBack(fixture, replica, context.older!)
    case 'changed without keys':
      return rewrite(fixture, replica, (stored) => scrambled(stored, random))
    case 'changed with keys':
      return rewrite(fixture, replica, () => resealed(fixture, replica))
    case 'replaced by another object':
      return putBack(fixture, replica, await copyOf(fixture, context.another!))
    case 'changed, and rotten too':
      await inflict(fixture, 'changed without keys', replica)
      return rotShard(random.between(0, stripe.count + 1))
  }
}

/** Writes bytes with hashes and parity that agree with them, as whoever knows the format can. */
async function rewrite(
  fixture: PlacementFixture,
  replica: ReplicaRow,
  change: (segments: Uint8Array[]) => Uint8Array[] | Promise<Uint8Array[]>,
): Promise<void> {
  const { files } = fixture.servers.get(replica.server)!
  const folder = folderOf(replica)
  const changed = await change(await storedSegments(files, folder, replica))
  await files.remove(folder)
  await forge(files, folder, replica, changed, fixture.clock.now())
}

/** The member's bytes, a few of them others, under the replica's own key. */
async function resealed(fixture: PlacementFixture, replica: ReplicaRow): Promise<Uint8Array[]> {
  const { content, member } = fixture.originals.get(hex(replica.object))!
  const { wrapped_key } = (await members.byId(fixture.medium.sql, member.id))!
  return sealedAnew(replica, fixture.keys, wrapped_key, someOther(content, fixture.random))
}

/** Both copies, where they are written: rot in what fills up the blocks harms nobody. */
async function rotNotes(fixture: PlacementFixture, replica: ReplicaRow): Promise<void> {
  const { files } = fixture.servers.get(replica.server)!
  const { notes } = filesIn(folderOf(replica))
  const half = (await files.stat(notes))!.sizeBytes / 2
  for (const from of [0, half]) files.rot(notes, 5, { from, to: from + replica.wrapped_key.length })
}

async function swapSegments(fixture: PlacementFixture, replica: ReplicaRow): Promise<void> {
  const { files } = fixture.servers.get(replica.server)!
  const handle = await files.open(filesIn(folderOf(replica)).segments, 'write')
  const first = await handle.read(0, segmentSealedBytes)
  await handle.write(0, await handle.read(2 * segmentSealedBytes, segmentSealedBytes))
  await handle.write(2 * segmentSealedBytes, first)
  await handle.sync()
  await handle.close()
}

/** The medium gives an error for this replica's segments until it is written anew. */
function unreadable(fixture: PlacementFixture, replica: ReplicaRow): void {
  const { files } = fixture.servers.get(replica.server)!
  const path = filesIn(folderOf(replica)).segments
  const before = files.intercept
  let broken = true
  files.intercept = (operation, at) => {
    before?.(operation, at)
    if (operation === 'rename' && at === folderOf(replica)) broken = false
    if (broken && operation === 'read' && at === path) throw new Problem('storage.failed', `${at}: input/output error`)
  }
}

/** The next reading of this replica brings one other bit; after that the line is good. */
function flipOnce(fixture: PlacementFixture, replica: ReplicaRow): void {
  const before = fixture.onSegment
  let left = 1
  fixture.onSegment = (server, object, segment) => {
    const brought = before(server, object, segment)
    if (left === 0 || server !== replica.server || !Buffer.from(object).equals(replica.object)) return brought
    left--
    const other = Uint8Array.from(brought)
    other[0]! ^= 1
    return other
  }
}
