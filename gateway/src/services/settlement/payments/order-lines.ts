/**
 * What of each line of an order is still paid for (P7, P9). A refund is of an article, or of the order as a whole; either way it is
 * taken from lines, so that a receipt tells goods and tax per rate of what is left, and all refunds together are the order.
 */
import type { PayReceipt } from '@azukari/protocol/contracts/settlement-purchase'
import { share } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import { taxWithin } from '../billing/tax.ts'
import type { OrderLine, OrderRow } from './orders.ts'

type Paid = Pick<OrderRow, 'lines' | 'paid' | 'refunded' | 'metered'>

/** Bytes of UTF-8 that name the goods of one rate: a receipt has room for three in a slot of the card. */
const goodsMaxBytes = 90

export function linesOf(order: Pick<OrderRow, 'lines'>): OrderLine[] {
  return JSON.parse(order.lines) as OrderLine[]
}

/** What is still paid for of each line, minor units, in the order of the lines. */
export function restOfLines(order: Paid): number[] {
  const lines = linesOf(order)
  // A metered order has one line, of which only what was used is paid for.
  const rests = lines.map(({ price, count, refunded = 0 }) => (order.metered ? order.paid : price * count) - refunded)
  // Refunds from before lines told of them were of the order as a whole.
  const untold = order.refunded - lines.reduce((sum, { refunded = 0 }) => sum + refunded, 0)
  return untold === 0 ? rests : minus(rests, shared(untold, rests))
}

/**
 * The lines after a refund. Without an article it is of the one line that has just so much left, else of all lines in proportion.
 * @throws {Problem} `pay.item-unknown` for an article that was not ordered, `pay.refund-too-much` when less is left of it
 */
export function refundLines(order: Paid, minor: number, item?: string): OrderLine[] {
  const lines = linesOf(order)
  const rests = restOfLines(order)
  const taken = item === undefined ? takenFromAll(rests, minor) : takenFromItem(lines, rests, minor, item)
  return lines.map((line, i) => ({
    ...line,
    refunded: (order.metered ? order.paid : line.price * line.count) - rests[i]! + taken[i]!,
  }))
}

function takenFromAll(rests: readonly number[], minor: number): number[] {
  const just = rests.filter((rest) => rest === minor)
  if (just.length === 1) return rests.map((rest) => (rest === minor ? minor : 0))
  return shared(minor, rests)
}

function takenFromItem(lines: readonly OrderLine[], rests: readonly number[], minor: number, item: string): number[] {
  if (!lines.some((line) => line.item === item)) throw new Problem('pay.item-unknown', item)
  let left = minor
  const taken = lines.map((line, i) => {
    const here = line.item === item ? Math.min(left, rests[i]!) : 0
    left -= here
    return here
  })
  if (left > 0) throw new Problem('pay.refund-too-much', `${minor - left} is left of ${item}`)
  return taken
}

/** Goods and tax per rate of what is still paid for: tax is rounded once per rate, down. */
export function taxesOf(order: Paid): PayReceipt['taxes'] {
  const rests = restOfLines(order)
  const left = linesOf(order).flatMap(({ item, name = item, tax }, i) =>
    rests[i]! > 0 ? [{ name, rate: tax, gross: BigInt(rests[i]!) }] : [],
  )
  return taxWithin(left).map(({ rate, gross, tax }) => ({
    rate,
    gross: Number(gross),
    tax: Number(tax),
    goods: goodsOf(left.filter((line) => line.rate === rate).map(({ name }) => name)),
  }))
}

/** Names of goods as far as there is room, then how many more there are. */
function goodsOf(names: readonly string[]): string {
  let text = shortened(names[0]!, goodsMaxBytes - 10)
  for (const [i, name] of names.slice(1).entries()) {
    const longer = `${text}, ${name}`
    if (Buffer.byteLength(longer) > goodsMaxBytes - 10) return `${text} +${names.length - 1 - i}`
    text = longer
  }
  return text
}

function shortened(text: string, maxBytes: number): string {
  let short = ''
  for (const character of text) {
    if (Buffer.byteLength(short + character) > maxBytes - 3) return `${short}…`
    short += character
  }
  return short
}

function shared(minor: number, rests: readonly number[]): number[] {
  if (minor === 0) return rests.map(() => 0)
  return share(BigInt(minor), rests.map(BigInt)).map(Number)
}

function minus(a: readonly number[], b: readonly number[]): number[] {
  return a.map((one, i) => one - b[i]!)
}
