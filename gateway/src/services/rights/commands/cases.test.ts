/** What operators say of a sighting, before it is judged. */
import t from 'tap'
import { seenAt } from './cases.ts'

const noonMs = Date.UTC(2026, 11, 1, 12)

t.test('R4: a copy was seen on a day that there is, and not in the future', (t) => {
  t.equal(seenAt('2026-12-01', noonMs), Date.UTC(2026, 11, 1))
  t.equal(seenAt('2026-12-01T11:30:00Z', noonMs), Date.UTC(2026, 11, 1, 11, 30))
  for (const none of ['2026-13-45', '2026-02-31', '2026-12-01T99:99Z', '2026-12-02', '2026-12-01T12:00:01Z'])
    t.throws(() => seenAt(none, noonMs), { code: 'command.invalid', message: new RegExp(none) }, none)
  t.end()
})
