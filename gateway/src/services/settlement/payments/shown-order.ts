/** An order as its shop's own program sees it (P6, P7): nothing says who the buyer is. */
import type { ReplyOf } from '@azukari/protocol/contract'
import type { readShopOrder } from '@azukari/protocol/contracts/settlement-shop'
import type { Sql } from '../../../storage/database.ts'
import { linesOf } from './order-lines.ts'
import { isDisputed, type OrderRow } from './orders.ts'

export type ShownOrder = ReplyOf<typeof readShopOrder>

export async function shownOrder(sql: Sql, row: OrderRow): Promise<ShownOrder> {
  const { number: order, state, currency, at: orderedMs, paid_at: paidMs, delivered_at: deliveredMs, delivery } = row
  const money = (minor: number) => ({ minor, currency })
  const made: ShownOrder = {
    order,
    state,
    orderedMs,
    total: money(row.total),
    paid: money(row.paid),
    refunded: money(row.refunded),
    isDisputed: await isDisputed(sql, order),
    lines: linesOf(row).map(({ item, count, price, tax }) => ({ item, count, price, tax })),
  }
  if (paidMs !== null) made.paidMs = paidMs
  if (deliveredMs !== null) made.deliveredMs = deliveredMs
  if (delivery !== null) made.delivery = delivery
  return made
}
