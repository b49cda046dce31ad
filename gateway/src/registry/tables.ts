/** The gateway's own tables: devices, claims, transfers. */
import type { MigrationSet } from '../storage/migrate.ts'

export interface GatewayTables {
  devices: {
    id: string
    key: Uint8Array
    model: string
    version: string
    roles: string
    region: string
    latitude: number | null
    longitude: number | null
    epoch: number
    enrolled_ms: number
    revoked_ms: number | null
    claim: string
  }
  claims: {
    id: string
    secret: Uint8Array
    region: string
    latitude: number | null
    longitude: number | null
    roles: string
    expires_ms: number
    used_by: string | null
    failures: number
  }
  transfers: {
    id: Uint8Array
    device: string
    service: string
    size_bytes: number
    block_bytes: number
    blocks: number
    root: Uint8Array
    leaves: Uint8Array | null
    expires_ms: number
    complete: number
  }
}

export const gatewayMigrations: MigrationSet = {
  set: 'gateway',
  migrations: [
    {
      number: 1,
      name: 'devices, claims and transfers',
      up: `
        CREATE TABLE devices (
          id TEXT PRIMARY KEY, key BLOB NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, roles TEXT NOT NULL,
          region TEXT NOT NULL, latitude REAL, longitude REAL, epoch INTEGER NOT NULL, enrolled_ms INTEGER NOT NULL,
          revoked_ms INTEGER, claim TEXT NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE claims (
          id TEXT PRIMARY KEY, secret BLOB NOT NULL, region TEXT NOT NULL, latitude REAL, longitude REAL, roles TEXT NOT NULL,
          expires_ms INTEGER NOT NULL, used_by TEXT, failures INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE transfers (
          id BLOB PRIMARY KEY, device TEXT NOT NULL, service TEXT NOT NULL, size_bytes INTEGER NOT NULL,
          block_bytes INTEGER NOT NULL, blocks INTEGER NOT NULL, root BLOB NOT NULL, leaves BLOB,
          expires_ms INTEGER NOT NULL, complete INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX transfers_by_expiry ON transfers (expires_ms);
      `,
    },
  ],
}
