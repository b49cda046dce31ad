/**
 * What clerks do with lines that have no owner (P9): every one has a way out. Money that came is value, split, sent back,
 * income, or what another line took; money that went out is a cost, or what another line brought.
 */
import { decode } from '@azukari/protocol/codec'
import { checker, Type } from '@azukari/protocol/contract'
import { decrypt0 } from '@azukari/protocol/cose'
import type { Currency } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { ledgerOf } from '../centre/epoch.ts'
import { atRestKey } from '../keystore.ts'
import { memberAccount, type OwnAccount, ownAccount } from '../ledger/accounts.ts'
import { memberByNumber, openPerson } from '../members/registers.ts'
import { addToPayout } from '../payments/payouts.ts'
import { issueValue, topUps } from '../payments/top-up.ts'
import { derivedId, type Within } from '../service-context.ts'
import { partLine, textDomain } from './intake.ts'
import { sourceOf } from './matching.ts'
import type { Booking } from './ports.ts'

interface LineRow {
  id: Uint8Array
  file: Uint8Array
  entry: Uint8Array | null
  direction: 'in' | 'out'
  reversal: number
  amount: number
  currency: Currency
  booked_on: string
  text: Uint8Array
  matched: string | null
}

const checkTexts = checker(Type.Array(Type.String()), 'texts of a line')

/** @throws {Problem} `bank.line-known` */
async function openLine(sql: Sql, id: Uint8Array): Promise<LineRow> {
  const line = await sql.get<LineRow>('SELECT * FROM bank_lines WHERE id = ?', id)
  if (!line || line.matched !== null) throw new Problem('bank.line-known')
  return line
}

async function openLineIn(sql: Sql, id: Uint8Array): Promise<LineRow> {
  const line = await openLine(sql, id)
  if (line.direction !== 'in') throw new Problem('bank.line-out')
  return line
}

async function close(sql: Sql, { id }: LineRow, matched: string): Promise<void> {
  await sql.run('UPDATE bank_lines SET matched = ? WHERE id = ?', matched, id)
}

/**
 * The money is for this request.
 * @param asItCame whatever was asked for, the value is what came
 * @throws {Problem} `bank.line-known`, `bank.line-out`, `topup.unknown`, `topup.state`, `pay.amount-differs`
 */
export async function assignLine(
  { shared }: Booking,
  within: Within,
  id: Uint8Array,
  payment: string,
  asItCame: boolean,
): Promise<void> {
  const { sql } = within
  const line = await openLineIn(sql, id)
  const row = await topUps.get(sql, payment)
  if (!row) throw new Problem('topup.unknown')
  const differs = row.amount !== line.amount
  if (row.currency !== line.currency || (differs && !asItCame)) throw new Problem('pay.amount-differs')
  await issueValue(shared, within, { ...row, amount: line.amount }, 'unmatched')
  if (differs) await sql.run('UPDATE top_ups SET amount = ? WHERE payment = ?', line.amount, payment)
  await close(sql, line, payment)
}

/** Parts a line into several, each of which is then looked at by itself. @throws {Problem} `bank.line-known`, `pay.amount-differs` */
export async function splitLine(
  booking: Booking,
  within: Within,
  id: Uint8Array,
  minors: readonly number[],
): Promise<number> {
  const line = await openLine(within.sql, id)
  const sum = minors.reduce((total, minor) => total + minor, 0)
  if (minors.length < 2 || minors.some((minor) => minor <= 0) || sum !== line.amount)
    throw new Problem('pay.amount-differs', `the parts come to ${sum}, the line is ${line.amount}`)
  const texts = checkTexts(decode(decrypt0(line.text, atRestKey(booking.shared.keys, 'bank-text'), textDomain)))
  const { direction } = line
  return partLine(
    booking,
    within,
    { ...line, id: line.entry, line: line.id },
    minors.map((minor) => ({ direction, minor: BigInt(minor), texts })),
  )
}

/**
 * A line is a cost that the bank took, or gave back, or income of ours.
 * @throws {Problem} `bank.line-known`, `bank.line-out` for income that went out
 */
export async function explainLine({ sql, nowMs }: Within, id: Uint8Array, as: 'charges' | 'income'): Promise<void> {
  const line = await (as === 'income' ? openLineIn : openLine)(sql, id)
  await settle(sql, line, as === 'charges' ? 'bank-charges' : 'income', nowMs)
  await close(sql, line, as)
}

/** Two lines of one amount, one in and one out, are about the same money. @throws {Problem} `bank.line-known`, `pay.amount-differs` */
export async function pairLines({ sql, nowMs }: Within, first: Uint8Array, second: Uint8Array): Promise<void> {
  const lines = [await openLine(sql, first), await openLine(sql, second)]
  const [came, left] = [
    lines.find(({ direction }) => direction === 'in'),
    lines.find(({ direction }) => direction === 'out'),
  ]
  if (!came || !left || came.amount !== left.amount || came.currency !== left.currency)
    throw new Problem('pay.amount-differs', 'one comes in, one goes out, of the same amount')
  await settle(sql, came, 'unexplained', nowMs)
  for (const line of [came, left]) await close(sql, line, 'pair')
}

/** Takes a line out of the suspense, to or from an account of ours. */
async function settle(sql: Sql, line: LineRow, account: OwnAccount, nowMs: number): Promise<void> {
  const ledger = ledgerOf(sql)
  const suspense = await ownAccount(ledger, sourceOf(line, 'suspense'), line.currency)
  const other = await ownAccount(ledger, account, line.currency)
  const [debit, credit] = line.direction === 'in' ? [suspense, other] : [other, suspense]
  await ledger.post(
    {
      id: derivedId('explained', line.id),
      reason: 'explained',
      reference: Buffer.from(line.id).toString('hex'),
      legs: [{ kind: 'post', debit, credit, amountMinor: BigInt(line.amount) }],
    },
    nowMs,
  )
}

/**
 * Sends money back to a member's own account, with the next file of payouts.
 * @returns the number of the payout
 * @throws {Problem} `bank.line-known`, `bank.line-out`, `register.unknown-number`, `register.no-account`
 */
export async function returnLine({ shared }: Booking, within: Within, id: Uint8Array, number: string): Promise<string> {
  const { sql, nowMs } = within
  const line = await openLineIn(sql, id)
  const member = await memberByNumber(sql, number)
  if (!openPerson(shared.keys, member.id, member.person).account) throw new Problem('register.no-account')
  const payout = await addToPayout(sql, member.id, line.currency, line.amount, nowMs)
  const ledger = ledgerOf(sql)
  await ledger.post(
    {
      id: derivedId('sent-back', line.id),
      reason: 'sent-back',
      reference: payout,
      legs: [
        {
          kind: 'post',
          debit: await ownAccount(ledger, 'unmatched', line.currency),
          credit: await memberAccount(ledger, 'payable', member.id, line.currency),
          amountMinor: BigInt(line.amount),
        },
      ],
    },
    nowMs,
  )
  await close(sql, line, payout)
  return payout
}
