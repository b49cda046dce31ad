/** SQL of members’ requests and erasures (D8): rows in, rows out; and the two steps that begin an erasure. */
import { sealedBytes as sealedSize } from '@azukari/protocol/sealed'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import type { ErasedEntry } from '../journal/journal.ts'
import { leaveBucket } from '../moves/buckets.ts'
import { making, retired } from '../moves/store.ts'
import type { MakingTable, RetiredTable } from '../moves/tables.ts'
import {
  type AbandonedRow,
  abandoned,
  catalogueMedia,
  catalogues,
  type ReplicaRow,
  replicas,
  type SaveRow,
  servers,
} from '../store.ts'
import type { ErasingRow, ErasureCause, ErasureRow, RequestRow } from './tables.ts'

export const memberRequests = {
  of: (sql: Sql, act: Uint8Array) => sql.get<RequestRow>('SELECT * FROM wishes WHERE act = ?', act),
  add: (sql: Sql, row: RequestRow) => insertRow(sql, 'wishes', row),
  /** Accounts that are to be closed and have nothing left to erase. */
  closable: (sql: Sql) =>
    sql.all<RequestRow>(
      `SELECT * FROM wishes AS w WHERE kind = 'close' AND closing IS NULL
       AND NOT EXISTS (SELECT 1 FROM erasures WHERE member = w.member AND done IS NULL)
       AND NOT EXISTS (SELECT 1 FROM saves WHERE member = w.member) LIMIT 16`,
    ),
  closed: (sql: Sql, act: Uint8Array, receipt: Uint8Array) =>
    sql.run('UPDATE wishes SET closing = ? WHERE act = ?', receipt, act),
}

export const erasures = {
  of: (sql: Sql, object: Uint8Array) => sql.get<ErasureRow>('SELECT * FROM erasures WHERE object = ?', object),
  page: (sql: Sql, act: Uint8Array, after: Uint8Array, limit: number) =>
    sql.all<ErasureRow>(
      'SELECT * FROM erasures WHERE act = ? AND object > ? ORDER BY object LIMIT ?',
      act,
      after,
      limit,
    ),
  openOf: async (sql: Sql, act: Uint8Array): Promise<number> =>
    (await sql.get<{ n: number }>('SELECT count(*) AS n FROM erasures WHERE act = ? AND done IS NULL', act))!.n,
  toGather: (sql: Sql, limit: number) =>
    sql.all<ErasureRow>('SELECT * FROM erasures WHERE done IS NULL AND journal IS NULL ORDER BY at LIMIT ?', limit),
  /** Of which nothing is left anywhere, and nobody has been told. */
  finished: (sql: Sql, limit: number) =>
    sql.all<ErasureRow>(
      `SELECT * FROM erasures AS e WHERE done IS NULL AND journal IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM erasing WHERE object = e.object AND state = 'open') ORDER BY at LIMIT ?`,
      limit,
    ),
  done: (sql: Sql, object: Uint8Array, atMs: number, receipt: Uint8Array) =>
    sql.run('UPDATE erasures SET done = ?, receipt = ? WHERE object = ?', atMs, receipt, object),
}

export const erasing = {
  of: (sql: Sql, object: Uint8Array) =>
    sql.all<ErasingRow>('SELECT * FROM erasing WHERE object = ? ORDER BY version, slot, server', object),
  waiting: async (sql: Sql, object: Uint8Array): Promise<string[]> =>
    (
      await sql.all<{ server: string }>(
        "SELECT DISTINCT server FROM erasing WHERE object = ? AND state = 'open'",
        object,
      )
    ).map(({ server }) => server),
  due: (sql: Sql, nowMs: number, limit: number) =>
    sql.all<ErasingRow>(
      "SELECT * FROM erasing WHERE state IN ('open', 'lost') AND not_before <= ? ORDER BY not_before LIMIT ?",
      nowMs,
      limit,
    ),
  set: (
    sql: Sql,
    { object, version, slot, server }: ErasingRow,
    now: Pick<ErasingRow, 'state' | 'at' | 'receipt' | 'tries' | 'not_before'>,
  ) =>
    sql.run(
      `UPDATE erasing SET state = ?, at = ?, receipt = ?, tries = ?, not_before = ?
       WHERE object = ? AND version = ? AND slot = ? AND server = ?`,
      now.state,
      now.at,
      now.receipt,
      now.tries,
      now.not_before,
      object,
      version,
      slot,
      server,
    ),
}

/** From now on the object counts as gone: nobody is told of it, nothing moves it, no device brings it again. */
export async function beginErasure(
  sql: Sql,
  { object, member, device }: Pick<SaveRow, 'object' | 'member' | 'device'>,
  { act, cause, atMs }: { act: Uint8Array; cause: ErasureCause; atMs: number },
): Promise<void> {
  await insertRow(sql, 'erasures', {
    object,
    act,
    member,
    device,
    cause,
    at: atMs,
    keys: 0,
    journal: null,
    done: null,
    receipt: null,
  })
  await sql.run("UPDATE saves SET state = 'erasing', name = '' WHERE object = ?", object)
  await sql.run('DELETE FROM conditions WHERE member = ? AND object = ?', member, object)
  await sql.run('DELETE FROM moves WHERE object = ?', object)
  if (await catalogues.get(sql, member)) await catalogues.touch(sql, member)
}

export interface Gathered {
  keys: number
  places: { version: number; slot: 1 | 2; server: string }[]
  /** What the receive buffer may hold of it still. */
  transfers: Uint8Array[]
}

/**
 * Takes everything that is known of an object out of the tables, with its wrapped keys: what is left is where it lies.
 * Nothing may be under way for it.
 */
export async function gather(sql: Sql, { object }: ErasureRow): Promise<Gathered> {
  const places = new Map<string, Gathered['places'][number]>()
  const lies = ({ version, slot, server }: Gathered['places'][number]) =>
    places.set(`${version} ${slot} ${server}`, { version, slot, server })
  const rows = await sql.all<SaveRow>('SELECT * FROM saves WHERE object = ?', object)
  const standing = await sql.all<ReplicaRow>('SELECT * FROM replicas WHERE object = ?', object)
  for (const row of standing) {
    lies(row)
    await replicas.remove(sql, row)
  }
  const made = await sql.all<MakingTable>('SELECT * FROM making WHERE object = ?', object)
  for (const row of made) {
    lies(row)
    await servers.reserve(sql, row.server, -row.sealed)
    await making.drop(sql, row)
  }
  for (const row of await sql.all<RetiredTable>('SELECT * FROM retired WHERE object = ?', object)) {
    lies(row)
    if (!row.forwarded) await servers.reserve(sql, row.server, -row.sealed)
    await retired.drop(sql, row)
  }
  for (const row of await sql.all<AbandonedRow>('SELECT * FROM abandoned WHERE object = ?', object)) {
    lies(row)
    await abandoned.done(sql, row)
  }
  // What audits took down of its content goes as well; their verdicts stay, without a member.
  await sql.run('DELETE FROM suspects WHERE object = ?', object)
  await sql.run('DELETE FROM differences WHERE verdict IN (SELECT id FROM verdicts WHERE object = ?)', object)
  await sql.run('DELETE FROM told WHERE verdict IN (SELECT id FROM verdicts WHERE object = ?)', object)
  await sql.run('UPDATE verdicts SET member = NULL WHERE object = ?', object)
  for (const row of rows) await leaveBucket(sql, row, sealedSize(row.size))
  await sql.run('DELETE FROM moves WHERE object = ?', object)
  await sql.run('DELETE FROM saves WHERE object = ?', object)
  return {
    keys: standing.length + made.length,
    places: [...places.values()],
    transfers: rows.filter(({ media }) => media !== catalogueMedia).map(({ transfer }) => transfer),
  }
}

/** Writes down where it is to be destroyed. */
export async function gathered(sql: Sql, { object }: ErasureRow, found: Gathered, journal: number): Promise<void> {
  await sql.run('UPDATE erasures SET journal = ?, keys = ? WHERE object = ?', journal, found.keys, object)
  for (const place of found.places) await addPlace(sql, object, place)
}

/** After a rebuild: what was being erased when placement was lost is erased again. */
export async function resumeErasure(
  sql: Sql,
  { object, act, member, cause, asked, keys, places }: ErasedEntry,
  seq: number,
): Promise<void> {
  await insertRow(sql, 'erasures', {
    object,
    act,
    member,
    device: '',
    cause: cause as ErasureCause,
    at: asked,
    keys,
    journal: seq,
    done: null,
    receipt: null,
  })
  for (const { version, slot, server } of places) await addPlace(sql, object, { version, slot: slot as 1 | 2, server })
}

async function addPlace(sql: Sql, object: Uint8Array, place: Gathered['places'][number]): Promise<void> {
  await insertRow(sql, 'erasing', { object, ...place, state: 'open', at: 0, receipt: null, tries: 0, not_before: 0 })
}
