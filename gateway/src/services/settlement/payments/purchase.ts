/** Purchase (P6): offer, order, payment instruction, notice to the shop and new balance to the buyer; account query (P8, P9). */

import { encodeDeterministic } from '@azukari/protocol/codec'
import {
  balanceChanged,
  balanceDomain,
  instructPayment,
  listOffer,
  noticeDomain,
  type OfferItem,
  type PayNotice,
  type PayReceipt,
  payNotice,
  payReceiptDomain,
  placeOrder,
  putOffer,
} from '@azukari/protocol/contracts/settlement-purchase'
import { accountStateDomain, readAccount } from '@azukari/protocol/contracts/settlement-value'
import { sign1 } from '@azukari/protocol/cose'
import { mapInOrder } from '@azukari/protocol/in-order'
import { amountMaxMinor, type Currency } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import { call, type Handler, signedCall } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { ledgerOf } from '../centre/epoch.ts'
import { memberAccount } from '../ledger/accounts.ts'
import { availableOf, balanceOf } from '../ledger/model.ts'
import { type MemberRow, memberByNumber, members, openPerson } from '../members/registers.ts'
import { nextNumber } from '../numbers.ts'
import { derivedId, memberAct, type ServiceContext, sealFor, signerOfMember, type Within } from '../service-context.ts'
import { tell } from '../tell.ts'
import { linesOf, taxesOf } from './order-lines.ts'
import { nextState, type OrderLine, type OrderRow, orderByNumber, orders } from './orders.ts'
import { noteOrderEvent } from './webhooks/events.ts'

const offerPage = 100

interface ItemRow {
  item: string
  name: string
  kind: OfferItem['kind']
  price: number
  currency: Currency
  tax: OfferItem['tax']
  unit: string | null
}

export function purchaseHandlers(shared: ServiceContext): Handler[] {
  const { keys, rules } = shared
  return [
    memberAct(shared, putOffer, async ({ member, body }, context) => {
      if (member.kind !== 'shop') throw new Problem('register.not-shop')
      const names = new Set(body.items.map(({ item }) => item))
      if (names.size !== body.items.length) throw new Problem('message.invalid', 'an item stands twice in the offer')
      const wrong = body.items.find(({ currency }) => !rules.currencies.includes(currency))
      if (wrong) throw new Problem('ledger.wrong-currency', wrong.currency)
      await context.sql.run('DELETE FROM shop_items WHERE shop = ?', member.id)
      for (const { item, name, kind, price, currency, tax, unit = null } of body.items)
        await insertRow(context.sql, 'shop_items', { shop: member.id, item, name, kind, price, currency, tax, unit })
      return { items: body.items.length }
    }),

    call(listOffer, async ({ shop: number, after = '' }) => {
      const { sql } = shared.store
      const shop = await memberByNumber(sql, number)
      if (shop.kind !== 'shop' || shop.state !== 'active') throw new Problem('register.unknown-number')
      const rows = await sql.all<ItemRow>(
        `SELECT item, name, kind, price, currency, tax, unit FROM shop_items WHERE shop = ? AND item > ?
         ORDER BY item LIMIT ?`,
        shop.id,
        after,
        offerPage + 1,
      )
      return {
        name: openPerson(keys, shop.id, shop.person).name,
        items: rows.slice(0, offerPage).map(({ unit, ...row }) => ({ ...row, ...(unit === null ? {} : { unit }) })),
        more: rows.length > offerPage,
      }
    }),

    memberAct(shared, placeOrder, async ({ member: buyer, body }, context) => {
      const { sql, nowMs } = context
      const shop = await memberByNumber(sql, body.shop)
      if (shop.kind !== 'shop' || shop.state !== 'active') throw new Problem('register.unknown-number')
      if (same(shop.id, buyer.id)) throw new Problem('pay.own-shop')
      const { lines, total, currency, metered } = await priceOrder(body.lines, (item) => itemOf(sql, shop.id, item))
      const number = await nextNumber(sql, 'transaction', nowMs)
      const row: OrderRow = {
        number,
        buyer: buyer.id,
        shop: shop.id,
        lines: JSON.stringify(lines),
        total,
        currency,
        metered: metered ? 1 : 0,
        state: 'open',
        at: nowMs,
        pay_by: nowMs + rules.orderMs,
        paid: 0,
        paid_at: null,
        refunded: 0,
        delivery: null,
        delivered_at: null,
        hold: null,
        payout: null,
      }
      await insertRow(sql, 'orders', row)
      return { transaction: number, total: { minor: total, currency }, payByMs: row.pay_by, metered }
    }),

    memberAct(shared, instructPayment, async ({ member: buyer, key, body }, context) => {
      const { sql, nowMs } = context
      const order = await orderByNumber(sql, body.transaction)
      if (!same(order.buyer, buyer.id)) throw new Problem('register.not-own')
      const shop = (await members.get(sql, order.shop))!
      if (shop.number !== body.shop) throw new Problem('pay.amount-differs', 'another shop')
      if (body.amount.currency !== order.currency || body.amount.minor !== order.total)
        throw new Problem('pay.amount-differs')
      const state = nextState(order.state, order.metered ? 'meter' : 'pay')
      if (order.pay_by <= nowMs) throw new Problem('pay.order-expired')
      if (shop.state !== 'active') throw new Problem('member.suspended', 'the shop')
      const ledger = ledgerOf(sql)
      const value = await memberAccount(ledger, 'value', buyer.id, order.currency)
      const move = {
        debit: value,
        credit: await memberAccount(ledger, 'sales', shop.id, order.currency),
        amountMinor: BigInt(order.total),
      }
      const hold = order.metered ? derivedId('meter', order.number) : null
      await ledger.post(
        {
          id: derivedId('pay', order.number),
          reason: order.metered ? 'metering' : 'purchase',
          reference: order.number,
          // The hold's end comes from the order, so that a replay of this posting is the same posting.
          legs: [
            hold ? { kind: 'hold', ...move, hold, expiresMs: order.pay_by + rules.meterMs } : { kind: 'post', ...move },
          ],
        },
        nowMs,
      )
      const paid: OrderRow = { ...order, state, paid: order.metered ? 0 : order.total, paid_at: nowMs, hold }
      await orders.set(sql, order.number, { state, paid: paid.paid, paid_at: nowMs, hold })
      await tellShop(shared, context, paid)
      await noteOrderEvent(shared, context, 'order.paid', paid)
      const result = sealFor(shared, key, balanceDomain, nowMs, await payResult(shared, sql, paid, shop, nowMs))
      return { result }
    }),

    signedCall(readAccount, async (_request, { nowMs, signed }) => {
      const { sql } = shared.store
      const { member, key, body } = await signerOfMember(shared, sql, signed, nowMs)
      const { currency } = body
      const code = `value/${Buffer.from(member.id).toString('hex')}/${currency}`
      const ledger = ledgerOf(sql)
      const account = await ledger.account(code)
      const state = sealFor(shared, key, accountStateDomain, nowMs, {
        contract: readAccount.id,
        balance: { minor: account ? Number(balanceOf(account)) : 0, currency },
        available: { minor: account ? Number(availableOf(account)) : 0, currency },
        lines: (await ledger.history(code, 50, body.beforeSeq)).map(
          ({ seq, atMs, reason, reference, changeMinor }) => ({
            seq,
            atMs,
            reason,
            reference,
            changeMinor: Number(changeMinor),
          }),
        ),
      })
      return { state }
    }),
  ]
}

/** Prices of an order as the offer stands now. @throws {Problem} `pay.item-unknown`, `ledger.wrong-currency`, `ledger.bad-amount` */
async function priceOrder(
  wanted: readonly { item: string; count: number }[],
  itemOf: (item: string) => Promise<ItemRow | undefined>,
): Promise<{ lines: OrderLine[]; total: number; currency: Currency; metered: boolean }> {
  const items = await mapInOrder(wanted, async ({ item, count }) => {
    const row = await itemOf(item)
    if (!row) throw new Problem('pay.item-unknown', item)
    return { row, count }
  })
  const { currency } = items[0]!.row
  const metered = items.some(({ row }) => row.kind === 'metered')
  if (items.some(({ row }) => row.currency !== currency)) throw new Problem('ledger.wrong-currency')
  if (metered && items.length > 1) throw new Problem('message.invalid', 'a metered item is ordered alone')
  const lines = items.map(({ row, count }) => ({
    item: row.item,
    name: row.name,
    count,
    price: row.price,
    tax: row.tax,
  }))
  const total = lines.reduce((sum, { price, count }) => sum + BigInt(price) * BigInt(count), 0n)
  if (total <= 0n || total > amountMaxMinor) throw new Problem('ledger.bad-amount')
  return { lines, total: Number(total), currency, metered }
}

async function itemOf(sql: Sql, shop: Uint8Array, item: string): Promise<ItemRow | undefined> {
  return sql.get<ItemRow>(
    'SELECT item, name, kind, price, currency, tax, unit FROM shop_items WHERE shop = ? AND item = ?',
    shop,
    item,
  )
}

/** What the buyer is told after a payment or a refund. */
async function payResult(shared: ServiceContext, sql: Sql, order: OrderRow, shop: MemberRow, nowMs: number) {
  const { currency } = order
  const ledger = ledgerOf(sql)
  const account = (await ledger.account(await memberAccount(ledger, 'value', order.buyer, currency)))!
  const paid = order.paid - order.refunded
  return {
    contract: instructPayment.id,
    transaction: order.number,
    paid: { minor: paid, currency },
    balance: { minor: Number(balanceOf(account)), currency },
    ...(paid > 0 ? { receipt: receiptOf(shared, order, shop, nowMs) } : {}),
  }
}

/**
 * A receipt for the card: signed, and with what a simplified qualified invoice has (Consumption Tax Act art. 57-4 para. 2): the
 * shop's name and registration number, the day, the goods, and amount and tax per rate. After a refund it is of what is left.
 */
function receiptOf(shared: ServiceContext, order: OrderRow, shop: MemberRow, nowMs: number): Uint8Array {
  const { name, invoiceNumber } = openPerson(shared.keys, shop.id, shop.person)
  const receipt: PayReceipt = {
    kind: 'purchase',
    transaction: order.number,
    shop: shop.number,
    name,
    amount: { minor: order.paid - order.refunded, currency: order.currency },
    taxes: taxesOf(order),
    atMs: order.paid_at ?? nowMs,
  }
  if (invoiceNumber) receipt.invoiceNumber = invoiceNumber
  return sign1(encodeDeterministic(receipt), shared.signer, payReceiptDomain)
}

/** Tells the shop what became of an order. */
export async function tellShop(shared: ServiceContext, within: Within, order: OrderRow): Promise<void> {
  const body: Omit<PayNotice, 'audience' | 'act' | 'issuedMs' | 'expiresMs'> = {
    contract: payNotice.id,
    transaction: order.number,
    state: order.state,
    amount: { minor: order.paid - order.refunded, currency: order.currency },
    lines: linesOf(order).map(({ item, count }) => ({ item, count })),
  }
  await tell(shared, within, {
    member: order.shop,
    contract: payNotice,
    domain: noticeDomain,
    body,
    wrap: (notice) => ({ notice }),
  })
}

/** Tells the buyer of a balance that changed without the buyer's doing. */
export async function tellBuyer(shared: ServiceContext, within: Within, order: OrderRow): Promise<void> {
  await tell(shared, within, {
    member: order.buyer,
    contract: balanceChanged,
    domain: balanceDomain,
    body: await payResult(shared, within.sql, order, (await members.get(within.sql, order.shop))!, within.nowMs),
    wrap: (result) => ({ result }),
  })
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
