/** The rows of transfers: what was announced, and whether it is whole (S4). */

import type { GatewayTables } from '../registry/tables.ts'
import type { Sql } from '../storage/database.ts'
import { queries } from '../storage/query.ts'

export type TransferRow = GatewayTables['transfers']

const query = queries<GatewayTables>()
const byId = query<{ id: Uint8Array }>()((db, p) => db.selectFrom('transfers').selectAll().where('id', '=', p.id))
const insert = query<TransferRow>()((db, p) =>
  db.insertInto('transfers').values({
    id: p.id,
    device: p.device,
    service: p.service,
    size_bytes: p.size_bytes,
    block_bytes: p.block_bytes,
    blocks: p.blocks,
    root: p.root,
    leaves: p.leaves,
    expires_ms: p.expires_ms,
    complete: p.complete,
  }),
)
const complete = query<{ id: Uint8Array; expires_ms: number }>()((db, p) =>
  db.updateTable('transfers').set({ complete: 1, expires_ms: p.expires_ms }).where('id', '=', p.id),
)
const remove = query<{ id: Uint8Array }>()((db, p) => db.deleteFrom('transfers').where('id', '=', p.id))
const expired = query<{ now: number }>()((db, p) =>
  db.selectFrom('transfers').select('id').where('expires_ms', '<=', p.now).limit(256),
)
const held = query<Record<never, never>>()((db) =>
  db.selectFrom('transfers').select(['id', 'device', 'size_bytes', 'complete']),
)
const ids = query<Record<never, never>>()((db) => db.selectFrom('transfers').select('id'))

export const transferStore = {
  find: (sql: Sql, id: Uint8Array): Promise<TransferRow | undefined> => byId.get(sql, { id }),
  insert: (sql: Sql, row: TransferRow) => insert.run(sql, row),
  complete: (sql: Sql, id: Uint8Array, expiresMs: number) => complete.run(sql, { id, expires_ms: expiresMs }),
  remove: (sql: Sql, id: Uint8Array) => remove.run(sql, { id }),
  expired: async (sql: Sql, nowMs: number): Promise<Uint8Array[]> =>
    (await expired.all(sql, { now: nowMs })).map((row) => row.id),
  held: (sql: Sql): Promise<Pick<TransferRow, 'id' | 'device' | 'size_bytes' | 'complete'>[]> => held.all(sql, {}),
  ids: async (sql: Sql): Promise<Uint8Array[]> => (await ids.all(sql, {})).map((row) => row.id),
}
