/** Placement's SQL: rows in, rows out, no decisions. Every function runs inside the caller's transaction, or alone. */

import type { Sql } from '../../storage/database.ts'
import { insertRow } from '../../storage/insert.ts'
import type { RiskTerm } from './risk/risk.ts'

export interface MemberRow {
  id: Uint8Array
  number: string
  name: string
  level: number
  home: string
  since: number
  /** `closing`: everything is being erased, and then this row. */
  status: 'active' | 'suspended' | 'closing'
  auth_key: Uint8Array
  auth_kid: Uint8Array
  acts_key: Uint8Array
  acts_kid: Uint8Array
  agreement_key: Uint8Array
  wrapped_key: Uint8Array
  counter: number
  /** What is paid for; empty: the level stands as it was registered. See `level.ts`. */
  plan: string
  /** The level that the card still shows when it is another (S3); the next session writes the new one. */
  card_level: number | null
  /** D8: 1 when the region of the asking device may decide where data lies. */
  location: 0 | 1
  /** D8: 1 when replicas may lie in other countries than the home region's. */
  abroad: 0 | 1
  /** Days after which what was kept is erased; 0: never. */
  retention: number
}

/** `draining`: to be emptied; `lost`: what was there is made anew elsewhere; `contained`: the same, and nothing is read there (S12). */
export type ServerState = 'open' | 'draining' | 'lost' | 'contained'

export interface ServerRow {
  id: string
  name: string
  region: string
  latitude: number
  longitude: number
  domain: string
  url: string
  key: Uint8Array
  kid: Uint8Array
  capacity: number
  used: number
  /** JSON of `RiskTerm[]`. */
  rates: string
  demerits: number
  impostors: number
  state: ServerState
  /** Since when it does not answer, ms since the epoch. */
  away: number | null
}

/** buffered → sealed → kept; lost: the buffer no longer has it, so the device begins again; refused: told why; erasing: its member does not want it any more. */
export type SaveState = 'buffered' | 'sealed' | 'kept' | 'lost' | 'refused' | 'erasing'

/** Why a save waits for its member’s card: see `saves/held.ts`. */
export type HeldBecause = 'card.unproven' | 'level.unproven'

export interface SaveRow {
  object: Uint8Array
  version: number
  member: Uint8Array
  device: string
  asking: string
  transfer: Uint8Array
  transfer_key: Uint8Array
  root: Uint8Array
  size: number
  sha256: Uint8Array
  name: string
  media: string
  taken: number
  state: SaveState
  problem: string | null
  tries: number
  at: number
  kept: number | null
  receipt: Uint8Array | null
  journal: number | null
  /** Its class and its place in it, 0 … 65,535; class 0: not counted in a bucket yet. */
  class: number
  place: number
  /** Why nothing is done for it until its member's card has proved itself (`saves/held.ts`). */
  held: HeldBecause | null
}

export interface ReplicaRow {
  object: Uint8Array
  version: number
  slot: 1 | 2
  server: string
  epoch: number
  algorithm: string
  key_id: Uint8Array
  wrapped_key: Uint8Array
  prefix: Uint8Array
  root: Uint8Array | null
  sealed: number
  manifest: Uint8Array | null
  receipt: Uint8Array | null
  reason: string
}

export interface ConditionsRow {
  member: Uint8Array
  object: Uint8Array
  version: number
  record: Uint8Array
  written: number | null
}

/** The media type by which a member's catalogue is told from what members keep. */
export const catalogueMedia = 'application/x-azukari'

export const members = {
  add: (sql: Sql, row: MemberRow) => insertRow(sql, 'members', row),
  byId: (sql: Sql, id: Uint8Array) => sql.get<MemberRow>('SELECT * FROM members WHERE id = ?', id),
  byNumber: (sql: Sql, number: string) => sql.get<MemberRow>('SELECT * FROM members WHERE number = ?', number),
  byCard: (sql: Sql, kid: Uint8Array) => sql.get<MemberRow>('SELECT * FROM members WHERE auth_kid = ?', kid),
  byActsKey: (sql: Sql, kid: Uint8Array) => sql.get<MemberRow>('SELECT * FROM members WHERE acts_kid = ?', kid),
  all: (sql: Sql) => sql.all<MemberRow>('SELECT * FROM members ORDER BY number'),
  /** The card shows the level of the register again. */
  sawLevel: async (sql: Sql, id: Uint8Array) => {
    await sql.run('UPDATE members SET card_level = NULL WHERE id = ?', id)
    await sql.run('DELETE FROM card_levels WHERE member = ?', id)
  },
  /** A level that was the register's since the card was last seen with it: a session may have written it on the card. */
  mayShow: (sql: Sql, id: Uint8Array, level: number) =>
    sql.run('INSERT INTO card_levels (member, level) VALUES (?, ?) ON CONFLICT DO NOTHING', id, level),
  showsOther: async (sql: Sql, id: Uint8Array) =>
    (await sql.get('SELECT 1 AS there FROM card_levels WHERE member = ?', id)) !== undefined,
  shows: async (sql: Sql, id: Uint8Array, level: number) =>
    (await sql.get('SELECT 1 AS there FROM card_levels WHERE member = ? AND level = ?', id, level)) !== undefined,
  sawCounter: (sql: Sql, id: Uint8Array, counter: number) =>
    sql.run('UPDATE members SET counter = max(counter, ?) WHERE id = ?', counter, id),
}

export const servers = {
  put: (sql: Sql, row: Omit<ServerRow, 'used' | 'demerits' | 'impostors' | 'state' | 'away'>) =>
    insertRow(
      sql,
      'servers',
      row,
      `ON CONFLICT (id) DO UPDATE SET name = excluded.name, region = excluded.region, latitude = excluded.latitude,
       longitude = excluded.longitude, domain = excluded.domain, url = excluded.url, key = excluded.key, kid = excluded.kid,
       capacity = excluded.capacity, rates = excluded.rates`,
    ),
  byId: (sql: Sql, id: string) => sql.get<ServerRow>('SELECT * FROM servers WHERE id = ?', id),
  all: (sql: Sql) => sql.all<ServerRow>('SELECT * FROM servers ORDER BY id'),
  setState: (sql: Sql, id: string, state: ServerState) =>
    sql.run('UPDATE servers SET state = ? WHERE id = ?', state, id),
  setAway: (sql: Sql, id: string, sinceMs: number | null) =>
    sql.run('UPDATE servers SET away = ? WHERE id = ?', sinceMs, id),
  reserve: (sql: Sql, id: string, bytes: number) =>
    sql.run('UPDATE servers SET used = max(0, used + ?) WHERE id = ?', bytes, id),
  penalise: (sql: Sql, id: string, demerits: number, impostors: number) =>
    sql.run(
      'UPDATE servers SET demerits = min(100, demerits + ?), impostors = impostors + ? WHERE id = ?',
      demerits,
      impostors,
      id,
    ),
  /** A good answer forgives what bad luck did; being an impostor is not forgiven by itself. */
  resetDemerits: (sql: Sql, id: string) =>
    sql.run('UPDATE servers SET demerits = 0 WHERE id = ? AND demerits > 0 AND impostors = 0', id),
}

export function ratesOf(row: ServerRow): RiskTerm[] {
  return JSON.parse(row.rates) as RiskTerm[]
}

export const saves = {
  add: (sql: Sql, row: SaveRow) => insertRow(sql, 'saves', row),
  get: (sql: Sql, object: Uint8Array, version: number) =>
    sql.get<SaveRow>('SELECT * FROM saves WHERE object = ? AND version = ?', object, version),
  open: (sql: Sql, limit: number) =>
    sql.all<SaveRow>(
      `SELECT * FROM saves WHERE state IN ('buffered', 'sealed') AND held IS NULL ORDER BY tries, at LIMIT ?`,
      limit,
    ),
  lostBefore: (sql: Sql, atMs: number, limit: number) =>
    sql.all<SaveRow>(
      `SELECT * FROM saves WHERE (state = 'lost' OR (state = 'buffered' AND held IS NOT NULL)) AND at < ? LIMIT ?`,
      atMs,
      limit,
    ),
  ofMember: (sql: Sql, member: Uint8Array) =>
    sql.all<SaveRow>(
      `SELECT * FROM saves WHERE member = ? AND state = 'kept' AND media <> ? ORDER BY taken DESC`,
      member,
      catalogueMedia,
    ),
  set: async (sql: Sql, row: SaveRow, change: Partial<SaveRow>) => {
    const entries = Object.entries(change)
    await sql.run(
      `UPDATE saves SET ${entries.map(([name]) => `${name} = ?`).join(', ')} WHERE object = ? AND version = ?`,
      ...entries.map(([, value]) => value as string),
      row.object,
      row.version,
    )
  },
  /** Saves that are taken and not yet kept twice; read from the index of open saves. */
  waiting: async (sql: Sql) =>
    (await sql.get<{ count: number }>(
      `SELECT count(*) AS count FROM saves WHERE state <> 'kept' AND state <> 'refused' AND state IN ('buffered', 'sealed')`,
    ))!.count,
  counts: (sql: Sql) =>
    sql.all<{ state: SaveState; count: number; bytes: number }>(
      'SELECT state, count(*) AS count, sum(size) AS bytes FROM saves GROUP BY state',
    ),
}

export const replicas = {
  of: (sql: Sql, object: Uint8Array, version: number) =>
    sql.all<ReplicaRow>('SELECT * FROM replicas WHERE object = ? AND version = ? ORDER BY slot', object, version),
  put: (sql: Sql, row: ReplicaRow) =>
    insertRow(
      sql,
      'replicas',
      row,
      `ON CONFLICT (object, version, slot) DO UPDATE SET server = excluded.server, epoch = excluded.epoch,
       algorithm = excluded.algorithm, key_id = excluded.key_id, wrapped_key = excluded.wrapped_key, prefix = excluded.prefix,
       root = excluded.root, sealed = excluded.sealed, manifest = excluded.manifest, receipt = excluded.receipt, reason = excluded.reason`,
    ),
  /** Of versions up to and including the given one, oldest first. */
  before: (sql: Sql, object: Uint8Array, version: number) =>
    sql.all<ReplicaRow>('SELECT * FROM replicas WHERE object = ? AND version <= ? ORDER BY version', object, version),
  /** The row, and the room that it took. */
  remove: async (sql: Sql, row: ReplicaRow) => {
    await sql.run(
      'DELETE FROM replicas WHERE object = ? AND version = ? AND slot = ?',
      row.object,
      row.version,
      row.slot,
    )
    await servers.reserve(sql, row.server, -row.sealed)
  },
  onServer: (sql: Sql, server: string) =>
    sql.get<{ count: number; bytes: number }>(
      'SELECT count(*) AS count, coalesce(sum(sealed), 0) AS bytes FROM replicas WHERE server = ?',
      server,
    ),
}

/** Where a replica may lie that nobody relies on: its writing ended without an answer and another place was chosen. */
export interface AbandonedRow {
  server: string
  object: Uint8Array
  version: number
  slot: 1 | 2
  epoch: number
}

export const abandoned = {
  add: (sql: Sql, row: AbandonedRow) =>
    insertRow(
      sql,
      'abandoned',
      row,
      'ON CONFLICT (server, object, version, slot) DO UPDATE SET epoch = max(abandoned.epoch, excluded.epoch)',
    ),
  of: (sql: Sql, row: Omit<AbandonedRow, 'epoch'>) =>
    sql.get<AbandonedRow>(
      'SELECT * FROM abandoned WHERE server = ? AND object = ? AND version = ? AND slot = ?',
      row.server,
      row.object,
      row.version,
      row.slot,
    ),
  /** Nothing is asked of a server that is contained: what lies there waits until it is released (S12). */
  some: (sql: Sql, limit: number) =>
    sql.all<AbandonedRow>(
      `SELECT * FROM abandoned WHERE server NOT IN (SELECT id FROM servers WHERE state = 'contained')
       ORDER BY object, version, slot, server LIMIT ?`,
      limit,
    ),
  done: (sql: Sql, row: AbandonedRow) =>
    sql.run(
      'DELETE FROM abandoned WHERE server = ? AND object = ? AND version = ? AND slot = ? AND epoch = ?',
      row.server,
      row.object,
      row.version,
      row.slot,
      row.epoch,
    ),
}

export const conditions = {
  put: (sql: Sql, row: ConditionsRow) =>
    insertRow(
      sql,
      'conditions',
      row,
      'ON CONFLICT (member, object, version) DO UPDATE SET record = excluded.record, written = excluded.written',
    ),
  /** What was kept first comes first. */
  pending: (sql: Sql, member: Uint8Array, limit: number) =>
    sql.all<ConditionsRow>(
      `SELECT c.* FROM conditions AS c LEFT JOIN saves AS s ON s.object = c.object AND s.version = c.version
       WHERE c.member = ? AND c.written IS NULL ORDER BY s.kept, c.object, c.version LIMIT ?`,
      member,
      limit,
    ),
  get: (sql: Sql, member: Uint8Array, object: Uint8Array, version: number) =>
    sql.get<ConditionsRow>(
      'SELECT * FROM conditions WHERE member = ? AND object = ? AND version = ?',
      member,
      object,
      version,
    ),
  written: (sql: Sql, member: Uint8Array, object: Uint8Array, version: number, atMs: number) =>
    sql.run(
      'UPDATE conditions SET written = ? WHERE member = ? AND object = ? AND version = ? AND written IS NULL',
      atMs,
      member,
      object,
      version,
    ),
}

export interface CatalogueRow {
  member: Uint8Array
  /** Of the newest that was begun. */
  version: number
  /** Something was kept since. */
  dirty: 0 | 1
  /** What is being kept as that version, under the member's key; empty when it stands. */
  content: Uint8Array
  /** Where the newest standing one is, sealed to the card. */
  record: Uint8Array | null
}

export const catalogues = {
  get: (sql: Sql, member: Uint8Array) => sql.get<CatalogueRow>('SELECT * FROM catalogues WHERE member = ?', member),
  put: (sql: Sql, row: CatalogueRow) =>
    insertRow(
      sql,
      'catalogues',
      row,
      `ON CONFLICT (member) DO UPDATE SET version = excluded.version, dirty = excluded.dirty, content = excluded.content, record = excluded.record`,
    ),
  touch: (sql: Sql, member: Uint8Array) =>
    sql.run(
      `INSERT INTO catalogues (member, version, dirty, content) VALUES (?, 0, 1, x'') ON CONFLICT (member) DO UPDATE SET dirty = 1`,
      member,
    ),
  /** Of members who keep at least so many, or have had one, with nothing under way for them. */
  due: (sql: Sql, atLeast: number) =>
    sql.all<CatalogueRow>(
      `SELECT * FROM catalogues AS c WHERE dirty = 1 AND length(content) = 0
       AND NOT EXISTS (SELECT 1 FROM saves WHERE member = c.member AND state IN ('buffered', 'sealed') AND held IS NULL)
       AND NOT EXISTS (SELECT 1 FROM moves WHERE member = c.member AND problem IS NULL)
       AND (version > 0 OR (SELECT count(*) FROM saves WHERE member = c.member AND state = 'kept' AND media <> ?) >= ?) LIMIT 16`,
      catalogueMedia,
      atLeast,
    ),
}

export const journal = {
  append: async (sql: Sql, entry: Uint8Array): Promise<number> => {
    const last = (await sql.get<{ seq: number | null }>('SELECT max(seq) AS seq FROM journal'))?.seq ?? 0
    await sql.run('INSERT INTO journal (seq, entry) VALUES (?, ?)', last + 1, entry)
    return last + 1
  },
  get: (sql: Sql, seq: number) =>
    sql.get<{ seq: number; entry: Uint8Array; acks: string }>('SELECT * FROM journal WHERE seq = ?', seq),
  last: async (sql: Sql): Promise<number> =>
    (await sql.get<{ seq: number | null }>('SELECT max(seq) AS seq FROM journal'))?.seq ?? 0,
  /** Entries behind `after` that a server does not have yet, without a gap between them. */
  missingAt: async (sql: Sql, server: string, after: number, limit: number) => {
    const rows = await sql.all<{ seq: number; entry: Uint8Array; acks: string }>(
      `SELECT * FROM journal WHERE seq > ? AND instr(acks, ?) = 0 ORDER BY seq LIMIT ?`,
      after,
      `,${server},`,
      limit,
    )
    const gap = rows.findIndex(({ seq }, i) => seq !== rows[0]!.seq + i)
    return gap < 0 ? rows : rows.slice(0, gap)
  },
  ack: (sql: Sql, seq: number, server: string) =>
    sql.run(
      `UPDATE journal SET acks = acks || ? WHERE seq = ? AND instr(acks, ?) = 0`,
      `,${server},`,
      seq,
      `,${server},`,
    ),
}

export function journalAcks(acks: string): string[] {
  return acks.split(',').filter((server) => server !== '')
}

export const facts = {
  get: async (sql: Sql, name: string) =>
    (await sql.get<{ value: Uint8Array }>('SELECT value FROM facts WHERE name = ?', name))?.value,
  set: (sql: Sql, name: string, value: Uint8Array) =>
    sql.run('INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value', name, value),
}
