/**
 * What shops owe (P7, P9). Sales are held per order: a refund whose money has left for the shop's bank is never taken from another
 * order. It is a debt of the shop, a receivable, set off against what the shop is paid next. So a dispute can always be decided.
 */
import type { Currency } from '@azukari/protocol/money'
import type { Sql } from '../../../storage/database.ts'
import { ledgerOf } from '../centre/epoch.ts'
import { memberAccount } from '../ledger/accounts.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { availableOf, type Leg } from '../ledger/model.ts'
import { derivedId } from '../service-context.ts'

interface Taken {
  shop: Uint8Array
  currency: Currency
  minor: number
  /** Where it goes. */
  credit: string
}

/** Takes an order's money from the shop's sales. What is not there any more, by a refund from before debts were kept, is a debt. */
export async function takeFromSales(ledger: Ledger, { shop, currency, minor, credit }: Taken): Promise<Leg[]> {
  const sales = await memberAccount(ledger, 'sales', shop, currency)
  const there = Math.min(minor, await availableIn(ledger, sales))
  const legs: Leg[] = there > 0 ? [{ kind: 'post', debit: sales, credit, amountMinor: BigInt(there) }] : []
  return there === minor ? legs : [...legs, await takeAsDebt(ledger, { shop, currency, minor: minor - there, credit })]
}

/** Takes it from what waits to be paid out to the shop. */
export async function takeFromPayable(ledger: Ledger, { shop, currency, minor, credit }: Taken): Promise<Leg> {
  const debit = await memberAccount(ledger, 'payable', shop, currency)
  return { kind: 'post', debit, credit, amountMinor: BigInt(minor) }
}

/** Gives what the shop has to give back later. */
export async function takeAsDebt(ledger: Ledger, { shop, currency, minor, credit }: Taken): Promise<Leg> {
  const debit = await memberAccount(ledger, 'shop-debt', shop, currency)
  return { kind: 'post', debit, credit, amountMinor: BigInt(minor) }
}

/** Sets debts off against payouts that wait for the file `by`, in the file's own transaction. */
export async function setOffDebts(sql: Sql, currency: Currency, by: Uint8Array, nowMs: number): Promise<void> {
  const ledger = ledgerOf(sql)
  const waiting = await sql.all<{ number: string; shop: Uint8Array; amount: number }>(
    `SELECT p.number, p.shop, p.amount FROM payouts p JOIN ledger_accounts a
       ON a.code = 'shop-debt/' || lower(hex(p.shop)) || '/' || p.currency
     WHERE p.state = 'waiting' AND p.held_back = 0 AND p.currency = ? AND p.amount > 0
       AND a.debits_posted > a.credits_posted ORDER BY p.number`,
    currency,
  )
  for (const { number, shop, amount } of waiting) {
    const debt = await memberAccount(ledger, 'shop-debt', shop, currency)
    const minor = Math.min(amount, await availableIn(ledger, debt))
    await ledger.post(
      {
        id: derivedId('set-off', number, by),
        reason: 'set-off',
        reference: number,
        legs: [
          {
            kind: 'post',
            debit: await memberAccount(ledger, 'payable', shop, currency),
            credit: debt,
            amountMinor: BigInt(minor),
          },
        ],
      },
      nowMs,
    )
    await sql.run('UPDATE payouts SET amount = amount - ? WHERE number = ?', minor, number)
  }
}

async function availableIn(ledger: Ledger, code: string): Promise<number> {
  const account = await ledger.account(code)
  return account ? Number(availableOf(account)) : 0
}
