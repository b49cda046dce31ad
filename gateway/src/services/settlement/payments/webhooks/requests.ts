/** What a shop's own program asks about its events and the addresses to which they go (P6, P7). */
import { hex } from '@azukari/protocol/bytes'
import type { ReplyOf } from '@azukari/protocol/contract'
import {
  addShopWebhook,
  listShopEvents,
  listShopWebhooks,
  readShopWebhookSecret,
  removeShopWebhook,
  testShopWebhook,
} from '@azukari/protocol/contracts/settlement-webhooks'
import { mapInOrder } from '@azukari/protocol/in-order'
import { Problem } from '@azukari/protocol/problem'
import { type Handler, shopAct, shopCall } from '../../../../service/service.ts'
import type { Sql } from '../../../../storage/database.ts'
import { insertRow } from '../../../../storage/insert.ts'
import type { ServiceContext } from '../../service-context.ts'
import { activeShop } from '../shop-requests.ts'
import { noteEvent, type ShopEventBody, shopEvents } from './events.ts'
import { requireAddress, shownSecret, type WebhookRow, webhooks, webhooksMax } from './webhook.ts'

const pageRows = 100
/** So many that wait are counted. */
const countMax = 1_000

type Shown = ReplyOf<typeof listShopWebhooks>['webhooks'][number]

/** @param named `host:port` that the operator allows though it is not public */
export function webhookHandlers(shared: ServiceContext, named: readonly string[]): Handler[] {
  const { sql } = shared.store
  return [
    shopCall(listShopEvents, async ({ after, limit = pageRows }, { holder }) => {
      const shop = await activeShop(sql, holder)
      const from = after === undefined ? 0 : await shopEvents.seqOf(sql, shop.id, after)
      const rows = await shopEvents.after(sql, shop.id, from, limit + 1)
      const events = rows.slice(0, limit).map(({ body }) => JSON.parse(body) as ShopEventBody)
      return { events, more: rows.length > limit }
    }),

    shopCall(listShopWebhooks, async (_request, { holder }) => {
      const shop = await activeShop(sql, holder)
      return { webhooks: await shownWebhooks(sql, shop.id) }
    }),

    shopAct(addShopWebhook, async ({ url }, context) => {
      const shop = await activeShop(context.sql, context.holder)
      requireAddress(url, named)
      if ((await webhooks.ofShop(context.sql, shop.id)).length >= webhooksMax)
        throw new Problem('quota.exceeded', `${webhooksMax} webhooks of a shop`)
      const id = `whk_${hex(shared.random.bytes(8))}`
      await insertRow(context.sql, 'shop_webhooks', {
        id,
        shop: shop.id,
        url,
        created: context.nowMs,
        state: 'on',
        // What happened before is in the list of events.
        sent: await shopEvents.head(context.sql, shop.id),
        taken: null,
        tries: 0,
        next_at: context.nowMs,
        trouble: null,
        trouble_since: null,
      })
      return { webhook: id }
    }),

    shopCall(readShopWebhookSecret, async ({ webhook }, { holder }) => {
      const shop = await activeShop(sql, holder)
      const { id } = await webhooks.ofShopById(sql, shop.id, webhook)
      return { secret: shownSecret(shared.keys, id) }
    }),

    shopAct(testShopWebhook, async ({ webhook }, context) => {
      const shop = await activeShop(context.sql, context.holder)
      const { id, sent } = await webhooks.ofShopById(context.sql, shop.id, webhook)
      const again = { state: 'on', tries: 0, next_at: context.nowMs, trouble: null, trouble_since: null } as const
      await webhooks.set(context.sql, id, again)
      // One that still waits behind everything else is enough, however often it is asked for.
      const [last] = await shopEvents.after(context.sql, shop.id, (await shopEvents.head(context.sql, shop.id)) - 1, 1)
      const isWaiting = last && last.seq > sent && (JSON.parse(last.body) as ShopEventBody).type === 'webhook.test'
      if (!isWaiting) return { event: await noteEvent(shared, context, shop.id, { type: 'webhook.test' }) }
      context.afterCommit(shared.onShopEvent)
      return { event: last.id }
    }),

    shopAct(removeShopWebhook, async ({ webhook }, context) => {
      const shop = await activeShop(context.sql, context.holder)
      const { id } = await webhooks.ofShopById(context.sql, shop.id, webhook)
      await webhooks.remove(context.sql, id)
      return {}
    }),
  ]
}

/** A shop's addresses, for itself and for clerks. */
export async function shownWebhooks(sql: Sql, shop: Uint8Array): Promise<Shown[]> {
  return mapInOrder(await webhooks.ofShop(sql, shop), (row) => shown(sql, row))
}

async function shown(sql: Sql, row: WebhookRow): Promise<Shown> {
  const waiting = (await shopEvents.after(sql, row.shop, row.sent, countMax)).length
  const made: Shown = { webhook: row.id, url: row.url, state: row.state, createdMs: row.created, waiting }
  if (row.taken !== null) made.takenMs = row.taken
  if (row.trouble !== null && row.trouble_since !== null)
    made.trouble = { why: row.trouble, sinceMs: row.trouble_since, againMs: row.next_at }
  return made
}
