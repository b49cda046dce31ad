/** What a shop's own program asks over HTTPS (P6, P7, P9): balance, orders, delivery, refund. The host has judged its API key. */

import { hex } from '@azukari/protocol/bytes'
import {
  deliverShopOrder,
  listShopOrders,
  readShopBalance,
  readShopOrder,
  refundShopOrder,
} from '@azukari/protocol/contracts/settlement-shop'
import { mapInOrder } from '@azukari/protocol/in-order'
import type { Currency } from '@azukari/protocol/money'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { type Handler, shopAct, shopCall } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { ledgerOf } from '../centre/epoch.ts'
import { balanceOf } from '../ledger/model.ts'
import { type MemberRow, memberByNumber, pseudonym } from '../members/registers.ts'
import type { ServiceContext } from '../service-context.ts'
import { deliver, ownOrder, refund } from './order-acts.ts'
import { type OrderRow, orders } from './orders.ts'
import { shownOrder } from './shown-order.ts'

const pageRows = 100

export function shopHandlers(shared: ServiceContext): Handler[] {
  const { sql } = shared.store
  return [
    shopCall(readShopBalance, async (_request, { holder }) => {
      const shop = await activeShop(sql, holder)
      const balances = await mapInOrder(shared.rules.currencies, async (currency) => ({
        currency,
        salesMinor: await standing(sql, 'sales', shop, currency),
        payableMinor: await standing(sql, 'payable', shop, currency),
        owedMinor: await standing(sql, 'shop-debt', shop, currency),
      }))
      return { shop: shop.number, balances }
    }),

    shopCall(listShopOrders, async ({ state, after = '', limit = pageRows }, { holder }) => {
      const shop = await activeShop(sql, holder)
      const rows = await orders.ofShop(sql, shop.id, { state, after, limit: limit + 1 })
      return {
        orders: await mapInOrder(rows.slice(0, limit), (row) => shownOrder(sql, row)),
        more: rows.length > limit,
      }
    }),

    shopCall(readShopOrder, async ({ order }, { holder }) => shownOrder(sql, await orderOf(sql, holder, order))),

    shopAct(deliverShopOrder, async ({ order: number, state, how }, context) => {
      const order = await orderOf(context.sql, context.holder, number)
      return { state: await deliver(context, order, state, how) }
    }),

    shopAct(refundShopOrder, async ({ order: number, ...what }, context) => {
      const order = await orderOf(context.sql, context.holder, number)
      return { state: await refund(shared, context, order, { ...what, posting: hex(context.requestId) }) }
    }),
  ]
}

/** @throws {Problem} `register.unknown-number`, `register.not-shop`, `member.suspended` */
export async function activeShop(sql: Sql, number: string): Promise<MemberRow> {
  const shop = await memberByNumber(sql, number)
  if (shop.kind !== 'shop') throw new Problem('register.not-shop')
  if (shop.state !== 'active') throw new Problem('member.suspended')
  return shop
}

/** Another shop's order is none at all: numbers say nothing to who guesses them. @throws {Problem} `pay.order-unknown`, as `activeShop` */
async function orderOf(sql: Sql, holder: string, number: string): Promise<OrderRow> {
  const shop = await activeShop(sql, holder)
  try {
    return await ownOrder(sql, shop, number)
  } catch (error) {
    throw isProblem(error, 'register.not-own') ? new Problem('pay.order-unknown') : error
  }
}

async function standing(
  sql: Sql,
  name: 'sales' | 'payable' | 'shop-debt',
  shop: MemberRow,
  currency: Currency,
): Promise<number> {
  const account = await ledgerOf(sql).account(`${name}/${pseudonym(shop.id)}/${currency}`)
  return account ? Number(balanceOf(account)) : 0
}
