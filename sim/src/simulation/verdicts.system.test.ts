import t from 'tap'
import { faultKinds } from '../testkit/placement/faults.ts'
import { campaign } from './verdicts.ts'

t.test(
  'S11, S12: verdicts match what was really done, nobody is accused falsely, and all of it is repaired',
  async (t) => {
    const report = await campaign({ seed: 1, faults: 150 })
    t.same(report.wrong, [])
    t.equal(report.falseAccusations, 0)
    t.equal(report.aboutNothing, 0)
    t.equal(report.unrepaired, 0)
    t.ok(report.faults >= 150)
    for (const kind of faultKinds) t.ok((report.kinds[kind]?.done ?? 0) > 0, `${kind}: ${report.kinds[kind]?.done}`)
    t.equal(report.impostors.found, report.impostors.done)
  },
)
