/**
 * How a fee is shared among those that took part (C9): by weights that are set beforehand, largest remainder, so that the shares sum to the
 * whole. Who took no part has no share: on a hit neither origin nor search.
 */
import { share } from '@azukari/protocol/money'

/** `site`: whoever runs it; a member number: who is paid by settlement. */
export type Payee = string
export const site: Payee = 'site'

export type Part = 'storage' | 'origin' | 'search' | 'ledger'
const parts: readonly Part[] = ['storage', 'origin', 'search', 'ledger']

export interface Ratios {
  /** Thousandths of the fee for each that took part; together at most 1,000. */
  permille: Readonly<Record<Part, number>>
}

export interface Share {
  part: Part | 'rest'
  payee: Payee
  minor: number
}

/**
 * @param payees who stands for each part
 * @param rest who gets what is left: the provider of a content fee, the site of a service fee
 */
export function splitOf(
  minor: number,
  { permille }: Ratios,
  { tookPart, payees, rest }: { tookPart: ReadonlySet<Part>; payees: Readonly<Record<Part, Payee>>; rest: Payee },
): Share[] {
  const taking = parts.filter((part) => tookPart.has(part) && permille[part] > 0)
  const left = 1_000 - taking.reduce((sum, part) => sum + permille[part], 0)
  const weights = [...taking.map((part) => permille[part]), left].map(BigInt)
  const shares = share(BigInt(minor), weights).map(Number)
  const named = [...taking.map((part) => ({ part, payee: payees[part] })), { part: 'rest' as const, payee: rest }]
  return named.map((one, i) => ({ ...one, minor: shares[i] ?? 0 })).filter((one) => one.minor > 0)
}
