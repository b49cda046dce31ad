/** SQL of the app server: rows in, rows out, no decisions. */
import type { Sql } from '../../../storage/database.ts'
import { insertRow, putRow } from '../../../storage/insert.ts'
import type { AppRow, LicenceRow } from '../tables.ts'

export interface UserRow {
  app: string
  device: string
  name: string
  contact: string
  at_ms: number
}

export type ShownRow = LicenceRow & Pick<UserRow, 'name' | 'contact'>

export const apps = {
  get: (sql: Sql, id: string) => sql.get<AppRow>('SELECT * FROM apps WHERE id = ?', id),
  add: (sql: Sql, row: AppRow) => insertRow(sql, 'apps', row),
  all: (sql: Sql) =>
    sql.all<AppRow & { enrolled: number; supplied: number }>(
      `SELECT a.*, (SELECT count(*) FROM licences l WHERE l.app = a.id) AS enrolled,
         (SELECT count(*) FROM licences l WHERE l.app = a.id AND l.supplied_ms IS NOT NULL) AS supplied
       FROM apps a ORDER BY a.id`,
    ),
}

export const users = {
  put: (sql: Sql, row: UserRow) => putRow(sql, 'app_users', ['app', 'device'], row),
}

export const licences = {
  of: (sql: Sql, app: string, device: string) =>
    sql.get<LicenceRow>('SELECT * FROM licences WHERE app = ? AND device = ?', app, device),
  byCode: (sql: Sql, code: Uint8Array) => sql.get<LicenceRow>('SELECT * FROM licences WHERE code = ?', code),
  add: (sql: Sql, row: LicenceRow) => insertRow(sql, 'licences', row),
  setCode: (sql: Sql, id: Uint8Array, code: Uint8Array) =>
    sql.run('UPDATE licences SET code = ? WHERE id = ?', code, id),
  setLease: (sql: Sql, { id, supplied_ms, until_ms }: LicenceRow) =>
    sql.run('UPDATE licences SET supplied_ms = ?, until_ms = ? WHERE id = ?', supplied_ms, until_ms, id),
  revoke: (sql: Sql, app: string, device: string) =>
    sql.run('UPDATE licences SET is_revoked = 1 WHERE app = ? AND device = ?', app, device),
  all: (sql: Sql) =>
    sql.all<ShownRow>(
      `SELECT l.*, u.name, u.contact FROM licences l JOIN app_users u ON u.app = l.app AND u.device = l.device
       ORDER BY l.app, l.device`,
    ),
}
