import t from 'tap'
import { failuresOf } from './failures.ts'

t.test('D7: what failed is named once, with its tests and what tap told of it', (t) => {
  const tap = `TAP version 14
# Subtest: outer
    # Subtest: inner
        ok 1 - fine
        not ok 2 - one is two
          ---
          compare: ===
          diff: |
            -2
            +1
          ...
        ok 3 - fine again
        1..3
    not ok 1 - inner # time=35.808ms
      ---
      at:
        lineNumber: 2
      ...
    # Subtest: good
        ok 1 - should be equal
        1..1
    ok 2 - good # time=1.394ms
    not ok 3 - left out # SKIP no program
    not ok 4 - three
    1..4
not ok 1 - outer # time=60.402ms
# Subtest: later
    ok 1 - fine
    1..1
not ok 2 - later # time=5ms
  ---
  signal: SIGKILL
  ...
1..2
`
  t.same(failuresOf(tap), [
    {
      path: ['outer', 'inner', 'one is two'],
      details: ['          compare: ===', '          diff: |', '            -2', '            +1'],
    },
    { path: ['outer', 'three'], details: [] },
    { path: ['later'], details: ['  signal: SIGKILL'] },
  ])
  t.same(failuresOf('ok 1 - all\n1..1\n'), [])
  t.end()
})
