/** Placement's tables. Forward only; a number is never reused. */
import type { Migration } from '../../storage/migrate.ts'
import { memberCheckMigration } from './audit/member-checks.ts'
import { auditMigration } from './audit/tables.ts'
import { requestMigration } from './erasure/tables.ts'
import { riskTables } from './hazards/tables.ts'
import { cardWordsMigration } from './members/register-sync.ts'
import { replaceMigration } from './moves/tables.ts'
import { heldMigration } from './saves/held.ts'

export const placementMigrations: readonly Migration[] = [
  {
    number: 1,
    name: 'members, servers, saves, replicas, conditions, journal',
    up: `
CREATE TABLE members (
  id BLOB PRIMARY KEY, number TEXT NOT NULL UNIQUE, name TEXT NOT NULL, level INTEGER NOT NULL, home TEXT NOT NULL,
  since INTEGER NOT NULL, status TEXT NOT NULL, auth_key BLOB NOT NULL, auth_kid BLOB NOT NULL UNIQUE,
  acts_key BLOB NOT NULL, acts_kid BLOB NOT NULL UNIQUE, agreement_key BLOB NOT NULL, wrapped_key BLOB NOT NULL,
  counter INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE servers (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, region TEXT NOT NULL, latitude REAL NOT NULL, longitude REAL NOT NULL,
  domain TEXT NOT NULL, url TEXT NOT NULL, key BLOB NOT NULL, kid BLOB NOT NULL, capacity INTEGER NOT NULL,
  used INTEGER NOT NULL DEFAULT 0, rates TEXT NOT NULL, demerits INTEGER NOT NULL DEFAULT 0, impostors INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE saves (
  object BLOB NOT NULL, version INTEGER NOT NULL, member BLOB NOT NULL REFERENCES members (id), device TEXT NOT NULL,
  asking TEXT NOT NULL, transfer BLOB NOT NULL, transfer_key BLOB NOT NULL, root BLOB NOT NULL, size INTEGER NOT NULL,
  sha256 BLOB NOT NULL, name TEXT NOT NULL, media TEXT NOT NULL, taken INTEGER NOT NULL, state TEXT NOT NULL,
  problem TEXT, tries INTEGER NOT NULL DEFAULT 0, at INTEGER NOT NULL, kept INTEGER, receipt BLOB, journal INTEGER,
  PRIMARY KEY (object, version)
) STRICT;
CREATE INDEX saves_open ON saves (at) WHERE state <> 'kept' AND state <> 'refused';
CREATE INDEX saves_member ON saves (member, taken);
CREATE TABLE replicas (
  object BLOB NOT NULL, version INTEGER NOT NULL, slot INTEGER NOT NULL, server TEXT NOT NULL REFERENCES servers (id),
  epoch INTEGER NOT NULL, algorithm TEXT NOT NULL, key_id BLOB NOT NULL, wrapped_key BLOB NOT NULL, prefix BLOB NOT NULL,
  root BLOB, sealed INTEGER NOT NULL, manifest BLOB, receipt BLOB, reason TEXT NOT NULL,
  PRIMARY KEY (object, version, slot)
) STRICT;
CREATE INDEX replicas_server ON replicas (server);
CREATE TABLE conditions (
  member BLOB NOT NULL, object BLOB NOT NULL, version INTEGER NOT NULL, record BLOB NOT NULL, written INTEGER,
  PRIMARY KEY (member, object, version)
) STRICT;
CREATE INDEX conditions_pending ON conditions (member, object) WHERE written IS NULL;
CREATE TABLE journal (seq INTEGER PRIMARY KEY, entry BLOB NOT NULL, acks TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
`,
  },
  {
    number: 2,
    name: 'catalogues',
    up: `
CREATE TABLE catalogues (
  member BLOB PRIMARY KEY, version INTEGER NOT NULL, dirty INTEGER NOT NULL, content BLOB NOT NULL, record BLOB
) STRICT;
CREATE INDEX catalogues_due ON catalogues (member) WHERE dirty = 1;
`,
  },
  {
    number: 3,
    name: 'an index that the search for open saves can use',
    up: `
DROP INDEX saves_open;
CREATE INDEX saves_open ON saves (tries, at) WHERE state IN ('buffered', 'sealed');
`,
  },
  {
    number: 4,
    name: 'replicas that were given up',
    up: `
CREATE TABLE abandoned (
  server TEXT NOT NULL, object BLOB NOT NULL, version INTEGER NOT NULL, slot INTEGER NOT NULL, epoch INTEGER NOT NULL,
  PRIMARY KEY (server, object, version, slot)
) STRICT;
`,
  },
  { number: 5, name: 'hazards, feeds, and the history of risks', up: riskTables },
  replaceMigration,
  auditMigration,
  requestMigration,
  cardWordsMigration,
  heldMigration,
  memberCheckMigration,
]
