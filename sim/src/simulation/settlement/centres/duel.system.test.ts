import t from 'tap'
import { centresSummary, runCentres } from './command.ts'
import { runDuelSeed } from './duel.ts'

t.test(
  'P9 two centres fight for the leadership through partitions and crashes: nothing acknowledged is lost, both are equal',
  async (t) => {
    const sum = {
      crashes: 0,
      takeovers: 0,
      copies: 0,
      acknowledged: 0,
      refused: 0,
      files: 0,
      filesAgain: 0,
      filesOld: 0,
    }
    // In 478 a whole copy comes late, over commits that were acknowledged since it left.
    for (const seed of [...Array.from({ length: 30 }, (_, at) => at + 1), 478]) {
      const report = await runDuelSeed({ seed })
      t.strictSame(report.violations, [], `seed ${seed}`)
      for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += report[name]
    }
    t.comment(JSON.stringify(sum))
    t.ok(sum.files > 100 && sum.filesAgain > 100 && sum.filesOld > 0, 'and enough files for the bank')
    t.ok(
      sum.crashes > 100 && sum.takeovers > 60 && sum.copies > 20 && sum.acknowledged > 1_000 && sum.refused > 0,
      'enough happened',
    )
  },
)

t.test('P9 a backup that answers before it has written is found out', async (t) => {
  const found: number[] = []
  for (let seed = 1; seed <= 30; seed++) {
    const { violations } = await runDuelSeed({ seed, early: true })
    if (violations.some((what) => what.includes('acknowledged'))) found.push(seed)
  }
  t.ok(found.length > 0, `found by seeds ${found.join(' ')}`)
})

t.test('P9 a file that leaves before its release is acknowledged is found out', async (t) => {
  const found: number[] = []
  for (let seed = 1; seed <= 40 && found.length === 0; seed++) {
    const { violations } = await runDuelSeed({ seed, hasty: true })
    if (violations.some((what) => what.startsWith('the bank has'))) found.push(seed)
  }
  t.ok(found.length > 0, `found by seed ${found.join(' ')}`)
})

t.test('P9 the two centres as a command: seeds over threads, with counts and the seeds that failed', async (t) => {
  const heard: number[] = []
  const report = await runCentres({ seeds: 3, first: 5, seconds: 20, onSeed: ({ seed }) => heard.push(seed) })
  t.match(report, { seeds: 3, failed: [], violations: [], counts: { acknowledged: Number } })
  t.strictSame(heard.toSorted(), [5, 6, 7])
  t.match(centresSummary(report), /^3 seeds in .*\nEverything held/)
  t.match(centresSummary({ ...report, failed: [6], violations: [{ seed: 6, violations: ['one yen'] }] }), /--seed 6/)
})
