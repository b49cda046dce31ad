/**
 * The ledger's tables. Postings, legs and heads are written once: triggers refuse every change, so that even a fault of
 * ours cannot rewrite history. Sums on accounts and the state of holds are kept beside them, and the auditor recomputes
 * both from the legs.
 */
export const ledgerTables = `
CREATE TABLE ledger_accounts (
  id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, currency TEXT NOT NULL,
  side TEXT NOT NULL CHECK (side IN ('debit', 'credit')), overdraft INTEGER NOT NULL, closed INTEGER NOT NULL DEFAULT 0,
  debits_posted INTEGER NOT NULL DEFAULT 0 CHECK (debits_posted >= 0),
  credits_posted INTEGER NOT NULL DEFAULT 0 CHECK (credits_posted >= 0),
  debits_pending INTEGER NOT NULL DEFAULT 0 CHECK (debits_pending >= 0),
  credits_pending INTEGER NOT NULL DEFAULT 0 CHECK (credits_pending >= 0),
  CHECK (overdraft = 1 OR side <> 'credit' OR credits_posted - debits_posted - debits_pending >= 0),
  CHECK (overdraft = 1 OR side <> 'debit' OR debits_posted - credits_posted - credits_pending >= 0)
) STRICT;
CREATE TABLE ledger_postings (
  seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, reason TEXT NOT NULL, reference TEXT NOT NULL, at INTEGER NOT NULL,
  epoch INTEGER NOT NULL, content BLOB NOT NULL, chain BLOB NOT NULL
) STRICT;
CREATE INDEX ledger_postings_at ON ledger_postings (at);
CREATE INDEX ledger_postings_reference ON ledger_postings (reference);
CREATE TABLE ledger_legs (
  posting INTEGER NOT NULL REFERENCES ledger_postings (seq), n INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('post', 'hold', 'capture', 'void', 'expire')),
  debit INTEGER NOT NULL REFERENCES ledger_accounts (id), credit INTEGER NOT NULL REFERENCES ledger_accounts (id),
  amount INTEGER NOT NULL CHECK (amount > 0), hold BLOB, expires INTEGER, PRIMARY KEY (posting, n), CHECK (debit <> credit)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_legs_debit ON ledger_legs (debit, posting);
CREATE INDEX ledger_legs_credit ON ledger_legs (credit, posting);
CREATE UNIQUE INDEX ledger_legs_resolution ON ledger_legs (hold) WHERE kind IN ('capture', 'void', 'expire');
CREATE TABLE ledger_holds (
  id BLOB PRIMARY KEY, debit INTEGER NOT NULL REFERENCES ledger_accounts (id),
  credit INTEGER NOT NULL REFERENCES ledger_accounts (id), amount INTEGER NOT NULL CHECK (amount > 0),
  expires INTEGER NOT NULL, resolved INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_holds_due ON ledger_holds (expires) WHERE resolved = 0;
CREATE TABLE ledger_heads (day TEXT PRIMARY KEY, seq INTEGER NOT NULL, chain BLOB NOT NULL, head BLOB NOT NULL) STRICT;

${(['ledger_postings', 'ledger_legs', 'ledger_heads'] as const)
  .flatMap((table) =>
    ['UPDATE', 'DELETE'].map(
      (change) =>
        `CREATE TRIGGER ${table}_no_${change.toLowerCase()} BEFORE ${change} ON ${table} BEGIN SELECT RAISE(ABORT, 'the journal does not change'); END;`,
    ),
  )
  .join('\n')}
CREATE TRIGGER ledger_accounts_no_delete BEFORE DELETE ON ledger_accounts BEGIN SELECT RAISE(ABORT, 'accounts stay'); END;
CREATE TRIGGER ledger_accounts_fixed BEFORE UPDATE OF id, code, currency, side, overdraft ON ledger_accounts
BEGIN SELECT RAISE(ABORT, 'an account keeps its nature'); END;
CREATE TRIGGER ledger_holds_no_delete BEFORE DELETE ON ledger_holds BEGIN SELECT RAISE(ABORT, 'holds stay'); END;
CREATE TRIGGER ledger_holds_once BEFORE UPDATE ON ledger_holds
WHEN old.resolved = 1 OR new.resolved <> 1 OR new.id <> old.id OR new.amount <> old.amount OR new.debit <> old.debit
  OR new.credit <> old.credit OR new.expires <> old.expires
BEGIN SELECT RAISE(ABORT, 'a hold is resolved once'); END;
`
