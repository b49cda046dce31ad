/** Tables of re-placement (S9, S16): migration 6 of placement. */
import type { Migration } from '../../../storage/migrate.ts'
import type { ReplicaRow } from '../store.ts'

/** Why data moves; texts for people are in `reasons.ts`. */
export type MoveCause =
  | 'risk'
  | 'level'
  | 'home'
  | 'capacity'
  | 'rank'
  | 'draining'
  | 'lost'
  | 'damaged'
  | 'tampering'
  | 'unexplained'
  | 'rollback'
  | 'contained'
  | 'back'

/** A replica on its way to the place of the one that stands in its slot. Written before anything is sent. */
export interface MakingTable extends ReplicaRow {
  kind: 'copy' | 'reseal'
  cause: MoveCause
  /** Its entry in the journal: from then on it takes the slot, whatever happens. */
  journal: number | null
}

/** A replica whose place was taken: it stays until its member's card can do without it. */
export interface RetiredTable {
  server: string
  object: Uint8Array
  version: number
  slot: 1 | 2
  epoch: number
  member: Uint8Array
  sealed: number
  /** Not destroyed before this, ms since the epoch. */
  due: number
  /** The journal's entry of its successor: it must be safe first. */
  journal: number
  /** The successor's manifest, when the card's keys open it too: what the old place answers with. */
  forward: Uint8Array | null
  /** 1 when the bytes are gone and the forwarding record stands. */
  forwarded: 0 | 1
}

/** One object's replica that is to leave its server. */
export interface MovesTable {
  object: Uint8Array
  version: number
  slot: 1 | 2
  member: Uint8Array
  /** Where it lay when it was queued; where it goes is decided when its turn comes. */
  source: string
  cause: MoveCause
  /** Exposure ÷ lead time: probability of loss per hour; higher goes first. */
  urgency: number
  sealed: number
  at: number
  tries: number
  /** 1 while it waits for `not_before`. */
  waits: 0 | 1
  not_before: number
  problem: string | null
  reason: string
}

/** Members of one level and home region who asked from one region. */
export interface ClassesTable {
  id: number
  level: number
  home: string
  asking: string
  abroad: 0 | 1
}

/** A 256th of a class, or a part of one. */
export interface BucketsTable {
  class: number
  /** First of the 65,536 places that it covers. */
  place: number
  /** How many places it covers: 256, or fewer after splits. */
  span: number
  one: string
  two: string
  bytes: number
  objects: number
  /** Since when it has its assignment. */
  since: number
  /** JSON of `BucketReason`. */
  reason: string
  /** JSON: other servers on which some of its objects lie. */
  strays: string
  /** JSON: servers that its objects are to leave; `[]` when all is done. */
  leaves: string
  /** JSON: where it belonged before a hazard, while the move from there is under way. */
  before: string | null
  cause: MoveCause
  /** Probability of loss per hour. */
  urgency: number
  /** 1 when all objects that are to leave are in the queue, or were. */
  fed: 0 | 1
  /** 1 when it must leave a place and has nowhere to go. */
  stuck: 0 | 1
}

export interface ReplaceTables {
  making: MakingTable
  retired: RetiredTable
  moves: MovesTable
  classes: ClassesTable
  buckets: BucketsTable
}

export const replaceMigration: Migration = {
  number: 6,
  name: 'plans, classes, moves',
  up: `
ALTER TABLE members ADD COLUMN plan TEXT NOT NULL DEFAULT '';
ALTER TABLE members ADD COLUMN card_level INTEGER;
ALTER TABLE servers ADD COLUMN state TEXT NOT NULL DEFAULT 'open';
ALTER TABLE servers ADD COLUMN away INTEGER;
ALTER TABLE saves ADD COLUMN class INTEGER NOT NULL DEFAULT 0;
ALTER TABLE saves ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
CREATE INDEX saves_class ON saves (class, place, object) WHERE state IN ('sealed', 'kept');
CREATE TABLE classes (
  id INTEGER PRIMARY KEY, level INTEGER NOT NULL, home TEXT NOT NULL, asking TEXT NOT NULL, abroad INTEGER NOT NULL,
  UNIQUE (level, home, asking, abroad)
) STRICT;
CREATE TABLE buckets (
  class INTEGER NOT NULL REFERENCES classes (id), place INTEGER NOT NULL, span INTEGER NOT NULL,
  one TEXT NOT NULL, two TEXT NOT NULL, bytes INTEGER NOT NULL, objects INTEGER NOT NULL, since INTEGER NOT NULL,
  reason TEXT NOT NULL, strays TEXT NOT NULL, leaves TEXT NOT NULL, before TEXT, cause TEXT NOT NULL,
  urgency REAL NOT NULL, fed INTEGER NOT NULL, stuck INTEGER NOT NULL,
  PRIMARY KEY (class, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX buckets_pending ON buckets (fed, urgency DESC) WHERE leaves <> '[]';
CREATE TABLE moves (
  object BLOB NOT NULL, version INTEGER NOT NULL, slot INTEGER NOT NULL, member BLOB NOT NULL, source TEXT NOT NULL,
  cause TEXT NOT NULL, urgency REAL NOT NULL, sealed INTEGER NOT NULL, at INTEGER NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0, waits INTEGER NOT NULL DEFAULT 0, not_before INTEGER NOT NULL DEFAULT 0,
  problem TEXT, reason TEXT NOT NULL,
  PRIMARY KEY (object, version, slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX moves_next ON moves (waits, urgency DESC);
CREATE INDEX moves_member ON moves (member) WHERE problem IS NULL;
CREATE TABLE making (
  object BLOB NOT NULL, version INTEGER NOT NULL, slot INTEGER NOT NULL, kind TEXT NOT NULL, cause TEXT NOT NULL,
  server TEXT NOT NULL, epoch INTEGER NOT NULL, algorithm TEXT NOT NULL, key_id BLOB NOT NULL, wrapped_key BLOB NOT NULL,
  prefix BLOB NOT NULL, root BLOB, sealed INTEGER NOT NULL, manifest BLOB, receipt BLOB, reason TEXT NOT NULL,
  journal INTEGER,
  PRIMARY KEY (object, version, slot)
) STRICT;
CREATE TABLE retired (
  server TEXT NOT NULL, object BLOB NOT NULL, version INTEGER NOT NULL, slot INTEGER NOT NULL, epoch INTEGER NOT NULL,
  member BLOB NOT NULL, sealed INTEGER NOT NULL, due INTEGER NOT NULL, journal INTEGER NOT NULL, forward BLOB,
  forwarded INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (server, object, version, slot)
) STRICT;
CREATE INDEX retired_due ON retired (forwarded, due);
`,
}
