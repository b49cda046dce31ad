/** What a member has not been told yet about the care for their data (S11, S12). */

import type { Finding } from '@azukari/protocol/contracts/audit'
import { mapInOrder } from '@azukari/protocol/in-order'
import type { Sql } from '../../../storage/database.ts'
import { saves } from '../store.ts'
import type { ByteRange } from './differences.ts'
import { differences } from './store.ts'
import type { VerdictTable } from './tables.ts'

const findingsAtOnce = 8
const rangesShown = 16

/** Media errors that were repaired are in the history and are nobody's news. */
/** @param told from how many impostors of one server on its members are told (S12) */
export async function findingsFor(
  sql: Sql,
  member: Uint8Array,
  told: number,
): Promise<{ findings: Finding[]; more: boolean }> {
  const rows = await sql.all<VerdictTable>(
    `SELECT v.* FROM verdicts AS v WHERE v.member = ? AND v.kind IN ('tampering', 'unexplained', 'rollback')
     AND NOT EXISTS (SELECT 1 FROM told WHERE verdict = v.id AND member = ?) ORDER BY v.id LIMIT ?`,
    member,
    member,
    findingsAtOnce + 1,
  )
  if (rows.length <= findingsAtOnce)
    rows.push(...(await impostorsFor(sql, member, told, findingsAtOnce + 1 - rows.length)))
  return {
    findings: await mapInOrder(rows.slice(0, findingsAtOnce), (row) => findingOf(sql, row)),
    more: rows.length > findingsAtOnce,
  }
}

/** Servers that keep, or kept, something of the member's: impostors from the set count on. */
async function impostorsFor(sql: Sql, member: Uint8Array, told: number, limit: number): Promise<VerdictTable[]> {
  return sql.all<VerdictTable>(
    `SELECT v.* FROM verdicts AS v WHERE v.kind = 'impostor' AND v.object IS NULL
     AND NOT EXISTS (SELECT 1 FROM told WHERE verdict = v.id AND member = ?1)
     AND (SELECT count(*) FROM verdicts AS w WHERE w.server = v.server AND w.kind = 'impostor' AND w.object IS NULL AND w.id <= v.id) >= ?2
     AND (EXISTS (SELECT 1 FROM saves AS s JOIN replicas AS r ON r.object = s.object AND r.version = s.version
                  WHERE s.member = ?1 AND r.server = v.server)
          OR EXISTS (SELECT 1 FROM retired AS t WHERE t.member = ?1 AND t.server = v.server))
     ORDER BY v.id LIMIT ?3`,
    member,
    told,
    limit,
  )
}

/** Told once; what is told again by another device changes nothing. */
export async function noteTold(sql: Sql, member: Uint8Array, ids: readonly number[], nowMs: number): Promise<void> {
  for (const id of ids)
    await sql.run(
      `INSERT INTO told (verdict, member, at) SELECT id, ?, ? FROM verdicts
       WHERE id = ? AND (member = ? OR member IS NULL) ON CONFLICT DO NOTHING`,
      member,
      nowMs,
      id,
      member,
    )
}

async function findingOf(sql: Sql, row: VerdictTable): Promise<Finding> {
  const { id, kind, at: atMs, server, object, version, done } = row
  const save = object && version ? await saves.get(sql, object, version) : undefined
  const difference = await differences.of(sql, id)
  const ranges = difference ? (JSON.parse(difference.ranges) as ByteRange[]) : []
  return {
    id,
    kind,
    atMs,
    server,
    ...(object && { object }),
    ...(version !== null && { version }),
    ...(save && { name: save.name, sizeBytes: save.size }),
    ranges: ranges.slice(0, rangesShown).map(([from, to]) => ({ from, to })),
    differs: difference?.bytes ?? 0,
    restored: object === null || done !== null,
  }
}
