/**
 * Sales by shop, without the small ones (P9, privacy). Where few people bought, a shop's figure would tell what one of them
 * spent; and when one shop alone is left out, the total less the others tells the same. Both stay in one sum.
 */
import type { Sql } from '../../../storage/database.ts'

export interface ShopFigure {
  shop: string
  currency: string
  buyers: number
  payments: number
  minor: number
}

export interface ShopReport {
  /** A shop with fewer buyers than this is not shown by itself. */
  buyersAtLeast: number
  shops: ShopFigure[]
  /** Those that are not shown, together; per currency, and only where they are at least two. */
  others: { currency: string; shops: number; payments: number; minor: number }[]
}

/** As in official statistics, where tables of small counts are closed. */
export const buyersAtLeast = 5
const shopsShown = 50

/** Paid purchases since a moment, less refunds; the best-selling first. */
export async function shopFigures(sql: Sql, sinceMs: number): Promise<ShopReport> {
  const rows = await sql.all<ShopFigure>(
    `SELECT m.number AS shop, o.currency, count(DISTINCT o.buyer) AS buyers, count(*) AS payments,
       sum(o.paid - o.refunded) AS minor
     FROM orders o JOIN members m ON m.id = o.shop WHERE o.paid_at >= ? AND o.paid > 0
     GROUP BY m.number, o.currency ORDER BY minor DESC, shop`,
    sinceMs,
  )
  return closeSmall(rows, buyersAtLeast)
}

/** Decides what may be shown: see above. */
export function closeSmall(rows: readonly ShopFigure[], atLeast: number): ShopReport {
  const report: ShopReport = { buyersAtLeast: atLeast, shops: [], others: [] }
  for (const currency of [...new Set(rows.map((row) => row.currency))].sort()) {
    const own = rows.filter((row) => row.currency === currency)
    const shown = own.filter(({ buyers }) => buyers >= atLeast).slice(0, shopsShown)
    const closed = own.filter((row) => !shown.includes(row))
    const few = () => closed.length === 1 || closed.reduce((sum, { buyers }) => sum + buyers, 0) < atLeast
    // The least of those that could be shown joins what is closed, until the sum tells of no single shop and of no few people.
    while (closed.length > 0 && few() && shown.length > 0) {
      const least = shown.reduce((a, b) => (b.buyers <= a.buyers ? b : a))
      shown.splice(shown.indexOf(least), 1)
      closed.push(least)
    }
    report.shops.push(...shown)
    if (closed.length > 0 && !few())
      report.others.push({
        currency,
        shops: closed.length,
        payments: closed.reduce((sum, { payments }) => sum + payments, 0),
        minor: closed.reduce((sum, { minor }) => sum + minor, 0),
      })
  }
  return report
}
