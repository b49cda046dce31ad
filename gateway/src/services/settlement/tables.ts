/** Tables of registers, orders, stored value and documents. Personal data is in sealed columns only. */
export const registerTables = `
CREATE TABLE numbers (
  kind TEXT NOT NULL, seq INTEGER NOT NULL, number TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, PRIMARY KEY (kind, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE applications (
  id BLOB PRIMARY KEY, kind TEXT NOT NULL, device TEXT NOT NULL, person BLOB NOT NULL, terms TEXT NOT NULL,
  at INTEGER NOT NULL, number TEXT, refused TEXT
) STRICT;
CREATE TABLE members (
  id BLOB PRIMARY KEY, number TEXT NOT NULL UNIQUE, kind TEXT NOT NULL CHECK (kind IN ('general', 'shop')),
  state TEXT NOT NULL CHECK (state IN ('invited', 'active', 'blocked', 'closed')), device TEXT NOT NULL, person BLOB NOT NULL,
  code BLOB, code_until INTEGER NOT NULL, block_code BLOB NOT NULL, card BLOB, card_blocked INTEGER NOT NULL DEFAULT 0,
  since INTEGER, at INTEGER NOT NULL
) STRICT;
CREATE TABLE member_keys (
  kid BLOB PRIMARY KEY, member BLOB NOT NULL REFERENCES members (id), key BLOB NOT NULL, agreement BLOB NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'rotated', 'revoked')), since INTEGER NOT NULL, until INTEGER, reason TEXT
) STRICT;
CREATE UNIQUE INDEX member_keys_active ON member_keys (member) WHERE state = 'active';
CREATE TABLE documents (
  id BLOB PRIMARY KEY, kind TEXT NOT NULL, member BLOB, name TEXT NOT NULL, media TEXT NOT NULL, at INTEGER NOT NULL,
  content BLOB NOT NULL
) STRICT;
CREATE INDEX documents_member ON documents (member, at);
CREATE TABLE top_ups (
  id BLOB PRIMARY KEY, payment TEXT NOT NULL UNIQUE, member BLOB NOT NULL REFERENCES members (id), way TEXT NOT NULL,
  amount INTEGER NOT NULL, currency TEXT NOT NULL, state TEXT NOT NULL, at INTEGER NOT NULL, pay_by INTEGER NOT NULL,
  token BLOB, authorisation TEXT, tries INTEGER NOT NULL DEFAULT 0, next INTEGER
) STRICT;
CREATE INDEX top_ups_due ON top_ups (next) WHERE next IS NOT NULL;
CREATE TABLE cash_counts (
  payment TEXT PRIMARY KEY, first_clerk TEXT NOT NULL, first_minor INTEGER NOT NULL, first_at INTEGER NOT NULL,
  second_clerk TEXT, second_at INTEGER, mail TEXT NOT NULL
) STRICT;
CREATE TABLE shop_items (
  shop BLOB NOT NULL REFERENCES members (id), item TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
  price INTEGER NOT NULL, currency TEXT NOT NULL, tax INTEGER NOT NULL, unit TEXT, PRIMARY KEY (shop, item)
) STRICT, WITHOUT ROWID;
CREATE TABLE orders (
  number TEXT PRIMARY KEY, buyer BLOB NOT NULL REFERENCES members (id), shop BLOB NOT NULL REFERENCES members (id),
  lines TEXT NOT NULL, total INTEGER NOT NULL, currency TEXT NOT NULL, metered INTEGER NOT NULL, state TEXT NOT NULL,
  at INTEGER NOT NULL, pay_by INTEGER NOT NULL, paid INTEGER NOT NULL DEFAULT 0, paid_at INTEGER,
  refunded INTEGER NOT NULL DEFAULT 0, delivery TEXT, delivered_at INTEGER, hold BLOB, payout TEXT
) STRICT;
CREATE INDEX orders_shop ON orders (shop, state);
CREATE INDEX orders_buyer ON orders (buyer, at);
CREATE TABLE disputes (
  id BLOB PRIMARY KEY, number TEXT NOT NULL REFERENCES orders (number), reason TEXT NOT NULL, at INTEGER NOT NULL,
  decided INTEGER, upheld INTEGER, clerk TEXT
) STRICT;
CREATE UNIQUE INDEX disputes_open ON disputes (number) WHERE decided IS NULL;
CREATE TABLE payouts (
  number TEXT PRIMARY KEY, shop BLOB NOT NULL REFERENCES members (id), amount INTEGER NOT NULL, currency TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'paid', 'returned')), at INTEGER NOT NULL, file BLOB
) STRICT;
CREATE INDEX payouts_waiting ON payouts (state);
CREATE TABLE bank_files (
  hash BLOB PRIMARY KEY, format TEXT NOT NULL, at INTEGER NOT NULL, lines INTEGER NOT NULL, booked INTEGER NOT NULL
) STRICT;
CREATE TABLE bank_lines (
  id BLOB PRIMARY KEY, file BLOB NOT NULL REFERENCES bank_files (hash), amount INTEGER NOT NULL, currency TEXT NOT NULL,
  booked_on TEXT NOT NULL, text BLOB NOT NULL, matched TEXT, reversed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE operations (
  at INTEGER NOT NULL, clerk TEXT NOT NULL, what TEXT NOT NULL, detail TEXT NOT NULL
) STRICT;
CREATE TRIGGER operations_no_update BEFORE UPDATE ON operations BEGIN SELECT RAISE(ABORT, 'the log does not change'); END;
CREATE TRIGGER operations_no_delete BEFORE DELETE ON operations BEGIN SELECT RAISE(ABORT, 'the log does not change'); END;
`

/** A registration code after its use. */
export const usedCodeTables = `
ALTER TABLE members ADD COLUMN used_code BLOB;
`
