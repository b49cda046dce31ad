/**
 * Members whose data is looked at before their statement is made (S13): what was not opened and compared since a moment is opened
 * now, before what is due by its age.
 */

import type { Sql } from '../../../storage/database.ts'
import type { Migration } from '../../../storage/migrate.ts'
import { catalogueMedia } from '../store.ts'

export const memberCheckMigration: Migration = {
  number: 11,
  name: 'members whose data is looked at before a statement',
  up: `
CREATE TABLE member_checks (member BLOB PRIMARY KEY, since INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`,
}

/** An object that is to be opened. */
export interface Unopened {
  object: Uint8Array
  version: number
  slot: 1
  opened: number
  bytes: number
}

const evidence = 'max(s.opened, coalesce(s.kept, 0))'

export const memberChecks = {
  /** Begins, or goes on, to look at what has no evidence since `sinceMs`. */
  begin: (sql: Sql, member: Uint8Array, sinceMs: number) =>
    sql.run(
      `INSERT INTO member_checks (member, since) VALUES (?, ?)
       ON CONFLICT (member) DO UPDATE SET since = max(member_checks.since, excluded.since)`,
      member,
      sinceMs,
    ),
  end: (sql: Sql, member: Uint8Array) => sql.run('DELETE FROM member_checks WHERE member = ?', member),
  /** How many of a member's objects have no evidence since then. */
  waiting: async (sql: Sql, member: Uint8Array, sinceMs: number): Promise<number> =>
    (await sql.get<{ n: number }>(
      `SELECT count(*) AS n FROM saves s WHERE s.member = ? AND s.media <> ? AND s.state = 'kept' AND ${evidence} < ?`,
      member,
      catalogueMedia,
      sinceMs,
    ))!.n,
  /** Those of all such members that are in reach, oldest evidence first. */
  next: (sql: Sql, limit: number) =>
    sql.all<Unopened>(
      `SELECT s.object, s.version, 1 AS slot, ${evidence} AS opened,
         (SELECT sum(sealed) FROM replicas AS r WHERE r.object = s.object AND r.version = s.version) AS bytes
       FROM member_checks c JOIN saves s ON s.member = c.member
       WHERE s.media <> ? AND s.state = 'kept' AND ${evidence} < c.since AND NOT EXISTS
         (SELECT 1 FROM replicas AS r JOIN servers AS v ON v.id = r.server WHERE r.object = s.object
          AND r.version = s.version AND (v.away IS NOT NULL OR v.state IN ('lost', 'contained')))
       ORDER BY opened LIMIT ?`,
      catalogueMedia,
      limit,
    ),
}
