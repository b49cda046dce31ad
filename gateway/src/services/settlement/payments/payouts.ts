/**
 * Payouts (P7): what shops have claimed waits in one of theirs until a bank file takes it. A claim whose order is disputed does not
 * leave: its money waits in a payout of its own, which no file takes, until a clerk has decided (P9).
 */
import type { Currency } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { ledgerOf } from '../centre/epoch.ts'
import { memberAccount, type OwnAccount, ownAccount } from '../ledger/accounts.ts'
import { nextNumber } from '../numbers.ts'
import { derivedId, type Within } from '../service-context.ts'
import { nextState, type OrderRow, orders } from './orders.ts'

export const heldBackTables = `
ALTER TABLE payouts ADD COLUMN held_back INTEGER NOT NULL DEFAULT 0;
`

export interface PayoutRow {
  number: string
  shop: Uint8Array
  amount: number
  currency: Currency
  /** `waiting`: grows with every claim until a file takes it. */
  state: 'waiting' | 'sent' | 'paid' | 'returned'
  at: number
  file: Uint8Array | null
  /** Whether the bank's lines say that it left, and that it came back: 0 or 1, in whatever order they come. */
  moved_out: number
  moved_back: number
  /** 1: an order of it is disputed, and no file takes it. */
  held_back: number
}

/** The number of the shop's waiting payout, after `minor` was added to it. */
export async function addToPayout(
  sql: Sql,
  shop: Uint8Array,
  currency: Currency,
  minor: number,
  nowMs: number,
): Promise<string> {
  const waiting = await sql.get<PayoutRow>(
    "SELECT * FROM payouts WHERE state = 'waiting' AND held_back = 0 AND shop = ? AND currency = ?",
    shop,
    currency,
  )
  if (waiting) {
    await sql.run('UPDATE payouts SET amount = amount + ? WHERE number = ?', minor, waiting.number)
    return waiting.number
  }
  const number = await nextNumber(sql, 'payout', nowMs)
  await insertRow(sql, 'payouts', { number, shop, amount: minor, currency, state: 'waiting', at: nowMs, file: null })
  return number
}

/** Takes from the waiting payout what is claimed back. @throws {Problem} `ledger.insufficient` when it waits for less */
export async function takeFromPayout(sql: Sql, shop: Uint8Array, currency: Currency, minor: number): Promise<void> {
  const { changes } = await sql.run(
    `UPDATE payouts SET amount = amount - ?1
     WHERE state = 'waiting' AND held_back = 0 AND shop = ?2 AND currency = ?3 AND amount >= ?1`,
    minor,
    shop,
    currency,
  )
  if (changes === 0) throw new Problem('ledger.insufficient', 'no payout of that much waits')
}

/** Takes a claimed order's money out of the payout that waits. What was set off against the shop's debts is not there any more. */
export async function holdBack(sql: Sql, order: OrderRow, nowMs: number): Promise<void> {
  const waiting = await payoutOf(sql, order)
  if (waiting?.state !== 'waiting') return
  const amount = Math.min(order.paid - order.refunded, waiting.amount)
  await sql.run('UPDATE payouts SET amount = amount - ? WHERE number = ?', amount, waiting.number)
  const number = await nextNumber(sql, 'payout', nowMs)
  const { shop, currency } = waiting
  await insertRow(sql, 'payouts', { number, shop, amount, currency, state: 'waiting', at: nowMs, held_back: 1 })
  await orders.set(sql, order.number, { payout: number })
}

/** What is left of it after the decision waits for the next file again. */
export async function letGo(sql: Sql, order: OrderRow, nowMs: number): Promise<void> {
  const held = await payoutOf(sql, order)
  if (held?.held_back !== 1) return
  await sql.run('UPDATE payouts SET amount = 0, held_back = 0 WHERE number = ?', held.number)
  const payout = await addToPayout(sql, held.shop, held.currency, held.amount, nowMs)
  await orders.set(sql, order.number, { payout })
}

async function payoutOf(sql: Sql, { payout }: OrderRow): Promise<PayoutRow | undefined> {
  return sql.get<PayoutRow>('SELECT * FROM payouts WHERE number = ?', payout)
}

/** Whether an order's payout has not left, and is of so much. */
export async function waitsForAsMuch(sql: Sql, payout: string | null, minor: number): Promise<boolean> {
  const row = await sql.get<PayoutRow>("SELECT * FROM payouts WHERE number = ? AND state = 'waiting'", payout)
  return row !== undefined && row.amount >= minor
}

/** The bank has refused to carry a payout out: it waits for the next file. False when it is not with the bank any more. */
export async function payoutRefused({ sql, nowMs }: Within, number: string): Promise<boolean> {
  const row = await sql.get<PayoutRow>('SELECT * FROM payouts WHERE number = ?', number)
  // What has moved on our account is told by its lines alone.
  if (row?.state !== 'sent' || row.moved_out + row.moved_back > 0) return false
  await returnPayout(sql, row, nowMs)
  return true
}

/**
 * A line of our account says that a payout left, or came back. Returned is what did both.
 * @param source the account that the line moves
 * @returns false when the line is none of this payout
 */
export async function payoutMoved(
  { sql, nowMs }: Within,
  number: string,
  line: { direction: 'in' | 'out'; minor: bigint; currency: string },
  source: OwnAccount,
): Promise<boolean> {
  const row = await sql.get<PayoutRow>('SELECT * FROM payouts WHERE number = ?', number)
  if (!row || BigInt(row.amount) !== line.minor || row.currency !== line.currency) return false
  const isOut = line.direction === 'out'
  if (row.state !== 'sent' && row.state !== 'paid') return false
  if ((isOut ? row.moved_out : row.moved_back) === 1) return false
  const ledger = ledgerOf(sql)
  const sent = await ownAccount(ledger, 'payout-sent', row.currency)
  const other = await ownAccount(ledger, source, row.currency)
  const [debit, credit] = isOut ? [sent, other] : [other, sent]
  await ledger.post(
    {
      id: derivedId('payout', isOut ? 'paid' : 'back', number),
      reason: isOut ? 'payout-paid' : 'payout-back',
      reference: number,
      legs: [{ kind: 'post', debit, credit, amountMinor: line.minor }],
    },
    nowMs,
  )
  if (isOut) await sql.run("UPDATE payouts SET moved_out = 1, state = 'paid' WHERE number = ?", number)
  else await sql.run('UPDATE payouts SET moved_back = 1 WHERE number = ?', number)
  if (isOut ? row.moved_back === 1 : row.moved_out === 1) await returnPayout(sql, row, nowMs)
  return true
}

/** What was with the bank is the shop's again, and waits for the next file. */
export async function returnPayout(sql: Sql, row: PayoutRow, nowMs: number): Promise<void> {
  const { number, shop, currency, amount } = row
  const ledger = ledgerOf(sql)
  await ledger.post(
    {
      id: derivedId('payout', 'returned', number),
      reason: 'payout-returned',
      reference: number,
      legs: [
        {
          kind: 'post',
          debit: await ownAccount(ledger, 'payout-sent', currency),
          credit: await memberAccount(ledger, 'payable', shop, currency),
          amountMinor: BigInt(amount),
        },
      ],
    },
    nowMs,
  )
  await sql.run("UPDATE payouts SET state = 'returned' WHERE number = ?", number)
  const again = await addToPayout(sql, shop, currency, amount, nowMs)
  for (const order of await sql.all<OrderRow>('SELECT * FROM orders WHERE payout = ?', number))
    if (order.state === 'paid-out')
      await orders.set(sql, order.number, { state: nextState(order.state, 'pay-out-returned'), payout: again })
}

/** Payouts that wait for a file, oldest first. */
export async function waitingPayouts(sql: Sql, currency: Currency, limit: number): Promise<PayoutRow[]> {
  return sql.all<PayoutRow>(
    `SELECT * FROM payouts WHERE state = 'waiting' AND held_back = 0 AND currency = ? AND amount > 0
     ORDER BY number LIMIT ?`,
    currency,
    limit,
  )
}

/** Hands waiting payouts over to a file, in the file's own transaction. */
export async function sendPayouts(
  sql: Sql,
  rows: readonly PayoutRow[],
  currency: Currency,
  file: Uint8Array,
  nowMs: number,
): Promise<void> {
  const ledger = ledgerOf(sql)
  for (const { number, shop, amount } of rows) {
    await ledger.post(
      {
        id: derivedId('payout-sent', number),
        reason: 'payout-sent',
        reference: number,
        legs: [
          {
            kind: 'post',
            debit: await memberAccount(ledger, 'payable', shop, currency),
            credit: await ownAccount(ledger, 'payout-sent', currency),
            amountMinor: BigInt(amount),
          },
        ],
      },
      nowMs,
    )
    await sql.run("UPDATE payouts SET state = 'sent', file = ? WHERE number = ?", file, number)
    for (const order of await sql.all<OrderRow>("SELECT * FROM orders WHERE payout = ? AND state = 'claimed'", number))
      await orders.set(sql, order.number, { state: nextState(order.state, 'pay-out') })
  }
}
