/** Periods are whole civil days of the site's zone, and every fact belongs to exactly one (S13). */
import fc from '@azukari/protocol/test-properties'
import t from 'tap'
import { addDays, addMonths, civilDate, startOfDay } from './calendar.ts'
import { windowAfter } from './closing.ts'

const zones = ['Asia/Tokyo', 'America/New_York', 'America/Santiago', 'Europe/Berlin', 'Pacific/Kiritimati'] as const
const afterMs = fc.integer({ min: 0, max: 400 * 86_400_000 })

t.test('S13 every fact belongs to exactly one period, on the days that it names, in every zone and over DST', (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom(...zones),
      fc.integer({ min: 1, max: 28 }),
      fc.array(afterMs),
      (timeZone, closing, facts) => {
        const first = `2026-01-${String(closing).padStart(2, '0')}`
        let account = { closed: first, closed_ms: startOfDay(addDays(first, 1), timeZone) }
        const begin = account.closed_ms
        const periods = Array.from({ length: 15 }, (_, i) => {
          const to = addMonths(first, i + 1)
          const window = windowAfter(account, to, timeZone)
          const from = addDays(account.closed, 1)
          account = { closed: to, closed_ms: window.toMs }
          return { from, to, ...window }
        })
        for (const after of facts) {
          const at = begin + after
          const own = periods.filter(({ fromMs, toMs }) => fromMs <= at && at < toMs)
          const date = civilDate(at, timeZone)
          if (own.length !== 1 || date < own[0]!.from || date > own[0]!.to) throw new Error(`${date} in ${timeZone}`)
        }
      },
    ),
  )
  t.equal(
    windowAfter({ closed: '2026-11-05', closed_ms: null }, '2026-12-05', 'Asia/Tokyo').fromMs,
    Date.parse('2026-11-05T12:00:00Z'),
    'what was closed before moments were kept ended at noon, UTC',
  )
  t.end()
})
