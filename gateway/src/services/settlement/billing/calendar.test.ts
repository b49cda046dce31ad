/** Bank days rest on the national holidays, which are computed by the law: held against a published list (S13). */
import holidays from '@holiday-jp/holiday_jp'
import t from 'tap'
import { addDays, isBankDay, isHoliday } from './calendar.ts'

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
