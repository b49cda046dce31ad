/**
 * Quarters of an hour: what figures are summed up by in the database. Every zone's days begin with one, in summer time as in winter,
 * and engines spell calendars differently.
 */
import { type CivilDate, civilDate } from '../billing/calendar.ts'

export const quarterMs = 900_000

/** Tells the civil date in a time zone of a quarter, counted since 1970. */
export function dateOfQuarter(timeZone: string): (quarter: number) => CivilDate {
  const known = new Map<number, CivilDate>()
  return (quarter) => {
    let date = known.get(quarter)
    if (date === undefined) {
      date = civilDate(quarter * quarterMs, timeZone)
      known.set(quarter, date)
    }
    return date
  }
}
