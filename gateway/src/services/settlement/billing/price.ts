/**
 * A period's fee (S13): level, years of membership, usage, and what went wrong with the data. Pure: the same facts and the
 * same tariff always give the same lines, and every line says how it came about.
 */

import type { Static } from '@azukari/protocol/contract'
import type { StatementLine } from '@azukari/protocol/contracts/settlement-billing'
import type { AccountFacts } from '@azukari/protocol/contracts/settlement-placement'
import { addDays, addMonths, type CivilDate, daysBetween } from './calendar.ts'
import { divide, type Rounding, taxUpon } from './tax.ts'

export interface Tariff {
  /** Fee of a month by level, before tax, minor units. */
  baseMinor: readonly number[]
  /** Bytes that each level includes. */
  includedBytes: readonly number[]
  /** Fee of every further GiB begun. */
  perGibMinor: number
  /** Reduction of the base fee for each whole year, and at most, in thousandths. */
  perYearPermille: number
  yearsPermilleMost: number
  /** Reduction of the base fee for each tampering that was found in the period, and at most, in thousandths. */
  perTamperingPermille: number
  tamperingPermilleMost: number
  rounding: Rounding
}

export const standardTariff: Tariff = {
  baseMinor: [300, 500, 1_000, 2_000, 3_000],
  includedBytes: [5, 20, 100, 500, 2_000].map((gib) => gib * 1024 ** 3),
  perGibMinor: 20,
  perYearPermille: 10,
  yearsPermilleMost: 100,
  perTamperingPermille: 200,
  tamperingPermilleMost: 1_000,
  rounding: 'down',
}

const gib = 1024 ** 3

/**
 * How a first period that is shorter than a month is charged: `days`: by its days; `whole`: as a month; `free`: not at all.
 */
export type FirstPeriod = 'days' | 'whole' | 'free'

/** So many days of so many that a month would have had. */
export interface Part {
  days: number
  of: number
}

/**
 * The part of a month that a period is, when it is the first and began after the closing day; undefined for a whole one.
 * The month is the one that ends with the period: 28 to 31 days.
 */
export function partOf(from: CivilDate, to: CivilDate): Part | undefined {
  const before = addMonths(to, -1)
  const days = daysBetween(addDays(from, -1), to)
  const of = daysBetween(before, to)
  return days < of ? { days, of } : undefined
}

/** What a statement was priced by, kept with it (S13): nothing that changes later changes its price. */
export interface PricedBy {
  facts: PriceFacts
  tariff: Tariff
  /** Absent where it was not kept yet. */
  window?: Window
}

/** From a moment to another, which is no part of it, ms. */
export interface Window {
  fromMs: number
  toMs: number
}

export interface Priced {
  lines: StatementLine[]
  taxes: { rate: 10 | 8 | 0; net: number; tax: number }[]
  total: number
}

export type PriceFacts = Pick<Static<typeof AccountFacts>, 'level' | 'bytes' | 'tamperings'> & {
  years: number
  /** Of a shorter period: what a month costs is charged by its days, rounded as tax is. */
  part?: Part | undefined
}

export function priceOf({ level, years, bytes, tamperings, part }: PriceFacts, tariff: Tariff): Priced {
  const byDays = (minor: number) =>
    part ? Number(divide(BigInt(minor) * BigInt(part.days), BigInt(part.of), tariff.rounding)) : minor
  const days = part ? `, ${part.days} of ${part.of} days` : ''
  const at = Math.min(level, tariff.baseMinor.length - 1)
  const base = byDays(tariff.baseMinor[at]!)
  const lines: StatementLine[] = [{ what: 'base', how: `level ${level}${days}`, netMinor: base, tax: 10 }]
  const beyond = Math.max(0, Math.ceil((bytes - tariff.includedBytes[at]!) / gib))
  if (beyond > 0)
    lines.push({
      what: 'usage',
      how: `${beyond} GiB × ${tariff.perGibMinor}${days}`,
      netMinor: byDays(beyond * tariff.perGibMinor),
      tax: 10,
    })
  const ofYears = reduction(base, years, tariff.perYearPermille, tariff.yearsPermilleMost)
  if (ofYears)
    lines.push({ what: 'years', how: `${years} years: ${ofYears.percent} %`, netMinor: ofYears.netMinor, tax: 10 })
  return withTamperings(lines, tamperings, tariff)
}

/** The price of the same lines with another number of tamperings found: level, bytes and years stay what they were. */
export function withTamperings(before: readonly StatementLine[], tamperings: number, tariff: Tariff): Priced {
  const lines = before.filter(({ what }) => what !== 'tampering' && what !== 'floor')
  const base = lines.find(({ what }) => what === 'base')?.netMinor ?? 0
  const reduced = reduction(base, tamperings, tariff.perTamperingPermille, tariff.tamperingPermilleMost)
  if (reduced)
    lines.push({
      what: 'tampering',
      how: `${tamperings} found: ${reduced.percent} %`,
      netMinor: reduced.netMinor,
      tax: 10,
    })
  const net = lines.reduce((sum, { netMinor }) => sum + netMinor, 0)
  if (net < 0) lines.push({ what: 'floor', how: 'never below nothing', netMinor: -net, tax: 10 })
  const taxes = taxUpon(
    lines.map(({ netMinor, tax }) => ({ net: BigInt(netMinor), rate: tax })),
    tariff.rounding,
  ).map(({ rate, net, tax }) => ({ rate, net: Number(net), tax: Number(tax) }))
  return { lines, taxes, total: taxes.reduce((sum, { net, tax }) => sum + net + tax, 0) }
}

function reduction(base: number, times: number, perPermille: number, maxPermille: number) {
  const permille = Math.min(maxPermille, times * perPermille)
  return permille > 0 ? { percent: permille / 10, netMinor: -Math.floor((base * permille) / 1000) } : undefined
}

/** What differs between two computations, term by term; empty when nothing does. */
export function differences(before: readonly StatementLine[], now: readonly StatementLine[]): string[] {
  const names = [...new Set([...before, ...now].map(({ what }) => what))]
  return names.flatMap((what) => {
    const [a, b] = [before, now].map((lines) => lines.find((line) => line.what === what))
    if (a?.netMinor === b?.netMinor && a?.how === b?.how) return []
    const shown = (line?: StatementLine) => (line ? `${line.netMinor} (${line.how})` : 'nothing')
    return [`${what}: ${shown(a)} → ${shown(b)}`]
  })
}
