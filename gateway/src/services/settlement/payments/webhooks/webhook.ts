/** Addresses of shops to which their events go (P6, P7): rows, what may be one, and how a message to it is signed. */
import { createHmac } from 'node:crypto'
import { Problem } from '@azukari/protocol/problem'
import { hostAndPort, isInsideAddress } from '../../../../adapters/outbound-address.ts'
import type { Sql } from '../../../../storage/database.ts'
import { atRestKey, type SettlementKeys } from '../../keystore.ts'
import type { EventRow } from './events.ts'

export interface WebhookRow {
  id: string
  shop: Uint8Array
  url: string
  created: number
  state: 'on' | 'off'
  /** The last event that it took, or that lay before it. */
  sent: number
  taken: number | null
  tries: number
  next_at: number
  trouble: string | null
  trouble_since: number | null
}

/** Addresses of one shop: room to change one for another. */
export const webhooksMax = 8
/** An address that takes nothing for so long is turned off, ms. */
const troubleMaxMs = 3 * 86_400_000
/** HTTP's word for an address that is there no more. */
const gone = 410

const waits =
  'w.state = ? AND EXISTS (SELECT 1 FROM shop_events AS e WHERE e.shop = w.shop AND e.seq > w.sent) AND EXISTS (SELECT 1 FROM members AS m WHERE m.id = w.shop AND m.state = ?)'

export const webhooks = {
  ofShop: (sql: Sql, shop: Uint8Array) =>
    sql.all<WebhookRow>('SELECT * FROM shop_webhooks WHERE shop = ? ORDER BY created, id', shop),
  /** @throws {Problem} `object.unknown`, for another shop's as well */
  ofShopById: async (sql: Sql, shop: Uint8Array, id: string): Promise<WebhookRow> => {
    const row = await sql.get<WebhookRow>('SELECT * FROM shop_webhooks WHERE id = ? AND shop = ?', id, shop)
    if (!row) throw new Problem('object.unknown', `no webhook ${id}`)
    return row
  },
  remove: (sql: Sql, id: string) => sql.run('DELETE FROM shop_webhooks WHERE id = ?', id),
  set: async (sql: Sql, id: string, change: Partial<WebhookRow>) => {
    const entries = Object.entries(change)
    await sql.run(
      `UPDATE shop_webhooks SET ${entries.map(([name]) => `${name} = ?`).join(', ')} WHERE id = ?`,
      ...entries.map(([, value]) => value as string | number | null),
      id,
    )
  },
  /** Those of active shops for which something waits, and whose time has come. */
  due: (sql: Sql, nowMs: number, limit: number) =>
    sql.all<WebhookRow>(
      `SELECT w.* FROM shop_webhooks AS w WHERE ${waits} AND w.next_at <= ? ORDER BY w.next_at, w.id LIMIT ?`,
      'on',
      'active',
      nowMs,
      limit,
    ),
  /** When the next one's time comes. */
  next: async (sql: Sql): Promise<number | undefined> =>
    (
      await sql.get<{ next: number | null }>(
        `SELECT min(w.next_at) AS next FROM shop_webhooks AS w WHERE ${waits}`,
        'on',
        'active',
      )
    )?.next ?? undefined,
}

/**
 * Judges what can be judged before anything is sent; every message is judged again, with the addresses of the name.
 * @param named `host:port` that the operator allows on any network, on this machine also without TLS
 * @throws {Problem} `webhook.address`
 */
export function requireAddress(text: string, named: readonly string[]): void {
  const url = URL.parse(text)
  if (!url) throw new Problem('webhook.address', 'no URL')
  if (url.username || url.password) throw new Problem('webhook.address', 'a password in the URL')
  if (named.includes(hostAndPort(url))) return
  if (url.protocol !== 'https:') throw new Problem('webhook.address', 'it begins with https://')
  if (isInsideAddress(url.hostname)) throw new Problem('webhook.address', `${url.hostname} is not a public address`)
}

/** The secret that signs for an address: made of the site's key and never kept. */
function secretOf(keys: SettlementKeys, id: string): Buffer {
  return createHmac('sha256', atRestKey(keys, 'webhook')).update(id).digest()
}

/** As the shop is shown it. */
export function shownSecret(keys: SettlementKeys, id: string): string {
  return `whsec_${secretOf(keys, id).toString('base64')}`
}

/** The headers of a message (standardwebhooks.com, specification 1.0.0). @param nowMs when it is sent */
export function signedHeaders(
  keys: SettlementKeys,
  hook: string,
  event: Pick<EventRow, 'id' | 'body'>,
  nowMs: number,
): Record<string, string> {
  const seconds = String(Math.floor(nowMs / 1_000))
  const signature = createHmac('sha256', secretOf(keys, hook)).update(`${event.id}.${seconds}.${event.body}`)
  return {
    'content-type': 'application/json',
    'webhook-id': event.id,
    'webhook-timestamp': seconds,
    'webhook-signature': `v1,${signature.digest('base64')}`,
  }
}

/** How an address answered: HTTP's status, or why there was none. */
export type Answer = { status: number } | { failed: string }

/** What an answer makes of an address. */
export function afterAnswer(row: WebhookRow, seq: number, answer: Answer, nowMs: number): Partial<WebhookRow> {
  const status = 'status' in answer ? answer.status : 0
  if (status >= 200 && status < 300)
    return { sent: seq, taken: nowMs, tries: 0, next_at: nowMs, trouble: null, trouble_since: null }
  const since = row.trouble_since ?? nowMs
  const isOff = status === gone || nowMs - since >= troubleMaxMs
  return {
    state: isOff ? 'off' : 'on',
    tries: row.tries + 1,
    next_at: nowMs + againMs(row.tries),
    trouble: 'failed' in answer ? answer.failed.slice(0, 200) : `HTTP ${status}`,
    trouble_since: since,
  }
}

/** After a failure it is tried again: from 5 s on, doubling up to an hour. */
export function againMs(tries: number): number {
  return Math.min(3_600_000, 5_000 * 2 ** Math.min(tries, 12))
}
