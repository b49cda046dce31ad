/** Tables of works and sales (R1–R3, Fig. 4 of the source). Names and contacts of buyers are sealed. */
export const workTables = `
CREATE TABLE works (
  id TEXT PRIMARY KEY, title TEXT NOT NULL, author TEXT NOT NULL, price INTEGER NOT NULL, currency TEXT NOT NULL,
  max_days INTEGER NOT NULL, max_uses INTEGER NOT NULL, resale INTEGER NOT NULL,
  width INTEGER NOT NULL, height INTEGER NOT NULL, original BLOB NOT NULL UNIQUE, marked BLOB NOT NULL UNIQUE,
  record BLOB NOT NULL, registered_ms INTEGER NOT NULL, made_by TEXT NOT NULL
) STRICT;
CREATE INDEX works_by_time ON works (registered_ms, id);
CREATE TABLE work_places (
  work TEXT NOT NULL REFERENCES works (id), url TEXT NOT NULL, PRIMARY KEY (work, url)
) STRICT;
CREATE TABLE sales (
  id TEXT PRIMARY KEY, work TEXT NOT NULL REFERENCES works (id), buyer BLOB NOT NULL, sold_ms INTEGER NOT NULL,
  until_ms INTEGER NOT NULL, uses INTEGER NOT NULL, resale INTEGER NOT NULL, price INTEGER NOT NULL,
  currency TEXT NOT NULL, derivation TEXT NOT NULL, made_by TEXT NOT NULL, stopped_ms INTEGER
) STRICT;
CREATE INDEX sales_by_work ON sales (work, sold_ms);
CREATE TABLE sale_places (
  sale TEXT NOT NULL REFERENCES sales (id), url TEXT NOT NULL, PRIMARY KEY (sale, url)
) STRICT;
`
