import { hex, sameBytes } from '@azukari/protocol/bytes'
import { decode } from '@azukari/protocol/codec'
import {
  fetchForUnit,
  giveUnitBack,
  keepUnit,
  readWorkAccount,
  resultDomain,
  type WorkResult,
} from '@azukari/protocol/contracts/work'
import { submitJob } from '@azukari/protocol/contracts/work-operators'
import { verify1 } from '@azukari/protocol/cose'
import { publicOf, thumbprint } from '@azukari/protocol/keys'
import { assembled, unitText } from '@azukari/protocol/work/test-modules'
import t from 'tap'
import { testEngines } from '../../test-database.ts'
import { sha256 } from './blobs/store.ts'
import { provenAfter } from './dispatch/model.ts'
import { fixture, submission, type TestWorker } from './test-fixture.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const right = { output: bytes('right') }
const wrong = { output: bytes('wrong') }
const module = await assembled(unitText('(func (export "run"))'))

/** Computes units until there are none for it. @returns how many */
async function computeAll(worker: TestWorker, said = right): Promise<number> {
  for (let n = 0; ; n++) {
    const unit = await worker.tryTake()
    if (!unit) return n
    await worker.send(unit, said)
  }
}

for (const [engine, open] of Object.entries(testEngines())) {
  t.test(`W1 W2 W5 ${engine}: a job is split, computed by two owners, merged in order and priced`, async (t) => {
    const f = await fixture(open, { priceMinorPerGigafuel: 1_000_000 })
    t.teardown(() => f.close())
    const { id, units } = await f.work.jobs.submit(
      submission(module, ['1\n2\n3\n'], { split: { lines: 1 }, ceilingMinor: 500 }),
    )
    t.equal(units, 3)
    const [a, b] = [await f.device('anna'), await f.device('ben')]
    await t.rejects(f.work.jobs.fetch(id, {}), { code: 'work.job-not-done' })
    for (const worker of [a, b])
      for (let n = 0; n < 3; n++) {
        const unit = await worker.take()
        await worker.send(unit, { output: bytes(`<${unit.unit}>`), fuelUsed: 10_000 })
      }
    await f.pass(1)
    const job = await f.work.jobs.show(id)
    t.match(job, { state: 'done', valid: 3, fuel: 60_000, costMinor: 60, computing: 0 })
    t.equal(Buffer.from((await f.work.jobs.fetch(id, {})).bytes).toString(), '<0><1><2>')
    t.equal(Buffer.from((await f.work.jobs.fetch(id, { unit: 1 })).bytes).toString(), '<1>')
    await t.rejects(f.work.jobs.fetch(id, { unit: 3 }), { code: 'command.invalid', detail: /0 to 2/ })
    t.match(await a.call(readWorkAccount, {}), { owner: 'anna', device: { valid: 3, wrong: 0, fuel: 30_000 } })
    const { invoice, document } = await f.work.jobs.invoice(id)
    t.match(invoice, { isFinal: true, fuel: 60_000, dueMinor: 60, priceMinorPerGigafuel: 1_000_000 })
    const { receipts } = decode(document) as { receipts: Uint8Array[] }
    t.same(
      invoice.lines.map(({ receipt }) => receipt),
      receipts.map((one) => hex(sha256(one))),
      'each line names what its device signed',
    )
    const keyOf = (kid: Uint8Array) =>
      [a, b].map(({ key }) => publicOf(key)).find((key) => sameBytes(thumbprint(key), kid))
    const told = receipts.map((one) => decode(verify1(one, keyOf, resultDomain).payload) as WorkResult)
    t.equal(
      told.reduce((sum, { fuelUsed }) => sum + fuelUsed, 0),
      invoice.fuel,
      'the devices signed for what is asked',
    )
  })

  t.test(`W3 ${engine}: only a registered device gets a unit, with a code that an owner has`, async (t) => {
    const f = await fixture(open)
    t.teardown(() => f.close())
    await f.work.jobs.submit(submission(module, ['x']))
    const a = await f.device('anna')
    await t.rejects(a.register('aaaaaaaaaaaaaaaa'), { code: 'work.owner-code' })
    await t.rejects(f.stranger().take(), { code: 'work.unregistered' })
    await t.rejects(a.register('aaaaaaaaaaaaaaaa', 'device-9'), { code: 'cose.wrong-audience' })
    t.ok(await a.take())
  })

  t.test(`W3 W7 ${engine}: an owner gets one copy of a unit, whichever device asks`, async (t) => {
    const f = await fixture(open)
    t.teardown(() => f.close())
    await f.work.jobs.submit(submission(module, ['x']))
    const [first, second, other] = [await f.device('anna'), await f.device('anna'), await f.device('ben')]
    const unit = await first.take()
    t.same((await first.take()).attempt, unit.attempt, 'what it holds it gets again')
    t.equal(await second.tryTake(), undefined)
    t.equal(await first.send(unit, right), 'waiting')
    t.equal(await second.tryTake(), undefined, 'also after its result')
    t.equal(await other.send(await other.take(), right), 'valid')
  })

  t.test(`W7 ${engine}: a wrong result is outvoted, counted, and earns nothing`, async (t) => {
    const f = await fixture(open)
    t.teardown(() => f.close())
    const { id } = await f.work.jobs.submit(submission(module, ['x']))
    const [a, b, c] = [await f.device('anna'), await f.device('ben'), await f.device('cleo')]
    t.equal(await a.send(await a.take(), wrong), 'waiting')
    t.equal(await b.send(await b.take(), right), 'waiting')
    t.equal(await c.send(await c.take(), right), 'valid')
    await f.pass(1)
    t.equal(Buffer.from((await f.work.jobs.fetch(id, {})).bytes).toString(), 'right')
    t.match(await a.call(readWorkAccount, {}), { device: { valid: 0, wrong: 1, fuel: 0, microPoints: 0 } })
    t.match(await b.call(readWorkAccount, {}), { device: { valid: 1, wrong: 0, fuel: 1_000 } })
    t.match(await f.work.jobs.show(id), { fuel: 2_000 })
    const [unit] = await f.work.jobs.units(id)
    t.same(
      unit!.copies.map(({ owner, state }) => [owner, state]),
      [
        ['anna', 'wrong'],
        ['ben', 'valid'],
        ['cleo', 'valid'],
      ],
    )
  })

  t.test(`W7 ${engine}: a silent device loses its unit; its late result counts until the unit is final`, async (t) => {
    const f = await fixture(open, { leaseMs: 60_000 })
    t.teardown(() => f.close())
    const { id } = await f.work.jobs.submit(submission(module, ['x', 'y']))
    const [slow, b, c] = [await f.device('anna'), await f.device('ben'), await f.device('cleo')]
    const late = await slow.take()
    await f.pass(59_000)
    t.same(await slow.call(keepUnit, late), { leaseMs: 60_000 })
    await f.pass(59_000)
    t.equal((await f.work.jobs.show(id)).computing, 1, 'a sign of life begins the lease anew')
    await f.pass(2_000)
    t.equal((await f.work.jobs.show(id)).computing, 0)
    await t.rejects(slow.call(keepUnit, late), { code: 'work.unit-gone' })
    t.equal(await b.send(await b.take(), right), 'waiting')
    t.equal(await slow.send(late, right), 'valid', 'the second result, though late')
    t.match(await f.work.owners(), [{ devices: [{ lost: 1, valid: 1 }] }, {}, {}])
    t.equal((await c.take()).unit, 1, 'the first unit needs nobody more')
  })

  t.test(`W7 ${engine}: a result that agrees after the unit is final is credited and costs nothing more`, async (t) => {
    const f = await fixture(open)
    t.teardown(() => f.close())
    const { id } = await f.work.jobs.submit(submission(module, ['x', 'y']))
    const [slow, b, c] = [await f.device('anna'), await f.device('ben'), await f.device('cleo')]
    const late = await slow.take()
    await f.pass(61_000)
    for (const worker of [b, c]) await worker.send(await worker.take(), right)
    t.equal(await slow.send(late, right), 'valid')
    t.match(await slow.call(readWorkAccount, {}), { device: { fuel: 1_000 } })
    t.match(await f.work.jobs.show(id), { valid: 1, fuel: 2_000 })
    t.equal((await f.work.jobs.invoice(id)).invoice.lines.length, 2)
  })

  t.test(`W7 ${engine}: economical jobs trust a device after ten valid results, until a spot check`, async (t) => {
    const f = await fixture(open)
    t.teardown(() => f.close())
    const inputs = Array.from({ length: provenAfter }, (_, n) => `${n}`)
    await f.work.jobs.submit(submission(module, inputs, { mode: 'economical' }))
    const [a, b] = [await f.device('anna'), await f.device('ben')]
    for (const worker of [a, b]) t.equal(await computeAll(worker), provenAfter)
    await f.pass(1)
    const { id } = await f.work.jobs.submit(submission(module, ['x', 'y'], { mode: 'economical' }))
    t.equal(await a.send(await a.take(), right), 'valid', 'alone')
    f.draws.push(0.05)
    t.equal(await a.send(await a.take(), right), 'waiting', 'checked')
    t.equal(await b.send(await b.take(), wrong), 'waiting')
    t.match(await f.work.jobs.show(id), { valid: 1 })
  })

  t.test(`W7 ${engine}: what is not of this device, or not what was signed, is refused`, async (t) => {
    const f = await fixture(open)
    t.teardown(() => f.close())
    await f.work.jobs.submit(submission(module, ['x']))
    const [a, b] = [await f.device('anna'), await f.device('ben')]
    const unit = await a.take()
    await t.rejects(b.send(unit, right), { code: 'work.unit-gone' }, 'another device’s unit')
    await t.rejects(a.send(unit, right, b.key), { code: 'work.result-forged' }, 'another device’s signature')
    const forged = { hash: new Uint8Array(32), sizeBytes: 5 }
    await t.rejects(a.send(unit, { ...right, forged }), { code: 'work.result-forged' }, 'another output')
    await t.rejects(a.send(unit, { ...right, forged: { audience: new Uint8Array(32) } }), {
      code: 'cose.wrong-audience',
    })
    await t.rejects(a.send({ ...unit, attempt: 9 }, right), { code: 'work.unit-gone' })
    await t.rejects(a.call(fetchForUnit, { ...unit, hash: new Uint8Array(32) }), { code: 'work.unit-gone' })
    t.equal(await a.send(unit, right), 'waiting')
    t.equal(await a.send(unit, wrong), 'waiting', 'a second result of one copy changes nothing')
    t.equal(await b.send(await b.take(), right), 'valid')
  })

  t.test(`W7 ${engine}: a unit that is given back goes to another owner`, async (t) => {
    const f = await fixture(open)
    t.teardown(() => f.close())
    await f.work.jobs.submit(submission(module, ['x']))
    const [a, b, c] = [await f.device('anna'), await f.device('ben'), await f.device('cleo')]
    const unit = await a.take()
    await a.call(giveUnitBack, { job: unit.job, unit: unit.unit, attempt: unit.attempt, problem: 'work.memory' })
    t.equal(await a.tryTake(), undefined)
    for (const worker of [b, c]) t.ok(await worker.take())
  })

  t.test(`W5 ${engine}: a module that fails alike everywhere fails its unit, and the job says so`, async (t) => {
    const f = await fixture(open)
    t.teardown(() => f.close())
    const { id } = await f.work.jobs.submit(submission(module, ['x', 'y']))
    const [a, b] = [await f.device('anna'), await f.device('ben')]
    for (const worker of [a, b]) {
      await worker.send(await worker.take(), { problem: 'work.trap' })
      await worker.send(await worker.take(), right)
    }
    await f.pass(1)
    t.match(await f.work.jobs.show(id), { state: 'failed', valid: 1, failed: 1 })
    t.match(await f.work.jobs.units(id), [{ state: 'failed', problem: 'work.trap' }, { state: 'valid' }])
    await t.rejects(f.work.jobs.fetch(id, {}), { code: 'work.job-not-done' })
    t.equal(Buffer.from((await f.work.jobs.fetch(id, { isPartial: true })).bytes).toString(), 'right')
  })

  t.test(`W1 ${engine}: a job ends at its deadline, its ceiling, or when it is cancelled`, async (t) => {
    const f = await fixture(open, { priceMinorPerGigafuel: 1_000_000 })
    t.teardown(() => f.close())
    const [a, b] = [await f.device('anna'), await f.device('ben')]
    const expiring = await f.work.jobs.submit(submission(module, ['x'], { lifeMs: 1_000 }))
    const held = await a.take()
    await f.pass(1_000)
    t.equal((await f.work.jobs.show(expiring.id)).state, 'expired')
    await t.rejects(a.call(keepUnit, held), { code: 'work.unit-gone' }, 'the device hears that nobody wants it')
    t.equal(await a.send(held, right), 'late')
    const dear = await f.work.jobs.submit(submission(module, ['x', 'y'], { ceilingMinor: 2 }))
    for (const worker of [a, b]) await worker.send(await worker.take(), right)
    await f.pass(1)
    t.match(await f.work.jobs.show(dear.id), { state: 'ceiling', costMinor: 2, valid: 1 })
    t.equal(await a.tryTake(), undefined)
    const stopped = await f.work.jobs.submit(submission(module, ['x']))
    const unwanted = await a.take()
    t.equal((await f.work.jobs.cancel(stopped.id)).state, 'cancelled')
    await t.rejects(a.call(keepUnit, unwanted), { code: 'work.unit-gone' })
    await t.rejects(f.work.jobs.cancel(stopped.id), { code: 'work.job-ended' })
  })

  t.test(`W1 ${engine}: what cannot be computed is refused before it is kept`, async (t) => {
    const f = await fixture(open)
    t.teardown(() => f.close())
    await t.rejects(f.work.jobs.submit(submission(bytes('no module'), ['x'])), { code: 'work.module-refused' })
    await t.rejects(f.work.jobs.submit(submission(module, ['x'], { memoryMaxBytes: 1 })), { code: 'work.memory' })
    const many = submission(module, ['\n'.repeat(10_001)], { split: { lines: 1 } })
    await t.rejects(f.work.jobs.submit(many), { code: 'work.job-too-large' })
    const refused = { code: 'command.invalid' }
    await t.rejects(f.work.jobs.submit(submission(module, ['x'], { split: { lines: 1, bytes: 1 } })), refused)
    await t.rejects(f.work.jobs.submit(submission(module, ['x'], { name: ' ' })), refused)
    await t.rejects(f.work.jobs.submit(submission(module, ['x'], { customer: ' ' })), refused)
    const free = { module: 'm', input: ['x'], name: 'n', customer: 'c', 'price-ceiling': 0 }
    t.throws(() => submitJob.checkRequest(free), { code: 'message.invalid' }, 'a ceiling that lets nothing begin')
    t.same(await f.work.jobs.list(10), [])
    await t.rejects(f.work.jobs.show(new Uint8Array(16)), { code: 'work.job-unknown' })
  })

  t.test(`W7 ${engine}: devices that take and vanish get less and less`, async (t) => {
    const f = await fixture(open)
    t.teardown(() => f.close())
    await f.work.jobs.submit(
      submission(
        module,
        Array.from({ length: 40 }, (_, n) => `${n}`),
        { lifeMs: 1e9 },
      ),
    )
    const a = await f.device('anna')
    let taken = 0
    for (; taken < 20 && (await a.tryTake()); taken++) await f.pass(60_000)
    t.ok(taken < 10, `${taken} on one day`)
    await f.pass(86_400_000)
    t.ok(await a.tryTake(), 'and tries again the next day')
  })
}
