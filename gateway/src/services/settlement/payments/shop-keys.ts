/** API keys with which a shop's program asks settlement (P6, P7): made and ended by clerks, and written into their log. */
import {
  deliverShopOrder,
  listShopOrders,
  readShopBalance,
  readShopOrder,
  refundShopOrder,
} from '@azukari/protocol/contracts/settlement-shop'
import {
  addShopWebhook,
  listShopEvents,
  listShopWebhooks,
  readShopWebhookSecret,
  removeShopWebhook,
  testShopWebhook,
} from '@azukari/protocol/contracts/settlement-webhooks'
import { Problem } from '@azukari/protocol/problem'
import type { ApiKey, ApiKeys } from '../../../service/api-keys.ts'
import { noteOperation } from '../ledger/operations.ts'
import { memberByNumber } from '../members/registers.ts'
import type { ServiceContext } from '../service-context.ts'
import { activeShop } from './shop-requests.ts'

/** What a shop's key may be allowed to do. */
export const shopScopes: readonly string[] = [
  ...new Set(
    [
      readShopBalance,
      listShopOrders,
      readShopOrder,
      deliverShopOrder,
      refundShopOrder,
      listShopEvents,
      listShopWebhooks,
      addShopWebhook,
      readShopWebhookSecret,
      testShopWebhook,
      removeShopWebhook,
    ].map(({ https }) => https?.scope ?? ''),
  ),
]

const dayMs = 86_400_000

export interface ShopKeyDesk {
  /** @throws {Problem} `config.invalid` for an unknown scope, `quota.exceeded`, those of an unknown or suspended shop */
  add(shop: string, scopes: readonly string[], days: number, clerk: string): Promise<ApiKey & { key: string }>
  /** @throws {Problem} `register.unknown-number` */
  list(shop: string): Promise<ApiKey[]>
  /** @throws {Problem} `object.unknown` */
  revoke(shop: string, id: string, clerk: string): Promise<void>
}

export function shopKeyDesk({ store }: Pick<ServiceContext, 'store'>, keys: ApiKeys): ShopKeyDesk {
  const note = (clerk: string, what: string, detail: string) =>
    store.transaction(({ sql, nowMs }) => noteOperation(sql, nowMs, clerk, what, detail))
  return {
    async add(shop, scopes, days, clerk) {
      const wrong = scopes.find((scope) => !shopScopes.includes(scope))
      if (wrong !== undefined || scopes.length === 0)
        throw new Problem('config.invalid', `scopes are some of ${shopScopes.join(', ')}`)
      await activeShop(store.sql, shop)
      const made = await keys.add({ holder: shop, scopes, by: clerk, lifeMs: days * dayMs })
      await note(clerk, 'shop key', `${shop} ${made.id} ${scopes.join(' ')}`)
      return made
    },

    async list(shop) {
      await memberByNumber(store.sql, shop)
      return keys.list(shop)
    },

    async revoke(shop, id, clerk) {
      if (!(await keys.revoke(shop, id))) throw new Problem('object.unknown', `${shop} has no good key ${id}`)
      await note(clerk, 'shop key revoked', `${shop} ${id}`)
    },
  }
}
