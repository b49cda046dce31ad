/** The journal for accounting programs: what it says is what the ledger has, whatever the form, and nobody is in it. */
import { journalFormats, journalText } from '@azukari/gateway/services/settlement/accounting/formats'
import type { JournalEntry } from '@azukari/gateway/services/settlement/accounting/journal'
import { instructPayment, placeOrder, putOffer } from '@azukari/protocol/contracts/settlement-purchase'
import { requestValue } from '@azukari/protocol/contracts/settlement-value'
import t from 'tap'
import { SettlementFixture } from '../../testkit/settlement/fixture.ts'

const day = 86_400_000
const facts = {
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

/** Two months of a site: value paid in, purchases, fees. */
async function months() {
  const fixture = await new SettlementFixture({
    placement: { account: async () => ({ ...facts }) },
    more: { billing: { firstPeriod: 'whole' } },
  }).start()
  const buyer = await fixture.enrol('general', {}, new Uint8Array(32).fill(5))
  const shop = await fixture.enrol('shop', { invoiceNumber: 'T1234567890123' })
  const offer = shop.pay.offer([{ item: 'tea', name: 'Tea', kind: 'goods', price: 1080, currency: 'JPY', tax: 8 }])
  await fixture.act(putOffer, { offer }, shop.device)
  for (let n = 0; n < 4; n++) {
    const request = buyer.pay.topUp('cash', { minor: 5_000, currency: 'JPY' })
    const { payment } = await fixture.act(requestValue, { request }, buyer.device)
    for (const clerk of ['clerk-1', 'clerk-2']) await fixture.settlement.cash.count(payment, clerk, 5_000, `R-${n}`)
    const order = buyer.pay.order(shop.number, [{ item: 'tea', count: n + 1 }])
    const { transaction, total } = await fixture.act(placeOrder, { order }, buyer.device)
    const instruction = buyer.pay.instruction(transaction, shop.number, total)
    await fixture.act(instructPayment, { instruction }, buyer.device)
    fixture.clock.turn(12 * day)
    await fixture.settlement.billing.close()
  }
  return { fixture, buyer, shop }
}

/** By account: debits less credits. */
function netOf(entries: readonly JournalEntry[]): Record<string, bigint> {
  const net: Record<string, bigint> = {}
  for (const { debit, credit, minor } of entries) {
    net[debit.english] = (net[debit.english] ?? 0n) + minor
    net[credit.english] = (net[credit.english] ?? 0n) - minor
  }
  return Object.fromEntries(Object.entries(net).filter(([, minor]) => minor !== 0n))
}

t.test('P9: the journal for an accounting program is the ledger, in sums by day, reason and account', async (t) => {
  const { fixture, buyer, shop } = await months()
  t.teardown(() => fixture.settlement.stop())
  const all = { from: '2026-11-01', to: '2027-01-31' }
  const entries = await fixture.settlement.journal(all)
  const net = netOf(entries)
  const kept = async (kind: string) =>
    (await fixture.database.get<{ net: number }>(
      'SELECT coalesce(sum(debits_posted - credits_posted), 0) AS net FROM ledger_accounts WHERE code LIKE ?',
      `${kind}/%`,
    ))!.net
  t.equal(net['Liabilities:StoredValue'], BigInt(await kept('value')))
  t.equal(net['Liabilities:ShopSales'], BigInt(await kept('sales')))
  t.equal(net['Assets:Cash'], 20_000n)
  t.equal(net['Income:Fees'], BigInt(await kept('income')))
  t.ok(net['Income:Fees']! < 0n, 'fees were billed')
  t.equal(net['Liabilities:ConsumptionTax'], BigInt(await kept('tax')))
  t.equal(
    Object.values(net).reduce((sum, minor) => sum + minor, 0n),
    0n,
  )

  const parts = [
    ['2026-11-01', '2026-11-02'],
    ['2026-11-03', '2026-11-30'],
    ['2026-12-01', '2027-01-31'],
  ].map(([from, to]) => fixture.settlement.journal({ from: from!, to: to! }))
  t.same((await Promise.all(parts)).flat(), entries, 'periods that lie end to end are the whole')
  t.same(await fixture.settlement.journal(all), entries, 'and again the same')

  for (const format of journalFormats)
    for (const { number, person } of [buyer, shop]) {
      const said = journalText(entries, format)
      t.notOk(said.includes(number) || said.includes(person.name), `${format} names nobody`)
    }
})

t.test('P9: each form has every entry, and balances', async (t) => {
  const { fixture } = await months()
  t.teardown(() => fixture.settlement.stop())
  const entries = await fixture.settlement.journal({ from: '2026-11-01', to: '2027-01-31' })
  const [opened, ...moved] = journalText(entries, 'beancount').trimEnd().split('\n\n')
  t.equal(moved.length, entries.length)
  for (const one of moved) {
    const amounts = [...one.matchAll(/^ {2}(\S+) {2}(-?\d+) JPY$/gm)]
    t.equal(amounts.length, 2)
    t.equal(
      amounts.reduce((sum, [, , minor]) => sum + Number(minor), 0),
      0,
    )
    for (const [, account] of amounts) t.match(opened, new RegExp(`^2026-11-\\d\\d open ${account}$`, 'm'))
  }
  for (const [format, columns, amountColumns] of [
    ['money-forward', 27, ['借方金額(円)', '貸方金額(円)']],
    ['freee', 11, ['借方金額', '貸方金額']],
  ] as const) {
    const text = journalText(entries, format)
    t.equal(text.codePointAt(0), 0xfeff)
    const [head, ...rows] = text
      .slice(1)
      .trimEnd()
      .split('\r\n')
      .map((row) => row.slice(1, -1).split('","'))
    t.equal(head?.length, columns)
    t.equal(rows.length, entries.length)
    for (const row of rows) {
      t.equal(row.length, columns)
      const [debit, credit] = amountColumns.map((name) => row[head!.indexOf(name)])
      t.ok(debit === credit && Number(debit) > 0)
    }
  }
})

t.test('P9: what cannot be said in a form is told; no reason can break out of its field', async (t) => {
  const account = { english: 'Assets:Bank', japanese: '普通預金', sub: '' }
  const entry: JournalEntry = {
    day: '2026-11-01',
    reason: '=1+1",\n"x',
    currency: 'USD',
    debit: account,
    credit: { ...account, english: 'Income:Fees' },
    minor: 1_234n,
  }
  for (const format of ['money-forward', 'freee'] as const)
    t.throws(() => journalText([entry], format), { code: 'config.invalid' })
  t.match(journalText([entry], 'beancount'), /Assets:Bank {2}12\.34 USD\n {2}Income:Fees {2}-12\.34 USD\n$/)
  t.match(journalText([{ ...entry, currency: 'JPY' }], 'freee'), /"'=1\+1"",\n""x"\r\n$/)
  t.equal(journalText([], 'beancount'), '')
})
