/** The tables of operators: accounts, sessions, acts that wait for a second person, and the log of every act. */
import type { MigrationSet } from '../storage/migrate.ts'

export const operatorMigrations: MigrationSet = {
  set: 'operators',
  migrations: [
    {
      number: 1,
      name: 'accounts, sessions, acts of two people and the log',
      up: `
        CREATE TABLE operators (
          name TEXT PRIMARY KEY, salt BLOB NOT NULL, verifier BLOB NOT NULL, passes INTEGER NOT NULL,
          memory INTEGER NOT NULL, roles TEXT NOT NULL, totp BLOB, totp_step INTEGER NOT NULL, disabled INTEGER NOT NULL,
          failures INTEGER NOT NULL, wait_until_ms INTEGER NOT NULL, made_ms INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE operator_sessions (
          token BLOB PRIMARY KEY, operator TEXT NOT NULL, began_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE pending_acts (
          id TEXT PRIMARY KEY, operator TEXT NOT NULL, command TEXT NOT NULL, digest BLOB NOT NULL, call BLOB NOT NULL,
          expires_ms INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE operator_log (
          id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, operator TEXT NOT NULL, session BLOB NOT NULL,
          command TEXT NOT NULL, digest BLOB NOT NULL, outcome TEXT NOT NULL, hash BLOB NOT NULL
        );
        CREATE TRIGGER operator_log_kept BEFORE UPDATE ON operator_log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
        CREATE TRIGGER operator_log_whole BEFORE DELETE ON operator_log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
        CREATE TRIGGER operator_log_once BEFORE INSERT ON operator_log
          WHEN EXISTS (SELECT 1 FROM operator_log WHERE id = NEW.id)
          BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
      `,
    },
    {
      number: 2,
      name: 'sessions belong to where they began, and guesses from outside keep nobody out inside',
      up: `
        ALTER TABLE operator_sessions ADD COLUMN via TEXT NOT NULL DEFAULT '';
        ALTER TABLE operators ADD COLUMN remote_failures INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE operators ADD COLUMN remote_wait_until_ms INTEGER NOT NULL DEFAULT 0;
      `,
    },
  ],
}
