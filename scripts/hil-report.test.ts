import t from 'tap'
import { type HilReport, readTap, reportPage } from './hil-report.ts'

const tap = `TAP version 14
# Subtest: S17: one
    # Subtest: within
        ok 1 - a check
        not ok 2 - another
        1..2
    not ok 1 - within # time=3.2ms
    ok 2 - left out # SKIP no hardware
    1..2
not ok 1 - S17: one # time=12.6ms
# Subtest: S17: <two>
    ok 1 - a check
    1..1
ok 2 - S17: <two> # time=1ms
1..2
`

t.test('D2: what TAP says becomes a report in which nothing skipped is hidden', async (t) => {
  const { tests, checks } = readTap(tap)
  t.equal(checks, 3)
  t.strictSame(tests, [
    { name: 'within', within: ['S17: one'], state: 'failed', ms: 3 },
    { name: 'left out', within: ['S17: one'], state: 'skipped', ms: 0 },
    { name: 'S17: one', within: [], state: 'failed', ms: 13 },
    { name: 'S17: <two>', within: [], state: 'passed', ms: 1 },
  ])
  const file = { file: 'x.hil.ts', state: 'failed' as const, ms: 20, checks, tests, said: 'it <said>' }
  const report: HilReport = {
    at: '2026-01-01T00:00:00Z',
    map: 'm',
    system: 's',
    node: 'v24',
    passed: 1,
    failed: 2,
    skipped: 1,
    files: [file],
  }
  const page = reportPage(report)
  t.match(page, /1 passed, 2 failed, 1 skipped/)
  t.match(page, 'S17: &lt;two&gt;')
  t.match(page, 'it &lt;said&gt;')
  t.notMatch(page, /<script|https?:/, 'self-contained')
  t.ok(page.indexOf('S17: one') < page.indexOf('within'), 'a test stands before those within it')
})
