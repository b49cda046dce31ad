/** SQL of audits and verdicts: rows in, rows out, no decisions. */
import type { Sql } from '../../../storage/database.ts'
import type { AuditTable, DifferenceTable, SuspectTable, VerdictTable } from './tables.ts'

type ReplicaKey = Pick<SuspectTable, 'object' | 'version' | 'slot'>

export const audits = {
  all: (sql: Sql) => sql.all<AuditTable>('SELECT * FROM audits ORDER BY server'),
  of: (sql: Sql, server: string) => sql.get<AuditTable>('SELECT * FROM audits WHERE server = ?', server),
  add: (sql: Sql, server: string, nowMs: number) =>
    sql.run(
      'INSERT INTO audits (server, listed, leaves, scanned) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
      server,
      nowMs,
      nowMs,
      nowMs,
    ),
  set: async (sql: Sql, server: string, change: Partial<AuditTable>) => {
    const entries = Object.entries(change)
    await sql.run(
      `UPDATE audits SET ${entries.map(([name]) => `${name} = ?`).join(', ')} WHERE server = ?`,
      ...entries.map(([, value]) => value),
      server,
    )
  },
  suspect: (sql: Sql, server: string) =>
    sql.run('UPDATE audits SET suspicion = min(100, suspicion + 1) WHERE server = ?', server),
  relax: (sql: Sql, server: string) => sql.run('UPDATE audits SET suspicion = suspicion / 2 WHERE server = ?', server),
}

export const suspects = {
  /** Unless it is one already, or what was found of it is being dealt with. @returns whether it is new */
  add: async (sql: Sql, row: Omit<SuspectTable, 'tries' | 'not_before'>): Promise<boolean> =>
    (
      await sql.run(
        `INSERT INTO suspects (object, version, slot, server, met, since, tries, not_before, bytes)
       SELECT ?, ?, ?, ?, ?, ?, 0, 0, ? WHERE NOT EXISTS
       (SELECT 1 FROM verdicts WHERE object = ? AND version = ? AND slot = ? AND done IS NULL)
       ON CONFLICT DO NOTHING`,
        row.object,
        row.version,
        row.slot,
        row.server,
        row.met,
        row.since,
        row.bytes,
        row.object,
        row.version,
        row.slot,
      )
    ).changes > 0,
  due: (sql: Sql, nowMs: number, limit: number) =>
    sql.all<SuspectTable>('SELECT * FROM suspects WHERE not_before <= ? ORDER BY not_before LIMIT ?', nowMs, limit),
  list: (sql: Sql, limit: number) => sql.all<SuspectTable>('SELECT * FROM suspects ORDER BY since LIMIT ?', limit),
  count: async (sql: Sql) => (await sql.get<{ n: number }>('SELECT count(*) AS n FROM suspects'))!.n,
  postpone: (sql: Sql, { object, version, slot, tries }: ReplicaKey & { tries: number }, untilMs: number) =>
    sql.run(
      'UPDATE suspects SET tries = ?, not_before = ? WHERE object = ? AND version = ? AND slot = ?',
      tries,
      untilMs,
      object,
      version,
      slot,
    ),
  drop: (sql: Sql, { object, version, slot }: ReplicaKey) =>
    sql.run('DELETE FROM suspects WHERE object = ? AND version = ? AND slot = ?', object, version, slot),
}

export const verdicts = {
  add: async (sql: Sql, row: Omit<VerdictTable, 'id'>): Promise<number> => {
    const entries = Object.entries(row)
    await sql.run(
      `INSERT INTO verdicts (${entries.map(([name]) => name).join(', ')}) VALUES (${entries.map(() => '?').join(', ')})`,
      ...entries.map(([, value]) => value),
    )
    return (await sql.get<{ id: number }>('SELECT max(id) AS id FROM verdicts'))!.id
  },
  set: (sql: Sql, id: number, outcome: VerdictTable['outcome'], doneMs: number | null) =>
    sql.run('UPDATE verdicts SET outcome = ?, done = ? WHERE id = ?', outcome, doneMs, id),
  byId: (sql: Sql, id: number) => sql.get<VerdictTable>('SELECT * FROM verdicts WHERE id = ?', id),
  /** Newest first. */
  list: (sql: Sql, limit: number) => sql.all<VerdictTable>('SELECT * FROM verdicts ORDER BY id DESC LIMIT ?', limit),
  ofObject: (sql: Sql, object: Uint8Array) =>
    sql.all<VerdictTable>('SELECT * FROM verdicts WHERE object = ? ORDER BY id', object),
  counts: (sql: Sql) =>
    sql.all<{ kind: VerdictTable['kind']; count: number; open: number }>(
      'SELECT kind, count(*) AS count, sum(CASE WHEN done IS NULL THEN 1 ELSE 0 END) AS open FROM verdicts GROUP BY kind ORDER BY kind',
    ),
  judgedSince: async (sql: Sql, { object, version, slot }: ReplicaKey, sinceMs: number): Promise<boolean> =>
    (await sql.get(
      'SELECT 1 FROM verdicts WHERE object = ? AND version = ? AND slot = ? AND at >= ?',
      object,
      version,
      slot,
      sinceMs,
    )) !== undefined,
  /** Whether any is not dealt with yet. */
  open: async (sql: Sql): Promise<boolean> =>
    (await sql.get('SELECT 1 FROM verdicts WHERE done IS NULL LIMIT 1')) !== undefined,
  /** Replicas that were to be made anew and have been. */
  settle: async (sql: Sql, nowMs: number) =>
    (
      await sql.run(
        `UPDATE verdicts SET outcome = 'remade', done = ? WHERE done IS NULL AND outcome = 'remaking' AND NOT EXISTS
       (SELECT 1 FROM replicas AS r WHERE r.object = verdicts.object AND r.version = verdicts.version
        AND r.slot = verdicts.slot AND r.epoch <= verdicts.epoch)`,
        nowMs,
      )
    ).changes,
  /** The server's open containments. */
  release: (sql: Sql, server: string, nowMs: number) =>
    sql.run(
      `UPDATE verdicts SET outcome = 'released', done = ? WHERE server = ? AND object IS NULL AND done IS NULL`,
      nowMs,
      server,
    ),
  impostors: async (sql: Sql, server: string) =>
    (await sql.get<{ n: number }>(
      `SELECT count(*) AS n FROM verdicts WHERE server = ? AND kind = 'impostor' AND object IS NULL`,
      server,
    ))!.n,
}

export const differences = {
  put: (sql: Sql, { verdict, ranges, bytes, pieces }: DifferenceTable) =>
    sql.run('INSERT INTO differences VALUES (?, ?, ?, ?)', verdict, ranges, bytes, pieces),
  of: (sql: Sql, verdict: number) => sql.get<DifferenceTable>('SELECT * FROM differences WHERE verdict = ?', verdict),
}
