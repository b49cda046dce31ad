/**
 * Journals in the forms that accounting programs read: beancount (beancount.github.io/docs/beancount_language_syntax.html), Money
 * Forward Cloud (biz.moneyforward.com/support/account/guide/import-books/ib01.html, columns A to AA), and freee (its import of
 * journals from other programs: support.freee.co.jp, article 204847430).
 */
import { formatAmount } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import type { AccountName } from './chart.ts'
import type { JournalEntry } from './journal.ts'

export const journalFormats = ['beancount', 'money-forward', 'freee'] as const
export type JournalFormat = (typeof journalFormats)[number]

/** Tax stands on an account of its own, so that no program is to work it out again. */
const noTax = '対象外'

/** @throws {Problem} `config.invalid` for another currency than yen in a form that has none */
export function journalText(entries: readonly JournalEntry[], format: JournalFormat): string {
  if (format === 'beancount') return beancount(entries)
  const other = entries.find(({ currency }) => currency !== 'JPY')
  if (other)
    throw new Problem('config.invalid', `${format} has yen only, and there is ${other.currency}: take beancount`)
  return format === 'freee' ? freee(entries) : moneyForward(entries)
}

function beancount(entries: readonly JournalEntry[]): string {
  const moved = entries.map(({ day, reason, currency, debit, credit, minor }) =>
    [
      `${day} * "${reason.replaceAll(/["\\]/g, ' ')}"`,
      `  ${debit.english}  ${formatAmount(minor, currency)} ${currency}`,
      `  ${credit.english}  ${formatAmount(-minor, currency)} ${currency}`,
    ].join('\n'),
  )
  // It opens accounts by itself, so that months can be read together, in any order.
  return `${['plugin "beancount.plugins.auto_accounts"', ...moved].join('\n\n')}\n`
}

const sideOfMoneyForward = ['勘定科目', '補助科目', '部門', '取引先', '税区分', 'インボイス', '金額(円)', '税額']
const sides = (columns: readonly string[]) => ['借方', '貸方'].flatMap((side) => columns.map((column) => side + column))

function moneyForward(entries: readonly JournalEntry[]): string {
  const tail = [
    '摘要',
    '仕訳メモ',
    'タグ',
    'MF仕訳タイプ',
    '決算整理仕訳',
    '作成日時',
    '作成者',
    '最終更新日時',
    '最終更新者',
  ]
  const side = ({ japanese, sub }: AccountName, minor: bigint) => [japanese, sub, '', '', noTax, '', String(minor), '']
  const rows = entries.map(({ day, reason, debit, credit, minor }, i) => [
    String(i + 1),
    day.replaceAll('-', '/'),
    ...side(debit, minor),
    ...side(credit, minor),
    reason,
    ...tail.slice(1).map(() => ''),
  ])
  return csv([['取引No', '取引日', ...sides(sideOfMoneyForward), ...tail], ...rows])
}

function freee(entries: readonly JournalEntry[]): string {
  const side = ({ japanese, sub }: AccountName, minor: bigint) => [japanese, sub, String(minor), noTax]
  const rows = entries.map(({ day, reason, debit, credit, minor }, i) => [
    day.replaceAll('-', '/'),
    String(i + 1),
    ...side(debit, minor),
    ...side(credit, minor),
    reason,
  ])
  return csv([['日付', '伝票番号', ...sides(['勘定科目', '補助科目', '金額', '税区分']), '摘要'], ...rows])
}

/** RFC 4180, with the mark by which spreadsheets know UTF-8; no field can begin a formula. */
function csv(rows: readonly (readonly string[])[]): string {
  const field = (text: string) => `"${(/^[=+\-@＝＋－＠\t\r\n]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`
  return `\ufeff${rows.map((row) => `${row.map(field).join(',')}\r\n`).join('')}`
}
