/** Tables of members' wishes (D8, migration 8 of placement): consent, retention, what is to be erased and what was. */
import type { Migration } from '../../../storage/migrate.ts'

export type ErasureCause = 'member' | 'closing' | 'retention'

export interface RequestRow {
  act: Uint8Array
  member: Uint8Array
  device: string
  kind: 'erase' | 'close' | 'consent' | 'retention'
  /** SHA-256 of what was signed: the same act with another content is refused. */
  digest: Uint8Array
  at: number
  objects: number
  /** Of an account that is gone: the signed closing receipt. */
  closing: Uint8Array | null
}

/** One object that is to be erased, or was; it stays, without anything of the object but its id. */
export interface ErasureRow {
  object: Uint8Array
  act: Uint8Array
  member: Uint8Array
  /** Who offered it: a device that has not heard yet is told. */
  device: string
  cause: ErasureCause
  at: number
  keys: number
  /** Its entry in the journal; null until its places have been gathered. */
  journal: number | null
  done: number | null
  receipt: Uint8Array | null
}

/** Where something of it lies or may lie. */
export interface ErasingRow {
  object: Uint8Array
  version: number
  slot: 1 | 2
  server: string
  state: 'open' | 'destroyed' | 'absent' | 'lost'
  at: number
  receipt: Uint8Array | null
  tries: number
  not_before: number
}

export const requestMigration: Migration = {
  number: 8,
  name: 'wishes: consent, retention, erasure',
  up: `
ALTER TABLE members ADD COLUMN location INTEGER NOT NULL DEFAULT 1;
ALTER TABLE members ADD COLUMN abroad INTEGER NOT NULL DEFAULT 1;
ALTER TABLE members ADD COLUMN retention INTEGER NOT NULL DEFAULT 0;
CREATE TABLE wishes (
  act BLOB PRIMARY KEY, member BLOB NOT NULL, device TEXT NOT NULL, kind TEXT NOT NULL, digest BLOB NOT NULL,
  at INTEGER NOT NULL, objects INTEGER NOT NULL, closing BLOB
) STRICT;
CREATE INDEX wishes_closing ON wishes (at) WHERE kind = 'close' AND closing IS NULL;
CREATE TABLE erasures (
  object BLOB PRIMARY KEY, act BLOB NOT NULL, member BLOB NOT NULL, device TEXT NOT NULL, cause TEXT NOT NULL,
  at INTEGER NOT NULL, keys INTEGER NOT NULL, journal INTEGER, done INTEGER, receipt BLOB
) STRICT;
CREATE INDEX erasures_act ON erasures (act, object);
CREATE INDEX erasures_open ON erasures (at) WHERE done IS NULL;
CREATE INDEX erasures_member ON erasures (member) WHERE done IS NULL;
CREATE TABLE erasing (
  object BLOB NOT NULL, version INTEGER NOT NULL, slot INTEGER NOT NULL, server TEXT NOT NULL, state TEXT NOT NULL,
  at INTEGER NOT NULL, receipt BLOB, tries INTEGER NOT NULL, not_before INTEGER NOT NULL,
  PRIMARY KEY (object, version, slot, server)
) STRICT;
CREATE INDEX erasing_due ON erasing (not_before) WHERE state IN ('open', 'lost');
CREATE INDEX saves_retention ON saves (member, kept) WHERE state = 'kept';
`,
}
