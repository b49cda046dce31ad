/** Sales as they are kept (R3, Fig. 4): who bought, by name and contact, is sealed under the service's keystore. */
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { checker, Text, Type } from '@azukari/protocol/contract'
import type { SaleConditions } from '@azukari/protocol/contracts/rights'
import { decrypt0, encrypt0 } from '@azukari/protocol/cose'
import type { Currency } from '@azukari/protocol/money'
import type { Random } from '@azukari/protocol/ports'
import { atRestKeyOf, type ServiceKeys } from '../../../service/service-keys.ts'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import type { SaleTerms } from '../sightings/judge.ts'

export interface SaleRow {
  id: string
  work: string
  buyer: Uint8Array
  sold_ms: number
  until_ms: number
  uses: number
  resale: number
  price: number
  currency: Currency
  derivation: string
  made_by: string
  stopped_ms: number | null
  /** Of a member's purchase; null for what an operator sold. */
  delivery: Uint8Array | null
  /** When the purchase came to nothing. */
  voided_ms: number | null
}

export interface Buyer {
  name: string
  contact: string
}

const domain = new TextEncoder().encode('azukari/rights-buyer/1')
const checkBuyer = checker(Type.Object({ name: Text(200), contact: Text(200) }), 'buyer')
const keyOf = (keys: ServiceKeys) => atRestKeyOf('rights', keys, 'buyer')

export function sealBuyer(buyer: Buyer, keys: ServiceKeys, random: Random): Uint8Array {
  return encrypt0(encodeDeterministic(buyer), keyOf(keys), random.bytes(12), domain)
}

/** @throws {Problem} `cose.decrypt-failed` */
export function openBuyer({ buyer }: SaleRow, keys: ServiceKeys): Buyer {
  return checkBuyer(decode(decrypt0(buyer, keyOf(keys), domain)))
}

export async function insertSale(sql: Sql, row: SaleRow, places: readonly string[]): Promise<void> {
  await insertRow(sql, 'sales', row)
  for (const url of places) await insertRow(sql, 'sale_places', { sale: row.id, url })
}

export async function findSale(sql: Sql, id: string): Promise<SaleRow | undefined> {
  return sql.get<SaleRow>('SELECT * FROM sales WHERE id = ?', id)
}

export async function saleOfDelivery(sql: Sql, delivery: Uint8Array): Promise<SaleRow | undefined> {
  return sql.get<SaleRow>('SELECT * FROM sales WHERE delivery = ?', delivery)
}

/** In the order of their dates. */
export async function salesOfWork(sql: Sql, work: string): Promise<SaleRow[]> {
  return sql.all<SaleRow>('SELECT * FROM sales WHERE work = ? ORDER BY sold_ms, id', work)
}

async function placesOfSale(sql: Sql, sale: string): Promise<string[]> {
  const rows = await sql.all<{ url: string }>('SELECT url FROM sale_places WHERE sale = ? ORDER BY url', sale)
  return rows.map(({ url }) => url)
}

export async function conditionsOf(sql: Sql, row: SaleRow): Promise<SaleConditions> {
  const places = await placesOfSale(sql, row.id)
  return { places, untilMs: row.until_ms, uses: row.uses, resale: row.resale === 1 }
}

/** What a place is judged by. */
export async function termsOf(sql: Sql, row: SaleRow): Promise<SaleTerms> {
  const { places, untilMs, uses } = await conditionsOf(sql, row)
  return { sale: row.id, places, untilMs, uses, stoppedMs: row.stopped_ms ?? undefined }
}

/** Nobody bought it: its copy may be nowhere. The first time counts. */
export async function voidSale(sql: Sql, id: string, nowMs: number): Promise<void> {
  await sql.run('UPDATE sales SET voided_ms = ? WHERE id = ? AND voided_ms IS NULL', nowMs, id)
  await stopSale(sql, id, nowMs)
}

/** Ends the use of a copy (R8). The first time counts. */
export async function stopSale(sql: Sql, id: string, nowMs: number): Promise<void> {
  await sql.run('UPDATE sales SET stopped_ms = ? WHERE id = ? AND stopped_ms IS NULL', nowMs, id)
}
