import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { campaign } from './fuzz/campaign.ts'
import { targets } from './fuzz/targets.ts'

for (const [target, { what, corpus, run }] of Object.entries(targets))
  t.test(`S14 P5: ${target}: nothing that a stranger sends crashes, hangs or fills the memory (${what})`, async (t) => {
    for (const input of corpus()) t.doesNotThrow(() => run(input), 'a whole input is taken')
    const { failed, runs, problems } = await campaign({ target, seed: 1, seconds: 4 })
    t.equal(failed?.fault, undefined)
    t.ok(runs > corpus().length && problems > 0, `${runs} inputs`)
  })

t.test('a campaign finds what is wrong: a crash, a hang, too much memory', async (t) => {
  const crash = await campaign({ target: 'planted-crash', seed: 1, runs: 20_000 })
  t.match(crash.failed, { fault: /planted/ })
  t.ok(new TextDecoder().decode(crash.failed!.input).includes('<crash/><crash/>'), 'with the input that does it')
  t.match(await campaign({ target: 'planted-hang', seed: 1, runs: 10, hangMs: 2_000 }), { failed: { fault: /no end/ } })
  t.match(await campaign({ target: 'planted-memory', seed: 1, runs: 10, maxMemoryMb: 64 }), {
    failed: { fault: /memory/i },
  })
  t.match(await campaign({ target: 'planted-slow', seed: 1, runs: 10, slowMs: 50 }), {
    failed: { fault: /processor time/ },
  })
})

t.test('the same seed gives the same inputs; further inputs come from a folder', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-fuzz-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'one.xml'), '<alert/>')
  const options = { target: 'bank', seed: 5, runs: 300 }
  const [first, second] = [await campaign(options), await campaign(options)]
  t.equal(first.problems, second.problems)
  const more = await campaign({ ...options, corpus: [folder] })
  t.equal(more.inputs, first.inputs + 1)
})
