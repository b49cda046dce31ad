/** SQL of owners, their devices and the devices' keys: rows in, rows out, no decisions. */
import type { Sql } from '../../../storage/database.ts'
import type { DeviceRow } from '../tables.ts'

export interface OwnerRow {
  id: string
  contact: string
  /** SHA-256 of the code. */
  code: Uint8Array
  /** Which member of settlement the owner is. */
  member: string | null
  made_by: string
  created_ms: number
}

export const owners = {
  byCode: (sql: Sql, code: Uint8Array) => sql.get<OwnerRow>('SELECT * FROM owners WHERE code = ?', code),
  get: (sql: Sql, id: string) => sql.get<OwnerRow>('SELECT * FROM owners WHERE id = ?', id),
  all: (sql: Sql) => sql.all<OwnerRow>('SELECT * FROM owners ORDER BY id'),
  add: (sql: Sql, { id, contact, code, member, made_by, created_ms }: OwnerRow) =>
    sql.run(
      'INSERT INTO owners (id, contact, code, member, made_by, created_ms) VALUES (?, ?, ?, ?, ?, ?)',
      id,
      contact,
      code,
      member,
      made_by,
      created_ms,
    ),
  setMember: (sql: Sql, id: string, member: string) => sql.run('UPDATE owners SET member = ? WHERE id = ?', member, id),
}

export const devices = {
  get: (sql: Sql, id: string) => sql.get<DeviceRow>('SELECT * FROM devices WHERE id = ?', id),
  all: (sql: Sql) => sql.all<DeviceRow>('SELECT * FROM devices ORDER BY owner, id'),
  /** A device that is there stays with its record; its owner may be another one now. */
  add: (sql: Sql, id: string, owner: string, quota: number, nowMs: number) =>
    sql.run(
      `INSERT INTO devices (id, owner, since_ms, valid_in_row, valid, wrong, lost, quota, day, taken)
       VALUES (?, ?, ?, 0, 0, 0, 0, ?, 0, 0) ON CONFLICT (id) DO UPDATE SET owner = excluded.owner`,
      id,
      owner,
      nowMs,
      quota,
    ),
  setRecord: (sql: Sql, { id, valid_in_row, valid, wrong, lost, quota }: DeviceRow) =>
    sql.run(
      'UPDATE devices SET valid_in_row = ?, valid = ?, wrong = ?, lost = ?, quota = ? WHERE id = ?',
      valid_in_row,
      valid,
      wrong,
      lost,
      quota,
      id,
    ),
  setTaken: (sql: Sql, id: string, day: number, taken: number) =>
    sql.run('UPDATE devices SET day = ?, taken = ? WHERE id = ?', day, taken, id),
}

export const deviceKeys = {
  get: (sql: Sql, kid: Uint8Array) =>
    sql.get<{ device: string; key: Uint8Array }>('SELECT device, key FROM device_keys WHERE kid = ?', kid),
  add: (sql: Sql, kid: Uint8Array, device: string, key: Uint8Array, nowMs: number) =>
    sql.run(
      'INSERT INTO device_keys (kid, device, key, since_ms) VALUES (?, ?, ?, ?) ON CONFLICT (kid) DO NOTHING',
      kid,
      device,
      key,
      nowMs,
    ),
}

export const points = {
  ofOwner: async (sql: Sql, owner: string): Promise<number> =>
    (await sql.get<{ sum: number }>('SELECT coalesce(sum(micro_points), 0) AS sum FROM points WHERE owner = ?', owner))!
      .sum,
  ofDevice: async (sql: Sql, device: string): Promise<{ micro: number; fuel: number }> =>
    (await sql.get<{ micro: number; fuel: number }>(
      'SELECT coalesce(sum(micro_points), 0) AS micro, coalesce(sum(fuel), 0) AS fuel FROM points WHERE device = ?',
      device,
    ))!,
}
