/**
 * What a centre knows of the pair it belongs to (P9). These rows are each centre's own: they are not among the changes that
 * it hands on. `genesis` names the history that both follow; a centre without one has nothing yet.
 *
 * The clerks' log gets a key here, because changes are followed by key.
 */
export const centreTables = `
CREATE TABLE centre_self (
  id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, genesis BLOB, leading INTEGER NOT NULL,
  acknowledged INTEGER NOT NULL
) STRICT;
INSERT INTO centre_self (id, epoch, genesis, leading, acknowledged) VALUES (1, 1, NULL, 0, 0);
CREATE TABLE centre_log (
  n INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, chain BLOB NOT NULL, changes BLOB NOT NULL
) STRICT;
CREATE TABLE numbered_operations (
  n INTEGER PRIMARY KEY, at INTEGER NOT NULL, clerk TEXT NOT NULL, what TEXT NOT NULL, detail TEXT NOT NULL
) STRICT;
INSERT INTO numbered_operations (n, at, clerk, what, detail) SELECT rowid, at, clerk, what, detail FROM operations ORDER BY rowid;
DROP TABLE operations;
ALTER TABLE numbered_operations RENAME TO operations;
CREATE TRIGGER operations_no_update BEFORE UPDATE ON operations BEGIN SELECT RAISE(ABORT, 'the log does not change'); END;
CREATE TRIGGER operations_no_delete BEFORE DELETE ON operations BEGIN SELECT RAISE(ABORT, 'the log does not change'); END;
`
