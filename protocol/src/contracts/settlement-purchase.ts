/** Purchase, delivery, claim, refund and dispute (P6, P7). */
import { Bytes, Count, contract, Id, Nothing, type Static, Text, TimeMs, Type } from '../contract.ts'
import { AmountMinor, CurrencyCode, Money } from '../money.ts'
import { signedFields } from '../signed-sealed.ts'
import { Sealed, SettlementNumber, signerProblems } from './settlement-members.ts'

const utf8 = new TextEncoder()
export const offerListDomain = utf8.encode('azukari/shop-offer/1')
export const orderDomain = utf8.encode('azukari/order/1')
export const instructionDomain = utf8.encode('azukari/pay-instruction/1')
export const noticeDomain = utf8.encode('azukari/pay-notice/1')
export const balanceDomain = utf8.encode('azukari/pay-balance/1')
export const tickDomain = utf8.encode('azukari/meter-tick/1')
export const shopActDomain = utf8.encode('azukari/shop-act/1')
export const disputeDomain = utf8.encode('azukari/dispute/1')
export const payReceiptDomain = utf8.encode('azukari/pay-receipt/1')

/** How it reaches the buyer: over the network, by post or carrier, or while it is used. */
export const ItemKind = Type.Union([Type.Literal('digital'), Type.Literal('goods'), Type.Literal('metered')])
/** Consumption tax, percent: the standard and the reduced rate, and none. */
export const TaxRate = Type.Union([Type.Literal(10), Type.Literal(8), Type.Literal(0)])
export type TaxRate = Static<typeof TaxRate>

export const OfferItem = Type.Object({
  item: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }),
  name: Text(100),
  kind: ItemKind,
  /** With tax included; for metered items of one unit. */
  price: AmountMinor,
  currency: CurrencyCode,
  tax: TaxRate,
  /** What one unit is: a page, a minute. */
  unit: Type.Optional(Text(16)),
})
export type OfferItem = Static<typeof OfferItem>

/** A shop's whole offer; a later one takes its place. */
export const ShopOffer = Type.Object({
  contract: Type.Literal('shop.offer@1'),
  ...signedFields,
  items: Type.Array(OfferItem, { maxItems: 500 }),
})
export type ShopOffer = Static<typeof ShopOffer>

export const putOffer = contract({
  name: 'shop.offer',
  kind: 'act',
  service: 'settlement',
  authority: 'signed',
  signed: { in: 'offer', body: ShopOffer, domain: offerListDomain, sealed: false },
  title: 'What a shop sells, and at which price',
  serves: ['P6'],
  request: Type.Object({ offer: Bytes(64, 131_072) }),
  reply: Type.Object({ items: Count }),
  problems: ['register.not-shop', 'ledger.wrong-currency', ...signerProblems],
})

export const listOffer = contract({
  name: 'shop.list',
  kind: 'call',
  service: 'settlement',
  authority: 'device',
  title: 'A shop’s offer, a page at a time',
  serves: ['P6'],
  request: Type.Object({ shop: SettlementNumber, after: Type.Optional(Text(32)) }),
  reply: Type.Object({ name: Text(100), items: Type.Array(OfferItem, { maxItems: 100 }), more: Type.Boolean() }),
  problems: ['register.unknown-number'],
})

export const OrderState = Type.Union([
  Type.Literal('open'),
  Type.Literal('metering'),
  Type.Literal('paid'),
  Type.Literal('delivered'),
  Type.Literal('claimed'),
  Type.Literal('paid-out'),
  Type.Literal('refunded'),
  Type.Literal('lapsed'),
])
export type OrderState = Static<typeof OrderState>

export const Order = Type.Object({
  contract: Type.Literal('order.place@1'),
  ...signedFields,
  shop: SettlementNumber,
  lines: Type.Array(
    Type.Object({
      item: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }),
      count: Type.Integer({ minimum: 1, maximum: 10_000 }),
    }),
    { minItems: 1, maxItems: 50 },
  ),
})
export type Order = Static<typeof Order>

export const placeOrder = contract({
  name: 'order.place',
  kind: 'act',
  service: 'settlement',
  authority: 'signed',
  signed: { in: 'order', body: Order, domain: orderDomain, sealed: true },
  title: 'A buyer orders from a shop’s offer',
  serves: ['P6'],
  request: Type.Object({ order: Sealed }),
  /** `total` with tax; for metered items what may be used at most. */
  reply: Type.Object({ transaction: SettlementNumber, total: Money, payByMs: TimeMs, metered: Type.Boolean() }),
  problems: [
    'register.unknown-number',
    'pay.own-shop',
    'pay.item-unknown',
    'ledger.wrong-currency',
    'ledger.bad-amount',
    ...signerProblems,
  ],
})

/** The payment instruction. For a metered order the amount is what may be used at most. */
export const Instruction = Type.Object({
  contract: Type.Literal('pay.instruct@1'),
  ...signedFields,
  transaction: SettlementNumber,
  shop: SettlementNumber,
  amount: Money,
})
export type Instruction = Static<typeof Instruction>

export const payReceipt = Type.Object({
  kind: Type.Literal('purchase'),
  transaction: SettlementNumber,
  shop: SettlementNumber,
  /** The shop's name; receipts from before it was told have none. */
  name: Type.Optional(Text(100)),
  amount: Money,
  /** Tax contained and goods, per rate: a simplified qualified invoice with the shop's own number. */
  taxes: Type.Array(
    Type.Object({ rate: TaxRate, gross: AmountMinor, tax: AmountMinor, goods: Type.Optional(Text(100)) }),
    { maxItems: 3 },
  ),
  invoiceNumber: Type.Optional(Text(14)),
  /** When it was paid. */
  atMs: TimeMs,
})
export type PayReceipt = Static<typeof payReceipt>

/** Settlement to the buyer: the new balance, and a receipt small enough for the card. */
export const PayResult = Type.Object({
  contract: Type.Literal('pay.instruct@1'),
  ...signedFields,
  transaction: SettlementNumber,
  paid: Money,
  balance: Money,
  /** COSE_Sign1 of a `payReceipt`. Absent while a metered order is used. */
  receipt: Type.Optional(Bytes(64, 1024)),
})
export type PayResult = Static<typeof PayResult>

export const instructPayment = contract({
  name: 'pay.instruct',
  kind: 'act',
  service: 'settlement',
  authority: 'signed',
  signed: { in: 'instruction', body: Instruction, domain: instructionDomain, sealed: true },
  title: 'A buyer’s signed and sealed payment instruction',
  serves: ['P6'],
  request: Type.Object({ instruction: Sealed }),
  /** A `PayResult`, signed by settlement and sealed for the buyer. */
  reply: Type.Object({ result: Sealed }),
  problems: [
    'pay.order-unknown',
    'pay.order-state',
    'pay.order-expired',
    'pay.amount-differs',
    'ledger.insufficient',
    'register.not-own',
    ...signerProblems,
  ],
})

/** Settlement to the shop: paid, with the order's number. The shop learns no more of the buyer than it needs. */
export const PayNotice = Type.Object({
  contract: Type.Literal('pay.notice@1'),
  ...signedFields,
  transaction: SettlementNumber,
  state: OrderState,
  amount: Money,
  lines: Type.Array(Type.Object({ item: Text(32), count: Count }), { maxItems: 50 }),
})
export type PayNotice = Static<typeof PayNotice>

export const payNotice = contract({
  name: 'pay.notice',
  kind: 'event',
  service: 'settlement',
  authority: 'service',
  title: 'To a shop: an order was paid, refunded or disputed',
  serves: ['P6'],
  request: Type.Object({ notice: Sealed }),
  reply: Nothing,
})

/** To a buyer: the balance has changed without the buyer's doing, such as by a refund. */
export const balanceChanged = contract({
  name: 'pay.balance',
  kind: 'event',
  service: 'settlement',
  authority: 'service',
  title: 'To a buyer: money came back, or a metered order has ended',
  serves: ['P6', 'P9'],
  request: Type.Object({ result: Sealed }),
  reply: Nothing,
})

/** Signed by the buyer while using: so many units so far. The highest one counts. */
export const MeterTick = Type.Object({
  transaction: SettlementNumber,
  units: Type.Integer({ minimum: 1, maximum: 1_000_000_000 }),
  atMs: TimeMs,
})
export type MeterTick = Static<typeof MeterTick>

/** What a shop does with an order. */
export const ShopAct = Type.Object({
  contract: Type.Literal('shop.act@1'),
  ...signedFields,
  transaction: SettlementNumber,
  what: Type.Union([
    Type.Object({
      do: Type.Literal('deliver'),
      state: Type.Union([Type.Literal('sent'), Type.Literal('delivered')]),
      how: Text(100),
    }),
    /** Ends a metered order: the buyer's last tick. */
    Type.Object({ do: Type.Literal('meter'), tick: Bytes(64, 1024) }),
    Type.Object({ do: Type.Literal('claim') }),
    /** Of an article, or of the order as a whole. */
    Type.Object({ do: Type.Literal('refund'), minor: AmountMinor, reason: Text(100), item: Type.Optional(Text(32)) }),
  ]),
})
export type ShopAct = Static<typeof ShopAct>

export const actAsShop = contract({
  name: 'shop.act',
  kind: 'act',
  service: 'settlement',
  authority: 'signed',
  signed: { in: 'act', body: ShopAct, domain: shopActDomain, sealed: true },
  title: 'A shop delivers, ends a metered order, claims its money or gives it back',
  serves: ['P7', 'P9'],
  request: Type.Object({ act: Sealed }),
  reply: Type.Object({ state: OrderState }),
  problems: [
    'pay.order-unknown',
    'pay.order-state',
    'pay.refund-too-much',
    'pay.item-unknown',
    'ledger.bad-amount',
    'ledger.insufficient',
    'pay.disputed',
    'pay.amount-differs',
    'register.not-shop',
    'register.not-own',
    ...signerProblems,
  ],
})

export const Dispute = Type.Object({
  contract: Type.Literal('order.dispute@1'),
  ...signedFields,
  transaction: SettlementNumber,
  reason: Text(400),
})
export type Dispute = Static<typeof Dispute>

export const disputeOrder = contract({
  name: 'order.dispute',
  kind: 'act',
  service: 'settlement',
  authority: 'signed',
  signed: { in: 'dispute', body: Dispute, domain: disputeDomain, sealed: true },
  title: 'A buyer disputes an order: nothing is paid out until it is decided',
  serves: ['P9'],
  request: Type.Object({ dispute: Sealed }),
  reply: Type.Object({ dispute: Id }),
  problems: ['pay.order-unknown', 'pay.order-state', 'pay.late', 'pay.disputed', 'register.not-own', ...signerProblems],
})
