import t from 'tap'
import { omissionsOf } from './omissions.ts'

t.test('D7: what a run left out is named with its reason', (t) => {
  const tap = `TAP version 14
# Subtest: a.test.ts
    ok 1 - D3: and over Mosquitto # SKIP no mosquitto here; npm test installs it where it may
    ok 2 - RFC 8949 appendix A # SKIP no vectors here # time=1ms
        ok 1 - kept # time=1ms
    not ok 3 - a # SKIP
    ok 4 - a site # SKIP namespaces and overlays are refused (unshare failed: Operation not permitted) # time=1ms
ok 1 - a.test.ts # time=12ms
`
  t.same(omissionsOf(tap), {
    skipped: [
      { title: 'D3: and over Mosquitto', why: 'no mosquitto here; npm test installs it where it may' },
      { title: 'a', why: '' },
    ],
    refused: [
      { title: 'a site', why: 'namespaces and overlays are refused (unshare failed: Operation not permitted)' },
    ],
    withoutInputs: [{ title: 'RFC 8949 appendix A', why: 'no vectors here' }],
  })
  t.end()
})
