/** How audits stand, for operators: from the database alone, so that it can be asked beside a running gateway. */

import { hex } from '@azukari/protocol/bytes'
import { mapInOrder } from '@azukari/protocol/in-order'
import type { Sql } from '../../../storage/database.ts'
import { audits, differences, suspects, verdicts } from './store.ts'
import type { VerdictTable } from './tables.ts'

export interface AuditReport {
  atMs: number
  servers: {
    server: string
    state: string
    /** Since when it does not answer, ms; null while it does. 0: an operator said that it is gone for good. */
    awaySinceMs: number | null
    impostors: number
    listedMs: number
    leavesMs: number
    scannedMs: number
    suspicion: number
    replicas: number
  }[]
  /** Objects, and the one that was not opened for longest. */
  objects: { kept: number; oldestMs: number | null }
  suspects: { count: number; first: { object: string; slot: number; server: string; met: string; tries: number }[] }
  verdicts: { kind: string; count: number; open: number }[]
  /** Newest first. */
  latest: VerdictLine[]
}

export interface VerdictLine {
  id: number
  atMs: number
  kind: string
  server: string
  object: string | null
  version: number | null
  slot: number | null
  because: string
  outcome: string
  doneMs: number | null
  /** Bytes that differ, where it is known. */
  differs: number | null
}

export async function auditReport(sql: Sql, nowMs: number, limit: number): Promise<AuditReport> {
  const byServer = new Map((await audits.all(sql)).map((row) => [row.server, row]))
  const registered = await sql.all<{
    id: string
    state: string
    away: number | null
    impostors: number
    replicas: number
  }>(
    'SELECT id, state, away, impostors, (SELECT count(*) FROM replicas WHERE server = servers.id) AS replicas FROM servers ORDER BY id',
  )
  const { kept, oldest } = (await sql.get<{ kept: number; oldest: number | null }>(
    `SELECT count(*) AS kept, min(max(opened, coalesce(kept, 0))) AS oldest FROM saves WHERE state = 'kept'`,
  ))!
  return {
    atMs: nowMs,
    servers: registered.map(({ id: server, state, away: awaySinceMs, impostors, replicas }) => {
      const audit = byServer.get(server)
      const { listed = 0, leaves = 0, scanned = 0, suspicion = 0 } = audit ?? {}
      const ages = { listedMs: listed, leavesMs: leaves, scannedMs: scanned }
      return { server, state, awaySinceMs, impostors, ...ages, suspicion, replicas }
    }),
    objects: { kept, oldestMs: oldest },
    suspects: {
      count: await suspects.count(sql),
      first: (await suspects.list(sql, limit)).map(({ object, slot, server, met, tries }) => ({
        object: hex(object),
        slot,
        server,
        met,
        tries,
      })),
    },
    verdicts: await verdicts.counts(sql),
    latest: await mapInOrder(await verdicts.list(sql, limit), (row) => verdictLine(sql, row)),
  }
}

export async function verdictLine(sql: Sql, row: VerdictTable): Promise<VerdictLine> {
  const { id, at, kind, server, object, version, slot, because, outcome, done } = row
  const differs = (await differences.of(sql, id))?.bytes ?? null
  return {
    id,
    atMs: at,
    kind,
    server,
    object: object && hex(object),
    version,
    slot,
    because,
    outcome,
    doneMs: done,
    differs,
  }
}

export function auditText({ servers, objects, suspects: found, verdicts: counts, latest, atMs }: AuditReport): string {
  const age = (ms: number | null) => (ms ? `${((atMs - ms) / 3_600_000).toFixed(1)} h` : 'never')
  return [
    `${objects.kept} objects; the longest not opened: ${age(objects.oldestMs)}; ${found.count} replicas to be examined`,
    '',
    ...servers.map(
      ({ server, state, listedMs, leavesMs, scannedMs, suspicion, replicas }) =>
        `${server.padEnd(16)} ${state.padEnd(9)} ${String(replicas).padStart(7)} replicas; listed ${age(listedMs)}, leaves ${age(leavesMs)}, scanned ${age(scannedMs)} ago${suspicion >= 0.5 ? `; suspicion ${suspicion.toFixed(1)}` : ''}`,
    ),
    '',
    ...(counts.length === 0 ? ['no verdicts'] : []),
    ...counts.map(
      ({ kind, count, open }) => `${kind.padEnd(12)} ${count}${open > 0 ? `, ${open} being dealt with` : ''}`,
    ),
    ...(latest.length > 0 ? [''] : []),
    ...latest.map(verdictText),
  ].join('\n')
}

export function verdictText({ id, atMs, kind, server, object, slot, because, outcome, differs }: VerdictLine): string {
  const what = object ? `${object.slice(0, 12)}… slot ${slot} on ${server}` : server
  return `#${id} ${new Date(atMs).toISOString()} ${kind}: ${what}: ${because}; ${outcome}${differs === null ? '' : `; ${differs} bytes differ`}`
}
