/** Statement, credit note, receipt and reminder as pages (S13), with the fields of a qualified invoice. */
import type { Bought, Statement } from '@azukari/protocol/contracts/settlement-billing'
import { civilDate } from '../billing/calendar.ts'
import { type Block, makePdf } from './pdf.ts'
import type { TrueTypeFont } from './true-type.ts'

const yen = (minor: number, currency: string) => `${minor.toLocaleString('en-US')} ${currency}`
const title = {
  base: '基本料 Base fee',
  usage: '容量超過 Further data',
  years: '継続割引 Years of membership',
  tampering: '改ざん検出による減額 Reduction for tampering',
  floor: '調整 Adjustment',
} as Record<string, string>

const ways = {
  debit: '口座振替 bank debit',
  card: 'クレジットカード credit card',
  value: '電子マネー残高 stored value',
}

export interface Addressee {
  name: string
  number: string
  /** Whose glyphs the pages carry. */
  font?: TrueTypeFont | undefined
  /** In which days are told. */
  timeZone: string
}

export function statementPdf(statement: Statement, to: Addressee): Uint8Array {
  const { currency } = statement.total
  return makePdf(`Statement ${statement.statement}`, to.font, [
    ...head('ご利用明細書（適格請求書）', 'Statement (qualified invoice)', statement, to),
    ...lines(statement, currency),
    ...boughtBlocks(statement.bought, to.timeZone),
    { gap: 10 },
    {
      text: `データ確認 Data check: ${statement.check.checked} / ${statement.check.objects}, 異常 bad ${statement.check.bad}`,
    },
    ...statement.kept.slice(0, 24).map(
      ({ object, server, algorithm }): Block => ({
        row: [
          { text: Buffer.from(object).toString('hex').slice(0, 16), x: 57 },
          { text: server, x: 200 },
          { text: algorithm, x: 360 },
        ],
        size: 8,
      }),
    ),
    ...statement.faults.map(
      ({ atMs, verdict, server }): Block => ({
        text: `${civilDate(atMs, to.timeZone)}  ${verdict}  ${server}`,
        size: 8,
      }),
    ),
    { gap: 10 },
    { text: `異議申立て期限 Objections until: ${statement.objectBy}` },
    { text: statement.howToObject.ja },
    { text: statement.howToObject.en },
    {
      text: `お支払い Payment: ${ways[statement.payment]}, ${statement.debitOn}`,
    },
  ])
}

export function creditNotePdf(statement: Statement, to: Addressee, findings: readonly string[]): Uint8Array {
  return makePdf(`Credit note ${statement.statement}`, to.font, [
    ...head('返還請求書（適格返還請求書）', 'Credit note (qualified return invoice)', statement, to),
    ...lines(statement, statement.total.currency),
    { gap: 10 },
    {
      text: '上記の全額を取り消します。新しい明細書を発行しました。The whole of the above is cancelled; a new statement has been issued.',
    },
    ...findings.map((text): Block => ({ text })),
  ])
}

export function receiptPdf(statement: Statement, to: Addressee, paidOn: string): Uint8Array {
  return makePdf(`Receipt ${statement.statement}`, to.font, [
    ...head('領収書', 'Receipt', statement, to),
    ...lines(statement, statement.total.currency),
    { gap: 10 },
    { text: `${paidOn} に領収しました。Received on ${paidOn}.` },
  ])
}

export function reminderPdf(
  statement: Statement,
  to: Addressee,
  outcome: string,
  againOn: string | undefined,
): Uint8Array {
  return makePdf(`Reminder ${statement.statement}`, to.font, [
    ...head('お支払いのお願い', 'Reminder', statement, to),
    { text: `お支払いを受けられませんでした（${outcome}）。It could not be collected (${outcome}).` },
    { text: `金額 Amount: ${yen(statement.total.minor, statement.total.currency)}`, size: 12 },
    {
      text: againOn
        ? `${againOn} に再度請求いたします。It is tried again on ${againOn}.`
        : '決済センタまでご連絡ください。Please call the settlement centre.',
    },
  ])
}

function head(ja: string, en: string, statement: Statement, to: Addressee): Block[] {
  return [
    { text: `${to.name} 様`, size: 14 },
    { text: `会員番号 Member ${to.number}` },
    { text: statement.issuer.name, x: 538, right: true },
    { text: `登録番号 Registration ${statement.issuer.invoiceNumber}`, x: 538, right: true },
    { gap: 12 },
    { text: ja, size: 16 },
    { text: `${en}  ${statement.statement}` },
    ...(statement.replaces
      ? [{ text: `${statement.replaces} に代わる明細書です。In place of ${statement.replaces}.` }]
      : []),
    { text: `期間 Period: ${statement.from} – ${statement.to}` },
    { gap: 8 },
  ]
}

const reasons = {
  'content-content-fee': 'コンテンツ Content',
  'content-service-fee': '手数料 Service fee',
} as Record<string, string>

/** What was paid from stored value when it was bought: told here, and no part of the total. */
function boughtBlocks(bought: Bought | undefined, timeZone: string): Block[] {
  if (!bought) return []
  const { lines, further, taxes, total } = bought
  const blocks: Block[] = [
    { gap: 10 },
    { text: '残高でお支払い済み（上記合計に含みません） Paid from stored value already, not in the total above' },
  ]
  for (const { what, title, atMs, minor, tax, isReversed } of lines) {
    const state = isReversed ? '取消 reversed' : `${tax} %`
    blocks.push({
      row: [
        { text: civilDate(atMs, timeZone), x: 57 },
        { text: shortened(title), x: 120 },
        { text: reasons[what] ?? what, x: 330 },
        { text: state, x: 470, right: true },
        { text: isReversed ? `(${yen(minor, total.currency)})` : yen(minor, total.currency), x: 538, right: true },
      ],
      size: 8,
    })
  }
  if (further > 0) blocks.push({ text: `ほか ${further} 件 ${further} further lines`, size: 8 })
  for (const { rate, gross, tax } of taxes)
    blocks.push({
      text: `${rate} % 対象（税込） subject, with tax ${yen(gross, total.currency)}; 内消費税 tax within ${yen(tax, total.currency)}`,
      size: 8,
    })
  blocks.push({ text: `支払済み合計 Paid in sum: ${yen(total.minor, total.currency)}` })
  return blocks
}

/** Room for a title between the date and the reason, full-width characters counted twice. */
function shortened(title: string): string {
  let width = 0
  let kept = ''
  for (const character of title) {
    width += character > '\u02ff' ? 2 : 1
    if (width > 48) return `${kept}…`
    kept += character
  }
  return kept
}

function lines({ lines, taxes, total }: Statement, currency: string): Block[] {
  return [
    { rule: true },
    ...lines.map(
      ({ what, how, netMinor, tax }): Block => ({
        row: [
          { text: title[what] ?? what, x: 57 },
          { text: how, x: 270 },
          { text: `${tax} %`, x: 430, right: true },
          { text: yen(netMinor, currency), x: 538, right: true },
        ],
      }),
    ),
    { rule: true },
    ...taxes.map(
      ({ rate, net, tax }): Block => ({
        row: [
          { text: `${rate} % 対象 subject ${yen(net, currency)}`, x: 57 },
          { text: `消費税 Consumption tax ${yen(tax, currency)}`, x: 538, right: true },
        ],
      }),
    ),
    {
      row: [
        { text: '合計 Total', x: 57 },
        { text: yen(total.minor, currency), x: 538, right: true },
      ],
      size: 14,
    },
  ]
}
