import { openPayReceipt } from '@azukari/device/pay/member'
import { CheckPool } from '@azukari/gateway/adapters/check-pool'
import type { ServiceRequest } from '@azukari/gateway/service/service'
import type { SettlementKeys } from '@azukari/gateway/services/settlement/keystore'
import {
  actAsShop,
  balanceChanged,
  disputeOrder,
  instructPayment,
  listOffer,
  payNotice,
  placeOrder,
  putOffer,
} from '@azukari/protocol/contracts/settlement-purchase'
import { readAccount, requestValue, valueIssued } from '@azukari/protocol/contracts/settlement-value'
import { isProblem, type ProblemCode } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import { quietLog } from '../../testkit/log.ts'
import { type FixtureMember, type FixtureOptions, SettlementFixture, seeded } from '../../testkit/settlement/fixture.ts'

const refused = async (t: Test, code: ProblemCode, work: Promise<unknown>, what: string) => {
  try {
    await work
    t.fail(`${what}: ${code} was expected`)
  } catch (error) {
    t.ok(isProblem(error, code), `${what}: ${code}, not ${error}`)
  }
}
const yen = (minor: number) => ({ minor, currency: 'JPY' as const })

async function withCash(fixture: SettlementFixture, one: FixtureMember, minor: number): Promise<void> {
  const { payment } = await fixture.act(requestValue, { request: one.pay.topUp('cash', yen(minor)) }, one.device)
  await fixture.settlement.cash.count(payment, 'clerk-1', minor, 'mail-1')
  await fixture.settlement.cash.count(payment, 'clerk-2', minor, 'mail-1')
}

async function shopWithOffer(fixture: SettlementFixture): Promise<FixtureMember> {
  const shop = await fixture.enrol('shop', { invoiceNumber: 'T1234567890123' })
  const offer = shop.pay.offer([
    { item: 'photo-a', name: '写真', kind: 'digital', price: 330, currency: 'JPY', tax: 10 },
    { item: 'tea', name: '茶', kind: 'goods', price: 1080, currency: 'JPY', tax: 8 },
    { item: 'scan', name: 'スキャン', kind: 'metered', price: 11, currency: 'JPY', tax: 10, unit: 'page' },
  ])
  await fixture.act(putOffer, { offer }, shop.device)
  return shop
}

async function balance(fixture: SettlementFixture, one: FixtureMember) {
  const { state } = await fixture.call(readAccount, { query: one.pay.accountQuery('JPY') }, one.device)
  const { balance, available } = one.pay.openAccount(state)
  return { stands: balance.minor, free: available.minor }
}

async function buy(
  fixture: SettlementFixture,
  buyer: FixtureMember,
  shop: FixtureMember,
  lines: { item: string; count: number }[],
) {
  const order = buyer.pay.order(shop.number, lines)
  const { transaction, total } = await fixture.act(placeOrder, { order }, buyer.device)
  const instruction = buyer.pay.instruction(transaction, shop.number, total)
  const { result } = await fixture.act(instructPayment, { instruction }, buyer.device)
  return { transaction, total, result: buyer.pay.openResult(result) }
}

async function conserved(t: Test, fixture: SettlementFixture) {
  for (const { debitsMinor, creditsMinor } of await fixture.settlement.trialBalance())
    t.equal(debitsMinor, creditsMinor)
  t.strictSame((await fixture.settlement.audit()).findings, [])
}

t.test('P5 cash by registered post: two clerks count, or nothing is issued', async (t) => {
  const fixture = await new SettlementFixture().start()
  const one = await fixture.enrol()
  const { payment } = await fixture.act(requestValue, { request: one.pay.topUp('cash', yen(5000)) }, one.device)
  const { cash } = fixture.settlement
  t.strictSame(await cash.count(payment, 'clerk-1', 5000, 'R-1'), { issued: false })
  await t.rejects(() => cash.count(payment, 'clerk-1', 5000, 'R-1'), { code: 'topup.same-clerk' })
  await t.rejects(() => cash.count(payment, 'clerk-2', 4000, 'R-1'), { code: 'topup.counts-differ' })
  t.strictSame(await cash.count(payment, 'clerk-2', 5000, 'R-1'), { issued: false }, 'both count again')
  t.strictSame(await cash.count(payment, 'clerk-1', 5000, 'R-1'), { issued: true })
  await t.rejects(() => cash.count(payment, 'clerk-1', 5000, 'R-1'), { code: 'topup.state' })
  await t.rejects(() => cash.count('60000000000099', 'clerk-1', 5000, 'R-1'), { code: 'topup.unknown' })
  const [event] = await fixture.events(valueIssued, one.device)
  const issue = one.pay.openIssue(event!.issue)
  t.strictSame([issue.state, issue.amount.minor, issue.balance.minor], ['issued', 5000, 5000])
  await conserved(t, fixture)
})

t.test(
  'P6 a purchase: offer, order, instruction, notice to the shop, new balance and receipt to the buyer',
  async (t) => {
    const fixture = await new SettlementFixture().start()
    const [buyer, shop] = [await fixture.enrol(), await shopWithOffer(fixture)]
    await withCash(fixture, buyer, 5000)
    const { items } = await fixture.call(listOffer, { shop: shop.number }, buyer.device)
    t.strictSame(
      items.map(({ item }) => item),
      ['photo-a', 'scan', 'tea'],
    )
    const { transaction, result } = await buy(fixture, buyer, shop, [
      { item: 'photo-a', count: 2 },
      { item: 'tea', count: 1 },
    ])
    t.match(transaction, /^4\d{13}$/)
    t.strictSame([result.paid.minor, result.balance.minor], [1740, 3260])
    const receipt = openPayReceipt(fixture.centre, result.receipt!)
    t.strictSame(receipt.taxes, [
      { rate: 10, gross: 660, tax: 60, goods: '写真' },
      { rate: 8, gross: 1080, tax: 80, goods: '茶' },
    ])
    t.equal(receipt.name, shop.person.name)
    t.equal(receipt.atMs, fixture.clock.now())
    t.equal(receipt.invoiceNumber, 'T1234567890123')
    t.ok(result.receipt!.length <= 1024, 'it fits a slot of the card')
    const [event] = await fixture.events(payNotice, shop.device)
    const notice = shop.pay.openNotice(event!.notice)
    t.strictSame([notice.transaction, notice.state, notice.amount.minor], [transaction, 'paid', 1740])
    t.throws(
      () => buyer.pay.openNotice(event!.notice),
      { code: 'cose.decrypt-failed' },
      'a notice is for the shop alone',
    )
    await conserved(t, fixture)
  },
)

/** Signatures checked where the act is done, and ahead of it on threads of their own: every judgement is the same. */
const checkers: Record<string, FixtureOptions> = {
  'by the act': {},
  'by threads': {
    more: ({ agreement }: SettlementKeys) => ({ checks: new CheckPool({ agreement, log: quietLog, worthwhile: 1 }) }),
  },
}
for (const [how, options] of Object.entries(checkers))
  t.test(
    `P6 bad input, checked ${how}: replay, reordering, other amounts, other members, no money, too late`,
    async (t) => {
      const fixture = await new SettlementFixture(options).start()
      t.teardown(() => fixture.settlement.stop())
      const [buyer, other, shop] = [await fixture.enrol(), await fixture.enrol(), await shopWithOffer(fixture)]
      await withCash(fixture, buyer, 500)
      const order = buyer.pay.order(shop.number, [{ item: 'photo-a', count: 1 }])
      const { transaction, total } = await fixture.act(placeOrder, { order }, buyer.device)
      const pay = (instruction: Uint8Array, device = buyer.device) =>
        fixture.act(instructPayment, { instruction }, device)
      await refused(
        t,
        'pay.amount-differs',
        pay(buyer.pay.instruction(transaction, shop.number, yen(1))),
        'another amount',
      )
      await refused(
        t,
        'pay.amount-differs',
        pay(buyer.pay.instruction(transaction, shop.number, { minor: 330, currency: 'USD' })),
        'another currency',
      )
      await refused(
        t,
        'pay.amount-differs',
        pay(buyer.pay.instruction(transaction, other.number, total)),
        'another shop',
      )
      await refused(
        t,
        'register.not-own',
        pay(other.pay.instruction(transaction, shop.number, total), other.device),
        'another buyer',
      )
      await refused(
        t,
        'pay.order-unknown',
        pay(buyer.pay.instruction('40000000000099', shop.number, total)),
        'no such order',
      )
      const instruction = buyer.pay.instruction(transaction, shop.number, total)
      const broken = instruction.slice()
      broken[broken.length - 1]! ^= 1
      await refused(t, 'cose.decrypt-failed', pay(broken), 'a changed bit')
      await pay(instruction)
      await refused(t, 'act.replayed', pay(instruction, 'thief'), 'a replay from elsewhere')
      await refused(t, 'pay.order-state', pay(buyer.pay.instruction(transaction, shop.number, total)), 'paying twice')
      t.strictSame(await balance(fixture, buyer), { stands: 170, free: 170 })

      await refused(t, 'ledger.insufficient', buy(fixture, buyer, shop, [{ item: 'photo-a', count: 1 }]), 'no money')
      await refused(t, 'pay.item-unknown', buy(fixture, buyer, shop, [{ item: 'gold', count: 1 }]), 'no such item')
      await refused(t, 'pay.own-shop', buy(fixture, shop, shop, [{ item: 'tea', count: 1 }]), 'of itself')
      await refused(t, 'register.unknown-number', buy(fixture, buyer, other, [{ item: 'tea', count: 1 }]), 'no shop')
      await refused(
        t,
        'message.invalid',
        buy(fixture, buyer, shop, [
          { item: 'scan', count: 1 },
          { item: 'tea', count: 1 },
        ]),
        'metered with others',
      )
      await refused(
        t,
        'register.not-shop',
        fixture.act(putOffer, { offer: buyer.pay.offer([]) }, buyer.device),
        'an offer of no shop',
      )
      const late = await fixture.act(
        placeOrder,
        { order: buyer.pay.order(shop.number, [{ item: 'scan', count: 1 }]) },
        buyer.device,
      )
      fixture.clock.turn(31 * 60_000)
      await refused(
        t,
        'pay.order-expired',
        pay(buyer.pay.instruction(late.transaction, shop.number, late.total)),
        'too late',
      )
      t.equal(
        await fixture.settlement.payouts.lapse(),
        2,
        'unpaid orders lapse: the late one and the one without money',
      )
      await conserved(t, fixture)
    },
  )

t.test(
  'P6 B6 hundreds of payments at once through the threads: each once, in its order, and a forgery among them',
  async (t) => {
    const pools: CheckPool[] = []
    const fixture = await new SettlementFixture({
      more: ({ agreement }: SettlementKeys) => {
        pools.push(new CheckPool({ agreement, log: quietLog }))
        return { checks: pools.at(-1)! }
      },
    }).start()
    t.teardown(() => fixture.settlement.stop())
    const [one, two, shop] = [await fixture.enrol(), await fixture.enrol(), await shopWithOffer(fixture)]
    for (const buyer of [one, two]) await withCash(fixture, buyer, 40_000)
    const random = seeded(7)
    const requests: ServiceRequest[] = []
    const request = (device: string, stream: Uint8Array, seq: number, instruction: Uint8Array) =>
      requests.push({
        caller: { device, region: 'JP-13', roles: ['terminal'] },
        contract: instructPayment.id,
        id: random.bytes(16),
        atMs: fixture.clock.now(),
        body: { instruction },
        act: { stream, seq },
      })
    for (const buyer of [one, two]) {
      const stream = random.bytes(16)
      for (let seq = 1; seq <= 100; seq++) {
        const order = buyer.pay.order(shop.number, [{ item: 'photo-a', count: 1 }])
        const { transaction, total } = await fixture.act(placeOrder, { order }, buyer.device)
        const instruction = buyer.pay.instruction(transaction, shop.number, total)
        // One of two's is signed by one in two's name: the order is two's, the key is not.
        request(
          buyer.device,
          stream,
          seq,
          buyer === two && seq === 50 ? one.pay.instruction(transaction, shop.number, total) : instruction,
        )
      }
    }
    const send = () => Promise.all(requests.map((one) => fixture.settlement.handle(one)))
    const [first, again] = [await send(), await send()]
    t.strictSame(again, first, 'repeated, each is answered as before')
    const problems = first.flatMap(({ problem }, i) => (problem ? [[i, problem.code]] : []))
    t.strictSame(problems, [[149, 'register.not-own']])
    t.strictSame(
      [(await balance(fixture, one)).stands, (await balance(fixture, two)).stands],
      [40_000 - 33_000, 40_000 - 99 * 330],
    )
    t.ok(pools[0]!.checked >= 200, 'the threads have looked at them')
    await conserved(t, fixture)
  },
)

t.test('P7 digital goods now, other goods later, metered use by the unit; then the claim', async (t) => {
  const fixture = await new SettlementFixture().start()
  const [buyer, shop] = [await fixture.enrol(), await shopWithOffer(fixture)]
  await withCash(fixture, buyer, 5000)
  const shopDoes = (transaction: string, what: Parameters<FixtureMember['pay']['shopAct']>[1], who = shop) =>
    fixture.act(actAsShop, { act: who.pay.shopAct(transaction, what) }, who.device)

  const goods = await buy(fixture, buyer, shop, [{ item: 'tea', count: 1 }])
  await refused(t, 'pay.order-state', shopDoes(goods.transaction, { do: 'claim' }), 'a claim before delivery')
  t.strictSame(await shopDoes(goods.transaction, { do: 'deliver', state: 'sent', how: 'parcel 17' }), { state: 'paid' })
  t.strictSame(await shopDoes(goods.transaction, { do: 'deliver', state: 'delivered', how: 'parcel 17' }), {
    state: 'delivered',
  })
  t.strictSame(await shopDoes(goods.transaction, { do: 'claim' }), { state: 'claimed' })
  await refused(t, 'pay.order-state', shopDoes(goods.transaction, { do: 'claim' }), 'a second claim')
  await refused(t, 'register.not-shop', shopDoes(goods.transaction, { do: 'claim' }, buyer), 'a claim by the buyer')

  const use = await buy(fixture, buyer, shop, [{ item: 'scan', count: 100 }])
  t.strictSame(await balance(fixture, buyer), { stands: 3920, free: 2820 }, 'what may be used is reserved')
  const tick = buyer.pay.tick(use.transaction, 7)
  await refused(
    t,
    'pay.amount-differs',
    shopDoes(use.transaction, { do: 'meter', tick: buyer.pay.tick(use.transaction, 101) }),
    'more than was allowed',
  )
  await refused(
    t,
    'pay.amount-differs',
    shopDoes(use.transaction, { do: 'meter', tick: buyer.pay.tick(goods.transaction, 1) }),
    'a tick of another order',
  )
  await refused(
    t,
    'cose.unknown-key',
    shopDoes(use.transaction, { do: 'meter', tick: shop.pay.tick(use.transaction, 9) }),
    'a tick that the buyer did not sign',
  )
  t.strictSame(await shopDoes(use.transaction, { do: 'meter', tick }), { state: 'delivered' })
  t.strictSame(await balance(fixture, buyer), { stands: 3843, free: 3843 }, 'seven pages at eleven yen')
  const [event] = await fixture.events(balanceChanged, buyer.device)
  t.equal(buyer.pay.openResult(event!.result).paid.minor, 77)

  const never = await buy(fixture, buyer, shop, [{ item: 'scan', count: 100 }])
  fixture.clock.turn(2 * 86_400_000)
  await fixture.settlement.payouts.lapse()
  t.strictSame(
    await balance(fixture, buyer),
    { stands: 3843, free: 3843 },
    'a metered order that nobody ends gives back',
  )
  await refused(
    t,
    'pay.order-state',
    shopDoes(never.transaction, { do: 'meter', tick: buyer.pay.tick(never.transaction, 1) }),
    'after it lapsed',
  )
  await conserved(t, fixture)
})

t.test('P9 a receipt after a refund of one article: the other alone, on the day on which it was paid', async (t) => {
  const fixture = await new SettlementFixture().start()
  const [buyer, shop] = [await fixture.enrol(), await shopWithOffer(fixture)]
  await withCash(fixture, buyer, 5000)
  const { transaction } = await buy(fixture, buyer, shop, [
    { item: 'photo-a', count: 3 },
    { item: 'tea', count: 1 },
  ])
  const paidMs = fixture.clock.now()
  fixture.clock.turn(3 * 86_400_000)
  const refund = (minor: number, item: string) =>
    fixture.act(
      actAsShop,
      { act: shop.pay.shopAct(transaction, { do: 'refund', minor, reason: 'stale', item }) },
      shop.device,
    )
  await refused(t, 'pay.item-unknown', refund(1, 'scan'), 'an article that was not ordered')
  await refused(t, 'pay.refund-too-much', refund(1081, 'tea'), 'more than the article cost')
  await refund(1080, 'tea')
  const [event] = await fixture.events(balanceChanged, buyer.device)
  const { receipt, balance: told } = buyer.pay.openResult(event!.result)
  t.equal(told.minor, 5000 - 990)
  t.match(openPayReceipt(fixture.centre, receipt!), {
    amount: { minor: 990 },
    taxes: [{ rate: 10, gross: 990, tax: 90, goods: '写真' }],
    atMs: paidMs,
  })
  await conserved(t, fixture)
})

t.test('P6 a receipt of the longest names at three rates fits a slot of the card', async (t) => {
  const fixture = await new SettlementFixture().start()
  const name = '静'.repeat(100)
  const shop = await fixture.enrol('shop', { name, invoiceNumber: 'T1234567890123' })
  const buyer = await fixture.enrol()
  await withCash(fixture, buyer, 900_000)
  const rates = [10, 8, 0] as const
  const items = Array.from({ length: 48 }, (_, i) => ({
    item: `item-${i}`,
    name,
    kind: 'goods' as const,
    price: 10_000,
    currency: 'JPY' as const,
    tax: rates[i % 3]!,
  }))
  await fixture.act(putOffer, { offer: shop.pay.offer(items) }, shop.device)
  const { result } = await buy(
    fixture,
    buyer,
    shop,
    items.map(({ item }) => ({ item, count: 1 })),
  )
  t.ok(result.receipt!.length <= 1024, `${result.receipt!.length} bytes`)
})

t.test('P9 refunds, whole and in part, and disputes', async (t) => {
  const fixture = await new SettlementFixture().start()
  const [buyer, shop] = [await fixture.enrol(), await shopWithOffer(fixture)]
  await withCash(fixture, buyer, 5000)
  const shopDoes = (transaction: string, what: Parameters<FixtureMember['pay']['shopAct']>[1]) =>
    fixture.act(actAsShop, { act: shop.pay.shopAct(transaction, what) }, shop.device)
  const one = await buy(fixture, buyer, shop, [{ item: 'tea', count: 2 }])
  await refused(
    t,
    'pay.refund-too-much',
    shopDoes(one.transaction, { do: 'refund', minor: 2161, reason: '' }),
    'more than was paid',
  )
  await refused(t, 'ledger.bad-amount', shopDoes(one.transaction, { do: 'refund', minor: 0, reason: '' }), 'nothing')
  t.strictSame(await shopDoes(one.transaction, { do: 'refund', minor: 1080, reason: 'one was broken' }), {
    state: 'paid',
  })
  await shopDoes(one.transaction, { do: 'deliver', state: 'delivered', how: 'parcel' })
  await shopDoes(one.transaction, { do: 'claim' })
  t.strictSame(await shopDoes(one.transaction, { do: 'refund', minor: 1080, reason: 'the other too' }), {
    state: 'refunded',
  })
  t.strictSame(await balance(fixture, buyer), { stands: 5000, free: 5000 })
  await refused(
    t,
    'pay.order-state',
    shopDoes(one.transaction, { do: 'refund', minor: 1, reason: '' }),
    'after all went back',
  )

  const two = await buy(fixture, buyer, shop, [{ item: 'photo-a', count: 1 }])
  await shopDoes(two.transaction, { do: 'deliver', state: 'delivered', how: 'transfer' })
  const dispute = buyer.pay.dispute(two.transaction, 'nothing came')
  await fixture.act(disputeOrder, { dispute }, buyer.device)
  await refused(t, 'pay.disputed', shopDoes(two.transaction, { do: 'claim' }), 'a claim while disputed')
  await refused(
    t,
    'pay.disputed',
    fixture.act(disputeOrder, { dispute: buyer.pay.dispute(two.transaction, 'again') }, buyer.device),
    'disputed twice',
  )
  const [open] = await fixture.settlement.payouts.disputes(10)
  await fixture.settlement.payouts.decideDispute(open!.id, 'clerk-1', true)
  t.strictSame(await balance(fixture, buyer), { stands: 5000, free: 5000 })
  const three = await buy(fixture, buyer, shop, [{ item: 'photo-a', count: 1 }])
  fixture.clock.turn(30 * 86_400_000)
  await refused(
    t,
    'pay.late',
    fixture.act(disputeOrder, { dispute: buyer.pay.dispute(three.transaction, 'late') }, buyer.device),
    'a month later',
  )
  const whole = { do: 'refund', minor: three.total.minor, reason: 'late' } as const
  await shopDoes(three.transaction, { do: 'deliver', state: 'delivered', how: 'transfer' })
  await shopDoes(three.transaction, { do: 'claim' })
  await fixture.settlement.bank.payoutFile('2026-12-03', 'zengin')
  t.strictSame(await shopDoes(three.transaction, whole), { state: 'refunded' }, 'when the bank has the money already')
  t.strictSame(await balance(fixture, buyer), { stands: 5000, free: 5000 })
  await conserved(t, fixture)
})
