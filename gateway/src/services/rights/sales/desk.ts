/**
 * Sales (R3, R7): each has an id of its own, embedded in the buyer's copy under a key that is derived for that sale from the
 * service's keystore; the derivation is recorded with the sale, the key is kept nowhere. A copy is made anew whenever it is given.
 */
import type { PublishedConditions, SaleConditions } from '@azukari/protocol/contracts/rights'
import type { Currency } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import { derivation } from '../marks/sale-key.ts'
import type { RightsShared } from '../shared.ts'
import { findWork, offerOf, type WorkRow, worksByTime } from '../works/store.ts'
import { type AskedConditions, agree } from './conditions.ts'
import { salesMaster } from './master.ts'
import {
  type Buyer,
  conditionsOf,
  findSale,
  insertSale,
  openBuyer,
  type SaleRow,
  salesOfWork,
  sealBuyer,
} from './store.ts'

export interface Order extends AskedConditions {
  work: string
  buyer: Buyer
  by: string
}

export interface SaleFacts {
  sale: string
  work: string
  buyer: string
  contact: string
  soldMs: number
  conditions: SaleConditions
  priceMinor: number
  currency: Currency
  derivation: string
  by: string
  stoppedMs?: number
  voidedMs?: number
}

export interface SaleDesk {
  /** @throws {Problem} `rights.work-unknown`, `rights.not-offered`, `mark.unsuitable`, `service.busy`, `storage.*` */
  sell(order: Order): Promise<SaleFacts & { copy: Uint8Array }>
  /** The copy of a sale, the same bytes each time. @throws {Problem} `rights.sale-unknown`, those of `sell` */
  copy(sale: string): Promise<Uint8Array>
  /** @throws {Problem} `rights.work-unknown` */
  conditions(work?: string): Promise<PublishedConditions[]>
  ofWork(work: string): Promise<SaleFacts[]>
}

const saleBytes = 5
const listedMax = 10_000

export function saleDesk({ store, clock, random, keys, marks, pictures }: RightsShared): SaleDesk {
  async function requireWork(work: string): Promise<WorkRow> {
    const row = await findWork(store.sql, work)
    if (!row) throw new Problem('rights.work-unknown', work)
    return row
  }

  async function copyFor(work: string, sale: string): Promise<Uint8Array> {
    const bytes = await pictures.read('master', work)
    const ids = { sale: BigInt(`0x${sale}`), master: salesMaster(keys) }
    return (await marks.mark({ bytes, work: BigInt(`0x${work}`), sale: ids, isUnmarked: true })).bytes
  }

  async function facts(row: SaleRow): Promise<SaleFacts> {
    const { name, contact } = openBuyer(row, keys)
    const shown: SaleFacts = {
      sale: row.id,
      work: row.work,
      buyer: name,
      contact,
      soldMs: row.sold_ms,
      conditions: await conditionsOf(store.sql, row),
      priceMinor: row.price,
      currency: row.currency,
      derivation: row.derivation,
      by: row.made_by,
    }
    if (row.stopped_ms !== null) shown.stoppedMs = row.stopped_ms
    if (row.voided_ms !== null) shown.voidedMs = row.voided_ms
    return shown
  }

  return {
    async sell({ work, buyer, by, ...asked }) {
      const of = await requireWork(work)
      const offer = offerOf(of)
      const nowMs = clock.now()
      const { places, untilMs, uses, resale } = agree(asked, offer, nowMs)
      const sale = Buffer.from(random.bytes(saleBytes)).toString('hex')
      const copy = await copyFor(work, sale)
      const row: SaleRow = {
        id: sale,
        work,
        buyer: sealBuyer(buyer, keys, random),
        sold_ms: nowMs,
        until_ms: untilMs,
        uses,
        resale: resale ? 1 : 0,
        price: offer.priceMinor,
        currency: offer.currency,
        derivation,
        made_by: by,
        stopped_ms: null,
        delivery: null,
        voided_ms: null,
      }
      // Recorded before it leaves: no copy is out there that cannot be traced.
      await store.transaction(({ sql }) => insertSale(sql, row, places))
      return { ...(await facts(row)), copy }
    },

    async copy(sale) {
      const row = await findSale(store.sql, sale)
      if (!row) throw new Problem('rights.sale-unknown', sale)
      return copyFor(row.work, sale)
    },

    async conditions(work) {
      const rows = work === undefined ? await worksByTime(store.sql, listedMax) : [await requireWork(work)]
      return rows.map((row) => ({ work: row.id, title: row.title, author: row.author, offer: offerOf(row) }))
    },

    async ofWork(work) {
      const all: SaleFacts[] = []
      for (const row of await salesOfWork(store.sql, work)) all.push(await facts(row))
      return all
    },
  }
}
