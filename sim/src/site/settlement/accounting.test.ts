/** The journal for accounting programs: what it says is what the ledger has, whatever the form, and nobody is in it. */
import { journalFormats, journalText } from '@azukari/gateway/services/settlement/accounting/formats'
import type { JournalEntry } from '@azukari/gateway/services/settlement/accounting/journal'
import { actAsShop, instructPayment, placeOrder, putOffer } from '@azukari/protocol/contracts/settlement-purchase'
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

/** Written down once more: an account under another's name would balance, too. */
const names: Readonly<Record<string, string>> = {
  bank: 'Assets:Bank',
  'card-company': 'Assets:CardCompany',
  cash: 'Assets:Cash',
  unmatched: 'Liabilities:Unmatched',
  unexplained: 'Assets:Unexplained',
  'debits-due': 'Assets:DebitsDue',
  'bank-charges': 'Expenses:BankCharges',
  'payout-sent': 'Liabilities:PayoutsSent',
  income: 'Income:Fees',
  tax: 'Liabilities:ConsumptionTax',
  value: 'Liabilities:StoredValue',
  sales: 'Liabilities:ShopSales',
  payable: 'Liabilities:ShopPayable',
  receivable: 'Assets:Receivable',
  'shop-debt': 'Assets:ShopDebt',
}

/** Two months of a site: value paid in, purchases, fees. */
async function months() {
  const fixture = await new SettlementFixture({
    placement: { account: async () => ({ ...facts }) },
    more: { billing: { firstPeriod: 'whole' } },
  }).start()
  const buyer = await fixture.enrol('general', {}, new Uint8Array(32).fill(5))
  const shop = await fixture.enrol('shop', { invoiceNumber: 'T1234567890123' })
  const offer = shop.pay.offer([
    { item: 'tea', name: 'Tea', kind: 'goods', price: 1080, currency: 'JPY', tax: 8 },
    { item: 'scan', name: 'Scan', kind: 'metered', price: 11, currency: 'JPY', tax: 10, unit: 'page' },
  ])
  await fixture.act(putOffer, { offer }, shop.device)
  const buy = async (item: string, count: number) => {
    const { transaction, total } = await fixture.act(
      placeOrder,
      { order: buyer.pay.order(shop.number, [{ item, count }]) },
      buyer.device,
    )
    const instruction = buyer.pay.instruction(transaction, shop.number, total)
    await fixture.act(instructPayment, { instruction }, buyer.device)
    return transaction
  }
  for (let n = 0; n < 4; n++) {
    const request = buyer.pay.topUp('cash', { minor: 5_000, currency: 'JPY' })
    const { payment } = await fixture.act(requestValue, { request }, buyer.device)
    for (const clerk of ['clerk-1', 'clerk-2']) await fixture.settlement.cash.count(payment, clerk, 5_000, `R-${n}`)
    await buy('tea', n + 1)
    // Of what is held for it, what was used is captured.
    const use = await buy('scan', 100)
    const tick = buyer.pay.tick(use, 7)
    await fixture.act(actAsShop, { act: shop.pay.shopAct(use, { do: 'meter', tick }) }, shop.device)
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

/** What the ledger itself has by account. */
async function keptOf(fixture: SettlementFixture): Promise<Record<string, bigint>> {
  const rows = await fixture.database.all<{ code: string; net: number }>(
    'SELECT code, debits_posted - credits_posted AS net FROM ledger_accounts',
  )
  const kept: Record<string, bigint> = {}
  for (const { code, net } of rows) {
    const name = names[code.split('/')[0]!]!
    kept[name] = (kept[name] ?? 0n) + BigInt(net)
  }
  return Object.fromEntries(Object.entries(kept).filter(([, minor]) => minor !== 0n))
}

t.test('P9: the journal for an accounting program is the ledger, in sums by day, reason and account', async (t) => {
  const { fixture, buyer, shop } = await months()
  t.teardown(() => fixture.settlement.stop())
  const all = { from: '2026-11-01', to: '2027-01-31' }
  const entries = await fixture.settlement.journal(all)
  const net = netOf(entries)
  t.same(net, await keptOf(fixture))
  t.equal(net['Assets:Cash'], 20_000n)
  for (const account of ['Income:Fees', 'Liabilities:ShopSales', 'Assets:Receivable', 'Liabilities:StoredValue'])
    t.ok(net[account], `${account} is in it`)

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
  const [head, ...moved] = journalText(entries, 'beancount').trimEnd().split('\n\n')
  t.equal(head, 'plugin "beancount.plugins.auto_accounts"', 'no account is opened twice where months are read together')
  t.equal(moved.length, entries.length)
  for (const one of moved) {
    const amounts = [...one.matchAll(/^ {2}(\S+) {2}(-?\d+) JPY$/gm)]
    t.equal(amounts.length, 2)
    t.equal(
      amounts.reduce((sum, [, , minor]) => sum + Number(minor), 0),
      0,
    )
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
})
