/**
 * Purchases by members (R3): content asks for a copy when a member buys at a board. The sale is recorded before its copy is made, once for
 * a delivery; the buyer is known by the card alone. A purchase that comes to nothing leaves a sale that is void.
 */
import { hex } from '@azukari/protocol/bytes'
import type { ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { type buyCopy, copyPieceMaxBytes, voidPurchase } from '@azukari/protocol/contracts/rights-copies'
import { Problem } from '@azukari/protocol/problem'
import { type Handler, serviceAct } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { derivation } from '../marks/sale-key.ts'
import type { RightsShared } from '../shared.ts'
import { findWork, offerOf } from '../works/store.ts'
import { agree } from './conditions.ts'
import { insertSale, type SaleRow, saleOfDelivery, sealBuyer, voidSale } from './store.ts'

type Asked = RequestOf<typeof buyCopy>

const dayMs = 86_400_000
const saleBytes = 5
/** Copies that are held while their pieces are asked for; a copy that has gone is made anew, to the same bytes. */
const heldMax = 4

/** What stands for the buyer's address where a member bought at a board. */
export const cardContact = (card: Uint8Array) => `card:${hex(card)}`
/** Whether letters can be sent there. */
export const isMailAddress = (contact: string) => contact.includes('@')

export interface PurchasesOptions extends Pick<RightsShared, 'store' | 'clock' | 'random' | 'keys'> {
  /** Makes the copy of a sale. */
  copy(sale: string): Promise<Uint8Array>
}

export class Purchases {
  readonly #o: PurchasesOptions
  readonly #held = new Map<string, Promise<Uint8Array>>()

  constructor(options: PurchasesOptions) {
    this.#o = options
  }

  /** @throws {Problem} those of `rights.buy` */
  async buy(asked: Asked): Promise<ReplyOf<typeof buyCopy>> {
    const { sql } = this.#o.store
    const row = (await saleOfDelivery(sql, asked.delivery)) ?? (await this.#record(asked))
    if (row.work !== asked.work || row.voided_ms !== null)
      throw new Problem('rights.sale-unknown', `${row.id} is ${row.work === asked.work ? 'void' : 'of another work'}`)
    const copy = await this.#copyOf(row.id)
    const piece = copy.subarray(asked.from, asked.from + copyPieceMaxBytes)
    if (asked.from + piece.length >= copy.length) this.#held.delete(row.id)
    return { sale: row.id, sizeBytes: copy.length, piece }
  }

  async #record({ delivery, work, content, card, priceMinor, currency }: Asked): Promise<SaleRow> {
    const { store, clock, random, keys } = this.#o
    const of = await findWork(store.sql, work)
    if (!of) throw new Problem('rights.work-unknown', work)
    const offer = offerOf(of)
    const nowMs = clock.now()
    const until = new Date(nowMs + offer.maxDays * dayMs).toISOString().slice(0, 10)
    const asked = { places: [`content:${hex(content)}`], until, uses: 1, resale: false }
    const { places, untilMs, uses } = agree(asked, offer, nowMs)
    const row: SaleRow = {
      id: Buffer.from(random.bytes(saleBytes)).toString('hex'),
      work,
      buyer: sealBuyer({ name: 'a member, at a board', contact: cardContact(card) }, keys, random),
      sold_ms: nowMs,
      until_ms: untilMs,
      uses,
      resale: 0,
      price: priceMinor,
      currency,
      derivation,
      made_by: 'a board',
      stopped_ms: null,
      delivery,
      voided_ms: null,
    }
    return store.transaction(async ({ sql }) => {
      // The same purchase may have asked twice at once.
      const known = await saleOfDelivery(sql, delivery)
      if (known) return known
      await insertSale(sql, row, places)
      return row
    })
  }

  #copyOf(sale: string): Promise<Uint8Array> {
    const held = this.#held.get(sale)
    if (held) return held
    const copy = this.#o.copy(sale)
    this.#held.set(sale, copy)
    copy.catch(() => this.#held.delete(sale))
    if (this.#held.size > heldMax) this.#held.delete(this.#held.keys().next().value ?? '')
    return copy
  }
}

export function purchaseHandlers(): Handler[] {
  return [
    serviceAct(voidPurchase, ['content'], async ({ delivery }, { sql, nowMs }) => {
      const sale = await voided(sql, delivery, nowMs)
      return sale === undefined ? {} : { sale }
    }),
  ]
}

async function voided(sql: Sql, delivery: Uint8Array, nowMs: number): Promise<string | undefined> {
  const row = await saleOfDelivery(sql, delivery)
  if (row) await voidSale(sql, row.id, nowMs)
  return row?.id
}
