/** Tables of billing (S13, S14). Statements themselves lie sealed among the documents. */
export const billingTables = `
CREATE TABLE billing_accounts (
  member BLOB PRIMARY KEY REFERENCES members (id), closing_day INTEGER NOT NULL CHECK (closing_day BETWEEN 1 AND 28),
  payment TEXT NOT NULL CHECK (payment IN ('debit', 'value')), closed TEXT NOT NULL, debited INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE statements (
  number TEXT PRIMARY KEY, member BLOB NOT NULL REFERENCES members (id), from_date TEXT NOT NULL, to_date TEXT NOT NULL,
  version INTEGER NOT NULL, lines TEXT NOT NULL, net INTEGER NOT NULL, tax INTEGER NOT NULL, total INTEGER NOT NULL,
  currency TEXT NOT NULL, state TEXT NOT NULL, object_by TEXT NOT NULL, debit_on TEXT NOT NULL, payment TEXT NOT NULL,
  replaces TEXT, tries INTEGER NOT NULL DEFAULT 0, document BLOB NOT NULL, hold BLOB, at INTEGER NOT NULL,
  UNIQUE (member, to_date, version)
) STRICT;
CREATE INDEX statements_due ON statements (state, debit_on);
CREATE TABLE objections (
  id BLOB PRIMARY KEY, statement TEXT NOT NULL REFERENCES statements (number), about TEXT NOT NULL, text BLOB NOT NULL,
  at INTEGER NOT NULL, decided INTEGER, upheld INTEGER, findings TEXT, clerk TEXT
) STRICT;
CREATE UNIQUE INDEX objections_open ON objections (statement) WHERE decided IS NULL;
`

/** What each statement was priced by, and which level each card had from when on, as settlement heard of it. */
export const priceTables = `
ALTER TABLE statements ADD COLUMN priced_by TEXT;
CREATE TABLE level_history (
  card BLOB NOT NULL, since INTEGER NOT NULL, level INTEGER NOT NULL, PRIMARY KEY (card, since)
) STRICT, WITHOUT ROWID;
INSERT INTO level_history (card, since, level) SELECT card, 0, level FROM card_profiles;
`

/** Up to which moment a member's facts are billed; null for an account from before it was kept: noon, UTC, of the last closing day. */
export const windowTables = `
ALTER TABLE billing_accounts ADD COLUMN closed_ms INTEGER;
`

/**
 * Statements paid by credit card (S14). A charge is one question to the card company, whatever became of it; one at a time
 * is open per statement. A reversal is a captured payment that the company took back, by the company's own numbering.
 */
export const cardTables = `
CREATE TABLE billing_ways (
  member BLOB PRIMARY KEY REFERENCES members (id), closing_day INTEGER NOT NULL CHECK (closing_day BETWEEN 1 AND 28),
  payment TEXT NOT NULL CHECK (payment IN ('debit', 'card', 'value')), closed TEXT NOT NULL,
  debited INTEGER NOT NULL DEFAULT 0, token BLOB
) STRICT;
INSERT INTO billing_ways (member, closing_day, payment, closed, debited)
  SELECT member, closing_day, payment, closed, debited FROM billing_accounts;
DROP TABLE billing_accounts;
ALTER TABLE billing_ways RENAME TO billing_accounts;
CREATE TABLE card_charges (
  id BLOB PRIMARY KEY, statement TEXT NOT NULL REFERENCES statements (number), n INTEGER NOT NULL,
  amount INTEGER NOT NULL CHECK (amount > 0), currency TEXT NOT NULL, state TEXT NOT NULL, token BLOB, authorisation TEXT,
  tries INTEGER NOT NULL DEFAULT 0, next INTEGER, at INTEGER NOT NULL, UNIQUE (statement, n)
) STRICT;
CREATE INDEX card_charges_due ON card_charges (next) WHERE next IS NOT NULL;
CREATE INDEX card_charges_authorisation ON card_charges (authorisation);
CREATE UNIQUE INDEX card_charges_open ON card_charges (statement)
  WHERE state IN ('asked', 'authorised', 'capturing', 'voiding');
CREATE TABLE card_reversals (
  n INTEGER PRIMARY KEY, authorisation TEXT NOT NULL, amount INTEGER NOT NULL, currency TEXT NOT NULL, at INTEGER NOT NULL,
  matched TEXT
) STRICT;
CREATE INDEX top_ups_authorisation ON top_ups (authorisation);
`
