/** What work has settlement book (W5, W11): a job's invoice when it has ended, points that an owner redeems. */
import { hex } from '@azukari/protocol/bytes'
import type { RedemptionShown } from '@azukari/protocol/contracts/work'
import { Problem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { points as earned, owners } from '../devices/store.ts'
import { costOf } from '../dispatch/model.ts'
import type { WorkSettings } from '../settings.ts'
import type { AppRow, BookingRow, JobRow, LicenceRow } from '../tables.ts'
import { bookings } from './store.ts'

const microPerPoint = 1_000_000
/** Redemptions that an owner is shown. */
const shownMax = 10

/** Nothing for a customer without a number at settlement, and for what costs nothing. */
export async function bookInvoice(sql: Sql, job: JobRow, nowMs: number): Promise<void> {
  const minor = costOf(job)
  if (job.member === null || minor === 0) return
  await bookings.add(sql, {
    id: job.id,
    kind: 'invoice',
    reference: hex(job.id),
    owner: null,
    member: job.member,
    minor,
    currency: job.currency,
    micro_points: 0,
    at_ms: nowMs,
    state: 'due',
    problem: null,
    next_ms: nowMs,
  })
}

/** What the site owes an app's vendor for one licence that was supplied (W10). */
export async function bookLicence(
  sql: Sql,
  { id, device }: Pick<LicenceRow, 'id' | 'device'>,
  { id: app, vendor, fee_minor: minor, currency }: AppRow,
  nowMs: number,
): Promise<void> {
  if (vendor === null || minor === 0) return
  await bookings.add(sql, {
    id,
    kind: 'licence',
    reference: `${app}/${device}`.slice(0, 64),
    owner: null,
    member: vendor,
    minor,
    currency,
    micro_points: 0,
    at_ms: nowMs,
    state: 'due',
    problem: null,
    next_ms: nowMs,
  })
}

export interface Redemption {
  /** Its own: the same again is the same redemption. */
  id: Uint8Array
  owner: string
  points: number
}

export interface Redeemed {
  points: number
  minor: number
  currency: string
  leftMicroPoints: number
}

/**
 * Takes points from what the owner has left, so that settlement turns them into stored value.
 * @throws {Problem} `work.owner-unknown`, `work.no-member`, `work.points-short`
 */
export async function redeem(
  { sql, nowMs }: { sql: Sql; nowMs: number },
  { currency, minorPerPoint }: WorkSettings,
  { id, owner, points }: Redemption,
): Promise<Redeemed> {
  const known = await bookings.get(sql, id)
  if (!known) {
    const row = await owners.get(sql, owner)
    if (!row) throw new Problem('work.owner-unknown')
    if (row.member === null) throw new Problem('work.no-member')
    const left = await leftOf(sql, owner)
    if (points * microPerPoint > left) throw new Problem('work.points-short', `${left / microPerPoint} points are left`)
    const minor = points * minorPerPoint
    if (minor === 0) throw new Problem('work.points-short', 'a point is worth nothing at this site')
    await bookings.add(sql, {
      id,
      kind: 'redemption',
      reference: owner,
      owner,
      member: row.member,
      minor,
      currency,
      micro_points: points * microPerPoint,
      at_ms: nowMs,
      state: 'due',
      problem: null,
      next_ms: nowMs,
    })
  }
  const booked = known ?? (await bookings.get(sql, id))!
  return {
    points: booked.micro_points / microPerPoint,
    minor: booked.minor,
    currency: booked.currency,
    leftMicroPoints: await leftOf(sql, owner),
  }
}

/** Millionths of points that an owner has earned and not redeemed. */
export async function leftOf(sql: Sql, owner: string): Promise<number> {
  return (await earned.ofOwner(sql, owner)) - (await bookings.redeemedBy(sql, owner))
}

export async function redemptionsOf(sql: Sql, owner: string): Promise<RedemptionShown[]> {
  return (await bookings.newestOf(sql, owner, shownMax)).map(redemptionShown)
}

function redemptionShown({ micro_points, minor, currency, at_ms: atMs, state, problem }: BookingRow): RedemptionShown {
  const shown: RedemptionShown = { points: micro_points / microPerPoint, minor, currency, atMs, state }
  if (problem !== null) shown.problem = problem
  return shown
}
