/** Work's tables. Times are ms since 1970, money minor units, fuel instructions (docs/jobs.md). */
export const workTables = `
CREATE TABLE owners (
  id TEXT PRIMARY KEY, contact TEXT NOT NULL, code BLOB NOT NULL UNIQUE, made_by TEXT NOT NULL, created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE devices (
  id TEXT PRIMARY KEY, owner TEXT NOT NULL, since_ms INTEGER NOT NULL, valid_in_row INTEGER NOT NULL, valid INTEGER NOT NULL,
  wrong INTEGER NOT NULL, lost INTEGER NOT NULL, quota INTEGER NOT NULL, day INTEGER NOT NULL, taken INTEGER NOT NULL
) STRICT;
CREATE INDEX devices_by_owner ON devices (owner);
CREATE TABLE device_keys (kid BLOB PRIMARY KEY, device TEXT NOT NULL, key BLOB NOT NULL, since_ms INTEGER NOT NULL) STRICT;
CREATE TABLE blobs (
  hash BLOB PRIMARY KEY, size_bytes INTEGER NOT NULL, root BLOB NOT NULL, leaves BLOB NOT NULL
) STRICT;
CREATE TABLE blob_parts (hash BLOB NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (hash, part)) STRICT;
CREATE TABLE jobs (
  id BLOB PRIMARY KEY, name TEXT NOT NULL, customer TEXT NOT NULL, module BLOB NOT NULL, mode TEXT NOT NULL, merge TEXT NOT NULL,
  fuel INTEGER NOT NULL, memory_bytes INTEGER NOT NULL, wall_ms INTEGER NOT NULL, price INTEGER NOT NULL, points INTEGER NOT NULL,
  currency TEXT NOT NULL, ceiling INTEGER NOT NULL, deadline_ms INTEGER NOT NULL, submitted_by TEXT NOT NULL,
  submitted_ms INTEGER NOT NULL, state TEXT NOT NULL, problem TEXT, ended_ms INTEGER, units INTEGER NOT NULL,
  valid INTEGER NOT NULL, failed INTEGER NOT NULL, fuel_used INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, submitted_ms);
CREATE TABLE units (
  job BLOB NOT NULL, unit INTEGER NOT NULL, input BLOB NOT NULL, state TEXT NOT NULL, quorum INTEGER NOT NULL,
  missing INTEGER NOT NULL, hash BLOB, problem TEXT, PRIMARY KEY (job, unit)
) STRICT;
CREATE INDEX units_missing ON units (missing, job, unit);
CREATE TABLE copies (
  job BLOB NOT NULL, unit INTEGER NOT NULL, attempt INTEGER NOT NULL, device TEXT NOT NULL, owner TEXT NOT NULL,
  state TEXT NOT NULL, lease_ms INTEGER NOT NULL, hash BLOB, fuel INTEGER, problem TEXT, receipt BLOB,
  micro_points INTEGER NOT NULL, charged INTEGER NOT NULL, PRIMARY KEY (job, unit, attempt)
) STRICT;
CREATE INDEX copies_by_lease ON copies (state, lease_ms);
CREATE INDEX copies_by_device ON copies (device, state);
CREATE INDEX copies_by_owner ON copies (job, unit, owner);
CREATE TABLE points (
  job BLOB NOT NULL, unit INTEGER NOT NULL, attempt INTEGER NOT NULL, owner TEXT NOT NULL, device TEXT NOT NULL,
  fuel INTEGER NOT NULL, micro_points INTEGER NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (job, unit, attempt)
) STRICT;
CREATE INDEX points_by_owner ON points (owner);
CREATE INDEX points_by_device ON points (device);
CREATE TRIGGER points_stay BEFORE UPDATE ON points BEGIN SELECT RAISE(ABORT, 'points are append-only'); END;
CREATE TRIGGER points_remain BEFORE DELETE ON points BEGIN SELECT RAISE(ABORT, 'points are append-only'); END;
`

/** What settlement is to book for work: invoices of jobs, points that become stored value. A row never changes but for how it stands. */
export const bookingTables = `
ALTER TABLE owners ADD COLUMN member TEXT;
ALTER TABLE jobs ADD COLUMN member TEXT;
CREATE TABLE bookings (
  id BLOB PRIMARY KEY, kind TEXT NOT NULL, reference TEXT NOT NULL, owner TEXT, member TEXT NOT NULL, minor INTEGER NOT NULL,
  currency TEXT NOT NULL, micro_points INTEGER NOT NULL, at_ms INTEGER NOT NULL, state TEXT NOT NULL, problem TEXT,
  next_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX bookings_by_state ON bookings (state, next_ms);
CREATE INDEX bookings_by_owner ON bookings (owner, at_ms);
CREATE TRIGGER bookings_remain BEFORE DELETE ON bookings BEGIN SELECT RAISE(ABORT, 'bookings are append-only'); END;
`

/** The app server's register (W8, W10): apps, who uses them, and each licence once per app and device. */
export const licenceTables = `
CREATE TABLE apps (
  id TEXT PRIMARY KEY, title TEXT NOT NULL, vendor TEXT, fee_minor INTEGER NOT NULL, currency TEXT NOT NULL, made_by TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE app_users (
  app TEXT NOT NULL, device TEXT NOT NULL, name TEXT NOT NULL, contact TEXT NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (app, device)
) STRICT;
CREATE TABLE licences (
  id BLOB PRIMARY KEY, app TEXT NOT NULL, device TEXT NOT NULL, code BLOB NOT NULL UNIQUE, is_revoked INTEGER NOT NULL, at_ms INTEGER NOT NULL,
  supplied_ms INTEGER, until_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX licences_by_device ON licences (app, device);
`

export interface AppRow {
  id: string
  title: string
  /** Which member of settlement is paid for each licence. */
  vendor: string | null
  fee_minor: number
  currency: string
  made_by: string
  at_ms: number
}

export interface LicenceRow {
  id: Uint8Array
  app: string
  device: string
  /** SHA-256 of the licence key. */
  code: Uint8Array
  is_revoked: 0 | 1
  at_ms: number
  /** When its first lease was given: from then on the vendor is owed. */
  supplied_ms: number | null
  /** End of the latest lease. */
  until_ms: number | null
}

export interface BookingRow {
  /** Of the charge at settlement: a job's id, that of the redemption, or of the licence. */
  id: Uint8Array
  kind: 'invoice' | 'redemption' | 'licence'
  reference: string
  /** Whose points they were. */
  owner: string | null
  member: string
  minor: number
  currency: string
  micro_points: number
  at_ms: number
  /** due → booked | refused */
  state: 'due' | 'booked' | 'refused'
  /** Why it is refused, or waits. */
  problem: string | null
  /** When settlement is asked again. */
  next_ms: number
}

export interface DeviceRow {
  id: string
  owner: string
  since_ms: number
  /** Valid results since the last wrong one. */
  valid_in_row: number
  valid: number
  wrong: number
  /** Leases that ended without a word. */
  lost: number
  /** Units that it may take in a day. */
  quota: number
  /** The day, counted from 1970, for which `taken` counts. */
  day: number
  taken: number
}

export interface JobRow {
  id: Uint8Array
  name: string
  customer: string
  /** The customer's number at settlement. */
  member: string | null
  module: Uint8Array
  mode: 'strict' | 'economical'
  merge: 'concat' | 'list'
  fuel: number
  memory_bytes: number
  wall_ms: number
  /** Minor units for 10⁹ of fuel, and points for as much: as they were when the job came. */
  price: number
  points: number
  currency: string
  ceiling: number
  deadline_ms: number
  submitted_by: string
  submitted_ms: number
  state: 'running' | 'done' | 'failed' | 'cancelled' | 'expired' | 'ceiling'
  problem: string | null
  ended_ms: number | null
  units: number
  valid: number
  failed: number
  /** Of validated results. */
  fuel_used: number
}

export interface UnitRow {
  job: Uint8Array
  unit: number
  input: Uint8Array
  state: 'open' | 'valid' | 'failed'
  /** Results of different owners that must agree. */
  quorum: number
  /** Copies that are to be given out. */
  missing: number
  hash: Uint8Array | null
  problem: string | null
}

export interface CopyRow {
  job: Uint8Array
  unit: number
  attempt: number
  device: string
  owner: string
  /** leased → returned → valid | wrong; or lost (its lease ended), given-back, dropped (nobody wants it any more) */
  state: 'leased' | 'returned' | 'valid' | 'wrong' | 'lost' | 'given-back' | 'dropped'
  lease_ms: number
  hash: Uint8Array | null
  fuel: number | null
  problem: string | null
  /** The COSE_Sign1 of the device. */
  receipt: Uint8Array | null
  micro_points: number
  /** 1 when the customer pays for it. */
  charged: 0 | 1
}
