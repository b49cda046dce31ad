import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { openBillReceipt } from '@azukari/device/pay/member'
import {
  addBankDays,
  addDays,
  addMonths,
  isBankDay,
  isHoliday,
  nextBankDay,
} from '@azukari/gateway/services/settlement/billing/calendar'
import { type FirstPeriod, partOf, priceOf, standardTariff } from '@azukari/gateway/services/settlement/billing/price'
import { taxUpon, taxWithin } from '@azukari/gateway/services/settlement/billing/tax'
import type { SettlementOptions } from '@azukari/gateway/services/settlement/service'
import { downloadOffered } from '@azukari/protocol/contracts/download'
import {
  objectionDecided,
  objectTo,
  receiptSent,
  type Statement,
  statementSent,
} from '@azukari/protocol/contracts/settlement-billing'
import type { AccountFacts } from '@azukari/protocol/contracts/settlement-placement'
import { requestValue } from '@azukari/protocol/contracts/settlement-value'
import { factsOfOffer, openedBlock } from '@azukari/protocol/download'
import { checkBlock } from '@azukari/protocol/incoming'
import { share } from '@azukari/protocol/money'
import { isProblem, Problem, type ProblemCode } from '@azukari/protocol/problem'
import fc from '@azukari/protocol/test-properties'
import t, { type Test } from 'tap'
import { debitAnswerFile } from '../../testkit/settlement/bank-side.ts'
import { type FixtureMember, SettlementFixture } from '../../testkit/settlement/fixture.ts'

const yen = (minor: number) => ({ minor, currency: 'JPY' as const })
const day = 86_400_000
const refused = async (t: Test, code: ProblemCode, work: Promise<unknown>, what: string) => {
  try {
    await work
    t.fail(`${what}: ${code} was expected`)
  } catch (error) {
    t.ok(isProblem(error, code), `${what}: ${code}, not ${error}`)
  }
}

/** A bench with one member whose card placement knows, closed by its own day. */
async function billed(
  more: {
    facts?: Partial<AccountFacts>
    firstPeriod?: FirstPeriod
    at?: string
    options?: Partial<SettlementOptions>
  } = {},
) {
  const facts: AccountFacts = {
    level: 2,
    home: 'JP-13',
    sinceMs: Date.parse('2023-11-01T00:00:00Z'),
    objects: 3,
    bytes: 1_000_000,
    tamperings: 0,
    check: { objects: 3, checked: 3, bad: 0, atMs: 1 },
    kept: [],
    faults: [],
    ...more.facts,
  }
  const answers = { down: false, facts, asked: [] as (number | undefined)[] }
  const placement = {
    account: async ({ checkedSinceMs }: { checkedSinceMs?: number }) => {
      answers.asked.push(checkedSinceMs)
      if (answers.down) throw new Problem('placement.unavailable')
      return { ...answers.facts }
    },
  }
  const billing = { firstPeriod: more.firstPeriod ?? 'whole', ...more.options?.billing }
  const fixture = await new SettlementFixture({
    placement,
    more: { ...more.options, billing },
    ...(more.at ? { at: more.at } : {}),
  }).start()
  const one = await fixture.enrol('general', {}, new Uint8Array(32).fill(5))
  return { fixture, one, answers }
}

async function close(fixture: SettlementFixture, one: FixtureMember): Promise<Statement[]> {
  await fixture.settlement.billing.close()
  return (await fixture.events(statementSent, one.device)).map(({ statement }) => one.pay.openStatement(statement))
}

async function conserved(t: Test, fixture: SettlementFixture) {
  for (const { debitsMinor, creditsMinor } of await fixture.settlement.trialBalance())
    t.equal(debitsMinor, creditsMinor)
  t.strictSame((await fixture.settlement.audit()).findings, [])
}

t.test('S13 days on which Japanese banks work, holidays that move, meet and are made good', (t) => {
  for (const holiday of [
    '2026-01-01',
    '2026-01-12',
    '2026-03-20',
    '2026-05-06',
    '2026-09-21',
    '2026-09-22',
    '2026-09-23',
    '2026-11-23',
    '2027-03-22',
    '2028-02-11',
  ])
    t.ok(isHoliday(holiday), holiday)
  for (const other of ['2026-01-02', '2026-05-07', '2026-09-24', '2026-12-23', '2027-03-20'])
    t.notOk(isHoliday(other), other)
  for (const closed of [
    '2026-12-31',
    '2027-01-01',
    '2027-01-02',
    '2027-01-03',
    '2026-11-21',
    '2026-11-22',
    '2026-11-23',
  ])
    t.notOk(isBankDay(closed), closed)
  t.equal(nextBankDay('2026-12-31'), '2027-01-04')
  t.equal(addBankDays('2026-11-20', 1), '2026-11-24')
  t.equal(addMonths('2026-01-31', 1), '2026-02-28')
  t.equal(addMonths('2026-12-15', 1), '2027-01-15')
  t.end()
})

t.test('S13 the price: level, years, usage and tampering; tax once per rate; shares sum to the whole', (t) => {
  const facts = { level: 2, years: 0, bytes: 0, tamperings: 0 }
  t.equal(priceOf(facts, standardTariff).total, 1_100)
  t.equal(priceOf({ ...facts, years: 3 }, standardTariff).total, 1_067)
  t.equal(priceOf({ ...facts, years: 40 }, standardTariff).total, 990, 'the reduction has a limit')
  t.equal(priceOf({ ...facts, bytes: 100 * 1024 ** 3 + 1 }, standardTariff).total, 1_122)
  t.equal(priceOf({ ...facts, tamperings: 2 }, standardTariff).total, 660)
  const free = priceOf({ ...facts, years: 40, tamperings: 9 }, standardTariff)
  t.equal(free.total, 0, 'never below nothing')
  t.strictSame(
    taxUpon([
      { net: 105n, rate: 10 },
      { net: 104n, rate: 10 },
      { net: 99n, rate: 8 },
    ]),
    [
      { rate: 10, net: 209n, tax: 20n },
      { rate: 8, net: 99n, tax: 7n },
    ],
  )
  t.equal(taxUpon([{ net: 105n, rate: 10 }], 'half-up')[0]!.tax, 11n)
  t.equal(taxUpon([{ net: 101n, rate: 10 }], 'up')[0]!.tax, 11n)
  t.equal(taxWithin([{ gross: 1080n, rate: 8 }])[0]!.tax, 80n)
  fc.assert(
    fc.property(
      fc.bigInt(0n, 10n ** 12n),
      fc.array(fc.bigInt(0n, 1000n), { minLength: 1, maxLength: 12 }),
      (total, weights) => {
        fc.pre(weights.some((weight) => weight > 0n))
        const shares = share(total, weights)
        if (shares.reduce((a, b) => a + b, 0n) !== total || shares.some((one) => one < 0n)) throw new Error('shares')
      },
    ),
  )
  t.end()
})

t.test('S13 close → statement → debit → receipt: exactly once, each document there', async (t) => {
  const { fixture, one } = await billed()
  t.strictSame(await close(fixture, one), [], 'nothing before the closing day')
  fixture.clock.turn(31 * day)
  const [first, ...others] = await close(fixture, one)
  t.strictSame(others, [])
  t.match(first, { total: { minor: 1_067 }, taxes: [{ rate: 10, net: 970, tax: 97 }], check: { objects: 3, bad: 0 } })
  const [told] = await fixture.events(downloadOffered, one.device)
  const blocks = await fixture.settlement.downloads!.read(one.device, told!.offer.transfer, 0, 32)
  t.equal(blocks.length, told!.offer.blocks)
  const facts = factsOfOffer(told!.offer)
  const sealed = blocks.map((block, i) => checkBlock(facts, i, openedBlock(told!.offer, i, block))!.bytes)
  const [page] = (await fixture.settlement.documents('statement')).slice(-1)
  const opened = Buffer.from(one.pay.openPage(new Uint8Array(Buffer.concat(sealed))))
  t.ok(opened.equals((await fixture.settlement.document(page!.id))!.content), 'the page reaches the member’s device')
  t.notOk(Buffer.concat(sealed).includes('%PDF'), 'and is for the member alone')
  t.strictSame(await close(fixture, one), [], 'closed once')
  t.equal(await fixture.settlement.billing.debitFile(), undefined, 'nothing is collected before the deadline')
  t.equal(first!.debitOn, addBankDays(addDays(first!.objectBy, 1), 3), 'the debit is bank days after the deadline')
  await fixture.database.run('UPDATE statements SET debit_on = from_date')
  t.equal(await fixture.settlement.billing.debitFile(), undefined, 'whatever day the debit has')
  await fixture.database.run('UPDATE statements SET debit_on = ?', first!.debitOn)
  await fixture.restart()
  fixture.clock.turn(14 * day)
  const file = (await fixture.settlement.billing.debitFile())!
  t.equal(file.debits, 1)
  t.equal(await fixture.settlement.billing.debitFile(), undefined, 'asked once')
  const bytes = (await fixture.settlement.document(file.document))!.content
  t.match(Buffer.from(bytes).toString('latin1'), new RegExp(`0000001067.${first!.statement}`))
  const answer = debitAnswerFile(bytes, () => '0')
  t.match(await fixture.settlement.bank.take(answer), { format: 'zengin-debits', booked: 1 })
  t.match(await fixture.settlement.bank.take(answer), { known: true })
  const [event] = await fixture.events(receiptSent, one.device)
  t.ok(event!.receipt.length <= 1024, 'it fits a slot of the card')
  t.match(openBillReceipt(fixture.centre, event!.receipt), {
    statement: first!.statement,
    amountMinor: 1_067,
    taxMinor: 97,
  })
  t.strictSame(
    (await fixture.settlement.documents()).map(({ kind }) => kind),
    ['letter', 'statement', 'debit-file', 'receipt'],
  )
  await conserved(t, fixture)
})

t.test('S13 an objection that is right: credit note and a new statement; nothing is debited meanwhile', async (t) => {
  const { fixture, one, answers } = await billed()
  fixture.clock.turn(31 * day)
  const [wrong] = await close(fixture, one)
  await fixture.act(
    objectTo,
    { objection: one.pay.objection(wrong!.statement, 'profile', 'my level is 1') },
    one.device,
  )
  await refused(
    t,
    'bill.objected',
    fixture.act(objectTo, { objection: one.pay.objection(wrong!.statement, 'fee', 'again') }, one.device),
    'twice',
  )
  fixture.clock.turn(30 * day)
  t.equal(await fixture.settlement.billing.debitFile(), undefined, 'no debit past an open objection')
  const [open] = await fixture.settlement.billing.objections.open(10)
  answers.down = true
  await refused(
    t,
    'placement.unavailable',
    fixture.settlement.billing.objections.decide(open!.id, 'clerk-1'),
    'nothing is decided without looking',
  )
  answers.down = false
  const found = { level: 1, reason: 'the contract of October says level 1' }
  const decided = await fixture.settlement.billing.objections.decide(open!.id, 'clerk-1', found)
  t.match(decided, { upheld: true, findings: [found.reason, /base: 1000 \(level 2\) → 500 \(level 1\)/, /years/] })
  await refused(t, 'object.unknown', fixture.settlement.billing.objections.decide(open!.id, 'clerk-2'), 'decided twice')
  const [decision] = (await fixture.events(objectionDecided, one.device)).map((event) =>
    one.pay.openDecision(event.decision),
  )
  t.match(decision, { upheld: true, credit: { minor: 1_067 }, reissued: decided.reissued })
  const [again] = (await fixture.events(statementSent, one.device)).map(({ statement }) =>
    one.pay.openStatement(statement),
  )
  t.match(again, { statement: decided.reissued, replaces: wrong!.statement, total: { minor: 533 } })
  await refused(
    t,
    'bill.state',
    fixture.act(objectTo, { objection: one.pay.objection(wrong!.statement, 'fee', 'late') }, one.device),
    'of a credited one',
  )
  fixture.clock.turn(14 * day)
  const file = (await fixture.settlement.billing.debitFile())!
  t.match(
    Buffer.from((await fixture.settlement.document(file.document))!.content).toString('latin1'),
    new RegExp(`0000000533.${decided.reissued}`),
  )
  t.ok((await fixture.settlement.documents('credit-note')).length === 1)
  await conserved(t, fixture)
})

t.test(
  'S13 an objection that is wrong: refused with the terms compared; deadlines, owners and stages are kept',
  async (t) => {
    const { fixture, one } = await billed()
    const other = await fixture.enrol()
    fixture.clock.turn(31 * day)
    const [statement] = await close(fixture, one)
    const number = statement!.statement
    await refused(
      t,
      'register.not-own',
      fixture.act(objectTo, { objection: other.pay.objection(number, 'fee', '') }, other.device),
      'of another member',
    )
    await refused(
      t,
      'bill.unknown',
      fixture.act(objectTo, { objection: one.pay.objection('80000000000099', 'fee', '') }, one.device),
      'of nothing',
    )
    await fixture.act(
      objectTo,
      { objection: one.pay.objection(number, 'data', 'a picture looks different') },
      one.device,
    )
    const [open] = await fixture.settlement.billing.objections.open(10)
    t.match(await fixture.settlement.billing.objections.decide(open!.id, 'clerk-1'), {
      upheld: false,
      findings: [/base: 1000 \(level 2\), as before/, /years/],
    })
    fixture.clock.turnTo(`${statement!.objectBy}T14:59:59Z`)
    await fixture.act(
      objectTo,
      { objection: one.pay.objection(number, 'fee', 'in the last second of the day, in Tokyo') },
      one.device,
    )
    await fixture.settlement.billing.objections.decide(
      (await fixture.settlement.billing.objections.open(1))[0]!.id,
      'clerk-1',
    )
    fixture.clock.turn(1_000)
    await refused(
      t,
      'bill.late',
      fixture.act(objectTo, { objection: one.pay.objection(number, 'fee', 'too late') }, one.device),
      'a second later',
    )
    await conserved(t, fixture)
  },
)

t.test('S13 objection and debit in the same second: whichever is first decides, never both', async (t) => {
  const { fixture, one } = await billed()
  fixture.clock.turn(31 * day)
  const [statement] = await close(fixture, one)
  fixture.clock.turn(14 * day)
  t.ok(await fixture.settlement.billing.debitFile())
  await refused(
    t,
    'bill.handed-over',
    fixture.act(objectTo, { objection: one.pay.objection(statement!.statement, 'fee', '') }, one.device),
    'after the file',
  )
  await conserved(t, fixture)
})

t.test('S13 S14 returns and reminders, arrears in the end; stored value pays too', async (t) => {
  const { fixture, one } = await billed()
  fixture.clock.turn(31 * day)
  await close(fixture, one)
  for (let round = 1; round <= 3; round++) {
    fixture.clock.turn(16 * day)
    const file = (await fixture.settlement.billing.debitFile())!
    await fixture.settlement.bank.take(
      debitAnswerFile((await fixture.settlement.document(file.document))!.content, () => '1'),
    )
    t.equal((await fixture.settlement.documents('dunning')).length, round)
  }
  t.equal(await fixture.settlement.billing.debitFile(), undefined, 'asked often enough')
  t.equal((await fixture.database.get<{ state: string }>('SELECT state FROM statements'))!.state, 'arrears')

  await fixture.settlement.billing.payBy(one.number, 'value')
  const { payment } = await fixture.act(requestValue, { request: one.pay.topUp('cash', yen(2_000)) }, one.device)
  await fixture.settlement.cash.count(payment, 'clerk-1', 2_000, 'R')
  await fixture.settlement.cash.count(payment, 'clerk-2', 2_000, 'R')
  const next = await close(fixture, one)
  t.ok(next.length >= 1)
  fixture.clock.turn(20 * day)
  const paid = await fixture.settlement.billing.collectValue()
  t.equal(paid, 1, 'as many as the balance allows')
  t.equal((await fixture.events(receiptSent, one.device)).length, 1)
  await conserved(t, fixture)
})

t.test('S13 placement cannot answer: the period stays open and is closed later, whole', async (t) => {
  const { fixture, one, answers } = await billed()
  answers.down = true
  fixture.clock.turn(31 * day)
  t.strictSame(await fixture.settlement.billing.close(), { issued: [], postponed: 1 })
  answers.down = false
  fixture.clock.turn(31 * day)
  const both = await close(fixture, one)
  t.equal(both.length, 2, 'both periods, one after the other')
  t.ok(both[0]!.to < both[1]!.from)
  await conserved(t, fixture)
})

t.test(
  'S13 the data is looked at and mended before the price; after some days the statement says what is not',
  async (t) => {
    const { fixture, one, answers } = await billed()
    const [whole, waits, bad] = [
      { objects: 3, checked: 3, bad: 0, atMs: 1, waiting: 0 },
      { objects: 3, checked: 1, bad: 0, atMs: 1, waiting: 2 },
      { objects: 3, checked: 3, bad: 1, atMs: 1, waiting: 0 },
    ]
    const closesWith = async (check: AccountFacts['check']) => {
      answers.facts.check = check
      return fixture.settlement.billing.close()
    }
    /** Turns to the first day after a period's end. */
    const over = async (check: AccountFacts['check']) => {
      for (let days = 0; days < 40; days++, fixture.clock.turn(day)) if ((await closesWith(check)).postponed > 0) return
      t.fail('nothing waited')
    }
    await over(waits!)
    t.equal(answers.asked.at(-1), fixture.clock.now() - 90 * day, 'evidence of the last 90 days counts')
    t.match(await closesWith(bad!), { issued: [], postponed: 1 }, 'what is bad is stored again first')
    t.match(await closesWith(whole!), { issued: [/./], postponed: 0 })
    await over(bad!)
    fixture.clock.turn(3 * day)
    t.match(await fixture.settlement.billing.close(), { issued: [/./], postponed: 0 }, 'it does not wait for ever')
    const [, last] = await close(fixture, one)
    t.match(last!.check, { objects: 3, bad: 1 }, 'and says what is not whole')
    await conserved(t, fixture)
  },
)

t.test('S13 periods are closed by themselves, or where the site wants it by the command alone', async (t) => {
  const options: Partial<SettlementOptions> = { housekeepingMs: 1_000 }
  const { fixture } = await billed({ options })
  const until = async (isSo: () => Promise<boolean>) => {
    for (let tries = 0; tries < 4_000 && !(await isSo()); tries++) await sleep(5)
    t.ok(await isSo())
  }
  fixture.clock.turn(31 * day)
  await until(async () => (await fixture.database.get('SELECT 1 FROM statements')) !== undefined)
  fixture.clock.turn(601_000)
  t.strictSame(await fixture.settlement.billing.close(), { issued: [], postponed: 0 }, 'once')
  await fixture.settlement.stop()

  const byCommand = await billed({ options: { ...options, billing: { closing: 'by-command' } } })
  byCommand.fixture.clock.turn(31 * day)
  for (let round = 0; round < 3; round++) {
    byCommand.fixture.clock.turn(601_000)
    for (let turn = 0; turn < 50; turn++) await setImmediate()
  }
  t.equal((await byCommand.fixture.events(statementSent, byCommand.one.device)).length, 0)
  t.match(await byCommand.fixture.settlement.billing.close(), { issued: [/./] })
  await byCommand.fixture.settlement.stop()
})

t.test('S13 a first period is the part of the month that ends with it', (t) => {
  const golden = [
    ['2026-11-02', '2026-11-20', 19, 31],
    ['2026-11-20', '2026-11-20', 1, 31],
    ['2026-10-22', '2026-11-20', 30, 31],
    // The month ends of February, short and leap, and around the turn of a year.
    ['2026-01-31', '2026-02-05', 6, 31],
    ['2026-02-28', '2026-03-05', 6, 28],
    ['2026-02-07', '2026-03-06', 28, 28],
    ['2028-02-29', '2028-03-05', 6, 29],
    ['2028-02-28', '2028-03-28', 30, 29],
    ['2028-02-29', '2028-02-29', 1, 31],
    ['2028-02-01', '2028-02-28', 28, 31],
    ['2027-12-31', '2028-01-01', 2, 31],
    ['2026-04-30', '2026-05-01', 2, 30],
  ] as const
  for (const [from, to, days, of] of golden)
    t.strictSame(partOf(from, to), days < of ? { days, of } : undefined, `${from} – ${to}`)
  for (let day = 0; day < 800; day++) {
    const to = addDays('2027-01-01', day)
    if (Number(to.slice(8)) > 28) continue
    if (partOf(addDays(addMonths(to, -1), 1), to)) t.fail(`the month to ${to} is whole`)
    if (partOf(addDays(addMonths(to, -1), 2), to) === undefined) t.fail(`a day less than the month to ${to} is not`)
  }
  t.end()
})

t.test('S13 charged by days: rounded as tax is, reductions from what is charged, never more than the month', (t) => {
  const facts = { level: 2, years: 0, bytes: 0, tamperings: 0 }
  const part = { days: 19, of: 31 }
  // 1000 × 19/31 = 612.9…
  const totals = (['down', 'half-up', 'up'] as const).map((rounding) =>
    priceOf({ ...facts, part }, { ...standardTariff, rounding }),
  )
  t.strictSame(
    totals.map(({ lines, total }) => [lines[0]!.netMinor, total]),
    [
      [612, 673],
      [613, 674],
      [613, 675],
    ],
  )
  t.equal(totals[0]!.lines[0]!.how, 'level 2, 19 of 31 days')
  const more = priceOf({ ...facts, years: 3, bytes: 103 * 1024 ** 3, tamperings: 1, part }, standardTariff)
  t.strictSame(
    more.lines.map(({ what, how, netMinor }) => [what, how, netMinor]),
    [
      ['base', 'level 2, 19 of 31 days', 612],
      ['usage', '3 GiB × 20, 19 of 31 days', 36],
      ['years', '3 years: 3 %', -18],
      ['tampering', '1 found: 20 %', -122],
    ],
  )
  t.equal(priceOf({ ...facts, part: { days: 0, of: 31 } }, standardTariff).total, 0)
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 4 }),
      fc.integer({ min: 28, max: 31 }),
      fc.integer({ min: 1, max: 31 }),
      fc.constantFrom('down' as const, 'up' as const, 'half-up' as const),
      (level, of, days, rounding) => {
        fc.pre(days < of)
        const tariff = { ...standardTariff, rounding }
        const [less, same, whole] = [{ days: days - 1, of }, { days, of }, undefined].map(
          (part) => priceOf({ ...facts, level, part }, tariff).total,
        )
        if (less! > same! || same! > whole!) throw new Error(`${less} ${same} ${whole}`)
      },
    ),
  )
  t.end()
})

t.test('S13 a first, shorter period on a statement: by days, whole or free, and the next one whole', async (t) => {
  for (const [firstPeriod, total] of [
    ['days', 138],
    ['whole', 1_067],
    ['free', 0],
  ] as const) {
    const { fixture, one } = await billed({ firstPeriod })
    fixture.clock.turn(31 * day)
    const [first] = await close(fixture, one)
    t.match(first, { from: '2026-11-02', total: { minor: total } }, firstPeriod)
    if (firstPeriod === 'days') {
      t.match(first!.lines[0], { what: 'base', how: /^level 2, \d+ of 31 days$/ })
      await fixture.act(objectTo, { objection: one.pay.objection(first!.statement, 'fee', 'x') }, one.device)
      const [open] = await fixture.settlement.billing.objections.open(1)
      t.match(
        await fixture.settlement.billing.objections.decide(open!.id, 'clerk-1'),
        { upheld: false },
        'checked again by the same rule',
      )
    }
    fixture.clock.turn(31 * day)
    const [next] = await close(fixture, one)
    t.match(next, { total: { minor: 1_067 }, lines: [{ how: 'level 2' }] }, 'the next is a whole month')
    await conserved(t, fixture)
  }
})
