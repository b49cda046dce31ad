/**
 * Begins placement again from what data servers keep (ARCHITECTURE §7): its journal, opened with the recovery key that
 * was kept offline. Members, servers, objects and keys come back; saves that were still under way are offered again by
 * their devices; every card is told its conditions once more.
 */

import type { KeyObject } from 'node:crypto'
import { parseCoseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Database, Sql } from '../../../storage/database.ts'
import { migrate } from '../../../storage/migrate.ts'
import { resumeErasure } from '../erasure/erasures.ts'
import { type PlacementKeys, placementSigner } from '../keys/keys.ts'
import { keysFromBytes } from '../keys/keystore.ts'
import { catalogueVersionsKept } from '../members/catalogue.ts'
import { keysName } from '../members/registry.ts'
import { placementMigrations } from '../migrations.ts'
import { retired } from '../moves/store.ts'
import type { DataServers } from '../replicas/data-servers.ts'
import { conditionsFor, receiptFor } from '../saves/conditions.ts'
import {
  catalogueMedia,
  catalogues,
  conditions,
  facts,
  members,
  replicas,
  type SaveRow,
  saves,
  servers,
} from '../store.ts'
import {
  type ErasedEntry,
  type JournalEntry,
  journalStream,
  type KeptEntry,
  type MovedEntry,
  openEntry,
} from './journal.ts'

export interface RebuildOptions {
  /** Empty: nothing is overwritten. */
  database: Database
  recoverySecret: KeyObject
  /** Any servers that may hold the journal; what the journal says of servers is taken from there. */
  servers: readonly { id: string; url: string; key: Uint8Array }[]
  dataServers: DataServers
  clock: Clock
  random: Random
  log: Log
}

export interface Rebuilt {
  keys: PlacementKeys
  entries: number
  members: number
  servers: number
  objects: number
  /** Servers that gave the journal, with how many entries. */
  from: Record<string, number>
}

const entriesPerCall = 64
/** Versions of a catalogue that may have been begun and are not in the journal. */
const versionsLost = 16

/** Without the catalogues that were destroyed since, as newer ones took their place. */
function stillStanding(kept: readonly KeptEntry[]): KeptEntry[] {
  const newest = new Map<string, number>()
  const name = (entry: { object: Uint8Array }) => Buffer.from(entry.object).toString('hex')
  for (const entry of kept) newest.set(name(entry), Math.max(newest.get(name(entry)) ?? 0, entry.version))
  return kept.filter(
    (entry) => entry.media !== catalogueMedia || entry.version > newest.get(name(entry))! - catalogueVersionsKept,
  )
}

/** @throws {Problem} `config.invalid` when the database holds members or the key opens nothing, `server.unreachable` when no journal was found */
export async function rebuildPlacement(options: RebuildOptions): Promise<Rebuilt> {
  const { database, recoverySecret, clock, random } = options
  await migrate(database, [{ set: 'placement', migrations: placementMigrations }], clock.now())
  if ((await members.all(database)).length > 0)
    throw new Problem('config.invalid', 'this placement has members: rebuild only into an empty one')
  const recovery = publicOf(recoverySecret)
  const { entries, acks, from } = await collect(options, journalStream(recovery))
  if (entries.size === 0) throw new Problem('server.unreachable', 'no data server gave a journal for this recovery key')

  let keys: PlacementKeys | undefined
  const kept: KeptEntry[] = []
  const erased: { entry: ErasedEntry; seq: number }[] = []
  const moved = new Map<string, { seq: number; entry: MovedEntry }[]>()
  await database.transaction(async (sql) => {
    for (const seq of [...entries.keys()].sort((a, b) => a - b)) {
      const sealed = entries.get(seq)!
      const entry = openEntry(sealed, recoverySecret)
      if (entry.kind === 'keys') keys = keysFromBytes(entry.keys)
      else if (entry.kind === 'kept') kept.push(entry)
      else if (entry.kind === 'erased') erased.push({ entry, seq })
      else if (entry.kind === 'moved') moved.set(nameOf(entry), [...(moved.get(nameOf(entry)) ?? []), { seq, entry }])
      else await apply(sql, entry)
      await sql.run(
        'INSERT INTO journal (seq, entry, acks) VALUES (?, ?, ?)',
        seq,
        sealed,
        (acks.get(seq) ?? []).map((id) => `,${id},`).join(''),
      )
    }
    if (!keys) throw new Problem('config.invalid', 'the journal has no keys: its first entry is missing')
    // Writing the same keys into the journal again would be a second first entry.
    await facts.set(sql, 'journalled-keys', keysName(keys))
    const gone = new Set(erased.map(({ entry }) => Buffer.from(entry.object).toString('hex')))
    // Whether their servers had done it is not known: destroying once more does no harm.
    for (const { entry, seq } of erased) await resumeErasure(sql, entry, seq)
    for (const entry of stillStanding(kept.filter(({ object }) => !gone.has(Buffer.from(object).toString('hex'))))) {
      const moves = moved.get(nameOf(entry)) ?? []
      const replicas = entry.replicas.map((first) => standingReplica(first, moves))
      await restore(sql, { ...entry, replicas }, keys, random)
      await retireOld(sql, entry, replicas, moves, clock.now())
    }
  })
  return {
    keys: keys!,
    entries: entries.size,
    members: (await members.all(database)).length,
    servers: (await servers.all(database)).length,
    objects: kept.length - erased.length,
    from,
  }
}

function nameOf({ object, version }: { object: Uint8Array; version: number }): string {
  return `${Buffer.from(object).toString('hex')}.${version}`
}

type Place = KeptEntry['replicas'][number]
type Moves = readonly { seq: number; entry: MovedEntry }[]

/** The newest replica of a slot: epochs only rise. */
function standingReplica(first: Place, moves: Moves): Place {
  let newest = first
  for (const { entry } of moves)
    if (entry.replica.slot === first.slot && entry.replica.epoch > newest.epoch) newest = entry.replica
  return newest
}

/** What stood in a slot before may still lie there: it is destroyed when the cards, which are all told again, know. */
async function retireOld(
  sql: Sql,
  entry: KeptEntry,
  standing: readonly Place[],
  moves: Moves,
  nowMs: number,
): Promise<void> {
  for (const old of [...entry.replicas, ...moves.map((move) => move.entry.replica)]) {
    const now = standing.find(({ slot }) => slot === old.slot)!
    if (old.epoch >= now.epoch || old.server === now.server) continue
    const copied = Buffer.from(old.root).equals(now.root)
    await retired.put(sql, {
      server: old.server,
      object: entry.object,
      version: entry.version,
      slot: old.slot as 1 | 2,
      epoch: now.epoch - 1,
      member: entry.member,
      // What was destroyed since is not known: its room is not counted, so that it cannot be given back twice.
      sealed: 0,
      due: nowMs,
      journal: moves.find((move) => move.entry.replica === now)?.seq ?? 0,
      forward: copied ? now.manifest : null,
      forwarded: 0,
    })
  }
}

/** The journal from every server that answers: each may have a tail that others lack. */
async function collect({ servers: known, dataServers, log }: RebuildOptions, stream: Uint8Array) {
  const entries = new Map<number, Uint8Array>()
  const acks = new Map<number, string[]>()
  const from: Record<string, number> = {}
  for (const server of known) {
    try {
      const port = dataServers.of(server)
      for (let at = 1; ; ) {
        const part = await port.journalRead(stream, at, entriesPerCall)
        for (const [i, entry] of part.entries.entries()) {
          entries.set(at + i, entry)
          acks.set(at + i, [...(acks.get(at + i) ?? []), server.id])
        }
        at += part.entries.length
        if (part.entries.length === 0) break
        from[server.id] = at - 1
      }
    } catch (error) {
      log.warn('a data server gave no journal', { server: server.id, code: isProblem(error) ? error.code : 'internal' })
    }
  }
  return { entries, acks, from }
}

async function apply(
  sql: Sql,
  entry: Exclude<JournalEntry, { kind: 'kept' | 'keys' | 'moved' | 'erased' }>,
): Promise<void> {
  if (entry.kind === 'closed') {
    await sql.run('DELETE FROM members WHERE id = ?', entry.member)
    return
  }
  if (entry.kind === 'server') {
    const { kind: _, state, ...row } = entry
    await servers.put(sql, { ...row, kid: thumbprint(parseCoseKey(row.key)) })
    if (state === 'draining' || state === 'lost' || state === 'open' || state === 'contained')
      await servers.setState(sql, row.id, state)
    return
  }
  const { kind: _, ...row } = entry
  await sql.run('DELETE FROM members WHERE id = ?', row.id)
  await members.add(sql, {
    ...row,
    status: row.status === 'suspended' || row.status === 'closing' ? row.status : 'active',
    auth_kid: thumbprint(parseCoseKey(row.auth_key)),
    acts_kid: thumbprint(parseCoseKey(row.acts_key)),
    counter: 0,
    plan: row.plan ?? '',
    card_level: row.card_level ?? null,
    location: row.location === 0 ? 0 : 1,
    abroad: row.abroad === 0 ? 0 : 1,
    retention: row.retention ?? 0,
  })
}

async function restore(sql: Sql, entry: KeptEntry, keys: PlacementKeys, random: Random): Promise<void> {
  const { kind: _, kept, replicas: places, ...rest } = entry
  if (await saves.get(sql, rest.object, rest.version)) return
  const row: SaveRow = {
    ...rest,
    transfer_key: new Uint8Array(),
    state: 'kept',
    problem: null,
    tries: 0,
    at: kept,
    kept,
    receipt: null,
    journal: null,
    class: 0,
    place: 0,
    held: null,
  }
  const standing = places.map((place) => ({
    ...place,
    slot: place.slot as 1 | 2,
    object: row.object,
    version: row.version,
  }))
  await saves.add(sql, row)
  for (const replica of standing) {
    await replicas.put(sql, replica)
    await servers.reserve(sql, replica.server, replica.sealed)
  }
  await saves.set(sql, row, { receipt: await receiptFor(sql, row, standing, kept, placementSigner(keys)) })
  const member = await members.byId(sql, row.member)
  if (!member) throw new Problem('member.unknown', 'an object of a member that the journal does not know')
  if (row.media === catalogueMedia) {
    // The next one is made from what the member keeps, past any number that was under way when placement was lost.
    const version = row.version + versionsLost
    const known = await catalogues.get(sql, row.member)
    await catalogues.put(sql, {
      member: row.member,
      version,
      dirty: 1,
      content: new Uint8Array(),
      record: known?.record ?? null,
    })
    return
  }
  await catalogues.touch(sql, row.member)
  await conditions.put(sql, {
    member: row.member,
    object: row.object,
    version: row.version,
    record: await conditionsFor({ sql, keys, random }, row, standing, member),
    written: null,
  })
}
