/** Orders (P6, P7): the stages of one, as a table of decisions, and its rows. */
import type { OrderState } from '@azukari/protocol/contracts/settlement-purchase'
import type { Currency } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'

export interface OrderLine {
  item: string
  count: number
  price: number
  tax: 10 | 8 | 0
  /** As the offer named it when it was ordered; orders from before names were kept have none. */
  name?: string
  /** What was given back of this line. */
  refunded?: number
}

export interface OrderRow {
  number: string
  buyer: Uint8Array
  shop: Uint8Array
  /** JSON of `OrderLine[]`: names and prices as they were when it was ordered. */
  lines: string
  total: number
  currency: Currency
  metered: number
  state: OrderState
  at: number
  pay_by: number
  paid: number
  paid_at: number | null
  refunded: number
  delivery: string | null
  delivered_at: number | null
  hold: Uint8Array | null
  payout: string | null
}

/** What can happen to an order, and from which stages. */
const moves = {
  pay: { open: 'paid' },
  meter: { open: 'metering' },
  'meter-end': { metering: 'delivered' },
  deliver: { paid: 'delivered' },
  claim: { delivered: 'claimed' },
  'pay-out': { claimed: 'paid-out' },
  'pay-out-returned': { 'paid-out': 'claimed' },
  refund: { paid: 'refunded', delivered: 'refunded', claimed: 'refunded', 'paid-out': 'refunded' },
  lapse: { open: 'lapsed', metering: 'lapsed' },
} as const satisfies Record<string, Partial<Record<OrderState, OrderState>>>
export type OrderMove = keyof typeof moves

/** The stage after `move`. @throws {Problem} `pay.order-state` */
export function nextState(state: OrderState, move: OrderMove): OrderState {
  const next = (moves[move] as Partial<Record<OrderState, OrderState>>)[state]
  if (!next) throw new Problem('pay.order-state', `${move} of an order that is ${state}`)
  return next
}

export const orders = {
  get: (sql: Sql, number: string) => sql.get<OrderRow>('SELECT * FROM orders WHERE number = ?', number),
  set: async (sql: Sql, number: string, change: Partial<OrderRow>) => {
    const entries = Object.entries(change)
    await sql.run(
      `UPDATE orders SET ${entries.map(([name]) => `${name} = ?`).join(', ')} WHERE number = ?`,
      ...entries.map(([, value]) => value as string | number | Uint8Array | null),
      number,
    )
  },
  /** Of one shop, by number. */
  ofShop: (
    sql: Sql,
    shop: Uint8Array,
    { state, after, limit }: { state: OrderState | undefined; after: string; limit: number },
  ) =>
    sql.all<OrderRow>(
      `SELECT * FROM orders WHERE shop = ?1 AND number > ?2 AND (CAST(?3 AS TEXT) IS NULL OR state = ?3)
       ORDER BY number LIMIT ?4`,
      shop,
      after,
      state ?? null,
      limit,
    ),
  /** Unpaid ones whose time is over. */
  overdue: (sql: Sql, nowMs: number, limit: number) =>
    sql.all<OrderRow>("SELECT * FROM orders WHERE state = 'open' AND pay_by <= ? LIMIT ?", nowMs, limit),
}

/** @throws {Problem} `pay.order-unknown` */
export async function orderByNumber(sql: Sql, number: string): Promise<OrderRow> {
  const order = await orders.get(sql, number)
  if (!order) throw new Problem('pay.order-unknown')
  return order
}

/** Whether a dispute about it is open. */
export async function isDisputed(sql: Sql, number: string): Promise<boolean> {
  return (await sql.get('SELECT 1 AS there FROM disputes WHERE number = ? AND decided IS NULL', number)) !== undefined
}
