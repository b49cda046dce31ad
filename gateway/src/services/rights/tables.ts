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

/** Where copies were seen, and what follows from a breach (R4–R6, R8). One case for each work at each address. */
export const caseTables = `
CREATE TABLE sightings (
  work TEXT NOT NULL REFERENCES works (id), location TEXT NOT NULL, day TEXT NOT NULL, seen_ms INTEGER,
  at_ms INTEGER NOT NULL, reporter TEXT NOT NULL, times INTEGER NOT NULL, verdict TEXT NOT NULL, why TEXT NOT NULL,
  PRIMARY KEY (work, location, day)
) STRICT;
CREATE TABLE cases (
  number INTEGER PRIMARY KEY, work TEXT NOT NULL REFERENCES works (id), location TEXT NOT NULL, host TEXT NOT NULL,
  why TEXT NOT NULL, state TEXT NOT NULL, opened_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL, tries INTEGER NOT NULL,
  sale TEXT REFERENCES sales (id), score_centi INTEGER, threshold_centi INTEGER, media TEXT,
  decision TEXT, decided_by TEXT, decided_ms INTEGER, reason TEXT, amount INTEGER, UNIQUE (work, location)
) STRICT;
CREATE INDEX cases_due ON cases (state, next_ms);
CREATE INDEX cases_host ON cases (host, opened_ms);
CREATE TABLE case_events (
  number INTEGER NOT NULL REFERENCES cases (number), seq INTEGER NOT NULL, at_ms INTEGER NOT NULL,
  what TEXT NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (number, seq)
) STRICT;
`

/** What boards tell (R4), each once, and the members who let them (D8): a row for each who does. */
export const boardSightingTables = `
CREATE TABLE board_sightings (
  work TEXT NOT NULL REFERENCES works (id), location TEXT NOT NULL, day TEXT NOT NULL, device TEXT NOT NULL,
  region TEXT NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (work, location, day, device)
) STRICT;
CREATE INDEX board_sightings_device ON board_sightings (device, at_ms);
CREATE TABLE sighting_consents (member BLOB PRIMARY KEY) STRICT;
`

/** Members' purchases: a sale belongs to one delivery, and is void when that came to nothing (R3). */
export const purchaseColumns = `
ALTER TABLE sales ADD COLUMN delivery BLOB;
ALTER TABLE sales ADD COLUMN voided_ms INTEGER;
CREATE UNIQUE INDEX sales_by_delivery ON sales (delivery);
`

/** What works look like before they are marked, where a mark is lost. */
export const fingerprintTables = `
CREATE TABLE fingerprints (
  work TEXT PRIMARY KEY REFERENCES works (id), hash BLOB NOT NULL, quality INTEGER NOT NULL
) STRICT;
`
