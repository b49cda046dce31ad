/** What clerks tell settlement to do (P6, P9, D6), as contracts: keys of shops, links to documents, disputes. */
import { Count, contract, Nothing, Text, TimeMs, Type } from '../contract.ts'
import { SettlementNumber } from './settlement-members.ts'
import { WebhookShown } from './settlement-webhooks.ts'

const frame = { kind: 'command', service: 'settlement', authority: 'operator' } as const
const clerk = { role: 'clerk' } as const
const twoClerks = { role: 'clerk', twoPeople: true } as const

const shop = Type.String({ ...SettlementNumber, description: 'the shop’s member number' })
const DocumentId = Type.String({ pattern: '^[0-9a-f]{32}$', description: 'id of a document' })
const DisputeId = Type.String({ pattern: '^[0-9a-f]{32}$', description: 'id of a dispute' })
const ApiKeyShown = Type.Object({
  id: Text(16),
  scopes: Type.Array(Text(32), { maxItems: 16 }),
  by: Text(160),
  createdMs: TimeMs,
  expiresMs: TimeMs,
  revokedMs: Type.Optional(TimeMs),
})

/** Two people, for with it money can be given back. */
export const addShopKey = contract({
  ...frame,
  name: 'settlement.shop-key.add',
  operator: twoClerks,
  title: 'Makes an API key for a shop’s program: shown once, to whoever confirms, and kept nowhere',
  serves: ['P6', 'P7', 'D6'],
  request: Type.Object({
    shop,
    scope: Type.Array(Text(32), {
      minItems: 1,
      maxItems: 16,
      description: 'what it may do: balance, orders, deliver, refund, webhooks; may be repeated',
    }),
    days: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 730, description: 'how long it is good; 365 unless told' }),
    ),
  }),
  reply: Type.Object({
    shop: SettlementNumber,
    id: Text(16),
    key: Text(80),
    scopes: Type.Array(Text(32)),
    expiresMs: TimeMs,
  }),
  problems: ['register.unknown-number', 'register.not-shop', 'member.suspended'],
})

export const listShopKeys = contract({
  ...frame,
  name: 'settlement.shop-key.list',
  operator: clerk,
  title: 'A shop’s API keys, without the keys themselves',
  serves: ['P6', 'D6'],
  request: Type.Object({ shop }),
  reply: Type.Array(ApiKeyShown),
  problems: ['register.unknown-number'],
})

export const revokeShopKey = contract({
  ...frame,
  name: 'settlement.shop-key.revoke',
  operator: clerk,
  title: 'Ends an API key of a shop at once',
  serves: ['P6', 'D6'],
  request: Type.Object({
    shop,
    key: Type.String({ pattern: '^[0-9a-f]{16}$', description: 'its id: what follows azk_' }),
  }),
  reply: Nothing,
  problems: ['object.unknown'],
})

export const listShopWebhooksOf = contract({
  ...frame,
  name: 'settlement.shop-webhook.list',
  operator: clerk,
  title: 'The addresses to which a shop’s events are sent, and whether they take them',
  serves: ['P6', 'D6'],
  request: Type.Object({ shop }),
  reply: Type.Array(WebhookShown, { maxItems: 8 }),
  problems: ['register.unknown-number'],
})

export const linkDocument = contract({
  ...frame,
  name: 'settlement.link',
  operator: clerk,
  title: 'Makes a link with which anyone who has it fetches a document, for a time',
  serves: ['P9', 'S13', 'D6'],
  request: Type.Object({
    document: DocumentId,
    minutes: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10_080, description: 'how long it is good; 60 unless told' }),
    ),
  }),
  reply: Type.Object({ link: Text(2_000), untilMs: TimeMs }),
  problems: ['object.unknown'],
})

export const listDisputes = contract({
  ...frame,
  name: 'settlement.disputes',
  operator: clerk,
  title: 'Purchases that a buyer disputes; settlement refund gives the money back, settlement dismiss does not',
  serves: ['P9'],
  request: Nothing,
  reply: Type.Array(Type.Object({ id: DisputeId, number: SettlementNumber, reason: Text(400), at: Count })),
})

const decided = {
  request: Type.Object({ dispute: DisputeId }),
  reply: Type.Object({ dispute: DisputeId, upheld: Type.Boolean() }),
  serves: ['P9'],
}

export const upholdDispute = contract({
  ...frame,
  ...decided,
  name: 'settlement.refund',
  operator: twoClerks,
  title: 'Upholds a dispute: what the buyer paid goes back',
  problems: ['object.unknown', 'pay.order-state', 'pay.refund-too-much', 'ledger.insufficient', 'ledger.bad-amount'],
})

export const dismissDispute = contract({
  ...frame,
  ...decided,
  name: 'settlement.dismiss',
  operator: clerk,
  title: 'Dismisses a dispute: the shop keeps what was paid',
  problems: ['object.unknown'],
})
