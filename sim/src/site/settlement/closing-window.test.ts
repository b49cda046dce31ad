/** What is billed on which statement: whole civil days of the site's zone, closing day included (S13). */

import { civilDate } from '@azukari/gateway/services/settlement/billing/calendar'
import { statementSent } from '@azukari/protocol/contracts/settlement-billing'
import t from 'tap'
import { SettlementFixture } from '../../testkit/settlement/fixture.ts'

const hour = 3_600_000
const zones = ['Asia/Tokyo', 'America/New_York', 'America/Santiago', 'Europe/Berlin', 'Pacific/Kiritimati'] as const

t.test(
  'S13 what happens on the closing day is billed: nothing is lost and nothing twice, whenever closing runs',
  async (t) => {
    for (const timeZone of zones) {
      const facts: number[] = []
      const asked: [number, number][] = []
      let now = () => 0
      const fixture = await new SettlementFixture({
        at: '2027-01-20T05:00:00Z',
        more: { billing: { firstPeriod: 'whole', timeZone } },
        placement: {
          account: async ({ fromMs, toMs }) => {
            asked.push([fromMs, toMs])
            const tamperings = facts.filter((at) => at >= fromMs && at < toMs && at <= now()).length
            const check = { objects: 1, checked: 1, bad: 0, atMs: now() }
            return {
              level: 2,
              home: 'JP-13',
              sinceMs: 0,
              objects: 1,
              bytes: 1,
              tamperings,
              check,
              kept: [],
              faults: [],
            }
          },
        },
      }).start()
      now = () => fixture.clock.now()
      const one = await fixture.enrol('general', {}, new Uint8Array(32).fill(5))
      // One every five hours, so that every closing day has some in its first and last hours; clocks change in March.
      for (let turn = 0; turn < 400; turn++) {
        fixture.clock.turn(5 * hour)
        facts.push(fixture.clock.now())
        if (turn % 2 === 0) await fixture.settlement.billing.close()
      }
      const issued = (await fixture.events(statementSent, one.device)).map(({ statement }) =>
        one.pay.openStatement(statement),
      )
      t.ok(issued.length >= 2, `${timeZone}: ${issued.length} statements`)
      t.strictSame(
        issued.map(({ lines }) => Number(/^\d+/.exec(lines.find(({ what }) => what === 'tampering')?.how ?? '0')![0])),
        issued.map(
          ({ from, to }) =>
            facts.filter((at) => civilDate(at, timeZone) >= from && civilDate(at, timeZone) <= to).length,
        ),
        `${timeZone}: each statement has what happened on its days`,
      )
      for (const [i, [from]] of asked.slice(1).entries())
        t.equal(from, asked[i]![1], 'a period begins where the last ended')
    }
  },
)
