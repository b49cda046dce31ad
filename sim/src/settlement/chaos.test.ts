import t from 'tap'
import { runSettlementSeed } from './chaos.ts'

t.test(
  'P5–P9 S13 crashes at every commit, repeated acts, overlapping bank files: balances agree with the model',
  async (t) => {
    let [crashes, paid, refunded, debits] = [0, 0, 0, 0]
    for (let seed = 1; seed <= 25; seed++) {
      const report = await runSettlementSeed(seed)
      t.strictSame(report.violations, [], `seed ${seed}`)
      crashes += report.crashes
      paid += report.paid
      refunded += report.refunded
      debits += report.debits
    }
    t.comment(`${crashes} crashes, ${paid} payments, ${refunded} refunds, ${debits} debit files`)
    t.ok(crashes > 100 && paid > 50 && refunded > 5 && debits > 5, 'enough happened')
  },
)
