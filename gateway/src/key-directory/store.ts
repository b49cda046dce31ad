/** The key directory in the gateway's database, and which version each device has said that it holds. */
import type { Sql } from '../storage/database.ts'
import type { MigrationSet } from '../storage/migrate.ts'
import { queries } from '../storage/query.ts'

export interface KeyDirectoryTables {
  key_directory: { id: number; version: number; signed: Uint8Array }
  device_key_directories: { device: string; version: number; at_ms: number }
}

export const keyDirectoryMigrations: MigrationSet = {
  set: 'key-directory',
  migrations: [
    {
      number: 1,
      name: 'the key directory, and which version devices have',
      up: `
        CREATE TABLE key_directory (id INTEGER PRIMARY KEY, version INTEGER NOT NULL, signed BLOB NOT NULL);
        CREATE TABLE device_key_directories (
          device TEXT PRIMARY KEY, version INTEGER NOT NULL, at_ms INTEGER NOT NULL
        ) WITHOUT ROWID;
      `,
    },
  ],
}

const query = queries<KeyDirectoryTables>()
const read = query<Record<never, never>>()((db) => db.selectFrom('key_directory').select('signed').where('id', '=', 1))
const put = query<{ version: number; signed: Uint8Array }>()((db, p) =>
  db
    .insertInto('key_directory')
    .values({ id: 1, version: p.version, signed: p.signed })
    .onConflict((c) => c.column('id').doUpdateSet({ version: p.version, signed: p.signed })),
)
const versionOf = query<{ device: string }>()((db, p) =>
  db.selectFrom('device_key_directories').select('version').where('device', '=', p.device),
)
const note = query<{ device: string; version: number; at_ms: number }>()((db, p) =>
  db
    .insertInto('device_key_directories')
    .values({ device: p.device, version: p.version, at_ms: p.at_ms })
    .onConflict((c) => c.column('device').doUpdateSet({ version: p.version, at_ms: p.at_ms })),
)
const held = query<Record<never, never>>()((db) =>
  db.selectFrom('device_key_directories').select(['device', 'version']),
)

export async function readDirectory(sql: Sql): Promise<Uint8Array | undefined> {
  return (await read.get(sql, {}))?.signed
}

export async function putDirectory(sql: Sql, version: number, signed: Uint8Array): Promise<void> {
  await put.run(sql, { version, signed })
}

/** Keeps what a device says that it holds; the same as before is not written again. */
export async function noteHeld(sql: Sql, device: string, version: number, nowMs: number): Promise<void> {
  if ((await versionOf.get(sql, { device }))?.version === version) return
  await note.run(sql, { device, version, at_ms: nowMs })
}

/** The versions that devices hold, as far as they have said. */
export async function heldVersions(sql: Sql): Promise<Map<string, number>> {
  return new Map((await held.all(sql, {})).map(({ device, version }) => [device, version]))
}
