/** Tables of billing (S13). Statements themselves lie sealed among the documents. */
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
