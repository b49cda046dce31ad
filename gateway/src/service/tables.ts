/** The tables that every service's database has besides its own: inbox, events, signed acts, outbox, API keys. */
import type { MigrationSet } from '../storage/migrate.ts'

export interface HostTables {
  inbox: {
    device: string
    stream: Uint8Array
    seq: number
    act: Uint8Array
    hash: Uint8Array
    at: number
    reply: Uint8Array
  }
  events: { at: number; device: string; id: Uint8Array; contract: string; at_ms: number; body: Uint8Array }
  signed_acts: { key: Uint8Array; act: Uint8Array; hash: Uint8Array; expires: number }
  /** Acts that wait for another service's reply. `seq` counts within the stream to that service. */
  outbox: {
    service: string
    seq: number
    act: Uint8Array
    contract: string
    at_ms: number
    trace: Uint8Array
    body: Uint8Array
  }
  outbox_streams: { service: string; stream: Uint8Array; next_seq: number }
  /** What devices are sent, until they have it; the content itself is the service's. */
  downloads: {
    id: Uint8Array
    device: string
    kind: string
    /** By which the service finds the content. */
    reference: Uint8Array
    size_bytes: number
    root: Uint8Array
    leaves: Uint8Array
    key: Uint8Array
    at_ms: number
    expires_ms: number
  }
  /** Keys of programs outside the site; of a key only the hash is kept. */
  api_keys: {
    id: string
    hash: Uint8Array
    holder: string
    /** With spaces between them. */
    scopes: string
    made_by: string
    created_ms: number
    expires_ms: number
    revoked_ms: number | null
  }
  /** What was answered under an idempotency key. */
  https_replies: { holder: string; once: string; hash: Uint8Array; reply: Uint8Array; at_ms: number }
}

export const hostMigrations: MigrationSet = {
  set: 'service-host',
  migrations: [
    {
      number: 1,
      name: 'inbox, events and signed acts',
      up: `
        CREATE TABLE inbox (
          device TEXT NOT NULL, stream BLOB NOT NULL, seq INTEGER NOT NULL, act BLOB NOT NULL, hash BLOB NOT NULL,
          at INTEGER NOT NULL, reply BLOB NOT NULL, PRIMARY KEY (device, stream, seq)
        ) WITHOUT ROWID;
        CREATE TABLE events (
          at INTEGER PRIMARY KEY AUTOINCREMENT, device TEXT NOT NULL, id BLOB NOT NULL UNIQUE, contract TEXT NOT NULL,
          at_ms INTEGER NOT NULL, body BLOB NOT NULL
        );
        CREATE INDEX events_by_device ON events (device, at);
        CREATE TABLE signed_acts (
          key BLOB NOT NULL, act BLOB NOT NULL, hash BLOB NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY (key, act)
        ) WITHOUT ROWID;
        CREATE INDEX signed_acts_by_expiry ON signed_acts (expires);
      `,
    },
    {
      number: 2,
      name: 'outbox to other services',
      up: `
        CREATE TABLE outbox (
          service TEXT NOT NULL, seq INTEGER NOT NULL, act BLOB NOT NULL, contract TEXT NOT NULL, at_ms INTEGER NOT NULL,
          trace BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (service, seq)
        ) WITHOUT ROWID;
        CREATE TABLE outbox_streams (
          service TEXT PRIMARY KEY, stream BLOB NOT NULL, next_seq INTEGER NOT NULL
        ) WITHOUT ROWID;
      `,
    },
    {
      number: 3,
      name: 'downloads of devices',
      up: `
        CREATE TABLE downloads (
          id BLOB PRIMARY KEY, device TEXT NOT NULL, kind TEXT NOT NULL, reference BLOB NOT NULL,
          size_bytes INTEGER NOT NULL, root BLOB NOT NULL, leaves BLOB NOT NULL, key BLOB NOT NULL,
          at_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX downloads_by_device ON downloads (device, at_ms);
        CREATE INDEX downloads_by_expiry ON downloads (expires_ms);
      `,
    },
    {
      number: 4,
      name: 'programs outside the site',
      up: `
        CREATE TABLE api_keys (
          id TEXT PRIMARY KEY, hash BLOB NOT NULL, holder TEXT NOT NULL, scopes TEXT NOT NULL, made_by TEXT NOT NULL,
          created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, revoked_ms INTEGER
        ) WITHOUT ROWID;
        CREATE INDEX api_keys_by_holder ON api_keys (holder, created_ms);
        CREATE TABLE https_replies (
          holder TEXT NOT NULL, once TEXT NOT NULL, hash BLOB NOT NULL, reply BLOB NOT NULL, at_ms INTEGER NOT NULL,
          PRIMARY KEY (holder, once)
        ) WITHOUT ROWID;
        CREATE INDEX https_replies_by_age ON https_replies (at_ms);
      `,
    },
  ],
}
