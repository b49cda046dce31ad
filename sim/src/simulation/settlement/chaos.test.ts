import t from 'tap'
import { runSettlementSeed } from './chaos.ts'
import { runSettlement, settlementSummary } from './command.ts'

t.test(
  'P5–P9 S13 crashes at every commit, repeated acts, overlapping bank files: balances agree with the model',
  async (t) => {
    let [crashes, paid, refunded, debits, charged, chargedBack] = [0, 0, 0, 0, 0, 0]
    for (let seed = 1; seed <= 25; seed++) {
      const report = await runSettlementSeed(seed)
      t.strictSame(report.violations, [], `seed ${seed}`)
      crashes += report.crashes
      paid += report.paid
      refunded += report.refunded
      debits += report.debits
      charged += report.charged
      chargedBack += report.chargedBack
    }
    t.comment(
      `${crashes} crashes, ${paid} payments, ${refunded} refunds, ${debits} debit files, ${charged} charges, ${chargedBack} back`,
    )
    t.ok(crashes > 100 && paid > 50 && refunded > 5 && debits > 5, 'enough happened')
    t.ok(charged > 5 && chargedBack > 0, 'and with credit cards too')
  },
)

t.test('P9 the simulation as a command: seeds over threads, with counts and the seeds that failed', async (t) => {
  const heard: number[] = []
  const report = await runSettlement({ seeds: 3, first: 5, steps: 30, onSeed: ({ seed }) => heard.push(seed) })
  t.match(report, { seeds: 3, steps: 30, failed: [], violations: [] })
  t.ok(report.counts['postings']! > 0)
  t.strictSame(heard.toSorted(), [5, 6, 7])
  t.match(settlementSummary(report), /^3 seeds in .*\nEverything held/)
  const duel = await runSettlement({ seeds: 2, first: 1, steps: 20, centres: true })
  t.match(duel, { failed: [], counts: { acknowledged: Number } })
  t.match(settlementSummary({ ...report, failed: [6], violations: [{ seed: 6, violations: ['one yen'] }] }), /--seed 6/)
})
