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
  device_states: {
    device: string
    desired_version: number
    /** JSON. */
    desired: string
    reported_version: number
    applied: number
    reported: string
    refused: string
    reported_ms: number | null
  }
  /** What became of data for a card's program; not where: the site need not know which card was in which device. */
  card_data: {
    card: Uint8Array
    number: number
    outcome: string
    code: string | null
    at_ms: number
  }
  jobs: {
    id: Uint8Array
    kind: string
    /** SHA-256 of a release's signed manifest. */
    release: Uint8Array | null
    /** JSON of the settings to change. */
    settings: string | null
    per_minute: number
    abort_percent: number
    abort_after: number
    timeout_ms: number
    retries: number
    state: string
    created_ms: number
  }
  job_devices: {
    job: Uint8Array
    device: string
    state: string
    attempt: number
    started_ms: number
    until_ms: number
    version: number | null
    code: string | null
    detail: string | null
  }
  /** JSON of the parts, as last reported. */
  device_parts: { device: string; parts: string; at_ms: number }
  /** Data servers that may join: what the operator said of each, and whose key the claim was used by. */
  server_claims: {
    id: string
    secret: Uint8Array
    entry: string
    expires_ms: number
    key: Uint8Array | null
    failures: number
  }
  diagnostics: { job: Uint8Array; device: string; at_ms: number; report: Uint8Array }
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
    {
      number: 2,
      name: 'desired and reported state, jobs',
      up: `
        CREATE TABLE device_states (
          device TEXT PRIMARY KEY, desired_version INTEGER NOT NULL, desired TEXT NOT NULL, reported_version INTEGER NOT NULL,
          applied INTEGER NOT NULL, reported TEXT NOT NULL, refused TEXT NOT NULL, reported_ms INTEGER
        ) WITHOUT ROWID;
        CREATE TABLE jobs (
          id BLOB PRIMARY KEY, kind TEXT NOT NULL, release BLOB, settings TEXT, per_minute INTEGER NOT NULL,
          abort_percent INTEGER NOT NULL, abort_after INTEGER NOT NULL, timeout_ms INTEGER NOT NULL,
          retries INTEGER NOT NULL, state TEXT NOT NULL, created_ms INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE job_devices (
          job BLOB NOT NULL, device TEXT NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL,
          started_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, version INTEGER, code TEXT, detail TEXT,
          PRIMARY KEY (job, device)
        ) WITHOUT ROWID;
        CREATE INDEX job_devices_under_way ON job_devices (device) WHERE state = 'running';
        CREATE TABLE diagnostics (
          job BLOB NOT NULL, device TEXT NOT NULL, at_ms INTEGER NOT NULL, report BLOB NOT NULL,
          PRIMARY KEY (job, device)
        ) WITHOUT ROWID;
      `,
    },
    {
      number: 3,
      name: 'data brought to cards',
      up: `
        CREATE TABLE card_data (
          card BLOB PRIMARY KEY, number INTEGER NOT NULL, outcome TEXT NOT NULL, code TEXT, at_ms INTEGER NOT NULL
        ) WITHOUT ROWID;
      `,
    },
    {
      number: 4,
      name: 'how the parts of devices are',
      up: `
        CREATE TABLE device_parts (device TEXT PRIMARY KEY, parts TEXT NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID;
      `,
    },
    {
      number: 5,
      name: 'claims of data servers on hosts of their own',
      up: `
        CREATE TABLE server_claims (
          id TEXT PRIMARY KEY, secret BLOB NOT NULL, entry TEXT NOT NULL, expires_ms INTEGER NOT NULL, key BLOB,
          failures INTEGER NOT NULL
        ) WITHOUT ROWID;
      `,
    },
  ],
}
