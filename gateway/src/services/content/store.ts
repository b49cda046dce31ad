/** Content's rows: all of its SQL but that of the ledgers. */
import type { Currency } from '@azukari/protocol/money'
import type { Sql } from '../../storage/database.ts'
import { insertRow, putRow } from '../../storage/insert.ts'
import { patternsOf } from './search-words.ts'

export interface ContentRow {
  id: Uint8Array
  provider: string
  title: string
  search: string
  media: string
  terms: string
  state: 'offered' | 'withdrawn'
  version: number
  price: number
  currency: Currency
  origin: string
  at: number
  /** The work of which each buyer gets a copy of their own; null where all get the same bytes. */
  made_of: string | null
}

export interface VersionRow {
  content: Uint8Array
  version: number
  root: Uint8Array
  size: number
  leaves: Uint8Array
  name: string
  at: number
}

/** A content with its newest version, as lists show it. */
export interface ListedRow extends ContentRow {
  size: number
  has_picture: number
}

export interface HolderRow {
  root: Uint8Array
  server: string
  pinned: number
  until: number
}

/** A buyer's own copy, at the data server that delivers it. */
export interface MadeCopyRow {
  delivery: Uint8Array
  server: string
  root: Uint8Array
  size: number
  leaves: Uint8Array
  /** 1 when the data server has forgotten it. */
  dropped: number
}

export interface AvoidedRow {
  root: Uint8Array
  server: string
  why: string
  times: number
  until: number
}

/**
 * `asked`: the data server was told, and may have charged it. `offered`: charged, on its way. `reversing`: it failed after its
 * charge. `failed`: nothing was charged. `linked`: somebody has a link to it, and nobody has used it.
 */
export type DeliveryState = 'linked' | 'asked' | 'offered' | 'done' | 'reversing' | 'reversed' | 'failed'

export interface DeliveryRow {
  id: Uint8Array
  content: Uint8Array
  version: number
  root: Uint8Array
  device: string
  client: Uint8Array
  server: string
  state: DeliveryState
  service_minor: number
  content_minor: number
  currency: Currency
  at: number
  until: number
  seq: number | null
  fee: 'purchase' | 'reference' | null
  source: string | null
  offer: Uint8Array | null
  problem: string | null
  /** 1 when every block has left for the device. */
  served: number
  /** When the link to it ends; null for what a board asked for. */
  link_until: number | null
  /** A bit for each block that has left for the device, the first one lowest; null before any. */
  blocks_left: Uint8Array | null
}

const listed = `c.id, c.provider, c.title, c.search, c.media, c.terms, c.state, c.version, c.price, c.currency, c.origin, c.at, c.made_of`

export const contents = {
  add: (sql: Sql, row: ContentRow & { picture: Uint8Array | null; picture_media: string | null }) =>
    insertRow(sql, 'contents', row),
  addVersion: (sql: Sql, row: VersionRow) => insertRow(sql, 'content_versions', row),
  replace: (sql: Sql, { id, title, search, media, terms, version, price, origin }: ContentRow) =>
    sql.run(
      'UPDATE contents SET title = ?, search = ?, media = ?, terms = ?, version = ?, price = ?, origin = ? WHERE id = ?',
      title,
      search,
      media,
      terms,
      version,
      price,
      origin,
      id,
    ),
  setPicture: (sql: Sql, id: Uint8Array, picture: Uint8Array, media: string) =>
    sql.run('UPDATE contents SET picture = ?, picture_media = ? WHERE id = ?', picture, media, id),
  withdraw: (sql: Sql, id: Uint8Array) => sql.run("UPDATE contents SET state = 'withdrawn' WHERE id = ?", id),
  byId: (sql: Sql, id: Uint8Array) =>
    sql.get<ContentRow>(
      `SELECT id, provider, title, search, media, terms, state, version, price, currency, origin, at, made_of
       FROM contents WHERE id = ?`,
      id,
    ),
  picture: (sql: Sql, id: Uint8Array) =>
    sql.get<{ state: string; picture: Uint8Array | null; picture_media: string | null }>(
      'SELECT state, picture, picture_media FROM contents WHERE id = ?',
      id,
    ),
  version: (sql: Sql, id: Uint8Array, version: number) =>
    sql.get<VersionRow>(
      'SELECT content, version, root, size, leaves, name, at FROM content_versions WHERE content = ? AND version = ?',
      id,
      version,
    ),
  versions: (sql: Sql, id: Uint8Array) =>
    sql.all<VersionRow>(
      'SELECT content, version, root, size, leaves, name, at FROM content_versions WHERE content = ? ORDER BY version',
      id,
    ),
  /** Of one state, in order of their titles, after a place. */
  page: (sql: Sql, words: string | undefined, after: { search: string; id: Uint8Array }, limit: number) =>
    sql.all<ListedRow>(
      `SELECT ${listed}, v.size, CASE WHEN c.picture IS NULL THEN 0 ELSE 1 END AS has_picture
       FROM contents c JOIN content_versions v ON v.content = c.id AND v.version = c.version
       WHERE c.state = 'offered' AND (c.search > ?1 OR (c.search = ?1 AND c.id > ?2))
         AND c.search LIKE ?3 ESCAPE '\\' AND c.search LIKE ?4 ESCAPE '\\'
         AND c.search LIKE ?5 ESCAPE '\\' AND c.search LIKE ?6 ESCAPE '\\'
       ORDER BY c.search, c.id LIMIT ?7`,
      after.search,
      after.id,
      ...patternsOf(words),
      limit,
    ),
  all: (sql: Sql, words: string | undefined, limit: number) =>
    sql.all<ListedRow>(
      `SELECT ${listed}, v.size, CASE WHEN c.picture IS NULL THEN 0 ELSE 1 END AS has_picture
       FROM contents c JOIN content_versions v ON v.content = c.id AND v.version = c.version
       WHERE c.search LIKE ?1 ESCAPE '\\' AND c.search LIKE ?2 ESCAPE '\\'
         AND c.search LIKE ?3 ESCAPE '\\' AND c.search LIKE ?4 ESCAPE '\\'
       ORDER BY c.search, c.id LIMIT ?5`,
      ...patternsOf(words),
      limit,
    ),
  /** Whether any version of anything is these bytes. */
  knows: async (sql: Sql, root: Uint8Array) =>
    (await sql.get('SELECT 1 AS there FROM content_versions WHERE root = ?', root)) !== undefined,
}

export const holders = {
  put: (sql: Sql, row: HolderRow) => putRow(sql, 'holders', ['root', 'server'], row),
  remove: (sql: Sql, root: Uint8Array, server: string) =>
    sql.run('DELETE FROM holders WHERE root = ? AND server = ?', root, server),
  of: (sql: Sql, root: Uint8Array) =>
    sql.all<HolderRow>('SELECT root, server, pinned, until FROM holders WHERE root = ? ORDER BY server', root),
  at: (sql: Sql, server: string) => sql.all<{ root: Uint8Array }>('SELECT root FROM holders WHERE server = ?', server),
  avoid: (sql: Sql, row: Omit<AvoidedRow, 'times'>) =>
    sql.run(
      `INSERT INTO avoided (root, server, why, times, until) VALUES (?, ?, ?, 1, ?)
       ON CONFLICT (root, server) DO UPDATE SET why = excluded.why, times = avoided.times + 1, until = excluded.until`,
      row.root,
      row.server,
      row.why,
      row.until,
    ),
  avoided: (sql: Sql, root: Uint8Array) =>
    sql.all<AvoidedRow>('SELECT root, server, why, times, until FROM avoided WHERE root = ? ORDER BY server', root),
}

export const madeCopies = {
  of: (sql: Sql, delivery: Uint8Array) =>
    sql.get<MadeCopyRow>('SELECT * FROM made_copies WHERE delivery = ?', delivery),
  /** Of deliveries that have ended, one way or another. */
  ended: (sql: Sql, limit: number) =>
    sql.all<MadeCopyRow>(
      `SELECT m.* FROM made_copies m JOIN deliveries d ON d.id = m.delivery
       WHERE m.dropped = 0 AND d.state IN ('done', 'reversed', 'failed') ORDER BY m.delivery LIMIT ?`,
      limit,
    ),
  dropped: (sql: Sql, delivery: Uint8Array) =>
    sql.run('UPDATE made_copies SET dropped = 1 WHERE delivery = ?', delivery),
}

export const deliveries = {
  add: (sql: Sql, row: DeliveryRow) => insertRow(sql, 'deliveries', row),
  byId: (sql: Sql, id: Uint8Array) => sql.get<DeliveryRow>('SELECT * FROM deliveries WHERE id = ?', id),
  offered: (
    sql: Sql,
    id: Uint8Array,
    { seq, fee, source, offer, until }: Pick<DeliveryRow, 'seq' | 'fee' | 'source' | 'offer' | 'until'>,
  ) =>
    sql.run(
      "UPDATE deliveries SET state = 'offered', seq = ?, fee = ?, source = ?, offer = ?, until = ? WHERE id = ?",
      seq,
      fee,
      source,
      offer,
      until,
      id,
    ),
  /** Its bytes are there: a copy that was made for it. */
  made: (sql: Sql, id: Uint8Array, root: Uint8Array) =>
    sql.run('UPDATE deliveries SET root = ? WHERE id = ?', root, id),
  /** A link is used for the first time: its server is asked now. */
  opened: (sql: Sql, { id, server, at, until }: Pick<DeliveryRow, 'id' | 'server' | 'at' | 'until'>) =>
    sql.run(
      "UPDATE deliveries SET state = 'asked', server = ?, at = ?, until = ? WHERE id = ? AND state = 'linked'",
      server,
      at,
      until,
      id,
    ),
  /** It was refused, and nothing was charged: whoever has the link may try again. */
  refusedLink: (sql: Sql, id: Uint8Array, problem: string) =>
    sql.run(
      "UPDATE deliveries SET state = 'linked', until = link_until, problem = ? WHERE id = ? AND state = 'asked'",
      problem,
      id,
    ),
  /** Only from the state that it was seen in: whoever comes second changes nothing. */
  move: (sql: Sql, id: Uint8Array, from: DeliveryState, to: DeliveryState, problem: string | null = null) =>
    sql.run(
      'UPDATE deliveries SET state = ?, problem = coalesce(?, problem) WHERE id = ? AND state = ?',
      to,
      problem,
      id,
      from,
    ),
  leaving: (sql: Sql, id: Uint8Array, blocksLeft: Uint8Array) =>
    sql.run('UPDATE deliveries SET blocks_left = ? WHERE id = ?', blocksLeft, id),
  served: (sql: Sql, id: Uint8Array) => sql.run('UPDATE deliveries SET served = 1 WHERE id = ?', id),
  /** What has to be brought to an end: failed after its charge, never answered, or never fetched. */
  overdue: (sql: Sql, nowMs: number, limit: number) =>
    sql.all<DeliveryRow>(
      `SELECT * FROM deliveries WHERE state = 'reversing' OR (state = 'asked' AND until < ?1) OR (state = 'offered' AND until < ?1)
         OR (state = 'linked' AND until < ?1)
       ORDER BY at LIMIT ?2`,
      nowMs,
      limit,
    ),
  count: async (sql: Sql, content: Uint8Array) =>
    (await sql.get<{ n: number }>(
      "SELECT count(*) AS n FROM deliveries WHERE content = ? AND state = 'done'",
      content,
    ))!.n,
}
