/**
 * How a shop's own program hears of its orders (P6, P7): events in their order, asked for page by page or sent to an address
 * of the shop, signed as the Standard Webhooks specification says.
 */
import { contract, Nothing, Text, TimeMs, Type } from '../contract.ts'
import { ShopOrder } from './settlement-shop.ts'

const frame = { kind: 'https', service: 'settlement', authority: 'shop' } as const
const shopProblems = ['register.unknown-number', 'register.not-shop', 'member.suspended'] as const

/** What happened, without the shop's own program having done it alone. */
export const ShopEventType = Type.Union([
  Type.Literal('order.paid'),
  Type.Literal('order.used'),
  Type.Literal('order.lapsed'),
  Type.Literal('order.refunded'),
  Type.Literal('order.disputed'),
  Type.Literal('order.dispute-decided'),
  Type.Literal('webhook.test'),
])

export const EventId = Type.String({ pattern: '^evt_[0-9a-f]{24}$' })
export const WebhookId = Type.String({ pattern: '^whk_[0-9a-f]{16}$' })

/** The body of a webhook, and an item of the list of events: the order as it was then. */
export const ShopEvent = Type.Object({
  id: EventId,
  type: ShopEventType,
  atMs: TimeMs,
  /** Absent from `webhook.test`. */
  order: Type.Optional(ShopOrder),
})

export const listShopEvents = contract({
  ...frame,
  name: 'shop.events',
  https: { method: 'GET', path: '/v1/shop/events', scope: 'orders' },
  title: 'What happened to a shop’s orders, oldest first, for thirty days',
  serves: ['P6', 'P7'],
  request: Type.Object({
    /** The last event of the page before. */
    after: Type.Optional(EventId),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  }),
  reply: Type.Object({ events: Type.Array(ShopEvent, { maxItems: 100 }), more: Type.Boolean() }),
  problems: [...shopProblems, 'object.unknown'],
})

export const addShopWebhook = contract({
  ...frame,
  name: 'shop.webhook.add',
  https: { method: 'POST', path: '/v1/shop/webhooks', scope: 'webhooks' },
  title: 'Names an address to which a shop’s events are sent',
  serves: ['P6', 'P7'],
  request: Type.Object({ url: Type.String({ pattern: '^https?://[!-~]+$', minLength: 10, maxLength: 500 }) }),
  reply: Type.Object({ webhook: WebhookId }),
  problems: [...shopProblems, 'webhook.address', 'quota.exceeded'],
})

/** Apart from `shop.webhook.add`, whose answer is kept for a day to be given again. */
export const readShopWebhookSecret = contract({
  ...frame,
  name: 'shop.webhook.secret',
  https: { method: 'GET', path: '/v1/shop/webhooks/{webhook}/secret', scope: 'webhooks' },
  title: 'The secret with which what is sent to an address is signed',
  serves: ['P6', 'P7'],
  request: Type.Object({ webhook: WebhookId }),
  reply: Type.Object({ secret: Text(80) }),
  problems: [...shopProblems, 'object.unknown'],
})

/** How an address does. */
export const WebhookShown = Type.Object({
  webhook: WebhookId,
  url: Text(500),
  /** `off`: it did not take an event for three days, or said that it is gone; `shop.webhook.test` turns it on again. */
  state: Type.Union([Type.Literal('on'), Type.Literal('off')]),
  createdMs: TimeMs,
  /** Events that it has not taken yet, up to 1,000. */
  waiting: Type.Integer({ minimum: 0, maximum: 1_000 }),
  /** When it took one last. */
  takenMs: Type.Optional(TimeMs),
  /** Why it did not take the one that waits, since when, and when that is tried again. */
  trouble: Type.Optional(Type.Object({ why: Text(200), sinceMs: TimeMs, againMs: TimeMs })),
})

export const listShopWebhooks = contract({
  ...frame,
  name: 'shop.webhooks',
  https: { method: 'GET', path: '/v1/shop/webhooks', scope: 'webhooks' },
  title: 'A shop’s addresses for events, and whether they take them',
  serves: ['P6', 'P7'],
  request: Type.Object({}),
  reply: Type.Object({ webhooks: Type.Array(WebhookShown, { maxItems: 8 }) }),
  problems: shopProblems,
})

export const testShopWebhook = contract({
  ...frame,
  name: 'shop.webhook.test',
  https: { method: 'POST', path: '/v1/shop/webhooks/{webhook}/test', scope: 'webhooks' },
  title: 'Sends what waits for an address at once, and a test event behind it; turns it on again',
  serves: ['P6', 'P7'],
  request: Type.Object({ webhook: WebhookId }),
  reply: Type.Object({ event: EventId }),
  problems: [...shopProblems, 'object.unknown'],
})

export const removeShopWebhook = contract({
  ...frame,
  name: 'shop.webhook.remove',
  https: { method: 'POST', path: '/v1/shop/webhooks/{webhook}/removal', scope: 'webhooks' },
  title: 'Nothing is sent to an address any more',
  serves: ['P6', 'P7'],
  request: Type.Object({ webhook: WebhookId }),
  reply: Nothing,
  problems: [...shopProblems, 'object.unknown'],
})
