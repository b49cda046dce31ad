/** Where members are written to, and the letters that have not been taken yet (S13). */
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'

/** Of each kind one letter waits for a member at most: it says that there is news, however much. */
export const mailTables = `
CREATE TABLE mail_addresses (
  member BLOB PRIMARY KEY, address BLOB NOT NULL, since INTEGER NOT NULL, refused TEXT, refused_at INTEGER
) STRICT;
CREATE TABLE mails (
  id BLOB PRIMARY KEY, member BLOB NOT NULL, what TEXT NOT NULL, at INTEGER NOT NULL, tries INTEGER NOT NULL,
  next_at INTEGER NOT NULL, trouble TEXT, UNIQUE (member, what)
) STRICT;
CREATE INDEX mails_due ON mails (next_at);
`

export interface MailAddressRow {
  member: Uint8Array
  /** Sealed at rest, bound to its member. */
  address: Uint8Array
  since: number
  /** What the mail server said to the last letter, when it refused it. */
  refused: string | null
  refused_at: number | null
}

export interface MailRow {
  /** Also left of the @ of its Message-ID, so that one that went out twice can be told by it. */
  id: Uint8Array
  member: Uint8Array
  what: string
  at: number
  tries: number
  next_at: number
  trouble: string | null
}

export const mailAddresses = {
  get: (sql: Sql, member: Uint8Array) =>
    sql.get<MailAddressRow>('SELECT * FROM mail_addresses WHERE member = ?', member),
  set: async (sql: Sql, member: Uint8Array, address: Uint8Array, nowMs: number) => {
    await mailAddresses.remove(sql, member)
    await insertRow(sql, 'mail_addresses', { member, address, since: nowMs, refused: null, refused_at: null })
  },
  /** With what was to be written there. */
  remove: async (sql: Sql, member: Uint8Array) => {
    await sql.run('DELETE FROM mails WHERE member = ?', member)
    await sql.run('DELETE FROM mail_addresses WHERE member = ?', member)
  },
  refused: (sql: Sql, member: Uint8Array, why: string | null, nowMs: number) =>
    sql.run(
      'UPDATE mail_addresses SET refused = ?, refused_at = ? WHERE member = ?',
      why,
      why === null ? null : nowMs,
      member,
    ),
  count: async (sql: Sql): Promise<number> =>
    (await sql.get<{ count: number }>('SELECT count(*) AS count FROM mail_addresses'))!.count,
}

export const mails = {
  /** Nothing when one of the kind waits already. */
  add: async (sql: Sql, mail: Pick<MailRow, 'id' | 'member' | 'what'>, nowMs: number) => {
    const waits = await sql.get('SELECT 1 FROM mails WHERE member = ? AND what = ?', mail.member, mail.what)
    if (waits) return
    await insertRow(sql, 'mails', { ...mail, at: nowMs, tries: 0, next_at: nowMs, trouble: null })
  },
  due: (sql: Sql, nowMs: number, limit: number) =>
    sql.all<MailRow>('SELECT * FROM mails WHERE next_at <= ? ORDER BY next_at, id LIMIT ?', nowMs, limit),
  next: async (sql: Sql): Promise<number | undefined> =>
    (await sql.get<{ next: number | null }>('SELECT min(next_at) AS next FROM mails'))?.next ?? undefined,
  again: (sql: Sql, id: Uint8Array, next: number, trouble: string) =>
    sql.run('UPDATE mails SET tries = tries + 1, next_at = ?, trouble = ? WHERE id = ?', next, trouble, id),
  remove: (sql: Sql, id: Uint8Array) => sql.run('DELETE FROM mails WHERE id = ?', id),
  waiting: (sql: Sql, limit: number) =>
    sql.all<{ number: string; what: string; at: number; tries: number; trouble: string | null }>(
      `SELECT w.number, m.what, m.at, m.tries, m.trouble FROM mails AS m JOIN members AS w ON w.id = m.member
       ORDER BY m.at, m.id LIMIT ?`,
      limit,
    ),
  refusals: (sql: Sql, limit: number) =>
    sql.all<{ number: string; refused: string; refused_at: number }>(
      `SELECT w.number, a.refused, a.refused_at FROM mail_addresses AS a JOIN members AS w ON w.id = a.member
       WHERE a.refused IS NOT NULL ORDER BY a.refused_at, a.member LIMIT ?`,
      limit,
    ),
}
