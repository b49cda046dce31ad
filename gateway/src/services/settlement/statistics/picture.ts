/** Statistics as one picture (SVG): a small plot per kind of figure, months from left to right. */
import { amountText } from './amount.ts'
import { type MonthFigures, type MonthReport, series } from './months.ts'
import type { ShopReport } from './shops.ts'

export interface StatisticsReport extends MonthReport {
  /** The day on which it was made, in the site's calendar. */
  day: string
  shops: ShopReport
}

const plotWidth = 560
const plotHeight = 190
const columns = 2
const margin = 24
const head = 64
/** Of the bars within a plot. */
const frame = { left: 74, right: 12, top: 40, bottom: 26 } as const
const bar = '#2f6f8f'
const ink = '#1c2430'

export function statisticsPicture(report: StatisticsReport): string {
  const rows = Math.ceil(report.figures.length / columns)
  const shops = report.shops.shops.length + report.shops.others.length
  const width = 2 * margin + columns * plotWidth
  const plots = head + rows * plotHeight
  const height = plots + (shops > 0 ? 70 + 24 * shops : 0) + margin
  const title = `決済統計 Settlement, ${report.months[0]} – ${report.months.at(-1)}`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}" font-family="sans-serif" font-size="12" fill="${ink}">`,
    `<title>${escaped(title)}</title>`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    `<text x="${margin}" y="32" font-size="20">${escaped(title)}</text>`,
    `<text x="${margin}" y="52">${escaped(`${report.day} 現在. Bars: amount per month (or count); the number above a bar: how often.`)}</text>`,
    ...(report.figures.length === 0
      ? [`<text x="${margin}" y="${head + 20}">まだ何もありません Nothing yet</text>`]
      : []),
    ...report.figures.map((figures, n) =>
      plot(report.months, figures, margin + (n % columns) * plotWidth, head + Math.floor(n / columns) * plotHeight),
    ),
    ...(shops > 0 ? [shopBars(report.shops, plots + 20, width - 2 * margin)] : []),
    '</svg>\n',
  ].join('\n')
}

function plot(
  months: readonly string[],
  { series: name, currency, counts, minors }: MonthFigures,
  x: number,
  y: number,
): string {
  const values = minors ?? counts
  const top = ceiling(Math.max(1, ...values))
  const inner = { width: plotWidth - frame.left - frame.right - 16, height: plotHeight - frame.top - frame.bottom }
  const step = inner.width / months.length
  const base = y + frame.top + inner.height
  const label = (value: number) => (currency ? amountText(value, currency) : value.toLocaleString('en'))
  const every = Math.ceil(months.length / 12)
  return [
    `<text x="${x}" y="${y + 18}" font-size="14">${escaped(`${series[name].ja} ${series[name].en}${currency ? ` (${currency})` : ''}`)}</text>`,
    ...[0, top / 2, top].map((tick) => {
      const at = (base - (inner.height * tick) / top).toFixed(1)
      // Counts have no halves.
      const shown = tick === Math.round(tick) ? label(tick) : ''
      return `<line x1="${x + frame.left}" y1="${at}" x2="${x + frame.left + inner.width}" y2="${at}" stroke="#d7dce2"/><text x="${x + frame.left - 6}" y="${Number(at) + 4}" text-anchor="end" font-size="11">${shown}</text>`
    }),
    ...months.map((month, n) => {
      const tall = (inner.height * values[n]!) / top
      const left = x + frame.left + n * step
      const middle = (left + step / 2).toFixed(1)
      return [
        values[n]! > 0
          ? `<rect x="${(left + step * 0.15).toFixed(1)}" y="${(base - tall).toFixed(1)}" width="${(step * 0.7).toFixed(1)}" height="${tall.toFixed(1)}" fill="${bar}"><title>${month}: ${label(values[n]!)} (${counts[n]})</title></rect>`
          : '',
        counts[n]! > 0 && step >= 24
          ? `<text x="${middle}" y="${(base - tall - 4).toFixed(1)}" text-anchor="middle" font-size="10">${counts[n]}</text>`
          : '',
        n % every === 0
          ? `<text x="${middle}" y="${base + 16}" text-anchor="middle" font-size="10">${month.slice(2)}</text>`
          : '',
      ].join('')
    }),
  ].join('\n')
}

function shopBars({ shops, others, buyersAtLeast }: ShopReport, y: number, width: number): string {
  const lines = [
    ...shops.map(({ shop, minor, payments, currency }) => ({ name: shop, minor, payments, currency })),
    ...others.map(({ shops: n, minor, payments, currency }) => ({
      name: `他 ${n} 店 others`,
      minor,
      payments,
      currency,
    })),
  ]
  const most = Math.max(1, ...lines.map(({ minor }) => minor))
  return [
    `<text x="${margin}" y="${y + 14}" font-size="14">${escaped(`店舗別 By shop (購入者 ${buyersAtLeast} 人未満の店舗は合算 those with fewer than ${buyersAtLeast} buyers are in one sum)`)}</text>`,
    ...lines.map(({ name, minor, payments, currency }, n) => {
      const at = y + 30 + 24 * n
      const long = (minor / most) * (width - 430)
      return (
        `<text x="${margin}" y="${at + 13}">${escaped(name)}</text>` +
        `<rect x="${margin + 150}" y="${at}" width="${Math.max(1, long).toFixed(1)}" height="16" fill="${bar}"/>` +
        `<text x="${(margin + 158 + long).toFixed(1)}" y="${at + 13}">${escaped(`${amountText(minor, currency)}, ${payments}`)}</text>`
      )
    }),
  ].join('\n')
}

/** The next of 1, 2, 5 × 10ⁿ: where an axis may end. */
function ceiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? value
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
