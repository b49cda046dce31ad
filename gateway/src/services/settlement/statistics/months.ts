/** What happened month by month (P9), from the journal and the registers beside it. No person is in it. */
import { flatMapInOrder } from '@azukari/protocol/in-order'
import type { Sql } from '../../../storage/database.ts'
import { addMonths, type CivilDate, civilDate, startOfDay } from '../billing/calendar.ts'
import { dateOfQuarter, quarterMs } from './quarters.ts'

/** The kinds of figures, in the order in which they are shown. `amount`: whether they count money too. */
export const series = {
  purchases: { ja: '購入', en: 'Purchases', amount: true },
  refunds: { ja: '返金', en: 'Refunds', amount: true },
  'top-ups': { ja: '入金（前払式）', en: 'Stored value issued', amount: true },
  'top-ups-reversed': { ja: '入金の取消し', en: 'Stored value taken back', amount: true },
  fees: { ja: '利用料（請求）', en: 'Fees billed', amount: true },
  'credit-notes': { ja: '請求の訂正', en: 'Credit notes', amount: true },
  payouts: { ja: '店舗への支払', en: 'Payouts to shops', amount: true },
  arrears: { ja: '滞納', en: 'Arrears', amount: true },
  objections: { ja: '請求への異議', en: 'Objections to statements', amount: false },
  disputes: { ja: '購入への異議', en: 'Disputes of purchases', amount: false },
  members: { ja: '新規会員', en: 'New members', amount: false },
} as const
export type SeriesName = keyof typeof series

export interface MonthFigures {
  series: SeriesName
  /** Absent for what is only counted. */
  currency?: string
  /** Per month, as `MonthReport.months`: how often, and how much in minor units. */
  counts: number[]
  minors?: number[]
}

export interface MonthReport {
  /** `YYYY-MM`, oldest first, up to the present one. */
  months: string[]
  figures: MonthFigures[]
}

export const maxMonths = 60

/** Reasons of postings, as they are counted. Anything else (a hold, a debit on its way) is no figure of its own. */
const seriesOf = `CASE
  WHEN p.reason IN ('purchase', 'metered use') THEN 'purchases'
  WHEN p.reason = 'refund' THEN 'refunds'
  WHEN p.reason = 'top-up-reversed' THEN 'top-ups-reversed'
  WHEN p.reason LIKE 'top-up-%' THEN 'top-ups'
  WHEN p.reason = 'statement' THEN 'fees'
  WHEN p.reason = 'credit-note' THEN 'credit-notes'
  WHEN p.reason = 'payout-sent' THEN 'payouts' END`

interface Row {
  month: string
  series: SeriesName
  currency: string | null
  count: number
  minor: number | null
}

/**
 * The last months of a time zone, the present one included.
 * @param months how many, 1 to `maxMonths`
 */
export async function monthFigures(sql: Sql, nowMs: number, timeZone: string, months: number): Promise<MonthReport> {
  const wanted = monthsUpTo(civilDate(nowMs, timeZone), months)
  const from = startOfDay(`${wanted[0]}-01`, timeZone)
  const dateOf = dateOfQuarter(timeZone)
  const quarter = (column: string) => `${column} / ${quarterMs}`
  const byQuarter = async (text: string): Promise<Row[]> =>
    (await sql.all<Omit<Row, 'month'> & { quarter: number }>(text, from)).map((row) => ({
      ...row,
      month: dateOf(row.quarter).slice(0, 7),
    }))
  const rows = [
    ...(await byQuarter(
      `SELECT ${quarter('p.at')} AS quarter, ${seriesOf} AS series, a.currency, count(DISTINCT p.seq) AS count, sum(l.amount) AS minor
       FROM ledger_postings p JOIN ledger_legs l ON l.posting = p.seq JOIN ledger_accounts a ON a.id = l.debit
       WHERE p.at >= ? AND l.kind IN ('post', 'capture') AND ${seriesOf} IS NOT NULL GROUP BY 1, 2, 3`,
    )),
    // A statement's own day, in the site's civil calendar already: when it was closed that nobody has paid since.
    ...(await sql.all<Row>(
      `SELECT substr(to_date, 1, 7) AS month, 'arrears' AS series, currency, count(*) AS count, sum(total) AS minor
       FROM statements WHERE state = 'arrears' AND to_date >= ? GROUP BY 1, 3`,
      `${wanted[0]}-01`,
    )),
    ...(await flatMapInOrder(
      [
        ['objections', 'objections', 'at'],
        ['disputes', 'disputes', 'at'],
        ['members', 'members', 'since'],
      ] as const,
      ([name, table, at]) =>
        byQuarter(
          `SELECT ${quarter(at)} AS quarter, '${name}' AS series, NULL AS currency, count(*) AS count, NULL AS minor
         FROM ${table} WHERE ${at} >= ? GROUP BY 1`,
        ),
    )),
  ]
  return { months: wanted, figures: gathered(rows, wanted) }
}

function gathered(rows: readonly Row[], months: readonly string[]): MonthFigures[] {
  const found = new Map<string, MonthFigures>()
  for (const { month, series: name, currency, count, minor } of rows) {
    const at = months.indexOf(month)
    if (at < 0) continue
    const key = `${name}/${currency ?? ''}`
    const figures = found.get(key) ?? {
      series: name,
      counts: months.map(() => 0),
      ...(series[name].amount && currency ? { currency, minors: months.map(() => 0) } : {}),
    }
    found.set(key, figures)
    figures.counts[at]! += count
    if (figures.minors) figures.minors[at]! += minor ?? 0
  }
  const order = Object.keys(series)
  return [...found.values()].sort(
    (a, b) => order.indexOf(a.series) - order.indexOf(b.series) || (a.currency ?? '').localeCompare(b.currency ?? ''),
  )
}

function monthsUpTo(today: CivilDate, count: number): string[] {
  const first = `${today.slice(0, 7)}-01`
  return Array.from({ length: count }, (_, i) => addMonths(first, i + 1 - count).slice(0, 7))
}
