/** What was billed stays what it was: level, bytes and tariff are facts of their period (S13). */
import { standardTariff } from '@azukari/gateway/services/settlement/billing/price'
import type { PlacementKeeping } from '@azukari/gateway/services/settlement/members/register-sync'
import {
  type ObjectionAbout,
  objectTo,
  type Statement,
  statementSent,
} from '@azukari/protocol/contracts/settlement-billing'
import type { AccountFacts } from '@azukari/protocol/contracts/settlement-placement'
import t, { type Test } from 'tap'
import { SettlementFixture } from '../../testkit/settlement/fixture.ts'

const day = 86_400_000
const gib = 1024 ** 3
const card = new Uint8Array(32).fill(5)
const asBilled: AccountFacts = {
  level: 2,
  home: 'JP-13',
  sinceMs: Date.parse('2026-11-01T00:00:00Z'),
  objects: 3,
  bytes: 1_000_000,
  tamperings: 0,
  check: { objects: 3, checked: 3, bad: 0, atMs: 1 },
  kept: [],
  faults: [],
}

/** One member with a card, and what placement says of it, which may change. */
async function member(keeping?: PlacementKeeping) {
  const answers = { facts: asBilled }
  const billing = { firstPeriod: 'whole' as const, tariff: standardTariff }
  const fixture = await new SettlementFixture({
    placement: { account: async () => ({ ...answers.facts }) },
    more: keeping ? { billing, keeping } : { billing },
  }).start()
  const one = await fixture.enrol('general', {}, card)
  const statements = async (): Promise<Statement[]> =>
    (await fixture.events(statementSent, one.device)).map(({ statement }) => one.pay.openStatement(statement))
  const object = async (number: string, about: ObjectionAbout) => {
    await fixture.act(objectTo, { objection: one.pay.objection(number, about, 'x') }, one.device)
    return (await fixture.settlement.billing.objections.open(1))[0]!.id
  }
  return { fixture, answers, billing, statements, object }
}

async function conserved(t: Test, fixture: SettlementFixture) {
  t.strictSame((await fixture.settlement.audit()).findings, [])
}

t.test(
  'S13 an objection never re-prices the past: a later upgrade, more data and another tariff change nothing',
  async (t) => {
    const { fixture, answers, billing, statements, object } = await member()
    fixture.clock.turn(31 * day)
    await fixture.settlement.billing.close()
    const [first] = await statements()
    t.equal(first!.total.minor, 1_100)
    answers.facts = { ...asBilled, level: 4, bytes: 2_500 * gib, sinceMs: 0 }
    billing.tariff = { ...standardTariff, baseMinor: [100, 100, 100, 100, 100], perTamperingPermille: 500 }
    await fixture.restart()
    const { objections } = fixture.settlement.billing
    for (const about of ['other', 'fee', 'profile', 'data'] as const) {
      const decided = await objections.decide(await object(first!.statement, about), 'clerk-1')
      t.strictSame(decided, { upheld: false, findings: ['base: 1000 (level 2), as before'] }, about)
    }
    answers.facts = { ...answers.facts, tamperings: 1 }
    const decided = await objections.decide(await object(first!.statement, 'other'), 'clerk-1')
    t.equal(decided.upheld, false, 'an objection about something else leaves the amount alone')
    const right = await objections.decide(await object(first!.statement, 'data'), 'clerk-1')
    t.match(right, { upheld: true, findings: ['tampering: nothing → -200 (1 found: 20 %)'] })
    const [again] = await statements()
    t.match(again, {
      replaces: first!.statement,
      total: { minor: 880 },
      lines: [{ how: 'level 2' }, { what: 'tampering' }],
    })
    answers.facts = { ...answers.facts, tamperings: 0 }
    const gone = await objections.decide(await object(again!.statement, 'data'), 'clerk-1')
    t.equal(gone.upheld, false, 'an objection never raises a bill')
    await conserved(t, fixture)
  },
)

t.test(
  'S13 a clerk finds that the level was lower: billed anew by it; a level that lowers nothing is refused',
  async (t) => {
    const { fixture, answers, statements, object } = await member()
    fixture.clock.turn(31 * day)
    await fixture.settlement.billing.close()
    const [first] = await statements()
    const { objections } = fixture.settlement.billing
    const id = await object(first!.statement, 'profile')
    answers.facts = { ...asBilled, bytes: 900 * gib }
    for (const level of [2, 3])
      await t.rejects(
        objections.decide(id, 'clerk-1', { level, reason: 'x' }),
        { code: 'config.invalid' },
        `level ${level}`,
      )
    const long = { level: 1, reason: 'x'.repeat(201) }
    await t.rejects(
      objections.decide(id, 'clerk-1', long),
      { code: 'config.invalid' },
      'a reason too long for the decision',
    )
    const decided = await objections.decide(id, 'clerk-1', { level: 1, reason: 'the contract says 1' })
    t.match(decided, { upheld: true, findings: ['the contract says 1', 'base: 1000 (level 2) → 500 (level 1)'] })
    const [again] = await statements()
    t.match(again, { total: { minor: 550 }, lines: [{ how: 'level 1' }] }, 'at the bytes of its time')
    await conserved(t, fixture)
  },
)

t.test('S13 months that were missed are billed at the levels of their time', async (t) => {
  const log = new Uint8Array(16).fill(1)
  const levels: number[] = [2]
  const keeping: PlacementKeeping = {
    changes: async ({ after }) => ({
      log,
      last: levels.length,
      members: levels.slice(after).map((level) => ({ card, level, home: 'JP-13', plan: '' })),
    }),
  }
  const { fixture, answers, statements } = await member(keeping)
  t.teardown(() => fixture.settlement.stop())
  const heard = async () => {
    fixture.settlement.wake()
    await fixture.settlement.inStepIdle()
  }
  await heard()
  fixture.clock.turn(31 * day)
  levels.push(3)
  await heard()
  fixture.clock.turn(31 * day)
  levels.push(1)
  await heard()
  answers.facts = { ...asBilled, level: 1 }
  await fixture.settlement.billing.close()
  const issued = await statements()
  t.strictSame(
    issued.map(({ lines }) => lines[0]!.how),
    ['level 2', 'level 3'],
  )
  await conserved(t, fixture)
})
