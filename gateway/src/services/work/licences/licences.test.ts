import { decode } from '@azukari/protocol/codec'
import { enrolForApp, renewLicence } from '@azukari/protocol/contracts/work-licences'
import { verify1 } from '@azukari/protocol/cose'
import { coseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import { type Lease, leaseDomain } from '@azukari/protocol/licence'
import t from 'tap'
import { testEngines } from '../../../test-database.ts'
import { type Fixture, fixture, type TestWorker } from '../test-fixture.ts'

const app = 'film-look'
const user = { app, name: 'Anna', contact: 'anna@example.org' }
const vendor = '12345678901234'

async function offered(f: Fixture): Promise<TestWorker> {
  await f.work.licences.offer({ app, title: 'Film look', vendor, feeMinor: 50, by: 'admin' })
  return f.device('anna')
}

const renewed = (worker: TestWorker, key: string, of = worker) =>
  worker.call(renewLicence, { key, kid: thumbprint(publicOf(of.key)) })

for (const [engine, open] of Object.entries(testEngines())) {
  t.test(`W8 W9 ${engine}: a board enrols, and its lease is bound to its key and ends`, async (t) => {
    const f = await fixture(open, { licenceMs: 5_000 })
    t.teardown(() => f.close())
    const anna = await offered(f)
    const { title, key } = await anna.call(enrolForApp, user)
    t.equal(title, 'Film look')
    const { lease } = await renewed(anna, key)
    const said = decode(verify1(lease, () => f.signingKey, leaseDomain).payload) as Lease
    t.match(said, { app, device: anna.id, key: coseKey(publicOf(anna.key)) })
    t.equal(said.expiresMs - said.issuedMs, 5_000)
    t.match(await f.work.licences.list(), [
      { app, device: anna.id, name: 'Anna', isRevoked: false, untilMs: said.expiresMs },
    ])
  })

  t.test(`W8 ${engine}: without registration for work, or an app, there is no licence`, async (t) => {
    const f = await fixture(open)
    t.teardown(() => f.close())
    const anna = await offered(f)
    await t.rejects(f.stranger().call(enrolForApp, user), { code: 'work.unregistered' })
    await t.rejects(anna.call(enrolForApp, { ...user, app: 'nothing' }), { code: 'licence.app-unknown' })
    await t.rejects(renewed(anna, 'a'.repeat(16)), { code: 'licence.unknown' })
    const again = { app, title: 'x', vendor, feeMinor: 1, by: 'admin' }
    await t.rejects(f.work.licences.offer(again), { code: 'licence.app-known' })
    await t.rejects(f.work.licences.offer({ ...again, app: 'b', vendor: undefined }), { code: 'command.invalid' })
  })

  t.test(
    `W9 ${engine}: a licence key on another device is refused, and a revoked licence is not renewed`,
    async (t) => {
      const f = await fixture(open)
      t.teardown(() => f.close())
      const anna = await offered(f)
      const ben = await f.device('ben')
      const { key } = await anna.call(enrolForApp, user)
      await t.rejects(renewed(ben, key), { code: 'licence.other-device' })
      await t.rejects(renewed(anna, key, ben), { code: 'work.unregistered' }, 'bound to another device’s key')
      const { key: newer } = await anna.call(enrolForApp, user)
      await t.rejects(renewed(anna, key), { code: 'licence.unknown' }, 'the new key takes the place of the old one')
      t.ok(await renewed(anna, newer))
      await t.rejects(f.work.licences.revoke(app, ben.id), { code: 'licence.unknown' })
      t.match(await f.work.licences.revoke(app, anna.id), { isRevoked: true })
      await t.rejects(renewed(anna, newer), { code: 'licence.revoked' })
      await t.rejects(anna.call(enrolForApp, user), { code: 'licence.revoked' })
    },
  )

  t.test(`W10 ${engine}: the vendor is paid once for each licence that was supplied`, async (t) => {
    const f = await fixture(open)
    t.teardown(() => f.close())
    const anna = await offered(f)
    await (await f.device('ben')).call(enrolForApp, user)
    const { key } = await anna.call(enrolForApp, user)
    await f.pass(1)
    t.same(f.posted, [], 'who only registered is not billed')
    await renewed(anna, key)
    await renewed(anna, key)
    await f.pass(1)
    t.match(f.posted, [
      {
        reason: 'licence',
        moves: [{ from: { own: 'income' }, to: { member: vendor, account: 'payable' }, minor: 50 }],
      },
    ])
    t.equal(f.posted.length, 1)
    t.match(await f.work.licences.apps(), [{ app, feeMinor: 50, enrolled: 2, supplied: 1 }])
  })
}
