import { httpCardCompany } from '@azukari/gateway/services/settlement/adapters/card-company'
import { requestValue, valueIssued } from '@azukari/protocol/contracts/settlement-value'
import t from 'tap'
import { SettlementFixture } from '../../testkit/settlement/fixture.ts'
import { Partner } from '../../testkit/settlement/partners.ts'
import { until } from '../wait.ts'

const yen = (minor: number) => ({ minor, currency: 'JPY' as const })

t.test('P5 value by credit card: authorised, captured, issued once, through every fault of the company', async (t) => {
  const company = await Partner.start('card-company')
  t.teardown(() => company.stop())
  const fixture = await new SettlementFixture({ cardCompany: httpCardCompany(company.url, 'key') }).start()
  t.teardown(() => fixture.settlement.stop())
  const one = await fixture.enrol()
  const stateOf = async (payment: string) =>
    (await fixture.database.get<{ state: string }>('SELECT state FROM top_ups WHERE payment = ?', payment))!.state
  const buy = async (minor: number, token: string) =>
    (await fixture.act(requestValue, { request: one.pay.topUp('credit', yen(minor), token) }, one.device)).payment
  const settled = (payment: string, state: string) =>
    until(`${payment} ${state}`, async () => {
      fixture.clock.turn(60_000)
      return (await stateOf(payment)) === state
    })

  await settled(await buy(1_000, 'tok-good'), 'issued')
  await settled(await buy(1_000, 'tok-bad'), 'declined')
  for (const fault of ['lost', 'down', 'garbage'] as const)
    for (const answers of [1, 2, 3]) {
      await company.fault({ fault, answers })
      await settled(await buy(1_000, 'tok-good'), 'issued')
    }
  t.match(
    await company.books(),
    { captured: 10_000, authorisations: 10, open: 0 },
    'the company took as much as was issued',
  )

  await company.fault({ fault: 'lost', answers: 1_000 })
  const late = await buy(1_000, 'tok-good')
  await until(
    'a try',
    async () =>
      ((await fixture.database.get<{ tries: number }>('SELECT max(tries) AS tries FROM top_ups'))?.tries ?? 0) > 0,
  )
  fixture.clock.turn(15 * 86_400_000)
  await settled(late, 'expired')
  t.equal((await company.books()).open, 1, 'the company holds it, and nobody here knows of it')
  await company.fault({ fault: 'lost', answers: 0 })
  await until('what was held to be given back', async () => {
    fixture.clock.turn(600_000)
    return (await company.books()).open === 0
  })
  const issues = (await fixture.events(valueIssued, one.device)).map(({ issue }) => one.pay.openIssue(issue))
  t.equal(issues.filter(({ state }) => state === 'issued').at(-1)!.balance.minor, 10_000)
  t.strictSame((await fixture.settlement.audit()).findings, [])
  t.throws(() => one.pay.topUp('credit', yen(5), ''), { code: 'message.invalid' })
  await t.rejects(fixture.act(requestValue, { request: one.pay.topUp('credit', yen(5)) }, one.device), {
    code: 'message.invalid',
  })
})
