/**
 * The queue of moves: bounded, durable, most urgent first. Buckets whose objects are to leave a server are enumerated
 * here, page by page, as long as there is room in the queue; nothing else looks at objects.
 */
import type { Sql } from '../../../storage/database.ts'
import { queries } from '../../../storage/query.ts'
import { placeBytes } from './buckets.ts'
import type { BucketsTable, MoveCause, MovesTable, ReplaceTables } from './tables.ts'

const query = queries<ReplaceTables>()
const next = query<{ limit: number }>()((db, p) =>
  db.selectFrom('moves').selectAll().where('waits', '=', 0).orderBy('urgency', 'desc').limit(p.limit),
)
const awake = query<{ now: number }>()((db, p) =>
  db.updateTable('moves').set({ waits: 0 }).where('waits', '=', 1).where('not_before', '<=', p.now),
)
const soonest = query<Record<never, never>>()((db) =>
  db
    .selectFrom('moves')
    .select((row) => row.fn.min('not_before').as('at'))
    .where('waits', '=', 1),
)
const count = query<Record<never, never>>()((db) =>
  db.selectFrom('moves').select((row) => [row.fn.countAll<number>().as('n'), row.fn.sum<number>('sealed').as('bytes')]),
)
const byCause = query<Record<never, never>>()((db) =>
  db
    .selectFrom('moves')
    .select((row) => [
      'cause',
      'problem',
      row.fn.countAll<number>().as('count'),
      row.fn.sum<number>('sealed').as('bytes'),
      row.fn.max('urgency').as('urgency'),
      row.fn.min('at').as('oldest'),
    ])
    .groupBy(['cause', 'problem']),
)
const oldest = query<{ limit: number }>()((db, p) =>
  db.selectFrom('moves').selectAll().orderBy('urgency', 'desc').limit(p.limit),
)

export interface MoveSummary {
  cause: MoveCause
  problem: string | null
  count: number
  bytes: number
  urgency: number
  oldest: number
}

type MoveKey = Pick<MovesTable, 'object' | 'version' | 'slot'>

export const moves = {
  /** Those whose turn it is, most urgent first. */
  next: async (sql: Sql, limit: number): Promise<MovesTable[]> => next.all(sql, { limit }),
  list: async (sql: Sql, limit: number): Promise<MovesTable[]> => oldest.all(sql, { limit }),
  size: async (sql: Sql): Promise<{ n: number; bytes: number }> => {
    const { n, bytes } = (await count.get(sql, {}))!
    return { n, bytes: Number(bytes ?? 0) }
  },
  summary: async (sql: Sql): Promise<MoveSummary[]> => (await byCause.all(sql, {})) as MoveSummary[],
  wake: async (sql: Sql, nowMs: number): Promise<number> => (await awake.run(sql, { now: nowMs })).changes,
  soonest: async (sql: Sql): Promise<number | undefined> => (await soonest.get(sql, {}))?.at ?? undefined,
  drop: async (sql: Sql, { object, version, slot }: MoveKey): Promise<void> => {
    await sql.run('DELETE FROM moves WHERE object = ? AND version = ? AND slot = ?', object, version, slot)
  },
  postpone: async (
    sql: Sql,
    { object, version, slot }: MoveKey,
    untilMs: number,
    tries: number,
    problem: string | null,
  ): Promise<void> => {
    await sql.run(
      'UPDATE moves SET waits = 1, not_before = ?, tries = ?, problem = ? WHERE object = ? AND version = ? AND slot = ?',
      untilMs,
      tries,
      problem,
      object,
      version,
      slot,
    )
  },
  add: async (sql: Sql, row: MovesTable): Promise<void> => {
    const entries = Object.entries(row)
    await sql.run(
      `INSERT INTO moves (${entries.map(([name]) => name).join(', ')}) VALUES (${entries.map(() => '?').join(', ')})
       ON CONFLICT (object, version, slot) DO UPDATE SET cause = excluded.cause, urgency = max(moves.urgency, excluded.urgency), waits = 0`,
      ...entries.map(([, value]) => value),
    )
  },
}

/** From which object on a bucket is still to be enumerated. */
export type Cursor = Uint8Array | undefined

/**
 * Queues the next page of a bucket's replicas that lie on a server to be left.
 * @returns the cursor for the next page; undefined when there is none
 */
export async function feed(
  sql: Sql,
  bucket: Pick<BucketsTable, 'class' | 'place' | 'span' | 'leaves' | 'cause' | 'urgency' | 'reason'>,
  after: Cursor,
  limit: number,
  nowMs: number,
): Promise<{ queued: number; cursor: Cursor }> {
  const { class: of, place, span, leaves, cause, urgency, reason } = bucket
  const servers = JSON.parse(leaves) as string[]
  // The order of ids is the order of places.
  const from = after ?? placeBytes(place)
  const first = (from[0]! << 8) | from[1]!
  const last = (
    await sql.all<{ object: Uint8Array }>(
      `SELECT object FROM saves WHERE class = ? AND place >= ? AND place < ? AND state IN ('sealed', 'kept')
     AND object >= ? ORDER BY place, object LIMIT 1 OFFSET ?`,
      of,
      first,
      place + span,
      from,
      limit,
    )
  )[0]?.object
  const { changes } = await sql.run(
    `INSERT INTO moves (object, version, slot, member, source, cause, urgency, sealed, at, reason)
     SELECT r.object, r.version, r.slot, s.member, r.server, ?, ?, r.sealed, ?, ?
     FROM saves AS s JOIN replicas AS r ON r.object = s.object AND r.version = s.version
     WHERE s.class = ? AND s.place >= ? AND s.place < ? AND s.state IN ('sealed', 'kept') AND s.object >= ?
     ${last ? 'AND s.object < ?' : ''} AND r.server IN (${servers.map(() => '?').join(', ')})
     ON CONFLICT (object, version, slot) DO UPDATE SET cause = excluded.cause, reason = excluded.reason,
       urgency = max(moves.urgency, excluded.urgency), waits = 0`,
    cause,
    urgency,
    nowMs,
    reason,
    of,
    first,
    last ? ((last[0]! << 8) | last[1]!) + 1 : place + span,
    from,
    ...(last ? [last] : []),
    ...servers,
  )
  return { queued: changes, cursor: last }
}
