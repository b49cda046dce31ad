/**
 * Civil dates and the days on which Japanese banks work (S13): not on Saturdays, Sundays, national holidays (Act on National
 * Holidays, in force since 2022) and from 31 December to 3 January (Banking Act, Order of Enforcement art. 5).
 */

/** `2026-11-21` */
export type CivilDate = string

const dayMs = 86_400_000

/** Formatters by time zone: one takes longer to make than everything else that is done with a date. */
const formatters = new Map<string, Intl.DateTimeFormat>()

/** The civil date of a moment in a time zone. */
export function civilDate(atMs: number, timeZone: string): CivilDate {
  let formatter = formatters.get(timeZone)
  if (!formatter) {
    formatter = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' })
    formatters.set(timeZone, formatter)
  }
  return formatter.format(atMs)
}

/**
 * The first moment of a civil date in a time zone, ms: midnight, or what comes after it where clocks leap over midnight or a
 * whole day. Days of a zone lie end to end between these moments.
 */
export function startOfDay(date: CivilDate, timeZone: string): number {
  // Zones are between 12 hours behind UTC and 14 ahead; a day that a zone left out begins with the next one.
  let before = utc(date) / 1000 - 15 * 3_600
  let from = utc(date) / 1000 + 38 * 3_600
  while (from - before > 1) {
    const between = Math.floor((before + from) / 2)
    if (civilDate(between * 1000, timeZone) >= date) from = between
    else before = between
  }
  return from * 1000
}

/** How far a zone's civil time is ahead of UTC at a moment, ms. */
export function offsetOf(timeZone: string, atMs: number): number {
  const wall = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' }).format(atMs)
  return Date.parse(`${wall.replace(' ', 'T')}Z`) - Math.floor(atMs / 1000) * 1000
}

export function addDays(date: CivilDate, days: number): CivilDate {
  return new Date(utc(date) + days * dayMs).toISOString().slice(0, 10)
}

/** The same day of the month so many months on; the last one where there is none. */
export function addMonths(date: CivilDate, months: number): CivilDate {
  const [year, month, day] = parts(date)
  const last = new Date(Date.UTC(year, month - 1 + months + 1, 0))
  return new Date(Date.UTC(last.getUTCFullYear(), last.getUTCMonth(), Math.min(day, last.getUTCDate())))
    .toISOString()
    .slice(0, 10)
}

/** From one date to a later one. */
export function daysBetween(from: CivilDate, to: CivilDate): number {
  return Math.round((utc(to) - utc(from)) / dayMs)
}

/** Whole years between two dates. */
export function yearsBetween(from: CivilDate, to: CivilDate): number {
  const [y1, y2] = [parts(from)[0], parts(to)[0]]
  return Math.max(0, y2 - y1 - (to.slice(5) < from.slice(5) ? 1 : 0))
}

export function isBankDay(date: CivilDate): boolean {
  const weekday = new Date(utc(date)).getUTCDay()
  const monthDay = date.slice(5)
  if (weekday === 0 || weekday === 6) return false
  if (monthDay === '12-31' || monthDay === '01-02' || monthDay === '01-03') return false
  return !isHoliday(date)
}

/** This day when banks work, else the next on which they do. */
export function nextBankDay(date: CivilDate): CivilDate {
  let day = date
  while (!isBankDay(day)) day = addDays(day, 1)
  return day
}

/** So many days of banks' work later. */
export function addBankDays(date: CivilDate, days: number): CivilDate {
  let day = nextBankDay(date)
  for (let i = 0; i < days; i++) day = nextBankDay(addDays(day, 1))
  return day
}

export function latest(dates: readonly CivilDate[]): CivilDate {
  return [...dates].sort().at(-1)!
}

/** National holidays, with those that take the place of a Sunday and those between two others. */
export function isHoliday(date: CivilDate): boolean {
  if (isNamed(date)) return true
  // A holiday on a Sunday is made good on the next day that is none itself.
  let before = addDays(date, -1)
  while (isNamed(before)) {
    if (new Date(utc(before)).getUTCDay() === 0) return true
    before = addDays(before, -1)
  }
  return new Date(utc(date)).getUTCDay() !== 0 && isNamed(addDays(date, -1)) && isNamed(addDays(date, 1))
}

const fixed = new Set(['01-01', '02-11', '02-23', '04-29', '05-03', '05-04', '05-05', '08-11', '11-03', '11-23'])
/** Month and which Monday. */
const mondays = new Map([
  ['01', 2],
  ['07', 3],
  ['09', 3],
  ['10', 2],
])

function isNamed(date: CivilDate): boolean {
  const [year, month, day] = parts(date)
  if (fixed.has(date.slice(5))) return true
  if (month === 3) return day === equinox(year, 20.8431)
  const nth = mondays.get(date.slice(5, 7))
  if (nth !== undefined && new Date(utc(date)).getUTCDay() === 1 && Math.ceil(day / 7) === nth) return true
  return month === 9 && day === equinox(year, 23.2488)
}

/** Day of the equinox in Japan, right for 1980 to 2099. */
function equinox(year: number, base: number): number {
  return Math.floor(base + 0.242194 * (year - 1980)) - Math.floor((year - 1980) / 4)
}

function parts(date: CivilDate): [number, number, number] {
  return [Number(date.slice(0, 4)), Number(date.slice(5, 7)), Number(date.slice(8, 10))]
}

function utc(date: CivilDate): number {
  return Date.parse(`${date}T00:00:00Z`)
}
