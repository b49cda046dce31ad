/** What is remembered of hazards over a restart: feeds, their hazards, the ground under servers, and how risks went. */
import type { Sql } from '../../../storage/database.ts'
import { putRow } from '../../../storage/insert.ts'
import { queries } from '../../../storage/query.ts'
import type { RiskTerm } from '../risk/risk.ts'
import type { Hazard, Hold } from './hazard.ts'
import type { KnownRow } from './known.ts'
import type { Ground } from './place.ts'

export const riskTables = `
CREATE TABLE hazards (
  feed TEXT NOT NULL, id TEXT NOT NULL, issued INTEGER NOT NULL, until INTEGER NOT NULL, learned INTEGER NOT NULL,
  body TEXT, PRIMARY KEY (feed, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE feeds (
  name TEXT PRIMARY KEY, trust REAL NOT NULL, checked INTEGER NOT NULL, good INTEGER, hazards INTEGER NOT NULL,
  problem TEXT, detail TEXT, etag TEXT, modified TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE grounds (server TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE risk_history (
  server TEXT NOT NULL, at INTEGER NOT NULL, value REAL NOT NULL, terms TEXT NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (server, at)
) STRICT, WITHOUT ROWID;
`

/** `body` null: taken back, and an older telling does not bring it to life again. */
export type HazardRow = {
  feed: string
  id: string
  issued: number
  until: number
  learned: number
  body: string | null
}

export type FeedRow = {
  name: string
  trust: number
  /** Last looked at; last read whole without a fault of the document. */
  checked: number
  good: number | null
  hazards: number
  problem: string | null
  detail: string | null
  etag: string | null
  modified: string | null
}

type HistoryRow = {
  server: string
  at: number
  value: number
  terms: string
  reason: string
}

interface Tables {
  hazards: HazardRow
  feeds: FeedRow
  grounds: { server: string; body: string }
  risk_history: HistoryRow
}

const query = queries<Tables>()

const allHazards = query<Record<string, never>>()((db) =>
  db.selectFrom('hazards').selectAll().orderBy('feed').orderBy('id'),
)
const dropHazards = query<{ before: number }>()((db, p) => db.deleteFrom('hazards').where('until', '<', p.before))
const allFeeds = query<Record<string, never>>()((db) => db.selectFrom('feeds').selectAll().orderBy('name'))
const allGrounds = query<Record<string, never>>()((db) => db.selectFrom('grounds').selectAll())
const historyOf = query<{ server: string; limit: number }>()((db, p) =>
  db.selectFrom('risk_history').selectAll().where('server', '=', p.server).orderBy('at', 'desc').limit(p.limit),
)
const trimHistory = query<{ server: string; keep: number }>()((db, p) =>
  db
    .deleteFrom('risk_history')
    .where('server', '=', p.server)
    .where('at', '<', (inner) =>
      inner
        .selectFrom('risk_history')
        .select('at')
        .where('server', '=', p.server)
        .orderBy('at', 'desc')
        .offset(p.keep)
        .limit(1),
    ),
)

export const hazardRows = {
  put: (sql: Sql, row: HazardRow) => putRow(sql, 'hazards', ['feed', 'id'], row),
  all: (sql: Sql) => allHazards.all(sql, {}),
  /** Forgets what ended before that. */
  forget: async (sql: Sql, before: number) => (await dropHazards.run(sql, { before })).changes,
}

export const feedRows = {
  put: (sql: Sql, row: FeedRow) => putRow(sql, 'feeds', ['name'], row),
  all: (sql: Sql) => allFeeds.all(sql, {}),
}

export const groundRows = {
  put: (sql: Sql, server: string, ground: Ground) =>
    putRow(sql, 'grounds', ['server'], { server, body: JSON.stringify(ground) }),
  all: async (sql: Sql) =>
    new Map((await allGrounds.all(sql, {})).map(({ server, body }) => [server, JSON.parse(body) as Ground])),
}

/** One change of a server's risk. */
export interface RiskRecord {
  server: string
  atMs: number
  value: number
  terms: RiskTerm[]
  reason: string
}

export const historyRows = {
  async put(sql: Sql, record: RiskRecord, keep: number): Promise<void> {
    const { server, atMs, value, terms, reason } = record
    const row: HistoryRow = { server, at: atMs, value, terms: JSON.stringify(terms), reason }
    await putRow(sql, 'risk_history', ['server', 'at'], row)
    await trimHistory.run(sql, { server, keep })
  },
  /** Newest first. */
  of: async (sql: Sql, server: string, limit: number): Promise<RiskRecord[]> =>
    (await historyOf.all(sql, { server, limit })).map((row) => ({
      server: row.server,
      atMs: row.at,
      value: row.value,
      terms: JSON.parse(row.terms),
      reason: row.reason,
    })),
}

/** The row that keeps what is known; its body is the hazard or what it holds. */
export function hazardRow({ feed, row, issuedMs, untilMs, hazard, hold }: KnownRow, learned: number): HazardRow {
  const body = hazard ? JSON.stringify(hazard) : hold ? JSON.stringify({ hold }) : null
  return { feed, id: row, issued: issuedMs, until: untilMs, learned, body }
}

export function knownRow({ feed, id, issued, until, body }: HazardRow): KnownRow {
  const row: KnownRow = { feed, row: id, issuedMs: issued, untilMs: until }
  if (body === null) return row
  const said = JSON.parse(body) as Hazard | { hold: Hold }
  return 'hold' in said ? { ...row, hold: said.hold } : { ...row, hazard: said }
}
