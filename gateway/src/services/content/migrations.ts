/** Content's tables. Forward only; a number is never reused. */
import type { Migration } from '../../storage/migrate.ts'

const register = `
CREATE TABLE contents (
  id BLOB PRIMARY KEY, provider TEXT NOT NULL, title TEXT NOT NULL, search TEXT NOT NULL, media TEXT NOT NULL,
  terms TEXT NOT NULL, state TEXT NOT NULL, version INTEGER NOT NULL, price INTEGER NOT NULL, currency TEXT NOT NULL,
  origin TEXT NOT NULL, picture BLOB, picture_media TEXT, at INTEGER NOT NULL
) STRICT;
CREATE INDEX contents_search ON contents (state, search, id);
CREATE TABLE content_versions (
  content BLOB NOT NULL REFERENCES contents (id), version INTEGER NOT NULL, root BLOB NOT NULL, size INTEGER NOT NULL,
  leaves BLOB NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (content, version)
) STRICT;
CREATE TABLE holders (
  root BLOB NOT NULL, server TEXT NOT NULL, pinned INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (root, server)
) STRICT;
CREATE TABLE avoided (
  root BLOB NOT NULL, server TEXT NOT NULL, why TEXT NOT NULL, times INTEGER NOT NULL, until INTEGER NOT NULL,
  PRIMARY KEY (root, server)
) STRICT;
CREATE TABLE deliveries (
  id BLOB PRIMARY KEY, content BLOB NOT NULL, version INTEGER NOT NULL, root BLOB NOT NULL, device TEXT NOT NULL,
  client BLOB NOT NULL, server TEXT NOT NULL, state TEXT NOT NULL, service_minor INTEGER NOT NULL,
  content_minor INTEGER NOT NULL, currency TEXT NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL,
  seq INTEGER, fee TEXT, source TEXT, offer BLOB, problem TEXT, served INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_open ON deliveries (state, until);
CREATE INDEX deliveries_content ON deliveries (content, at);
`

const ledgers = `
CREATE TABLE fee_entries (
  ledger TEXT NOT NULL, server TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
  delivery BLOB NOT NULL, content BLOB NOT NULL, client BLOB NOT NULL, provider TEXT NOT NULL, fee TEXT NOT NULL,
  minor INTEGER NOT NULL, currency TEXT NOT NULL, at INTEGER NOT NULL, record BLOB NOT NULL, problem TEXT,
  tried INTEGER NOT NULL, PRIMARY KEY (ledger, server, seq)
) STRICT;
CREATE INDEX fee_entries_delivery ON fee_entries (delivery);
CREATE INDEX fee_entries_open ON fee_entries (state, at);
CREATE TABLE fee_shares (
  ledger TEXT NOT NULL, server TEXT NOT NULL, seq INTEGER NOT NULL, part TEXT NOT NULL, payee TEXT NOT NULL,
  minor INTEGER NOT NULL, PRIMARY KEY (ledger, server, seq, part)
) STRICT;
CREATE INDEX fee_shares_payee ON fee_shares (payee);
CREATE TABLE fee_cursors (
  ledger TEXT NOT NULL, server TEXT NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (ledger, server)
) STRICT;
`

const links = `
ALTER TABLE deliveries ADD COLUMN link_until INTEGER;
`

const blocksLeft = `
ALTER TABLE deliveries ADD COLUMN blocks_left BLOB;
`

/** What was reversed before statements told of it stays off them. */
const noted = `
ALTER TABLE fee_entries ADD COLUMN noted INTEGER NOT NULL DEFAULT 0;
UPDATE fee_entries SET noted = 1 WHERE state = 'cancelled';
`

const madeForBuyers = `
ALTER TABLE contents ADD COLUMN made_of TEXT;
CREATE TABLE made_copies (
  delivery BLOB PRIMARY KEY, server TEXT NOT NULL, root BLOB NOT NULL, size INTEGER NOT NULL, leaves BLOB NOT NULL,
  dropped INTEGER NOT NULL
) STRICT;
CREATE INDEX made_copies_held ON made_copies (dropped);
`

export const contentMigrations: readonly Migration[] = [
  { number: 1, name: 'the register, holders, deliveries', up: register },
  { number: 2, name: 'the two fee ledgers', up: ledgers },
  { number: 3, name: 'deliveries by a signed link', up: links },
  { number: 4, name: 'which blocks of a delivery have left', up: blocksLeft },
  { number: 5, name: 'reversals on statements', up: noted },
  { number: 6, name: 'copies that are made for each buyer', up: madeForBuyers },
]
