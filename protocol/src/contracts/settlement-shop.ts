/** What a shop's own program asks of settlement over HTTPS, with an API key of the shop (P6, P7, P9). */
import { contract, Text, TimeMs, Type } from '../contract.ts'
import { AmountMinor, CurrencyCode, Money } from '../money.ts'
import { FilePiece, pieceRequest } from './https.ts'
import { SettlementNumber } from './settlement-members.ts'
import { OrderState, TaxRate } from './settlement-purchase.ts'

const frame = { kind: 'https', service: 'settlement' } as const
/** Whoever's key it is may be a shop no more. */
const shopProblems = ['register.unknown-number', 'register.not-shop', 'member.suspended'] as const

export const readShopBalance = contract({
  ...frame,
  name: 'shop.balance',
  authority: 'shop',
  https: { method: 'GET', path: '/v1/shop/balance', scope: 'balance' },
  title: 'What a shop has sold and not claimed yet, and what waits for the bank',
  serves: ['P7', 'P9'],
  request: Type.Object({}),
  reply: Type.Object({
    shop: SettlementNumber,
    balances: Type.Array(
      Type.Object({
        currency: CurrencyCode,
        /** Paid by buyers, not claimed yet. */
        salesMinor: AmountMinor,
        /** Claimed: waits for the next payout. */
        payableMinor: AmountMinor,
        /** Given back to buyers after the shop had its money: set off against the next payouts. */
        owedMinor: AmountMinor,
      }),
      { maxItems: 16 },
    ),
  }),
  problems: shopProblems,
})

/** An order as its shop sees it: nothing says who the buyer is. */
export const ShopOrder = Type.Object({
  order: SettlementNumber,
  state: OrderState,
  orderedMs: TimeMs,
  paidMs: Type.Optional(TimeMs),
  deliveredMs: Type.Optional(TimeMs),
  total: Money,
  paid: Money,
  refunded: Money,
  isDisputed: Type.Boolean(),
  delivery: Type.Optional(Text(120)),
  lines: Type.Array(
    Type.Object({
      item: Text(32),
      count: Type.Integer({ minimum: 1 }),
      price: AmountMinor,
      tax: TaxRate,
    }),
    { maxItems: 50 },
  ),
})

export const listShopOrders = contract({
  ...frame,
  name: 'shop.orders',
  authority: 'shop',
  https: { method: 'GET', path: '/v1/shop/orders', scope: 'orders' },
  title: 'A shop’s orders, by number, a page at a time',
  serves: ['P6', 'P7'],
  request: Type.Object({
    state: Type.Optional(OrderState),
    /** The last order of the page before. */
    after: Type.Optional(SettlementNumber),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  }),
  reply: Type.Object({ orders: Type.Array(ShopOrder, { maxItems: 100 }), more: Type.Boolean() }),
  problems: shopProblems,
})

export const readShopOrder = contract({
  ...frame,
  name: 'shop.order',
  authority: 'shop',
  https: { method: 'GET', path: '/v1/shop/orders/{order}', scope: 'orders' },
  title: 'One order of a shop',
  serves: ['P6', 'P7'],
  request: Type.Object({ order: SettlementNumber }),
  reply: ShopOrder,
  problems: [...shopProblems, 'pay.order-unknown'],
})

export const deliverShopOrder = contract({
  ...frame,
  name: 'shop.deliver',
  authority: 'shop',
  https: { method: 'POST', path: '/v1/shop/orders/{order}/delivery', scope: 'deliver' },
  title: 'A shop says that an order was sent, or has reached the buyer',
  serves: ['P7'],
  request: Type.Object({
    order: SettlementNumber,
    state: Type.Union([Type.Literal('sent'), Type.Literal('delivered')]),
    how: Text(100),
  }),
  reply: Type.Object({ state: OrderState }),
  problems: [...shopProblems, 'pay.order-unknown', 'pay.order-state'],
})

export const refundShopOrder = contract({
  ...frame,
  name: 'shop.refund',
  authority: 'shop',
  https: { method: 'POST', path: '/v1/shop/orders/{order}/refund', scope: 'refund' },
  title: 'A shop gives a buyer money back, all of an order’s or a part',
  serves: ['P7', 'P9'],
  request: Type.Object({
    order: SettlementNumber,
    minor: AmountMinor,
    reason: Text(100),
    /** The article that it is for; without one it is of the order as a whole. */
    item: Type.Optional(Text(32)),
  }),
  reply: Type.Object({ state: OrderState }),
  problems: [
    ...shopProblems,
    'pay.order-unknown',
    'pay.order-state',
    'pay.refund-too-much',
    'pay.item-unknown',
    'ledger.bad-amount',
    'ledger.insufficient',
  ],
})

export const openDocument = contract({
  ...frame,
  name: 'document.open',
  authority: 'link',
  https: { method: 'GET', path: '/v1/settlement/documents/{document}' },
  title: 'A statement, receipt or letter by a signed link',
  serves: ['P9', 'S13'],
  request: Type.Object({ document: Type.String({ pattern: '^[0-9a-f]{32}$' }), ...pieceRequest }),
  reply: FilePiece,
  problems: ['object.unknown'],
})
