/**
 * What a centre knows of the pair it belongs to (P9). These rows are each centre's own: they are not among the changes that
 * it hands on. `genesis` names the history that both follow; a centre without one has nothing yet.
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
`
