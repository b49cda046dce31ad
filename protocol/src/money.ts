/** Money: integers of a currency's smallest unit (ISO 4217), never fractions (ARCHITECTURE §4). */
import { type Static, Type } from './contract.ts'

/** Currencies that ledgers know, and the decimal digits of their minor unit. */
export const currencies = { JPY: 0, USD: 2, EUR: 2, GBP: 2, KRW: 0, TWD: 2, SGD: 2 } as const
export type Currency = keyof typeof currencies

/** Largest single amount: far above any payment, far below what integers on the wire and in SQLite hold exactly. */
export const amountMaxMinor = 999_999_999_999n

export const CurrencyCode = Type.Unsafe<Currency>(Type.Union(Object.keys(currencies).map((code) => Type.Literal(code))))
/** An amount on the wire. Zero is allowed here; a payment of nothing is refused by the ledger. */
export const AmountMinor = Type.Integer({ minimum: 0, maximum: Number(amountMaxMinor) })
export const Money = Type.Object({ minor: AmountMinor, currency: CurrencyCode })
export type Money = Static<typeof Money>

export function isCurrency(code: string): code is Currency {
  return Object.hasOwn(currencies, code)
}

/** `1234` of JPY is `1234`, of USD `12.34`: the decimal notation of bank files. */
export function formatAmount(minor: bigint, currency: Currency): string {
  const digits = currencies[currency]
  const sign = minor < 0n ? '-' : ''
  const text = (minor < 0n ? -minor : minor).toString().padStart(digits + 1, '0')
  return digits === 0 ? sign + text : `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`
}

/** The reverse, for amounts that others wrote; undefined when it is none, negative, or finer than the currency. */
export function parseAmount(text: string, currency: Currency): bigint | undefined {
  const match = /^(\d{1,15})(?:\.(\d{1,5}))?$/.exec(text)
  if (!match) return undefined
  const digits = currencies[currency]
  const fraction = match[2] ?? ''
  if (/[1-9]/.test(fraction.slice(digits))) return undefined
  return BigInt(match[1]! + fraction.slice(0, digits).padEnd(digits, '0'))
}

/**
 * Shares `total` by weights so that the shares sum to the whole: largest remainder, ties to the earlier one.
 * Weights are not negative and not all zero.
 */
export function share(total: bigint, weights: readonly bigint[]): bigint[] {
  const sum = weights.reduce((a, b) => a + b, 0n)
  const shares = weights.map((weight) => (total * weight) / sum)
  let left = total - shares.reduce((a, b) => a + b, 0n)
  const order = weights
    .map((weight, i) => ({ i, rest: (total * weight) % sum }))
    .sort((a, b) => (a.rest === b.rest ? a.i - b.i : a.rest > b.rest ? -1 : 1))
  for (const { i } of order) {
    if (left === 0n) break
    shares[i]! += 1n
    left -= 1n
  }
  return shares
}
