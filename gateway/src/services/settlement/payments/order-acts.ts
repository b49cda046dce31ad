/** Delivery, metered use, claim, refund and dispute of orders (P7, P9). */
import { decode } from '@azukari/protocol/codec'
import { checker } from '@azukari/protocol/contract'
import { actAsShop, disputeOrder, MeterTick, tickDomain } from '@azukari/protocol/contracts/settlement-purchase'
import { verify1By } from '@azukari/protocol/cose'
import { parseCoseKey } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import type { ActContext, Handler } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { ledgerOf } from '../centre/epoch.ts'
import { memberAccount } from '../ledger/accounts.ts'
import { noteOperation } from '../ledger/operations.ts'
import { type MemberRow, memberKeys } from '../members/registers.ts'
import { derivedId, memberAct, type ServiceContext, type Within } from '../service-context.ts'
import { linesOf, refundLines } from './order-lines.ts'
import { isDisputed, nextState, type OrderRow, orderByNumber, orders } from './orders.ts'
import { addToPayout, holdBack, letGo, waitsForAsMuch } from './payouts.ts'
import { tellBuyer, tellShop } from './purchase.ts'
import { takeAsDebt, takeFromPayable, takeFromSales } from './shop-debts.ts'
import { noteOrderEvent } from './webhooks/events.ts'

const checkTick = checker(MeterTick, 'meter tick')

export function payoutHandlers(shared: ServiceContext): Handler[] {
  return [
    memberAct(shared, actAsShop, async ({ member: shop, body }, context) => {
      const order = await ownOrder(context.sql, shop, body.transaction)
      const { what } = body
      const posting = Buffer.from(body.act).toString('hex')
      if (what.do === 'deliver') return { state: await deliver(context, order, what.state, what.how) }
      if (what.do === 'meter') return { state: await endMeter(shared, context, order, what.tick) }
      if (what.do === 'claim') return { state: await claim(context, order) }
      return { state: await refund(shared, context, order, { ...what, posting }) }
    }),

    memberAct(shared, disputeOrder, async ({ member, body }, context) => {
      const { sql, nowMs, requestId } = context
      const order = await orderByNumber(sql, body.transaction)
      if (Buffer.compare(order.buyer, member.id) !== 0) throw new Problem('register.not-own')
      if (!['paid', 'delivered', 'claimed'].includes(order.state)) throw new Problem('pay.order-state', order.state)
      if ((order.paid_at ?? 0) + shared.rules.disputeMs <= nowMs) throw new Problem('pay.late')
      if (await isDisputed(sql, order.number)) throw new Problem('pay.disputed')
      await insertRow(sql, 'disputes', { id: requestId, number: order.number, reason: body.reason, at: nowMs })
      await holdBack(sql, order, nowMs)
      await tellShop(shared, context, order)
      await noteOrderEvent(shared, context, 'order.disputed', order)
      return { dispute: requestId }
    }),
  ]
}

/** @throws {Problem} `register.not-shop`, `pay.order-unknown`, `register.not-own` */
export async function ownOrder(sql: Sql, shop: MemberRow, number: string): Promise<OrderRow> {
  if (shop.kind !== 'shop') throw new Problem('register.not-shop')
  const order = await orderByNumber(sql, number)
  if (Buffer.compare(order.shop, shop.id) !== 0) throw new Problem('register.not-own')
  return order
}

/** The stage after a shop says that an order was sent, or has arrived. @throws {Problem} `pay.order-state` */
export async function deliver(
  { sql, nowMs }: Pick<Within, 'sql' | 'nowMs'>,
  order: OrderRow,
  delivery: 'sent' | 'delivered',
  how: string,
) {
  const state = nextState(order.state, 'deliver')
  if (delivery === 'sent') {
    await orders.set(sql, order.number, { delivery: `sent: ${how}` })
    return order.state
  }
  await orders.set(sql, order.number, { state, delivery: `delivered: ${how}`, delivered_at: nowMs })
  return state
}

/** The buyer's last tick says what was used; what was reserved beyond it goes back. @throws {Problem} `pay.amount-differs` */
async function endMeter(shared: ServiceContext, context: ActContext, order: OrderRow, signed: Uint8Array) {
  const { sql, nowMs } = context
  const state = nextState(order.state, 'meter-end')
  const { payload } = await verify1By(
    signed,
    async (kid) => {
      const key = await memberKeys.get(sql, kid)
      return key && Buffer.compare(key.member, order.buyer) === 0 ? parseCoseKey(key.key) : undefined
    },
    tickDomain,
  )
  const tick = checkTick(decode(payload))
  const [line] = linesOf(order)
  const used = BigInt(tick.units) * BigInt(line!.price)
  if (tick.transaction !== order.number || used > BigInt(order.total)) throw new Problem('pay.amount-differs')
  await ledgerOf(sql).post(
    {
      id: derivedId('meter-end', order.number),
      reason: 'metered use',
      reference: order.number,
      legs: [{ kind: 'capture', hold: order.hold!, amountMinor: used }],
    },
    nowMs,
  )
  const now: OrderRow = { ...order, state, paid: Number(used) }
  await orders.set(sql, order.number, { state, paid: now.paid, delivered_at: nowMs, delivery: `used: ${tick.units}` })
  await tellBuyer(shared, context, now)
  await noteOrderEvent(shared, context, 'order.used', now)
  return state
}

/** The shop wants its money: it goes into the payout that waits for the next file. */
async function claim({ sql, nowMs }: ActContext, order: OrderRow) {
  const state = nextState(order.state, 'claim')
  if (await isDisputed(sql, order.number)) throw new Problem('pay.disputed')
  const ledger = ledgerOf(sql)
  const due = order.paid - order.refunded
  await ledger.post(
    {
      id: derivedId('claim', order.number),
      reason: 'claim',
      reference: order.number,
      legs: await takeFromSales(ledger, {
        shop: order.shop,
        currency: order.currency,
        minor: due,
        credit: await memberAccount(ledger, 'payable', order.shop, order.currency),
      }),
    },
    nowMs,
  )
  await orders.set(sql, order.number, { state, payout: await addToPayout(sql, order.shop, order.currency, due, nowMs) })
  return state
}

export interface Refund {
  minor: number
  /** The article that it is for; without one it is of the order as a whole. */
  item?: string
  /** By which the same refund is known when it comes again. */
  posting: string
}

/**
 * Money back to the buyer, all or a part: from what the shop has not claimed, from its payout that has not left, or, when the money
 * has left, as a debt of the shop.
 * @throws {Problem} `pay.refund-too-much`, `pay.item-unknown`, `ledger.bad-amount`, `pay.order-state`
 */
export async function refund(
  shared: ServiceContext,
  within: Within,
  order: OrderRow,
  { minor, item, posting }: Refund,
) {
  const { sql, nowMs } = within
  const whole = minor === order.paid - order.refunded
  const next = nextState(order.state, 'refund')
  if (minor === 0) throw new Problem('ledger.bad-amount')
  if (minor > order.paid - order.refunded) throw new Problem('pay.refund-too-much')
  const lines = JSON.stringify(refundLines(order, minor, item))
  const ledger = ledgerOf(sql)
  const taken = {
    shop: order.shop,
    currency: order.currency,
    minor,
    credit: await memberAccount(ledger, 'value', order.buyer, order.currency),
  }
  const isHeld = order.state === 'paid' || order.state === 'delivered'
  const waits = !isHeld && (await waitsForAsMuch(sql, order.payout, minor))
  const legs = isHeld
    ? await takeFromSales(ledger, taken)
    : [waits ? await takeFromPayable(ledger, taken) : await takeAsDebt(ledger, taken)]
  await ledger.post(
    { id: derivedId('refund', order.number, posting), reason: 'refund', reference: order.number, legs },
    nowMs,
  )
  if (waits) await sql.run('UPDATE payouts SET amount = amount - ? WHERE number = ?', minor, order.payout)
  const now: OrderRow = { ...order, state: whole ? next : order.state, refunded: order.refunded + minor, lines }
  await orders.set(sql, order.number, { state: now.state, refunded: now.refunded, lines })
  await tellBuyer(shared, within, now)
  await tellShop(shared, within, now)
  await noteOrderEvent(shared, within, 'order.refunded', now)
  return now.state
}

/** The clerk's side of payouts and disputes. */
export interface PayoutDesk {
  /** Open disputes, oldest first. */
  disputes(limit: number): Promise<{ id: Uint8Array; number: string; reason: string; at: number }[]>
  /** Upheld: the buyer has back whatever the shop has not given back by itself. @throws {Problem} `object.unknown`, those of a refund */
  decideDispute(id: Uint8Array, clerk: string, upheld: boolean): Promise<void>
  /** Orders that nobody paid in time, and metered ones that nobody ended, end. Returns how many. */
  lapse(): Promise<number>
}

export function payoutDesk(shared: ServiceContext): PayoutDesk {
  return {
    disputes: (limit) =>
      shared.store.sql.all(
        'SELECT id, number, reason, at FROM disputes WHERE decided IS NULL ORDER BY at LIMIT ?',
        limit,
      ),

    decideDispute: (id, clerk, upheld) =>
      shared.store.transaction(async (within) => {
        const { sql, nowMs } = within
        const row = await sql.get<{ number: string }>(
          'SELECT number FROM disputes WHERE id = ? AND decided IS NULL',
          id,
        )
        if (!row) throw new Problem('object.unknown', 'no such open dispute')
        await sql.run(
          'UPDATE disputes SET decided = ?, upheld = ?, clerk = ? WHERE id = ?',
          nowMs,
          upheld ? 1 : 0,
          clerk,
          id,
        )
        await noteOperation(sql, nowMs, clerk, 'decide dispute', `${row.number} ${upheld ? 'upheld' : 'refused'}`)
        const order = await orderByNumber(sql, row.number)
        const left = order.paid - order.refunded
        if (upheld && left > 0)
          await refund(shared, within, order, {
            minor: left,
            posting: Buffer.from(id).toString('hex'),
          })
        else {
          await tellBuyer(shared, within, order)
          await tellShop(shared, within, order)
        }
        await letGo(sql, order, nowMs)
        await noteOrderEvent(shared, within, 'order.dispute-decided', await orderByNumber(sql, row.number))
      }),

    lapse: async () => {
      if (!(await isSomethingDue(shared.store.sql, shared.clock.now()))) return 0
      return shared.store.transaction(async (within) => {
        const { sql, nowMs } = within
        await ledgerOf(sql).expireDue(nowMs)
        const over = [
          ...(await orders.overdue(sql, nowMs, 256)),
          ...(await sql.all<OrderRow>(
            `SELECT o.* FROM orders o JOIN ledger_holds h ON h.id = o.hold
             WHERE o.state = 'metering' AND h.resolved = 1 LIMIT 256`,
          )),
        ]
        for (const order of over) {
          const state = nextState(order.state, 'lapse')
          await orders.set(sql, order.number, { state })
          if (order.state === 'metering') await tellBuyer(shared, within, { ...order, state })
          await noteOrderEvent(shared, within, 'order.lapsed', { ...order, state })
        }
        return over.length
      })
    },
  }
}

/** Whether an order or a reservation has run out: nothing is written to find that nothing is to be done. */
async function isSomethingDue(sql: Sql, nowMs: number): Promise<boolean> {
  return (
    (await orders.overdue(sql, nowMs, 1)).length > 0 ||
    (await sql.get('SELECT 1 AS there FROM ledger_holds WHERE resolved = 0 AND expires <= ? LIMIT 1', nowMs)) !==
      undefined ||
    (await sql.get(
      "SELECT 1 AS there FROM orders o JOIN ledger_holds h ON h.id = o.hold WHERE o.state = 'metering' AND h.resolved = 1 LIMIT 1",
    )) !== undefined
  )
}
