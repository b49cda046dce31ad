/**
 * Who gets a unit, and how often it is computed (W7): the record of a device decides. Pure: rows and a draw in, decisions out.
 * Adaptive replication as in D. P. Anderson, "BOINC: A Platform for Volunteer Computing", 2019, §4.2.
 */
import type { DeviceRow, JobRow } from '../tables.ts'

/** Valid results in a row after which one copy of an economical unit is enough. */
export const provenAfter = 10
/** Of the units of a device that proved itself, how many another one computes as well. */
export const spotCheckShare = 0.1
/** Units a day: where a device begins, and how far it can come. */
export const firstQuota = 100
const quotaMax = 10_000
const dayMs = 86_400_000

/** How many owners must agree on a unit that this device takes. @param draw uniform in [0, 1) */
export function quorumFor(
  { mode }: Pick<JobRow, 'mode'>,
  device: Pick<DeviceRow, 'valid_in_row'>,
  draw: number,
): 1 | 2 {
  if (mode === 'strict' || device.valid_in_row < provenAfter) return 2
  return draw < spotCheckShare ? 2 : 1
}

export const dayOf = (nowMs: number): number => Math.floor(nowMs / dayMs)

/** Whether a device has taken today what it may. */
export function isSpent({ day, taken, quota }: Pick<DeviceRow, 'day' | 'taken' | 'quota'>, nowMs: number): boolean {
  return day === dayOf(nowMs) && taken >= quota
}

export type Outcome = 'valid' | 'wrong' | 'lost'

/** A device's record after one more of its units: what fails halves its quota, what is valid doubles it. */
export function recordAfter<T extends Pick<DeviceRow, 'valid_in_row' | 'valid' | 'wrong' | 'lost' | 'quota'>>(
  record: T,
  outcome: Outcome,
): T {
  const { valid_in_row, valid, wrong, lost, quota } = record
  if (outcome === 'valid')
    return { ...record, valid: valid + 1, valid_in_row: valid_in_row + 1, quota: Math.min(quotaMax, quota * 2) }
  const less = Math.max(1, Math.floor(quota / 2))
  if (outcome === 'wrong') return { ...record, wrong: wrong + 1, valid_in_row: 0, quota: less }
  // A device that vanished may have lost its line: it stays as proven as it was.
  return { ...record, lost: lost + 1, quota: less }
}

/** What validated fuel costs, minor units, never more than the ceiling. */
export function costOf({ fuel_used, price, ceiling }: Pick<JobRow, 'fuel_used' | 'price' | 'ceiling'>): number {
  return Math.min(ceiling, Number((BigInt(fuel_used) * BigInt(price)) / 1_000_000_000n))
}

/** Whether validated fuel costs what the customer wants to pay at most: nothing more is given out. */
export function isAtCeiling(job: Pick<JobRow, 'fuel_used' | 'price' | 'ceiling'>): boolean {
  return job.price > 0 && costOf(job) >= job.ceiling
}

/** Millionths of a point for the fuel of one valid result. */
export function microPointsFor({ points }: Pick<JobRow, 'points'>, fuel: number): number {
  return Number((BigInt(fuel) * BigInt(points)) / 1_000n)
}
