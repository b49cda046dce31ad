import { openBillReceipt } from '@azukari/device/pay/member'
import { httpCardCompany } from '@azukari/gateway/services/settlement/adapters/card-company'
import { addDays } from '@azukari/gateway/services/settlement/billing/calendar'
import { auditSite } from '@azukari/gateway/services/settlement/ledger/independent-audit'
import type { CardCompany } from '@azukari/gateway/services/settlement/payments/card-company'
import {
  choosePayment,
  objectTo,
  type PaymentWay,
  receiptSent,
  type Statement,
  statementSent,
} from '@azukari/protocol/contracts/settlement-billing'
import type { AccountFacts } from '@azukari/protocol/contracts/settlement-placement'
import { requestValue } from '@azukari/protocol/contracts/settlement-value'
import { coseKey } from '@azukari/protocol/keys'
import t, { type Test } from 'tap'
import { CompanyBooks } from '../../testkit/settlement/card-company-books.ts'
import { companyInside, type InsideOptions } from '../../testkit/settlement/card-company-inside.ts'
import { CrashMedium } from '../../testkit/settlement/crash-database.ts'
import { type FixtureMember, SettlementFixture } from '../../testkit/settlement/fixture.ts'
import { Partner } from '../../testkit/settlement/partners.ts'
import { until } from '../wait.ts'

const day = 86_400_000
const facts: AccountFacts = {
  level: 2,
  home: 'JP-13',
  sinceMs: Date.parse('2026-11-01T00:00:00Z'),
  objects: 1,
  bytes: 1,
  tamperings: 0,
  check: { objects: 1, checked: 1, bad: 0, atMs: 1 },
  kept: [],
  faults: [],
}
const placement = { account: async () => facts }

async function membered(cardCompany: CardCompany | undefined, medium?: CrashMedium) {
  const fixture = new SettlementFixture({
    placement,
    more: { billing: { firstPeriod: 'whole' } },
    ...(cardCompany ? { cardCompany } : {}),
    ...(medium ? { medium } : {}),
  })
  await fixture.start()
  const one = await fixture.enrol('general', {}, new Uint8Array(32).fill(5))
  return { fixture, one }
}

const choose = (fixture: SettlementFixture, one: FixtureMember, way: PaymentWay, token?: string) =>
  fixture.act(choosePayment, { choice: one.pay.payChoice(way, token) }, one.device)

/** Closes the period a month on. */
async function billed(fixture: SettlementFixture, one: FixtureMember): Promise<Statement> {
  fixture.clock.turn(31 * day)
  await fixture.settlement.billing.close()
  const [sent] = (await fixture.events(statementSent, one.device)).map(({ statement }) =>
    one.pay.openStatement(statement),
  )
  return sent!
}

const rowOf = async (fixture: SettlementFixture, number: string) =>
  (await fixture.database.get<{ state: string; tries: number; payment: string; hold: Uint8Array | null }>(
    'SELECT state, tries, payment, hold FROM statements WHERE number = ?',
    number,
  ))!
const chargesOf = async (fixture: SettlementFixture) =>
  (await fixture.database.all<{ state: string }>('SELECT state FROM card_charges ORDER BY statement, n')).map(
    ({ state }) => state,
  )

/** Turns the clock by minutes until it is so; the company answers in its own time. */
function reach(fixture: SettlementFixture, what: string, so: () => boolean | Promise<boolean>): Promise<unknown> {
  return until(what, async () => {
    await fixture.settlement.cardsIdle()
    if (await so()) return true
    fixture.clock.turn(60_000)
    return undefined
  })
}

/** To the morning of a civil date in Japan. */
const turnTo = (fixture: SettlementFixture, date: string) => fixture.clock.turnTo(`${date}T01:00:00Z`)

async function conserved(t: Test, fixture: SettlementFixture) {
  for (const { debitsMinor, creditsMinor } of await fixture.settlement.trialBalance())
    t.equal(debitsMinor, creditsMinor)
  t.strictSame((await auditSite(fixture.database, coseKey(fixture.settlement.publicKey))).findings, [])
}

/** A member who pays by a good card, at the company in its own process. */
async function payingByCard(t: Test) {
  const company = await Partner.start('card-company')
  t.teardown(() => company.stop())
  const { fixture, one } = await membered(httpCardCompany(company.url, 'key'))
  t.teardown(() => fixture.settlement.stop())
  await choose(fixture, one, 'card', 'tok-good')
  return { company, fixture, one }
}

/** What a member owes and what the company owes us, as the ledger has it. */
async function standing(fixture: SettlementFixture): Promise<{ owed: number; company: number }> {
  const rows = await fixture.database.all<{ code: string; net: number }>(
    'SELECT code, debits_posted - credits_posted AS net FROM ledger_accounts',
  )
  const of = (name: string) => rows.filter(({ code }) => code.startsWith(name)).reduce((sum, { net }) => sum + net, 0)
  return { owed: of('receivable/'), company: of('card-company/') }
}

t.test(
  'S14 a statement paid by credit card: authorised ahead, captured on its day, once, through every fault',
  async (t) => {
    for (const fault of ['lost', 'down', 'garbage'] as const) {
      const { company, fixture, one } = await payingByCard(t)
      const statement = await billed(fixture, one)
      t.match(statement, { payment: 'card', total: { minor: 1_100 } })
      t.equal(await fixture.settlement.billing.collectCards(), 0, 'not weeks ahead')
      turnTo(fixture, addDays(statement.debitOn, -5))
      await company.fault({ fault, answers: 2 })
      t.equal(await fixture.settlement.billing.collectCards(), 1)
      t.equal(await fixture.settlement.billing.collectCards(), 0, 'asked once')
      await reach(fixture, 'authorised', async () => (await chargesOf(fixture)).at(-1) === 'authorised')
      await fixture.restart()
      fixture.clock.turn(day)
      await fixture.settlement.cardsIdle()
      t.equal((await chargesOf(fixture)).at(-1), 'authorised', 'nothing is captured before its day')
      t.match(await company.books(), { captured: 0, open: 1 })
      await company.fault({ fault, answers: 2 })
      turnTo(fixture, statement.debitOn)
      await reach(fixture, 'paid', async () => (await rowOf(fixture, statement.statement)).state === 'paid')
      t.match(await company.books(), { captured: 1_100, authorisations: 1, open: 0 })
      const [event] = await fixture.events(receiptSent, one.device)
      t.ok(event!.receipt.length <= 1024, 'it fits a slot of the card')
      t.match(openBillReceipt(fixture.centre, event!.receipt), {
        statement: statement.statement,
        amountMinor: 1_100,
        payment: 'card',
      })
      t.strictSame(await standing(fixture), { owed: 0, company: 1_100 })
      t.equal((await fixture.settlement.documents('receipt')).length, 1)
      t.equal(await fixture.settlement.billing.debitFile(), undefined, 'the bank is not asked too')
      await conserved(t, fixture)
    }
  },
)

t.test(
  'S13 S14 an objection between authorisation and capture: given back, decided, and only then asked anew',
  async (t) => {
    const { company, fixture, one } = await payingByCard(t)
    const { statement, objectBy, debitOn } = await billed(fixture, one)
    const object = (text: string) =>
      fixture.act(objectTo, { objection: one.pay.objection(statement, 'fee', text) }, one.device)
    const decide = async () =>
      fixture.settlement.billing.objections.decide(
        (await fixture.settlement.billing.objections.open(1))[0]!.id,
        'clerk-1',
      )

    turnTo(fixture, objectBy)
    t.equal(await fixture.settlement.billing.collectCards(), 1)
    await reach(fixture, 'authorised', async () => (await chargesOf(fixture)).at(-1) === 'authorised')
    await company.fault({ fault: 'lost', answers: 1 })
    await object('too much')
    t.match(await rowOf(fixture, statement), { state: 'objected', hold: null })
    t.equal(await fixture.settlement.billing.collectCards(), 0, 'nothing is asked past an open objection')
    await reach(fixture, 'voided', async () => (await chargesOf(fixture)).at(-1) === 'voided')
    t.match(await company.books(), { captured: 0, authorisations: 1, open: 0 })
    t.match(await decide(), { upheld: false })

    // The answer to the authorisation is lost, and the objection comes before it is known.
    await company.fault({ fault: 'lost', answers: 1 })
    t.equal(await fixture.settlement.billing.collectCards(), 1)
    await fixture.settlement.cardsIdle()
    t.equal((await chargesOf(fixture)).at(-1), 'asked')
    await object('still too much')
    await reach(fixture, 'found out and voided', async () => (await chargesOf(fixture)).at(-1) === 'voided')
    t.match(await company.books(), { captured: 0, authorisations: 2, open: 0 })
    t.match(await decide(), { upheld: false })

    turnTo(fixture, debitOn)
    t.equal(await fixture.settlement.billing.collectCards(), 1)
    await company.fault({ fault: 'down', answers: 1_000 })
    await reach(fixture, 'told to capture or asked', async () =>
      ['asked', 'capturing'].includes((await chargesOf(fixture)).at(-1)!),
    )
    await company.fault({ fault: 'down', answers: 1 })
    await reach(fixture, 'paid', async () => (await rowOf(fixture, statement)).state === 'paid')
    await t.rejects(object('too late'), { code: 'bill.state' })
    t.match(await company.books(), { captured: 1_100, authorisations: 3, open: 0 })
    await conserved(t, fixture)
  },
)

t.test('S13 S14 once the company is told to capture an objection is too late, however late its answer', async (t) => {
  const books = new CompanyBooks()
  let silent = false
  const { fixture, one } = await membered(
    companyInside(books, { fate: (path) => (silent && path.endsWith('/capture') ? 'after' : undefined) }),
  )
  t.teardown(() => fixture.settlement.stop())
  await choose(fixture, one, 'card', 'tok-good')
  const { statement, debitOn } = await billed(fixture, one)
  turnTo(fixture, debitOn)
  silent = true
  await fixture.settlement.billing.collectCards()
  await reach(fixture, 'told to capture', async () => (await chargesOf(fixture)).at(-1) === 'capturing')
  const late = fixture.act(objectTo, { objection: one.pay.objection(statement, 'fee', 'now') }, one.device)
  await t.rejects(late, { code: 'bill.handed-over' })
  // The cardholder disputes it before we even know that it was captured.
  t.ok(books.reverse('a1'))
  fixture.clock.turn(11 * 60_000)
  await fixture.settlement.cardsIdle()
  t.strictSame(await chargesOf(fixture), ['reversed'])
  t.strictSame(await standing(fixture), { owed: 1_100, company: 0 })
  t.equal((await fixture.events(receiptSent, one.device)).length, 1, 'it was paid for a while')
  await conserved(t, fixture)
})

t.test('S14 declined: reminders, arrears, and another card pays what is open', async (t) => {
  const books = new CompanyBooks()
  const { fixture, one } = await membered(companyInside(books))
  t.teardown(() => fixture.settlement.stop())
  await choose(fixture, one, 'card', 'tok-empty')
  const { statement, debitOn } = await billed(fixture, one)
  turnTo(fixture, debitOn)
  for (let round = 1; round <= 3; round++) {
    t.equal(await fixture.settlement.billing.collectCards(), 1)
    await reach(fixture, 'declined', async () => (await rowOf(fixture, statement)).tries === round)
    t.equal((await fixture.settlement.documents('dunning')).length, round)
    fixture.clock.turn(20 * day)
  }
  t.equal((await rowOf(fixture, statement)).state, 'arrears')
  t.equal(await fixture.settlement.billing.collectCards(), 0, 'asked often enough')
  await choose(fixture, one, 'card', 'tok-good')
  t.match(await rowOf(fixture, statement), { state: 'returned', payment: 'card' })
  fixture.clock.turn(4 * day)
  t.equal(await fixture.settlement.billing.collectCards(), 1)
  await reach(fixture, 'paid', async () => (await rowOf(fixture, statement)).state === 'paid')
  t.match(books.totals(), { captured: 1_100, authorisations: 1, open: 0 })
  t.strictSame(await standing(fixture), { owed: 0, company: 1_100 })
  await conserved(t, fixture)
})

t.test(
  'S14 an authorisation that ran out is asked for anew; twice is a return; no answer for days is one too',
  async (t) => {
    const books = new CompanyBooks()
    let down = false
    const { fixture, one } = await membered(companyInside(books, { fate: () => (down ? 'after' : undefined) }))
    t.teardown(() => fixture.settlement.stop())
    await choose(fixture, one, 'card', 'tok-good')
    const { statement, debitOn, objectBy } = await billed(fixture, one)
    turnTo(fixture, objectBy)
    await fixture.settlement.billing.collectCards()
    await reach(fixture, 'authorised', async () => (await chargesOf(fixture)).at(-1) === 'authorised')
    books.lapse()
    turnTo(fixture, debitOn)
    await reach(fixture, 'lapsed', async () => (await chargesOf(fixture)).at(-1) === 'lapsed')
    t.match(await rowOf(fixture, statement), { state: 'returned', tries: 0 }, 'nobody is reminded of it')
    t.equal(await fixture.settlement.billing.collectCards(), 1)
    await reach(fixture, 'paid', async () => (await rowOf(fixture, statement)).state === 'paid')
    t.match(books.totals(), { captured: 1_100, open: 0 })

    const next = await billed(fixture, one)
    turnTo(fixture, next.debitOn)
    down = true
    await fixture.settlement.billing.collectCards()
    await fixture.settlement.cardsIdle()
    fixture.clock.turn(4 * day)
    await reach(fixture, 'given up', async () => (await rowOf(fixture, next.statement)).state === 'returned')
    t.match(await rowOf(fixture, next.statement), { tries: 1, hold: null })
    t.equal((await chargesOf(fixture)).at(-1), 'voiding', 'whether there is an authorisation is not known yet')
    down = false
    await reach(fixture, 'voided', async () => (await chargesOf(fixture)).at(-1) === 'voided')
    t.match(books.totals(), { captured: 1_100, open: 0 })
    await conserved(t, fixture)
  },
)

t.test(
  'S14 P5 what the company took back: the statement is open again with a reminder, value is taken back',
  async (t) => {
    const { company, fixture, one } = await payingByCard(t)
    const { statement, debitOn } = await billed(fixture, one)
    turnTo(fixture, debitOn)
    await fixture.settlement.billing.collectCards()
    await reach(fixture, 'paid', async () => (await rowOf(fixture, statement)).state === 'paid')
    await company.event('reverse-last')
    await reach(fixture, 'open again', async () => (await rowOf(fixture, statement)).state === 'returned')
    t.strictSame(await standing(fixture), { owed: 1_100, company: 0 })
    t.equal((await fixture.settlement.documents('dunning')).length, 1)
    fixture.clock.turn(20 * day)
    t.equal(await fixture.settlement.billing.collectCards(), 0, 'that card is not asked again')
    t.match(await rowOf(fixture, statement), { state: 'returned', tries: 2 }, 'and the member is reminded to name one')
    await choose(fixture, one, 'card', 'tok-good-2')
    fixture.clock.turn(20 * day)
    t.equal(await fixture.settlement.billing.collectCards(), 1)
    await reach(fixture, 'paid again', async () => (await rowOf(fixture, statement)).state === 'paid')
    t.equal((await fixture.settlement.documents('receipt')).length, 2, 'each payment has its receipt')
    t.strictSame(await standing(fixture), { owed: 0, company: 1_100 })

    await fixture.act(
      requestValue,
      { request: one.pay.topUp('credit', { minor: 2_000, currency: 'JPY' }, 'tok-good') },
      one.device,
    )
    const stateOf = async () => (await fixture.database.get<{ state: string }>('SELECT state FROM top_ups'))!.state
    await reach(fixture, 'issued', async () => (await stateOf()) === 'issued')
    await company.event('reverse-last')
    await company.event('reverse-unknown')
    await reach(
      fixture,
      'all heard',
      async () => (await fixture.database.all('SELECT 1 FROM card_reversals')).length === 3,
    )
    t.equal(await stateOf(), 'reversed')
    t.strictSame(await standing(fixture), { owed: 0, company: 1_100 - 1_234 })
    const unexplained = await fixture.database.get<{ net: number }>(
      "SELECT debits_posted - credits_posted AS net FROM ledger_accounts WHERE code = 'unexplained/JPY'",
    )
    t.equal(unexplained?.net, 1_234, 'what nobody knows is a claim of ours')
    await fixture.restart()
    fixture.clock.turn(30 * 60_000)
    await fixture.settlement.cardsIdle()
    t.equal((await fixture.database.all('SELECT 1 FROM card_reversals')).length, 3, 'each is taken once')
    await conserved(t, fixture)
  },
)

t.test('S14 ways that are not there are refused', async (t) => {
  const { fixture, one } = await membered(undefined)
  await t.rejects(choose(fixture, one, 'card', 'tok-good'), { code: 'bill.way' })
  const poor = await fixture.enrol('general', { account: undefined as never })
  await t.rejects(choose(fixture, poor, 'debit'), { code: 'bill.way' })
  await t.rejects(choose(fixture, one, 'value', 'tok-good'), { code: 'message.invalid' })
  await t.rejects(() => fixture.settlement.billing.payBy(one.number, 'card'), { code: 'bill.way' })
  await t.rejects(() => fixture.settlement.billing.payBy('10000000000001', 'value'), {
    code: 'register.unknown-number',
  })
  await choose(fixture, one, 'value')
  t.match(await billed(fixture, one), { payment: 'value' })

  const other = await membered(companyInside(new CompanyBooks()))
  t.teardown(() => other.fixture.settlement.stop())
  await t.rejects(choose(other.fixture, other.one, 'card'), { code: 'bill.way' }, 'no card is known')
  await choose(other.fixture, other.one, 'card', 'tok-good')
  await choose(other.fixture, other.one, 'debit')
  await choose(other.fixture, other.one, 'card')
})

t.test(
  'S13 S14 death before and after every commit, answers lost at every question: paid once or not at all',
  async (t) => {
    for (const objects of [false, true])
      for (let at = 1; at <= 14; at++)
        for (const side of ['before', 'after'] as const) {
          const medium = new CrashMedium()
          const books = new CompanyBooks()
          let asked = 0
          const lost: InsideOptions['fate'] = () => (++asked % 4 === at % 4 ? side : undefined)
          const { fixture, one } = await membered(companyInside(books, { fate: lost }), medium)
          await choose(fixture, one, 'card', 'tok-good')
          const { statement, objectBy, debitOn } = await billed(fixture, one)
          turnTo(fixture, objectBy)
          medium.plan = { at: medium.commits + at, side }
          const insist = async (work: () => unknown) => {
            for (let tries = 0; ; tries++)
              try {
                await fixture.revive()
                return await work()
              } catch (error) {
                if (tries > 20) throw error
              }
          }
          const lives = async (what: string, so: () => boolean | Promise<boolean>) => {
            for (let turns = 0; turns < 200; turns++) {
              await insist(() => fixture.settlement.cardsIdle())
              if (await insist(so)) return
              fixture.clock.turn(60_000)
              await new Promise(setImmediate)
            }
            t.fail(`${what}, dying ${side} commit ${at}`)
          }
          await insist(() => fixture.settlement.billing.collectCards())
          if (objects) {
            await fixture.insist(objectTo, { objection: one.pay.objection(statement, 'fee', 'x') }, one.device, () =>
              fixture.revive(),
            )
            await lives('voided', async () => (await chargesOf(fixture)).at(-1) === 'voided')
          } else await lives('authorised', async () => (await chargesOf(fixture)).at(-1) === 'authorised')
          turnTo(fixture, debitOn)
          if (objects) {
            fixture.clock.turn(day)
            await insist(() => fixture.settlement.billing.collectCards())
            await lives('nothing more', () => true)
          } else await lives('paid', async () => (await rowOf(fixture, statement)).state === 'paid')
          medium.plan = undefined
          await fixture.revive()
          const expected = objects ? 0 : 1_100
          const { captured, open } = books.totals()
          t.strictSame({ captured, open }, { captured: expected, open: 0 }, `dying ${side} commit ${at}`)
          t.strictSame(await standing(fixture), { owed: 1_100 - expected, company: expected })
          t.equal((await fixture.settlement.documents('receipt')).length, objects ? 0 : 1)
          await conserved(t, fixture)
          await fixture.settlement.stop()
        }
  },
)
