import t from 'tap'
import { run } from './command.ts'
import { runWhole, Violation } from './whole.ts'
import { type PlantedBug, plantedBugs } from './world.ts'

/** Seeds within which the simulation must find each planted bug. */
const foundWithin: Record<PlantedBug, { seeds: number; by: RegExp }> = {
  'ack-before-commit': { seeds: 12, by: /^([IM][1-7]|bug)$/ },
  'reuse-data-key': { seeds: 12, by: /^I1$/ },
  'forget-retry': { seeds: 6, by: /^I3$/ },
  'delete-before-receipt': { seeds: 3, by: /^I[35]$/ },
  'puback-is-reply': { seeds: 3, by: /^I4$/ },
}

/** About a minute on two quiet cores. */
const sample = 16

t.test(
  'S2–S8 S10–S14 P1–P9 D5: seeds of a whole site with people, money and faults keep all that was promised',
  async (t) => {
    const report = await run({ seeds: sample })
    t.same(report.failed, [], report.failures.map(({ message }) => message).join('\n'))
    t.ok(report.hours >= sample * 1.2, `${report.hours} simulated hours`)
    t.ok(report.kept > 200, `${report.kept} pictures were kept`)
    t.ok(report.printed > 20, `${report.printed} pages came out`)
    for (const [kind, least] of Object.entries({
      members: 60,
      payments: 40,
      statements: 30,
      objections: 5,
      captured: 20,
    }))
      t.ok((report.money[kind] ?? 0) > least, `${kind}: ${report.money[kind]}`)
    for (const kind of [
      'card.torn',
      'device.power',
      'gateway.kill',
      'server.rot',
      'network.cut',
      'line.drop',
      'pin.wrong',
      'hazard',
      'server.destroyed',
      'server.impostor',
      'replica.changed with keys',
      'replica.changed without keys',
      'replica.rot beyond parity',
      'replica.deleted',
      'site.outage',
      'service.kill',
      'clerk.twice',
      'bank.paid-twice',
      'bank.no-number',
      'card-company.answer-lost',
      'card-company.reversal',
      'token.stolen',
    ])
      t.ok(
        Object.entries(report.faults).some(([name, count]) => name.startsWith(kind) && count > 0),
        `${kind} happened`,
      )
    // Each of them true of what was done: the run itself fails otherwise (I8).
    for (const kind of ['tampering', 'media', 'unexplained', 'impostor'])
      t.ok((report.verdicts[kind] ?? 0) > 0, `${kind} was found`)
  },
)

t.test('the same seed gives the same story, another seed another', async (t) => {
  const options = { seed: 7, hours: 0.7 }
  const first = await runWhole(options)
  t.same(await runWhole(options), first)
  t.not((await runWhole({ ...options, seed: 8 })).digest, first.digest)
})

for (const bug of plantedBugs) {
  const { seeds, by } = foundWithin[bug]
  t.test(`the simulation finds a planted bug within ${seeds} seeds: ${bug}`, async (t) => {
    let found: Violation | undefined
    for (let seed = 1; seed <= seeds && !found; seed++) {
      try {
        await runWhole({ seed, bug })
      } catch (error) {
        if (!(error instanceof Violation)) throw error
        found = error
      }
    }
    t.match(found?.invariant, by, found?.message ?? 'not found')
    t.ok(found && found.story.length > 10, 'and tells what led to it')
  })
}
