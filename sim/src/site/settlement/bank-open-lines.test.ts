/** P9: every line that waits without an owner has a way out, and none of them makes or loses money. */
import { requestValue } from '@azukari/protocol/contracts/settlement-value'
import t from 'tap'
import { AccountFixture, entry, statement } from '../../testkit/settlement/account-fixture.ts'

async function waiting(...entries: Parameters<typeof entry>[0][]) {
  const site = await AccountFixture.open()
  await site.bank.take(statement('S1', entries.map(entry)))
  return { site, lines: await site.bank.unmatched(10) }
}

t.test('P5 P9 money of another amount is accepted as it came, when a clerk says so', async (t) => {
  const { site, lines } = await waiting({ minor: 2900, ref: 'A1', text: 'LESS CHARGES' })
  const payment = await site.awaits(3000)
  await t.rejects(() => site.bank.assign(lines[0]!.id, payment, 'clerk-1'), { code: 'pay.amount-differs' })
  await site.bank.assign(lines[0]!.id, payment, 'clerk-1', true)
  await site.shows(t, { bank: 2900, value: 2900 })
  const back = entry({ minor: 2900, ref: 'A2', direction: 'DBIT', reversal: '1', text: payment })
  t.match(await site.bank.take(statement('S2', [back])), { booked: 1 }, 'and taken back as it came')
  await site.shows(t, { bank: 0, value: 0 })
})

t.test('P5 P9 a line for several is split, and each part finds its owner', async (t) => {
  const site = await AccountFixture.open()
  const [a, b] = [await site.awaits(1000), await site.awaits(2000)]
  await site.bank.take(statement('S1', [entry({ minor: 3500, ref: 'B1', text: a })]))
  const [line] = await site.bank.unmatched(10)
  await t.rejects(() => site.bank.split(line!.id, [1000, 2000], 'clerk-1'), { code: 'pay.amount-differs' })
  await t.rejects(() => site.bank.split(line!.id, [4500, -1000], 'clerk-1'), { code: 'pay.amount-differs' })
  t.equal(await site.bank.split(line!.id, [1000, 2000, 500], 'clerk-1'), 1, 'by the number that stood in the line')
  await site.shows(t, { bank: 3500, value: 1000, in: 2500 })
  const open = await site.bank.unmatched(10)
  t.strictSame(open.map(({ minor }) => minor).sort(), [2000, 500])
  await site.bank.assign(open.find(({ minor }) => minor === 2000)!.id, b, 'clerk-1')
  await site.shows(t, { bank: 3500, value: 3000, in: 500 })
  await t.rejects(() => site.bank.split(line!.id, [3000, 500], 'clerk-1'), { code: 'bank.line-known' })
})

t.test('P9 charges, income, and what went to and fro', async (t) => {
  const { site, lines } = await waiting(
    { minor: 880, ref: 'C1', direction: 'DBIT', text: 'FEE' },
    { minor: 12, ref: 'C2', text: 'INTEREST' },
    { minor: 500, ref: 'C3', text: 'MISTAKE' },
    { minor: 500, ref: 'C4', direction: 'DBIT', text: 'MISTAKE UNDONE' },
  )
  const of = (minor: number, direction: string) =>
    lines.find((line) => line.minor === minor && line.direction === direction)!.id
  await t.rejects(() => site.bank.explain(of(880, 'out'), 'income', 'clerk-1'), { code: 'bank.line-out' })
  await site.bank.explain(of(880, 'out'), 'charges', 'clerk-1')
  await site.bank.explain(of(12, 'in'), 'income', 'clerk-1')
  await t.rejects(() => site.bank.pair(of(500, 'in'), of(500, 'in'), 'clerk-1'), { code: 'pay.amount-differs' })
  await t.rejects(() => site.bank.pair(of(500, 'in'), of(880, 'out'), 'clerk-1'), { code: 'bank.line-known' })
  await site.bank.pair(of(500, 'out'), of(500, 'in'), 'clerk-1')
  t.strictSame(await site.bank.unmatched(10), [])
  await site.shows(t, { bank: -868, value: 0 })
  const log = (await site.fixture.settlement.operations(10)).map(({ what }) => what)
  t.strictSame(log.filter((what) => / bank lines?$/.test(what)).length, 3)
})

t.test('P7 P9 money that nobody asked for goes back to the member’s own account with the next file', async (t) => {
  const { site, lines } = await waiting({ minor: 700, ref: 'D1', text: 'TOO MUCH' })
  const payout = await site.bank.sendBack(lines[0]!.id, site.member.number, 'clerk-1')
  await site.shows(t, { bank: 700, value: 0 })
  t.equal((await site.bank.payoutFile('2026-11-04', 'zengin'))?.payouts, 1)
  await site.bank.take(statement('S2', [entry({ minor: 700, ref: 'D2', direction: 'DBIT', text: payout })]))
  await site.shows(t, { bank: 0, value: 0 })
  await t.rejects(() => site.bank.sendBack(lines[0]!.id, site.member.number, 'clerk-1'), { code: 'bank.line-known' })
})

t.test('P5 P9 cash: what two people counted is what came, whatever was announced', async (t) => {
  const site = await AccountFixture.open()
  const { member, fixture } = site
  const request = member.pay.topUp('cash', { minor: 5000, currency: 'JPY' })
  const { payment } = await fixture.act(requestValue, { request }, member.device)
  const { cash } = fixture.settlement
  await cash.count(payment, 'clerk-1', 4000, 'R-1')
  await t.rejects(() => cash.count(payment, 'clerk-2', 4001, 'R-1'), { code: 'topup.counts-differ' })
  await cash.count(payment, 'clerk-1', 4000, 'R-1')
  await t.rejects(() => cash.count(payment, 'clerk-1', 4000, 'R-1'), { code: 'topup.same-clerk' })
  t.match(await cash.count(payment, 'clerk-3', 4000, 'R-1'), { issued: true })
  await site.shows(t, { bank: 0, value: 4000 })
})
