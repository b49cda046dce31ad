/**
 * Whose a line of our account is (P5, P7): the number that stands in it, its amount and its direction say so. What goes out
 * is never income, and what comes in is never a cost, whatever the line says of earlier ones.
 */
import { isProblem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { ledgerOf } from '../centre/epoch.ts'
import { ownAccount } from '../ledger/accounts.ts'
import { isNumber, type NumberKind } from '../numbers.ts'
import { payoutFileMoved } from '../payments/payout-files.ts'
import { payoutMoved } from '../payments/payouts.ts'
import { issueValue, reverseValue, type TopUpRow, topUps } from '../payments/top-up.ts'
import { derivedId, type ServiceContext, type Within } from '../service-context.ts'
import type { Booking, Line } from './ports.ts'

/**
 * Where the money of a line stands: `bank`: it was just told; `suspense`: it was booked without an owner, and one is found now.
 */
export type Via = 'bank' | 'suspense'

/** Books a line for whom it is. @returns the number that it is for; null when nobody is found: then nothing was booked */
export async function matchLine(
  { shared, debits }: Booking,
  within: Within,
  line: Line,
  via: Via,
): Promise<string | null> {
  const source = sourceOf(line, via)
  const payout = numberIn(line.texts, 'payout')
  if (payout && (await payoutMoved(within, payout, line, source))) return payout
  if (line.direction === 'out' && aboutOf(line.texts) === null) {
    const file = await payoutFileMoved(within, line, source)
    if (file) return file
  }
  const collected = await debits.match(within, line, source)
  if (collected) return collected
  const payment = numberIn(line.texts, 'payment')
  const row = payment ? await topUps.get(within.sql, payment) : undefined
  return row && fits(row, line) && (await bookTopUp(shared, within, row, line, via)) ? row.payment : null
}

/** The account that a line without an owner, or just told, moves. */
export function sourceOf({ direction }: Pick<Line, 'direction'>, via: Via): 'bank' | 'unmatched' | 'unexplained' {
  if (via === 'bank') return 'bank'
  // What went out without our knowing is a claim of ours, not a debt to nobody.
  return direction === 'in' ? 'unmatched' : 'unexplained'
}

function fits(row: TopUpRow, { minor, currency }: Line): boolean {
  const byBank = row.way === 'transfer' || row.way === 'deposit'
  return byBank && BigInt(row.amount) === minor && row.currency === currency
}

/** False when the request is at another stage: paid twice, or taken back twice, it is a clerk's question. */
async function bookTopUp(
  shared: ServiceContext,
  within: Within,
  row: TopUpRow,
  line: Line,
  via: Via,
): Promise<boolean> {
  try {
    if (line.direction === 'in') {
      await issueValue(shared, within, row, sourceOf(line, via))
      await undoAtOnce(shared, within, row)
      return true
    }
    if (!line.reversal) return false
    await reverseValue(shared, within, row, sourceOf(line, via))
    return true
  } catch (error) {
    if (!isProblem(error, 'topup.state')) throw error
    return false
  }
}

/** Files come in any order: the line that takes the money back may have been told before the one that brings it. */
async function undoAtOnce(
  shared: ServiceContext,
  within: Within,
  { payment, amount, currency }: TopUpRow,
): Promise<void> {
  const line = await within.sql.get<{ id: Uint8Array }>(
    `SELECT id FROM bank_lines WHERE about = ? AND amount = ? AND currency = ? AND direction = 'out' AND reversal = 1
     AND matched IS NULL LIMIT 1`,
    payment,
    amount,
    currency,
  )
  if (!line) return
  await reverseValue(shared, within, (await topUps.get(within.sql, payment))!, 'unexplained')
  await within.sql.run('UPDATE bank_lines SET matched = ? WHERE id = ?', payment, line.id)
}

/** Money whose owner is not known, so that the bank's account and ours agree all the same. */
export async function suspend(sql: Sql, line: Line, nowMs: number): Promise<void> {
  const ledger = ledgerOf(sql)
  const bank = await ownAccount(ledger, 'bank', line.currency)
  const reason = sourceOf(line, 'suspense')
  const other = await ownAccount(ledger, reason, line.currency)
  const [debit, credit] = line.direction === 'in' ? [bank, other] : [other, bank]
  await ledger.post(
    {
      id: derivedId('suspend', line.id),
      reason,
      reference: Buffer.from(line.id).toString('hex'),
      legs: [{ kind: 'post', debit, credit, amountMinor: line.minor }],
    },
    nowMs,
  )
}

/**
 * The number that a line is about, whatever its kind; null when there is none, or several.
 */
export function aboutOf(texts: readonly string[]): string | null {
  const found = new Set((['payment', 'payout', 'statement'] as const).flatMap((kind) => numberIn(texts, kind) ?? []))
  return found.size === 1 ? [...found][0]! : null
}

/**
 * The one number of a kind that stands in the texts, with right check digits; undefined when there are several. A number that
 * stands by itself counts before one that only appears when blanks are left out, as in `20261128 60000000000590`.
 */
export function numberIn(texts: readonly string[], kind: NumberKind): string | undefined {
  const normal = texts.map((text) => text.normalize('NFKC'))
  const alone = normal.flatMap((text) => text.match(/(?<!\d)\d{14}(?!\d)/g) ?? [])
  const within = normal.flatMap((text) =>
    [...text.replaceAll(/[ -]/g, '').matchAll(/(?=(\d{14}))/g)].map(([, digits]) => digits!),
  )
  for (const candidates of [alone, within]) {
    const found = new Set(candidates.filter((digits) => isNumber(digits, kind)))
    if (found.size > 0) return found.size === 1 ? [...found][0] : undefined
  }
  return undefined
}
