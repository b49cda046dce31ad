/** A shop that gives back what its bank already has owes it; no other order and no dispute suffers (P7, P9). */
import { ledgerOf } from '@azukari/gateway/services/settlement/centre/epoch'
import {
  actAsShop,
  disputeOrder,
  instructPayment,
  placeOrder,
  putOffer,
} from '@azukari/protocol/contracts/settlement-purchase'
import { readAccount, requestValue } from '@azukari/protocol/contracts/settlement-value'
import t, { type Test } from 'tap'
import { type FixtureMember, SettlementFixture } from '../../testkit/settlement/fixture.ts'

const yen = (minor: number) => ({ minor, currency: 'JPY' as const })

/** A buyer with 5000 yen, and a shop with an offer. */
async function people(fixture: SettlementFixture) {
  const [buyer, shop] = [await fixture.enrol(), await fixture.enrol('shop')]
  const offer = shop.pay.offer([
    { item: 'photo-a', name: '写真', kind: 'digital', price: 330, currency: 'JPY', tax: 10 },
    { item: 'tea', name: '茶', kind: 'goods', price: 1080, currency: 'JPY', tax: 8 },
  ])
  await fixture.act(putOffer, { offer }, shop.device)
  const { payment } = await fixture.act(requestValue, { request: buyer.pay.topUp('cash', yen(5000)) }, buyer.device)
  for (const clerk of ['clerk-1', 'clerk-2']) await fixture.settlement.cash.count(payment, clerk, 5000, 'mail-1')
  return { buyer, shop }
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
  await fixture.act(instructPayment, { instruction }, buyer.device)
  return { transaction }
}

async function balance(fixture: SettlementFixture, one: FixtureMember) {
  const { state } = await fixture.call(readAccount, { query: one.pay.accountQuery('JPY') }, one.device)
  return one.pay.openAccount(state).balance.minor
}

async function conserved(t: Test, fixture: SettlementFixture) {
  for (const { debitsMinor, creditsMinor } of await fixture.settlement.trialBalance())
    t.equal(debitsMinor, creditsMinor)
  t.strictSame((await fixture.settlement.audit()).findings, [])
}

/** What a member's account shows, or of all members together. */
async function standing(fixture: SettlementFixture, account: string) {
  const rows = await fixture.database.all<{ minor: number }>(
    'SELECT debits_posted - credits_posted AS minor FROM ledger_accounts WHERE code LIKE ?',
    `${account}/%`,
  )
  return rows.reduce((sum, { minor }) => sum + Math.abs(minor), 0)
}

t.test(
  'P9 a refund of a paid-out order is the shop’s debt: other orders are claimed and disputed as before',
  async (t) => {
    const fixture = await new SettlementFixture().start()
    const { buyer, shop } = await people(fixture)
    const shopDoes = (transaction: string, what: Parameters<FixtureMember['pay']['shopAct']>[1]) =>
      fixture.act(actAsShop, { act: shop.pay.shopAct(transaction, what) }, shop.device)
    const claimed = async (item: string) => {
      const { transaction } = await buy(fixture, buyer, shop, [{ item, count: 1 }])
      await shopDoes(transaction, { do: 'deliver', state: 'delivered', how: 'parcel' })
      await shopDoes(transaction, { do: 'claim' })
      return transaction
    }
    const file = () => fixture.settlement.bank.payoutFile('2026-12-03', 'zengin')
    const paidOut = await claimed('tea')
    t.match(await file(), { payouts: 1 })
    const [held, disputed] = [
      await buy(fixture, buyer, shop, [{ item: 'photo-a', count: 1 }]),
      await buy(fixture, buyer, shop, [{ item: 'photo-a', count: 1 }]),
    ]
    t.strictSame(await shopDoes(paidOut, { do: 'refund', minor: 1080, reason: 'stale' }), { state: 'refunded' })
    t.equal(await standing(fixture, 'shop-debt'), 1080)
    t.equal(await standing(fixture, 'sales'), 660, 'what other orders paid is untouched')
    await shopDoes(held.transaction, { do: 'deliver', state: 'delivered', how: 'transfer' })
    t.strictSame(await shopDoes(held.transaction, { do: 'claim' }), { state: 'claimed' })
    const dispute = async (transaction: string, upheld: boolean) => {
      await fixture.act(disputeOrder, { dispute: buyer.pay.dispute(transaction, 'nothing came') }, buyer.device)
      const [open] = await fixture.settlement.payouts.disputes(10)
      return { decide: () => fixture.settlement.payouts.decideDispute(open!.id, 'clerk-1', upheld) }
    }
    await (await dispute(disputed.transaction, true)).decide()
    t.equal(await file(), undefined, 'a claim is set off against the debt')
    t.equal(await standing(fixture, 'shop-debt'), 750)

    const late = await dispute(held.transaction, true)
    await late.decide()
    t.equal(await standing(fixture, 'shop-debt'), 1080, 'what was set off is owed again when its order goes back')
    await claimed('tea')
    await claimed('photo-a')
    t.match(await file(), { payouts: 1 })
    t.equal(await standing(fixture, 'shop-debt'), 0)
    const [payout] = await fixture.database.all<{ amount: number }>(
      "SELECT amount FROM payouts WHERE state = 'sent' ORDER BY number DESC LIMIT 1",
    )
    t.equal(payout!.amount, 330, 'the shop is paid what is left')
    await conserved(t, fixture)
  },
)

t.test('P9 a claim whose order is disputed leaves for no bank until it is decided', async (t) => {
  const fixture = await new SettlementFixture().start()
  const { buyer, shop } = await people(fixture)
  const claimed = async (item: string) => {
    const { transaction } = await buy(fixture, buyer, shop, [{ item, count: 1 }])
    for (const what of [{ do: 'deliver', state: 'delivered', how: 'parcel' }, { do: 'claim' }] as const)
      await fixture.act(actAsShop, { act: shop.pay.shopAct(transaction, what) }, shop.device)
    return transaction
  }
  const dispute = async (transaction: string) => {
    await fixture.act(disputeOrder, { dispute: buyer.pay.dispute(transaction, 'nothing came') }, buyer.device)
    const [open] = await fixture.settlement.payouts.disputes(10)
    return (upheld: boolean) => fixture.settlement.payouts.decideDispute(open!.id, 'clerk-1', upheld)
  }
  const sent = async () =>
    (await fixture.settlement.bank.payoutFile('2026-12-03', 'zengin')) &&
    (
      await fixture.database.all<{ amount: number }>(
        "SELECT amount FROM payouts WHERE state = 'sent' ORDER BY number DESC LIMIT 1",
      )
    ).map(({ amount }) => amount)

  const decideTea = await dispute(await claimed('tea'))
  t.equal(await sent(), undefined, 'nothing but the disputed claim waits')
  await claimed('photo-a')
  t.strictSame(await sent(), [330], 'the other order’s money leaves')
  await decideTea(false)
  t.strictSame(await sent(), [1080], 'refused: it leaves with the next file')

  const before = await balance(fixture, buyer)
  const decideSecond = await dispute(await claimed('tea'))
  await decideSecond(true)
  t.equal(await balance(fixture, buyer), before, 'upheld: 1080 went for it and came back')
  t.equal(await standing(fixture, 'shop-debt'), 0, 'out of what was held back, so that no debt is left')
  t.equal(await sent(), undefined)
  await conserved(t, fixture)
})

t.test('P9 a dispute can be decided after the shop gave all back by itself', async (t) => {
  const fixture = await new SettlementFixture().start()
  const { buyer, shop } = await people(fixture)
  const { transaction } = await buy(fixture, buyer, shop, [{ item: 'tea', count: 1 }])
  await fixture.act(disputeOrder, { dispute: buyer.pay.dispute(transaction, 'nothing came') }, buyer.device)
  const whole = { do: 'refund', minor: 1080, reason: 'right' } as const
  await fixture.act(actAsShop, { act: shop.pay.shopAct(transaction, whole) }, shop.device)
  const [open] = await fixture.settlement.payouts.disputes(10)
  await fixture.settlement.payouts.decideDispute(open!.id, 'clerk-1', true)
  t.strictSame(await fixture.settlement.payouts.disputes(10), [])
  t.equal(await balance(fixture, buyer), 5000, 'and nothing comes back twice')
  await conserved(t, fixture)
})

t.test(
  'P9 sales that an earlier release took for another order’s refund: the claim goes through, the gap is a debt',
  async (t) => {
    const fixture = await new SettlementFixture().start()
    const { buyer, shop } = await people(fixture)
    const { transaction } = await buy(fixture, buyer, shop, [{ item: 'tea', count: 1 }])
    const idOf = async ({ number }: FixtureMember) =>
      Buffer.from(
        (await fixture.database.get<{ id: Uint8Array }>('SELECT id FROM members WHERE number = ?', number))!.id,
      ).toString('hex')
    const [seller, payer] = [await idOf(shop), await idOf(buyer)]
    await fixture.settlement.store.transaction(({ sql, nowMs }) =>
      ledgerOf(sql).post(
        {
          id: new Uint8Array(16).fill(9),
          reason: 'refund',
          reference: '40000000000099',
          legs: [
            {
              kind: 'post',
              debit: `sales/${seller}/JPY`,
              credit: `value/${payer}/JPY`,
              amountMinor: 80n,
            },
          ],
        },
        nowMs,
      ),
    )
    const shopDoes = (what: Parameters<FixtureMember['pay']['shopAct']>[1]) =>
      fixture.act(actAsShop, { act: shop.pay.shopAct(transaction, what) }, shop.device)
    await shopDoes({ do: 'deliver', state: 'delivered', how: 'parcel' })
    t.strictSame(await shopDoes({ do: 'claim' }), { state: 'claimed' })
    t.strictSame([await standing(fixture, 'shop-debt'), await standing(fixture, 'payable')], [80, 1080])
    await conserved(t, fixture)
  },
)
