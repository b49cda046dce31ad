/**
 * Consumption tax as a qualified invoice shows it: per rate, rounded once per rate and document (Consumption Tax Act,
 * Order of Enforcement art. 70-10), never per line.
 */
import type { TaxRate } from '@azukari/protocol/contracts/settlement-purchase'

export type Rounding = 'down' | 'up' | 'half-up'
const taxRates: readonly TaxRate[] = [10, 8, 0]

/** `numerator / denominator` as an integer; for amounts that are not negative. */
export function divide(numerator: bigint, denominator: bigint, rounding: Rounding): bigint {
  if (rounding === 'down') return numerator / denominator
  if (rounding === 'up') return (numerator + denominator - 1n) / denominator
  return (2n * numerator + denominator) / (2n * denominator)
}

/** The tax contained in gross amounts, per rate; rates that do not occur are left out. */
export function taxWithin(lines: readonly { gross: bigint; rate: TaxRate }[], rounding: Rounding = 'down') {
  return perRate(lines.map(({ gross, rate }) => ({ amount: gross, rate }))).map(({ rate, amount }) => ({
    rate,
    gross: amount,
    tax: divide(amount * BigInt(rate), 100n + BigInt(rate), rounding),
  }))
}

/** The tax upon net amounts, per rate. A rate whose sum is negative bears none. */
export function taxUpon(lines: readonly { net: bigint; rate: TaxRate }[], rounding: Rounding = 'down') {
  return perRate(lines.map(({ net, rate }) => ({ amount: net, rate }))).map(({ rate, amount }) => ({
    rate,
    net: amount,
    tax: amount > 0n ? divide(amount * BigInt(rate), 100n, rounding) : 0n,
  }))
}

function perRate(lines: readonly { amount: bigint; rate: TaxRate }[]): { rate: TaxRate; amount: bigint }[] {
  return taxRates.flatMap((rate) => {
    const own = lines.filter((line) => line.rate === rate)
    return own.length === 0 ? [] : [{ rate, amount: own.reduce((sum, { amount }) => sum + amount, 0n) }]
  })
}
