import { encodeDeterministic } from '@azukari/protocol/codec'
import { readWorkAccount } from '@azukari/protocol/contracts/work'
import fc from '@azukari/protocol/test-properties'
import { assembled, unitText } from '@azukari/protocol/work/test-modules'
import t from 'tap'
import { testEngines } from '../../../test-database.ts'
import { type Fixture, fixture, submission, type TestWorker } from '../test-fixture.ts'
import { judgeSpawn } from './rounds.ts'

const module = await assembled(unitText('(func (export "run"))'))
const bytes = (text: string) => new TextEncoder().encode(text)
const result = (output: string, inputs: readonly string[] = []) => ({
  output: encodeDeterministic([bytes(output), inputs.map(bytes)]),
})

/** Two owners compute the next unit and say the same. */
async function both(workers: readonly TestWorker[], said: ReturnType<typeof result>): Promise<string> {
  let standing = ''
  for (const worker of workers) standing = await worker.send(await worker.take(), said)
  return standing
}

const owners = async (f: Fixture) => [await f.device('anna'), await f.device('ben')]

for (const [engine, open] of Object.entries(testEngines())) {
  t.test(`W6 ${engine}: results ask for further units, round after round, and all are merged`, async (t) => {
    const f = await fixture(open)
    t.teardown(() => f.close())
    const { id } = await f.work.jobs.submit(submission(module, ['x'], { rounds: 2, spawnMax: 3 }))
    const workers = await owners(f)
    await both(workers, result('a', ['one', 'two']))
    t.match(await f.work.jobs.show(id), { state: 'running', units: 3, valid: 1 })
    await both(workers, result('b', ['three']))
    await both(workers, result('c'))
    await f.pass(1)
    t.match(await f.work.jobs.show(id), { state: 'running', units: 4, valid: 3 })
    await both(workers, result('d'))
    await f.pass(1)
    t.match(await f.work.jobs.show(id), { state: 'done', units: 4, valid: 4 })
    t.same(
      (await f.work.jobs.units(id)).map(({ round }) => round),
      [0, 1, 1, 2],
    )
    t.equal(Buffer.from((await f.work.jobs.fetch(id, {})).bytes).toString(), 'abcd')
  })

  t.test(`W6 ${engine}: one owner’s word adds no unit`, async (t) => {
    const f = await fixture(open)
    t.teardown(() => f.close())
    const { id } = await f.work.jobs.submit(submission(module, ['x'], { rounds: 1 }))
    const [anna] = await owners(f)
    await anna!.send(await anna!.take(), result('a', ['one']))
    t.match(await f.work.jobs.show(id), { units: 1 })
  })

  t.test(
    `W6 ${engine}: a module that multiplies without end is stopped by its budget, and its boards are paid`,
    async (t) => {
      const f = await fixture(open)
      t.teardown(() => f.close())
      const { id } = await f.work.jobs.submit(submission(module, ['x'], { rounds: 1_000, spawnMax: 5 }))
      const workers = await owners(f)
      const bomb = result('', ['one', 'two'])
      let taken = 0
      for (; taken < 100 && (await workers[0]!.tryTake()); taken++) await both(workers, bomb)
      await f.pass(1)
      t.match(await f.work.jobs.show(id), { state: 'failed', units: 5, valid: 2, failed: 3 })
      t.match((await f.work.jobs.units(id)).at(-1), { state: 'failed', problem: 'work.spawn' })
      t.match(await workers[1]!.call(readWorkAccount, {}), { device: { valid: 5, wrong: 0 } })
    },
  )

  t.test(`W6 ${engine}: a job without rounds takes outputs as they are, and a budget needs rounds`, async (t) => {
    const f = await fixture(open)
    t.teardown(() => f.close())
    const { id } = await f.work.jobs.submit(submission(module, ['x']))
    const said = result('a', ['one'])
    await both(await owners(f), said)
    await f.pass(1)
    t.match(await f.work.jobs.show(id), { state: 'done', units: 1 })
    t.same(new Uint8Array((await f.work.jobs.fetch(id, {})).bytes), new Uint8Array(said.output))
    await t.rejects(f.work.jobs.submit(submission(module, ['x'], { spawnMax: 5 })), { code: 'command.invalid' })
  })
}

t.test('W6: what is no result of a round, or asks for too much, adds nothing', async (t) => {
  const job = { rounds: 2, spawn_left: 2 }
  const refused = { problem: 'work.spawn' }
  t.same(judgeSpawn(job, { round: 2 }, result('', ['x']).output), refused, 'beyond the last round')
  t.same(judgeSpawn(job, { round: 2 }, result('a').output), { inputs: [] })
  t.same(judgeSpawn(job, { round: 0 }, result('', ['1', '2', '3']).output), refused, 'all or none')
  for (const wrong of [null, [], [bytes('a')], ['a', []], [bytes('a'), ['x']], [bytes('a'), [], 1]])
    t.same(judgeSpawn(job, { round: 0 }, encodeDeterministic(wrong)), refused, JSON.stringify(wrong))
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (any) => {
      const judged = judgeSpawn(job, { round: 0 }, any)
      if (judged.problem === undefined && judged.inputs.length > 2) throw new Error('beyond the budget')
    }),
  )
})
