/** SQL of re-placement: rows in, rows out, no decisions. */
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { queries } from '../../../storage/query.ts'
import type { MakingTable, ReplaceTables, RetiredTable } from './tables.ts'

const query = queries<ReplaceTables>()

interface SlotKey {
  object: Uint8Array
  version: number
  slot: 1 | 2
}
type Named = Record<'object', Uint8Array> & Record<'version' | 'slot', number>

const ofSlot = query<Named>()((db, p) =>
  db
    .selectFrom('making')
    .selectAll()
    .where('object', '=', p.object)
    .where('version', '=', p.version)
    .where('slot', '=', p.slot as 1 | 2),
)
const dropMaking = query<Named>()((db, p) =>
  db
    .deleteFrom('making')
    .where('object', '=', p.object)
    .where('version', '=', p.version)
    .where('slot', '=', p.slot as 1 | 2),
)

export const making = {
  of: (sql: Sql, { object, version, slot }: SlotKey) => ofSlot.get(sql, { object, version, slot }),
  /** What is being made and is in no queue. */
  orphans: (sql: Sql) =>
    sql.all<MakingTable>(
      `SELECT * FROM making AS m WHERE NOT EXISTS
       (SELECT 1 FROM moves WHERE object = m.object AND version = m.version AND slot = m.slot) LIMIT 1000`,
    ),
  add: (sql: Sql, row: MakingTable) => insertRow(sql, 'making', row),
  set: async (sql: Sql, row: MakingTable, change: Partial<MakingTable>) => {
    const entries = Object.entries(change)
    await sql.run(
      `UPDATE making SET ${entries.map(([name]) => `${name} = ?`).join(', ')} WHERE object = ? AND version = ? AND slot = ?`,
      ...entries.map(([, value]) => value),
      row.object,
      row.version,
      row.slot,
    )
    Object.assign(row, change)
  },
  drop: (sql: Sql, { object, version, slot }: SlotKey) => dropMaking.run(sql, { object, version, slot }),
}

type RetiredKey = { server: string; object: Uint8Array; version: number; slot: number }
const retiredOf = query<RetiredKey>()((db, p) =>
  db
    .selectFrom('retired')
    .selectAll()
    .where('server', '=', p.server)
    .where('object', '=', p.object)
    .where('version', '=', p.version)
    .where('slot', '=', p.slot as 1 | 2),
)
const dropRetired = query<RetiredKey>()((db, p) =>
  db
    .deleteFrom('retired')
    .where('server', '=', p.server)
    .where('object', '=', p.object)
    .where('version', '=', p.version)
    .where('slot', '=', p.slot as 1 | 2),
)

export const retired = {
  of: (sql: Sql, key: RetiredKey) => retiredOf.get(sql, key),
  put: (sql: Sql, row: RetiredTable) =>
    insertRow(
      sql,
      'retired',
      row,
      `ON CONFLICT (server, object, version, slot) DO UPDATE SET epoch = excluded.epoch, due = excluded.due,
       journal = excluded.journal, forward = excluded.forward, forwarded = excluded.forwarded, sealed = excluded.sealed`,
    ),
  drop: (sql: Sql, { server, object, version, slot }: RetiredKey) =>
    dropRetired.run(sql, { server, object, version, slot }),
}
