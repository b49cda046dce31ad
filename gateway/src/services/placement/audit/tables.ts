/** Tables of audits and verdicts (S11, S12): migration 7 of placement. */
import type { VerdictKind } from '@azukari/protocol/verdict'
import type { Migration } from '../../../storage/migrate.ts'
import type { Met } from './verdict.ts'

/** How far the rounds over one data server are, so that a restart goes on. */
export interface AuditTable {
  server: string
  /** Ends of the last whole rounds, ms since the epoch. */
  listed: number
  leaves: number
  scanned: number
  /** Where the listing goes on: `object-version-slot` of the last one seen; null between rounds. */
  list_after: string | null
  /** CBOR: the leaves of this round that are still to be looked at; null between rounds. */
  plan: Uint8Array | null
  scanning: 0 | 1
  /** Refusals in a row. */
  refusals: number
  /** Each verdict adds one, each clean round halves it. */
  suspicion: number
  not_before: number
}

/** A replica that an audit came upon and that is to be examined. */
export interface SuspectTable {
  object: Uint8Array
  version: number
  slot: 1 | 2
  server: string
  met: Met
  since: number
  tries: number
  not_before: number
  bytes: number
}

/** What came of a verdict. */
export type Outcome =
  | 'counted'
  | 'parity'
  | 'segments'
  | 'notes'
  | 'manifest'
  | 'remaking'
  | 'remade'
  | 'contained'
  | 'released'
  | 'none'

/** One verdict; never changed but for its outcome. */
export interface VerdictTable {
  id: number
  at: number
  kind: VerdictKind
  server: string
  /** Null when it is about the server as a whole. */
  object: Uint8Array | null
  version: number | null
  slot: 1 | 2 | null
  epoch: number | null
  member: Uint8Array | null
  because: string
  /** COSE_Sign1 of a `Verdict`. */
  signed: Uint8Array
  outcome: Outcome
  /** When it was dealt with, ms since the epoch; null while it is not. */
  done: number | null
}

/** Where a changed replica differs from the good one. */
export interface DifferenceTable {
  verdict: number
  /** JSON of `ByteRange[]`. */
  ranges: string
  bytes: number
  /** What stood there instead, as far as it opens: COSE_Encrypt0 under the member's key. */
  pieces: Uint8Array
}

export const auditMigration: Migration = {
  number: 7,
  name: 'audits, verdicts, differences',
  up: `
ALTER TABLE saves ADD COLUMN opened INTEGER NOT NULL DEFAULT 0;
CREATE INDEX saves_opened ON saves (max(opened, coalesce(kept, 0))) WHERE state = 'kept';
DROP INDEX replicas_server;
CREATE INDEX replicas_server ON replicas (server, object, version, slot);
CREATE TABLE audits (
  server TEXT PRIMARY KEY, listed INTEGER NOT NULL, leaves INTEGER NOT NULL, scanned INTEGER NOT NULL, list_after TEXT,
  plan BLOB, scanning INTEGER NOT NULL DEFAULT 0, refusals INTEGER NOT NULL DEFAULT 0, suspicion REAL NOT NULL DEFAULT 0,
  not_before INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE suspects (
  object BLOB NOT NULL, version INTEGER NOT NULL, slot INTEGER NOT NULL, server TEXT NOT NULL, met TEXT NOT NULL,
  since INTEGER NOT NULL, tries INTEGER NOT NULL, not_before INTEGER NOT NULL, bytes INTEGER NOT NULL,
  PRIMARY KEY (object, version, slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX suspects_due ON suspects (not_before);
CREATE TABLE verdicts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, kind TEXT NOT NULL, server TEXT NOT NULL, object BLOB,
  version INTEGER, slot INTEGER, epoch INTEGER, member BLOB, because TEXT NOT NULL, signed BLOB NOT NULL,
  outcome TEXT NOT NULL, done INTEGER
) STRICT;
CREATE INDEX verdicts_object ON verdicts (object, version, slot);
CREATE INDEX verdicts_member ON verdicts (member) WHERE member IS NOT NULL;
CREATE INDEX verdicts_server ON verdicts (server, kind) WHERE object IS NULL;
CREATE INDEX verdicts_open ON verdicts (id) WHERE done IS NULL;
CREATE TABLE told (
  verdict INTEGER NOT NULL REFERENCES verdicts (id), member BLOB NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (verdict, member)
) STRICT, WITHOUT ROWID;
CREATE TABLE differences (
  verdict INTEGER PRIMARY KEY REFERENCES verdicts (id), ranges TEXT NOT NULL, bytes INTEGER NOT NULL, pieces BLOB NOT NULL
) STRICT;
`,
}
