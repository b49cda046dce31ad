/**
 * A replica that takes the place of another (S9, S11): the steps that a byte copy and a new sealing have in common. Make
 * before break: it is written down, sent, signed for and in the journal of two regions before the slot is switched, and
 * the old one stays until the card can do without it. After a crash at any step the same call goes on from there.
 */
import type { DirectSigner } from '@azukari/protocol/cose'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { ServiceStore } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { contain } from '../audit/contain.ts'
import type { ImpostorRules } from '../audit/impostors.ts'
import { sealEntry } from '../journal/journal.ts'
import type { JournalPush } from '../journal/push.ts'
import type { PlacementKeys } from '../keys/keys.ts'
import type { DataServers } from '../replicas/data-servers.ts'
import { deliver } from '../replicas/deliver.ts'
import { conditionsFor } from '../saves/conditions.ts'
import { manifestOf } from '../saves/sealing.ts'
import {
  abandoned,
  catalogueMedia,
  catalogues,
  conditions,
  journal,
  type MemberRow,
  members,
  type ReplicaRow,
  replicas,
  type SaveRow,
  type ServerRow,
  saves,
  servers,
} from '../store.ts'
import { making, retired } from './store.ts'
import type { MakingTable, MoveCause } from './tables.ts'

/** Causes that want the old place empty: nothing is gained by waiting. */
const roomCauses: ReadonlySet<MoveCause> = new Set(['rank', 'capacity', 'draining'])

export interface ReplacePorts {
  store: ServiceStore
  keys: PlacementKeys
  signer: DirectSigner
  dataServers: DataServers
  journal: Pick<JournalPush, 'push' | 'isSafe'>
  clock: Clock
  random: Random
  log: Log
  impostors: ImpostorRules
  /** How long an old replica stays at least, ms. */
  graceMs: number
  /** Hears that a server was shut off (S12). */
  onContained?: ((server: string) => void) | undefined
}

/** Which slot is made anew, where, and why. */
export interface ReplaceOrder {
  object: Uint8Array
  version: number
  slot: 1 | 2
  /** Id of the server to go to. */
  to: string
  cause: MoveCause
  /** JSON, for the member: see `reasons.ts`. */
  reason: string
}

/** One side of a replacement failed; the caller chooses another way or waits. */
export class ReplaceFailure extends Error {
  readonly at: 'source' | 'target' | 'journal'
  readonly server: string
  readonly problem: Problem

  constructor(at: ReplaceFailure['at'], server: string, problem: Problem) {
    super(`${at} ${server}: ${problem.message}`, { cause: problem })
    this.at = at
    this.server = server
    this.problem = problem
  }
}

export interface Standing {
  row: SaveRow
  old: ReplicaRow
  other: ReplicaRow
  member: MemberRow
}

/** The object as it stands. @throws {Problem} `object.unknown` when it is not kept with two replicas */
export async function standingOf(
  sql: Sql,
  { object, version, slot }: Pick<ReplaceOrder, 'object' | 'version' | 'slot'>,
): Promise<Standing> {
  const row = await saves.get(sql, object, version)
  const both = await replicas.of(sql, object, version)
  const old = both.find((replica) => replica.slot === slot)
  const other = both.find((replica) => replica.slot !== slot)
  const member = row && (await members.byId(sql, row.member))
  if (row?.state !== 'kept' || !old?.root || !other?.root || !member)
    throw new Problem('object.unknown', 'it is not kept in two places')
  return { row, old, other, member }
}

/**
 * Writes down what is to be made, or finds what was. A making that is in the journal is finished before any other order.
 * @param fresh the key and root of the new replica
 */
export async function begin(
  { store }: ReplacePorts,
  order: ReplaceOrder,
  kind: MakingTable['kind'],
  fresh: (old: ReplicaRow) => Pick<MakingTable, 'algorithm' | 'key_id' | 'wrapped_key' | 'prefix' | 'root' | 'sealed'>,
): Promise<MakingTable> {
  return store.transaction(async ({ sql }) => {
    const { old } = await standingOf(sql, order)
    const under = await making.of(sql, order)
    if (under && (under.journal !== null || (under.kind === kind && under.server === order.to))) return under
    if (under) await giveUpMaking(sql, under)
    const { object, version, slot, cause, reason } = order
    if (!(await servers.byId(sql, order.to)))
      throw new Problem('server.unreachable', `${order.to} is not in the register`)
    // Above anything that was begun here before: an order to destroy what was given up must not meet this one.
    const given = await abandoned.of(sql, { server: order.to, object, version, slot })
    const epoch = Math.max(old.epoch, under?.epoch ?? 0, given?.epoch ?? 0) + 1
    const row: MakingTable = {
      object,
      version,
      slot,
      kind,
      cause,
      reason,
      epoch,
      ...fresh(old),
      server: order.to,
      manifest: null,
      receipt: null,
      journal: null,
    }
    await making.add(sql, row)
    // What lies there from before gives way or becomes this one.
    const before = await retired.of(sql, { server: order.to, object, version, slot })
    if (before) {
      await retired.drop(sql, before)
      if (!before.forwarded) await servers.reserve(sql, before.server, -before.sealed)
    }
    await servers.reserve(sql, row.server, row.sealed)
    return row
  })
}

/** Not to be made any more: the room is given back and what may lie there is destroyed. */
async function giveUpMaking(sql: Sql, row: MakingTable): Promise<void> {
  const { server, object, version, slot, epoch, sealed } = row
  await making.drop(sql, row)
  await servers.reserve(sql, server, -sealed)
  // Where the standing replica is, an order to destroy up to this epoch would meet that one.
  if (!(await isInPlace(sql, row))) await abandoned.add(sql, { server, object, version, slot, epoch })
}

/** Made on the server where the one lies that it replaces. */
async function isInPlace(sql: Sql, { object, version, slot, server }: MakingTable): Promise<boolean> {
  return (await replicas.of(sql, object, version)).some((replica) => replica.slot === slot && replica.server === server)
}

/**
 * Gives up what is being made in a slot, when it may still be given up.
 * @returns false when it is in the journal already and will take the slot
 */
export async function cancelMaking(
  store: ServiceStore,
  slot: Pick<ReplaceOrder, 'object' | 'version' | 'slot'>,
): Promise<boolean> {
  return store.transaction(async ({ sql }) => {
    const row = await making.of(sql, slot)
    // In its old place the one before is destroyed already.
    if (row && (row.journal !== null || (await isInPlace(sql, row)))) return false
    if (row) await giveUpMaking(sql, row)
    return true
  })
}

/**
 * Sends what is being made, has it signed for, and lets it take the slot.
 * @param segments its sealed segments, from the start at each call
 * @param sourceFailed what went wrong with reading them: no fault of the place they go to
 * @returns the replica that stands now
 * @throws {ReplaceFailure}
 */
export async function finish(
  ports: ReplacePorts,
  row: MakingTable,
  segments: () => AsyncIterable<Uint8Array>,
  sourceFailed: () => ReplaceFailure | undefined,
  signal: AbortSignal,
): Promise<ReplicaRow> {
  const { store } = ports
  if (!row.receipt) {
    const server = await servers.byId(store.sql, row.server)
    const { row: save, member } = await standingOf(store.sql, row)
    try {
      if (!server) throw new Problem('server.unreachable', 'not in the register')
      const manifest = manifestOf(save, replicaOf(row), server, member)
      const delivered = await deliver(ports, server, manifest, row.wrapped_key, segments, signal)
      await store.transaction(async ({ sql }) => {
        await making.set(sql, row, delivered)
        await servers.resetDemerits(sql, row.server)
      })
    } catch (error) {
      signal.throwIfAborted()
      const failed = sourceFailed()
      if (failed) throw failed
      if (!isProblem(error)) throw error
      await penalise(ports, row.server, error)
      throw new ReplaceFailure('target', row.server, error)
    }
  }
  const seq = row.journal ?? (await enterJournal(ports, row))
  if (!(await ports.journal.isSafe(seq))) {
    await ports.journal.push()
    if (!(await ports.journal.isSafe(seq)))
      throw new ReplaceFailure(
        'journal',
        row.server,
        new Problem('server.unreachable', 'the journal is not in two regions'),
      )
  }
  return takeSlot(ports, row)
}

/** S12: an impostor is shut off; one that only fails is asked again soon. */
export async function penalise(ports: ReplacePorts, server: string, problem: Problem): Promise<void> {
  const { store, log } = ports
  if (problem.code === 'server.impostor') {
    await contain(ports, server, 'impostor', 'it did not prove its key when data was to be moved')
    return
  }
  log.warn('a data server failed', { server, code: problem.code, detail: problem.detail })
  // One that is full is no worse for it.
  if (problem.code === 'storage.full') return
  await store.transaction(({ sql }) => servers.penalise(sql, server, 1, 0))
}

/** From here on the new replica is what a rebuilt placement finds. */
async function enterJournal({ store, keys, random }: ReplacePorts, row: MakingTable): Promise<number> {
  return store.transaction(async ({ sql }) => {
    const { object, version } = row
    const { object: _o, version: _v, ...replica } = replicaOf(row)
    const entry = {
      kind: 'moved' as const,
      object,
      version,
      replica: { ...replica, root: row.root!, manifest: row.manifest!, receipt: row.receipt! },
    }
    const seq = await journal.append(sql, sealEntry(entry, keys.recovery, random))
    await making.set(sql, row, { journal: seq })
    return seq
  })
}

/** The new replica stands in the slot, the old one is retired, the card is to be told: one commit. */
async function takeSlot(ports: ReplacePorts, row: MakingTable): Promise<ReplicaRow> {
  const { store, clock, graceMs } = ports
  return store.transaction(async ({ sql }) => {
    const { row: save, old, other } = await standingOf(sql, row)
    // Two that finish the same making meet here: the first has done all of this.
    if ((await making.of(sql, row))?.epoch !== row.epoch) return old
    const replica = replicaOf(row)
    await replicas.put(sql, replica)
    await making.drop(sql, row)
    await sql.run('DELETE FROM moves WHERE object = ? AND version = ? AND slot = ?', row.object, row.version, row.slot)
    if (old.server === row.server) await servers.reserve(sql, old.server, -old.sealed)
    else
      await retired.put(sql, {
        server: old.server,
        object: row.object,
        version: row.version,
        slot: row.slot,
        // With whatever was begun and given up in its place.
        epoch: row.epoch - 1,
        member: save.member,
        sealed: old.sealed,
        due: clock.now() + (roomCauses.has(row.cause) ? 0 : graceMs),
        journal: row.journal!,
        // A card that knows the old place can open a byte copy with the keys it has; a new sealing it cannot.
        forward: row.kind === 'copy' ? row.manifest : null,
        forwarded: 0,
      })
    await tellCard(sql, ports, save, row.slot === 1 ? [replica, other] : [other, replica])
    return replica
  })
}

/** S9: the card gets the new conditions at its next session, and the catalogue is written anew. */
async function tellCard(sql: Sql, ports: ReplacePorts, row: SaveRow, standing: readonly ReplicaRow[]): Promise<void> {
  const member = (await members.byId(sql, row.member))!
  const record = await conditionsFor({ ...ports, sql }, row, standing, member)
  if (row.media !== catalogueMedia) {
    await conditions.put(sql, { member: row.member, object: row.object, version: row.version, record, written: null })
    await catalogues.touch(sql, row.member)
    return
  }
  const known = await catalogues.get(sql, row.member)
  const newest = (
    await sql.get<{ version: number | null }>(
      `SELECT max(version) AS version FROM saves WHERE object = ? AND state = 'kept'`,
      row.object,
    )
  )?.version
  if (known && newest === row.version) await catalogues.put(sql, { ...known, record })
}

/** The register's server, or the failure that it is not there. */
export async function serverOr(sql: Sql, id: string, at: ReplaceFailure['at']): Promise<ServerRow> {
  const server = await servers.byId(sql, id)
  if (!server) throw new ReplaceFailure(at, id, new Problem('server.unreachable', 'not in the register'))
  if (server.state === 'contained') throw new ReplaceFailure(at, id, new Problem('server.contained', id))
  return server
}

function replicaOf(row: MakingTable): ReplicaRow {
  const { kind: _k, cause: _c, journal: _j, ...replica } = row
  return replica
}
