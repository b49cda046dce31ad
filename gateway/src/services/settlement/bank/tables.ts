/**
 * What banks tell of our account, entry by entry, and what could not be booked as it stood. The balance that the ledger showed
 * before entries were kept is the beginning of the sum that the audit makes of them.
 */
export const bankEntryTables = `
CREATE TABLE bank_entries (
  id BLOB PRIMARY KEY, file BLOB NOT NULL REFERENCES bank_files (hash), family TEXT NOT NULL, kind TEXT NOT NULL,
  statement TEXT NOT NULL, ref BLOB, direction TEXT NOT NULL CHECK (direction IN ('in', 'out')), reversal INTEGER NOT NULL,
  amount INTEGER NOT NULL CHECK (amount > 0), currency TEXT NOT NULL, booked_on TEXT NOT NULL, parts INTEGER NOT NULL
) STRICT;
CREATE INDEX bank_entries_ref ON bank_entries (ref);
CREATE INDEX bank_entries_day ON bank_entries (booked_on, amount);
CREATE TABLE bank_opening (currency TEXT PRIMARY KEY, balance INTEGER NOT NULL) STRICT;
INSERT INTO bank_opening (currency, balance)
  SELECT currency, debits_posted - credits_posted FROM ledger_accounts WHERE code LIKE 'bank/%';
CREATE TABLE bank_aside (
  id BLOB PRIMARY KEY, file BLOB NOT NULL REFERENCES bank_files (hash), place TEXT NOT NULL, why TEXT NOT NULL,
  detail TEXT NOT NULL, entry BLOB, at INTEGER NOT NULL, decided INTEGER, admitted INTEGER, clerk TEXT
) STRICT;
CREATE INDEX bank_aside_open ON bank_aside (at) WHERE decided IS NULL;
ALTER TABLE bank_lines ADD COLUMN direction TEXT;
ALTER TABLE bank_lines ADD COLUMN reversal INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bank_lines ADD COLUMN entry BLOB;
ALTER TABLE bank_lines ADD COLUMN parent BLOB;
ALTER TABLE bank_lines ADD COLUMN about TEXT;
UPDATE bank_lines SET direction = CASE WHEN EXISTS (SELECT 1 FROM ledger_postings p
  WHERE p.reference = lower(hex(bank_lines.id)) AND p.reason = 'unexplained') THEN 'out' ELSE 'in' END WHERE matched IS NULL;
CREATE INDEX bank_lines_about ON bank_lines (about);
CREATE INDEX bank_lines_parent ON bank_lines (parent);
ALTER TABLE payouts ADD COLUMN moved_out INTEGER NOT NULL DEFAULT 0;
ALTER TABLE payouts ADD COLUMN moved_back INTEGER NOT NULL DEFAULT 0;
UPDATE payouts SET moved_out = 1 WHERE state = 'paid';
`
