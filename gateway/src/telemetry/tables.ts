/** Tables of telemetry in the gateway's database: who may read it, and when each device last saved. */
import type { MigrationSet } from '../storage/migrate.ts'

export interface TelemetryTables {
  readers: { name: string; verifier: Uint8Array; made_ms: number }
  last_saves: { device: string; at_ms: number }
}

export const telemetryMigrations: MigrationSet = {
  set: 'telemetry',
  migrations: [
    {
      number: 1,
      name: 'readers and last saves',
      up: `
        CREATE TABLE readers (name TEXT PRIMARY KEY, verifier BLOB NOT NULL, made_ms INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE last_saves (device TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) WITHOUT ROWID;
      `,
    },
  ],
}
