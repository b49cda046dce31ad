/** How re-placement stands, for operators: from the database alone, so that it can be asked beside a running gateway. */
import type { Sql } from '../../../storage/database.ts'
import { facts } from '../store.ts'
import { moves } from './queue.ts'
import type { MoveCause } from './tables.ts'

export interface MovesReport {
  paused: boolean
  /** By cause and, where they wait, by what they wait for. */
  queue: { cause: MoveCause; problem: string | null; count: number; bytes: number; urgency: number; oldestMs: number }[]
  /** Buckets whose objects are still to be queued, or are on their way. */
  buckets: { toQueue: number; leaving: number; stuck: number; all: number }
  /** Replicas that stand in another's place, and old ones that wait for their end. */
  making: number
  retired: { waiting: number; bytes: number; forwarded: number }
  servers: {
    id: string
    state: string
    awaySinceMs: number | null
    usedBytes: number
    capacityBytes: number
    leaving: number
  }[]
  /** The most urgent moves. */
  next: {
    object: string
    version: number
    slot: number
    from: string
    cause: MoveCause
    urgency: number
    bytes: number
    tries: number
    problem: string | null
  }[]
}

export async function movesReport(sql: Sql, limit: number): Promise<MovesReport> {
  const one = async <T>(text: string) => (await sql.get<T>(text))!
  return {
    paused: (await facts.get(sql, 'moves.paused'))?.[0] === 1,
    queue: (await moves.summary(sql)).map(({ oldest, bytes, ...row }) => ({
      ...row,
      bytes: Number(bytes),
      oldestMs: oldest,
    })),
    buckets: await one(
      `SELECT coalesce(sum(CASE WHEN leaves <> '[]' AND fed = 0 THEN 1 ELSE 0 END), 0) AS toQueue, coalesce(sum(CASE WHEN leaves <> '[]' AND fed = 1 THEN 1 ELSE 0 END), 0) AS leaving,
       coalesce(sum(stuck), 0) AS stuck, count(*) AS "all" FROM buckets`,
    ),
    making: (await one<{ n: number }>('SELECT count(*) AS n FROM making')).n,
    retired: await one(
      `SELECT coalesce(sum(CASE WHEN forwarded = 0 THEN 1 ELSE 0 END), 0) AS waiting, coalesce(sum(CASE WHEN forwarded = 0 THEN sealed ELSE 0 END), 0) AS bytes,
       coalesce(sum(forwarded), 0) AS forwarded FROM retired`,
    ),
    servers: await sql.all(
      `SELECT id, state, away AS awaySinceMs, used AS usedBytes, capacity AS capacityBytes,
       (SELECT count(*) FROM moves WHERE source = servers.id) AS leaving FROM servers ORDER BY id`,
    ),
    next: (await moves.list(sql, limit)).map(
      ({ object, version, slot, source, cause, urgency, sealed, tries, problem }) => ({
        object: Buffer.from(object).toString('hex'),
        version,
        slot,
        from: source,
        cause,
        urgency,
        bytes: sealed,
        tries,
        problem,
      }),
    ),
  }
}

/** The same, to read. */
export function movesText(report: MovesReport): string {
  const { paused, queue, buckets, making, retired, servers, next } = report
  const lines = [
    paused ? 'PAUSED: no move begins until `moves resume`' : 'running',
    `buckets      ${buckets.all}: ${buckets.toQueue} to be queued, ${buckets.leaving} on their way, ${buckets.stuck} with nowhere to go`,
    `under way    ${making}`,
    `old replicas ${retired.waiting} (${retired.bytes} bytes) wait for their end, ${retired.forwarded} forward`,
    '',
    ...(queue.length === 0 ? ['nothing is queued'] : []),
    ...queue.map(
      ({ cause, problem, count, bytes }) =>
        `${cause.padEnd(10)} ${count} moves, ${bytes} bytes${problem ? `, waiting: ${problem}` : ''}`,
    ),
    '',
    ...servers.map(
      ({ id, state, awaySinceMs, usedBytes, capacityBytes, leaving }) =>
        `${id.padEnd(16)} ${state.padEnd(9)} ${((100 * usedBytes) / Math.max(1, capacityBytes)).toFixed(1).padStart(5)} % full` +
        `${leaving ? `, ${leaving} leave` : ''}${awaySinceMs === null ? '' : ', does not answer'}`,
    ),
    ...(next.length > 0 ? [''] : []),
    ...next.map(
      ({ object, slot, from, cause, urgency, problem }) =>
        `${object.slice(0, 12)}… slot ${slot} from ${from} (${cause}, ${urgency.toExponential(1)} per hour)${problem ? ` ${problem}` : ''}`,
    ),
  ]
  return lines.join('\n')
}
