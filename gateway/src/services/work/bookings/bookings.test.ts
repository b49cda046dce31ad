import { systemRandom } from '@azukari/protocol/adapters/random'
import { hex } from '@azukari/protocol/bytes'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { readWorkAccount, redeemPoints, redemptionDomain, type WorkRedemption } from '@azukari/protocol/contracts/work'
import { sign1, signerOf } from '@azukari/protocol/cose'
import { Problem } from '@azukari/protocol/problem'
import { assembled, unitText } from '@azukari/protocol/work/test-modules'
import t from 'tap'
import { testEngines } from '../../../test-database.ts'
import { type Fixture, fixture, submission, type TestWorker } from '../test-fixture.ts'
import { againMs, stateAfter } from './worker.ts'

const module = await assembled(unitText('(func (export "run"))'))
const member = '12345678901234'
const answer = { output: new TextEncoder().encode('right'), fuelUsed: 1_000_000 }
/** 10⁶ of fuel is 10 points and costs 20. */
const prices = { pointsPerGigafuel: 10_000, minorPerPoint: 2, priceMinorPerGigafuel: 20_000 }

/** Two owners compute a job of one unit: each earns ten points. */
async function earned(f: Fixture, more = {}): Promise<{ id: Uint8Array; anna: TestWorker; ben: TestWorker }> {
  const { id } = await f.work.jobs.submit(submission(module, ['x'], more))
  const [anna, ben] = [await f.device('anna'), await f.device('ben')]
  for (const worker of [anna, ben]) await worker.send(await worker.take(), answer)
  await f.pass(1)
  return { id, anna, ben }
}

function redemption(
  f: Fixture,
  worker: Pick<TestWorker, 'id' | 'key'>,
  points: number,
  more: Partial<WorkRedemption> = {},
) {
  const body: WorkRedemption = {
    contract: redeemPoints.id,
    audience: f.audience,
    act: systemRandom.bytes(16),
    issuedMs: 1,
    device: worker.id,
    points,
    ...more,
  }
  return { redemption: sign1(encodeDeterministic(body), signerOf(worker.key), redemptionDomain) }
}

for (const [engine, open] of Object.entries(testEngines())) {
  t.test(`W11 ${engine}: points become the member’s stored value once, however often it is asked`, async (t) => {
    const f = await fixture(open, prices)
    t.teardown(() => f.close())
    const { anna } = await earned(f)
    const asked = redemption(f, anna, 4)
    await t.rejects(anna.act(redeemPoints, asked), { code: 'work.no-member' })
    await f.work.setOwnerMember('anna', member)
    f.refusals.push(new Problem('link.timeout'))
    const reply = { points: 4, minor: 8, currency: 'JPY', leftMicroPoints: 6_000_000 }
    t.same(await anna.act(redeemPoints, asked), reply)
    t.same(await anna.act(redeemPoints, asked), reply, 'the same signed word in another act is the same redemption')
    await f.pass(1)
    t.match(await anna.call(readWorkAccount, {}), { redemptions: [{ state: 'due', problem: 'link.timeout' }] })
    await f.pass(againMs)
    await f.pass(againMs)
    t.match(f.posted, [
      {
        reason: 'redemption',
        moves: [{ from: { own: 'income' }, to: { member, account: 'value' }, minor: 8, currency: 'JPY' }],
      },
    ])
    t.equal(f.posted.length, 1)
    t.match(await anna.call(readWorkAccount, {}), {
      ownerMicroPoints: 10_000_000,
      leftMicroPoints: 6_000_000,
      redemptions: [{ points: 4, minor: 8, state: 'booked' }],
    })
    await t.rejects(anna.act(redeemPoints, redemption(f, anna, 7)), { code: 'work.points-short' })
    t.match(await anna.act(redeemPoints, redemption(f, anna, 6)), { leftMicroPoints: 0 })
  })

  t.test(`W11 ${engine}: what settlement will never book is refused, and the points are back`, async (t) => {
    const f = await fixture(open, prices)
    t.teardown(() => f.close())
    await earned(f)
    await f.work.setOwnerMember('anna', member)
    f.refusals.push(new Problem('register.unknown-number'))
    t.match(await f.work.redeem('anna', 10), { leftMicroPoints: 0 })
    await f.pass(1)
    await f.pass(againMs)
    t.match(await f.work.owners(), [
      { owner: 'anna', leftMicroPoints: 10_000_000, redemptions: [{ state: 'refused' }] },
      { owner: 'ben', leftMicroPoints: 10_000_000 },
    ])
    t.same(f.posted, [], 'it is not tried again')
    await t.rejects(f.work.redeem('cleo', 1), { code: 'work.owner-unknown' })
  })

  t.test(`W11 ${engine}: nobody redeems another owner’s points`, async (t) => {
    const f = await fixture(open, prices)
    t.teardown(() => f.close())
    const { anna, ben } = await earned(f)
    await f.work.setOwnerMember('anna', member)
    const refused = { code: 'cose.wrong-audience' }
    await t.rejects(ben.act(redeemPoints, redemption(f, anna, 1)), refused, 'carried by another board')
    await t.rejects(ben.act(redeemPoints, redemption(f, ben, 1, { device: anna.id })), refused)
    const forAnother = redemption(f, anna, 1, { audience: new Uint8Array(32) })
    await t.rejects(anna.act(redeemPoints, forAnother), refused)
    const underBen = redemption(f, { id: anna.id, key: ben.key }, 1)
    await t.rejects(anna.act(redeemPoints, underBen), { code: 'work.unregistered' }, 'another board’s key')
    t.match(await f.work.owners(), [{ leftMicroPoints: 10_000_000 }, {}])
  })

  t.test(`W5 ${engine}: an ended job’s invoice is booked once, from the customer’s stored value`, async (t) => {
    const f = await fixture(open, prices)
    t.teardown(() => f.close())
    f.refusals.push(new Problem('ledger.insufficient'))
    const { id } = await earned(f, { member, ceilingMinor: 1_000 })
    t.match(await f.work.jobs.invoice(id), { invoice: { member, dueMinor: 40 }, booking: { state: 'due' } })
    t.same(f.posted, [])
    await f.pass(againMs)
    await f.pass(againMs)
    t.match(f.posted, [
      {
        id,
        reason: 'invoice',
        reference: hex(id),
        moves: [{ from: { member, account: 'value' }, to: { own: 'income' }, minor: 40, currency: 'JPY' }],
      },
    ])
    t.equal(f.posted.length, 1)
    t.match(await f.work.jobs.invoice(id), { booking: { state: 'booked', problem: null } })
    const { id: unnamed } = await earned(f)
    await f.pass(againMs)
    t.equal((await f.work.jobs.invoice(unnamed)).booking, undefined, 'a customer without a number is not booked')
    t.equal(f.posted.length, 1)
  })
}

t.test('W5 W11: an invoice waits whatever settlement says; a redemption only for what passes', async (t) => {
  t.equal(stateAfter({ kind: 'invoice' }, 'register.unknown-number'), 'due')
  t.equal(stateAfter({ kind: 'redemption' }, 'register.unknown-number'), 'refused')
  t.equal(stateAfter({ kind: 'redemption' }, 'service.unavailable'), 'due')
  t.equal(stateAfter({ kind: 'redemption' }, undefined), 'booked')
})
