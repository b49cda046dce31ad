/** What happened to shops' orders (P6, P7), numbered per shop in the order of the commits, and kept for thirty days. */
import { hex } from '@azukari/protocol/bytes'
import type { Static } from '@azukari/protocol/contract'
import type { ShopEvent, ShopEventType } from '@azukari/protocol/contracts/settlement-webhooks'
import { Problem } from '@azukari/protocol/problem'
import type { Sql } from '../../../../storage/database.ts'
import { insertRow } from '../../../../storage/insert.ts'
import type { ServiceContext, Within } from '../../service-context.ts'
import type { OrderRow } from '../orders.ts'
import { shownOrder } from '../shown-order.ts'

/** A head per shop: whoever adds an event holds it until the commit, so that no number is seen before a lower one. */
export const shopEventTables = `
CREATE TABLE shop_event_heads (shop BLOB PRIMARY KEY, seq INTEGER NOT NULL) STRICT;
CREATE TABLE shop_events (
  shop BLOB NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (shop, seq)
) STRICT;
CREATE INDEX shop_events_at ON shop_events (at);
CREATE TABLE shop_webhooks (
  id TEXT PRIMARY KEY, shop BLOB NOT NULL, url TEXT NOT NULL, created INTEGER NOT NULL, state TEXT NOT NULL CHECK (state IN ('on', 'off')),
  sent INTEGER NOT NULL, taken INTEGER, tries INTEGER NOT NULL, next_at INTEGER NOT NULL, trouble TEXT, trouble_since INTEGER
) STRICT;
CREATE INDEX shop_webhooks_shop ON shop_webhooks (shop);
`

export type ShopEventBody = Static<typeof ShopEvent>
export type EventType = Static<typeof ShopEventType>

export interface EventRow {
  shop: Uint8Array
  seq: number
  id: string
  at: number
  /** JSON of a `ShopEvent`: what is sent, byte for byte, however often. */
  body: string
}

const keptMs = 30 * 86_400_000
const pruneRows = 1_000

export const shopEvents = {
  after: (sql: Sql, shop: Uint8Array, seq: number, limit: number) =>
    sql.all<EventRow>('SELECT * FROM shop_events WHERE shop = ? AND seq > ? ORDER BY seq LIMIT ?', shop, seq, limit),
  /** The number of the last one, 0 before the first. */
  head: async (sql: Sql, shop: Uint8Array): Promise<number> =>
    (await sql.get<{ seq: number }>('SELECT seq FROM shop_event_heads WHERE shop = ?', shop))?.seq ?? 0,
  /** @throws {Problem} `object.unknown` for another shop's, or one that is not kept any more */
  seqOf: async (sql: Sql, shop: Uint8Array, id: string): Promise<number> => {
    const row = await sql.get<{ seq: number }>('SELECT seq FROM shop_events WHERE id = ? AND shop = ?', id, shop)
    if (!row) throw new Problem('object.unknown', `no event ${id}, or one of more than thirty days ago`)
    return row.seq
  },
  /** Those that are older than is promised go. @returns how many */
  prune: async (sql: Sql, nowMs: number): Promise<number> =>
    (
      await sql.run(
        'DELETE FROM shop_events WHERE id IN (SELECT id FROM shop_events WHERE at < ? ORDER BY at LIMIT ?)',
        nowMs - keptMs,
        pruneRows,
      )
    ).changes,
}

/** Writes down that something happened to an order, in the very transaction in which it does. */
export async function noteOrderEvent(
  shared: ServiceContext,
  within: Within,
  type: Exclude<EventType, 'webhook.test'>,
  order: OrderRow,
): Promise<void> {
  await noteEvent(shared, within, order.shop, { type, order: await shownOrder(within.sql, order) })
}

/** @returns the event's id */
export async function noteEvent(
  { random, onShopEvent }: ServiceContext,
  { sql, nowMs, afterCommit }: Within,
  shop: Uint8Array,
  what: Pick<ShopEventBody, 'type' | 'order'>,
): Promise<string> {
  await sql.run(
    `INSERT INTO shop_event_heads (shop, seq) VALUES (?, 1)
     ON CONFLICT (shop) DO UPDATE SET seq = shop_event_heads.seq + 1`,
    shop,
  )
  const id = `evt_${hex(random.bytes(12))}`
  const event: ShopEventBody = { id, type: what.type, atMs: nowMs }
  if (what.order) event.order = what.order
  const seq = await shopEvents.head(sql, shop)
  await insertRow(sql, 'shop_events', { shop, seq, id, at: nowMs, body: JSON.stringify(event) })
  afterCommit(onShopEvent)
  return id
}
