/** Bank days rest on the national holidays, which are computed by the law: held against a published list (S13). */

import fc from '@azukari/protocol/test-properties'
import holidays from '@holiday-jp/holiday_jp'
import t from 'tap'
import { addDays, civilDate, isBankDay, isHoliday, startOfDay } from './calendar.ts'

t.test('S13: every day of 2022 to 2050 is a holiday exactly when the published list says so', (t) => {
  let looked = 0
  for (let date = '2022-01-01'; date < '2051-01-01'; date = addDays(date, 1)) {
    looked++
    if (isHoliday(date) !== holidays.isHoliday(new Date(`${date}T12:00:00+09:00`))) t.fail(date)
  }
  t.equal(looked, 10_592)
  t.end()
})

t.test('S13: banks rest on weekends, holidays and from 31 December to 3 January', (t) => {
  for (const [date, works] of [
    ['2026-12-30', true],
    ['2026-12-31', false],
    ['2027-01-01', false],
    ['2027-01-02', false],
    ['2027-01-04', true],
    ['2026-05-06', false],
    ['2026-09-22', false],
    ['2026-11-21', false],
    ['2026-11-24', true],
  ] as const)
    t.equal(isBankDay(date), works, date)
  t.end()
})

const zones = [
  'Asia/Tokyo',
  'Europe/Berlin',
  'America/New_York',
  'America/Santiago',
  'Africa/Cairo',
  'Asia/Beirut',
  'Australia/Lord_Howe',
  'Pacific/Kiritimati',
  'Pacific/Pago_Pago',
  'Asia/Kathmandu',
]

t.test('S13: a civil day begins at midnight of its zone, or after it where clocks leap over it', (t) => {
  for (const [date, zone, moment] of [
    ['2026-11-21', 'Asia/Tokyo', '2026-11-20T15:00:00Z'],
    ['2026-03-30', 'Europe/Berlin', '2026-03-29T22:00:00Z'],
    ['2026-09-06', 'America/Santiago', '2026-09-06T04:00:00Z'],
    ['2011-12-30', 'Pacific/Apia', '2011-12-30T10:00:00Z'],
  ] as const)
    t.equal(new Date(startOfDay(date, zone)).toISOString().slice(0, 19), moment.slice(0, 19), `${date} ${zone}`)
  fc.assert(
    fc.property(fc.constantFrom(...zones), fc.integer({ min: 0, max: 7_000 }), (zone, days) => {
      const date = addDays('2022-01-01', days)
      const start = startOfDay(date, zone)
      if (civilDate(start, zone) !== date) throw new Error(`${date} in ${zone} begins on ${civilDate(start, zone)}`)
      if (civilDate(start - 1, zone) !== addDays(date, -1)) throw new Error(`${date} in ${zone} has begun before`)
    }),
  )
  t.end()
})
