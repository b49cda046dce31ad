/** Statistics as a page (P9): the picture, and the same figures as tables, for eyes, for screen readers and for print. */
import { hash } from 'node:crypto'
import { amountText } from './amount.ts'
import { series } from './months.ts'
import { escaped, type StatisticsReport, statisticsPicture } from './picture.ts'

const style = `body{font-family:sans-serif;color:#1c2430;margin:1.5rem;max-width:76rem}
svg{max-width:100%;height:auto}table{border-collapse:collapse;margin:0 0 1.5rem}caption{text-align:left;font-weight:bold;padding:.3rem 0}
th,td{border-bottom:1px solid #d7dce2;padding:.15rem .7rem;text-align:right}th:first-child{text-align:left}@media print{body{margin:0}}`

/** What the page may do: nothing but show itself. For the header of whoever serves it. */
export const statisticsPolicy = `default-src 'none'; style-src 'sha256-${hash('sha256', style, 'base64')}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`

export function statisticsPage(report: StatisticsReport): string {
  const { months, figures, shops } = report
  const tables = figures.map(({ series: name, currency, counts, minors }) => {
    const rows = months.map(
      (month, n) =>
        `<tr><th scope="row">${month}</th><td>${counts[n]}</td>${minors ? `<td>${escaped(amountText(minors[n]!, currency!))}</td>` : ''}</tr>`,
    )
    return `<table><caption>${escaped(`${series[name].ja} ${series[name].en}${currency ? ` (${currency})` : ''}`)}</caption>
<thead><tr><th scope="col">月 Month</th><th scope="col">件数 Count</th>${minors ? '<th scope="col">金額 Amount</th>' : ''}</tr></thead>
<tbody>${rows.join('\n')}</tbody></table>`
  })
  const shopRows = [
    ...shops.shops.map(({ shop, payments, minor, currency }) => [shop, payments, amountText(minor, currency)]),
    ...shops.others.map((one) => [`他 ${one.shops} 店 others`, one.payments, amountText(one.minor, one.currency)]),
  ].map(
    ([name, ...cells]) =>
      `<tr><th scope="row">${escaped(String(name))}</th>${cells.map((cell) => `<td>${escaped(String(cell))}</td>`).join('')}</tr>`,
  )
  return `<!doctype html>
<html lang="ja"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>決済統計 Settlement statistics</title>
<style>${style}</style></head><body>
<h1>決済統計 Settlement statistics</h1>
${statisticsPicture(report)}
${tables.join('\n')}
${shopRows.length > 0 ? `<table><caption>店舗別 By shop</caption><thead><tr><th scope="col">店舗 Shop</th><th scope="col">件数 Count</th><th scope="col">金額 Amount</th></tr></thead><tbody>${shopRows.join('\n')}</tbody></table>` : ''}
<p>購入者が ${shops.buyersAtLeast} 人未満の店舗は単独では表示しません。 Shops with fewer than ${shops.buyersAtLeast} buyers are not shown by themselves.</p>
</body></html>
`
}
