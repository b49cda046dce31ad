/** The chart of accounts. Assets grow by debits; what we owe and what we earn grow by credits. */
import type { Currency } from '@azukari/protocol/money'
import { pseudonym } from '../members/registers.ts'
import type { Ledger } from './ledger.ts'

/** Accounts of the centre. The bank's own statement is the truth about `bank`, so it may show less than nothing. */
const own = {
  bank: { side: 'debit', overdraft: true },
  'card-company': { side: 'debit', overdraft: true },
  cash: { side: 'debit', overdraft: false },
  /** Money that came and has no owner yet. */
  unmatched: { side: 'credit', overdraft: false },
  /** Money that left the bank without our knowing why: a claim, until it is explained. */
  unexplained: { side: 'debit', overdraft: false },
  /** Debits that the bank says it has collected, until its own line brings the money. */
  'debits-due': { side: 'debit', overdraft: false },
  /** What banks charge us. */
  'bank-charges': { side: 'debit', overdraft: true },
  /** Payouts that the bank has been told of. */
  'payout-sent': { side: 'credit', overdraft: false },
  /** Fees; a credit note takes from it. */
  income: { side: 'credit', overdraft: true },
  /** Consumption tax that we owe. */
  tax: { side: 'credit', overdraft: true },
} as const
export type OwnAccount = keyof typeof own

/** Accounts of a member. `value`: stored value; `sales`: paid to a shop and not yet claimed; `payable`: claimed, waiting for the bank; `receivable`: billed fees; `shop-debt`: refunded after the shop had its money. */
const ofMember = {
  value: { side: 'credit', overdraft: false },
  sales: { side: 'credit', overdraft: false },
  payable: { side: 'credit', overdraft: false },
  receivable: { side: 'debit', overdraft: false },
  'shop-debt': { side: 'debit', overdraft: false },
} as const
export type MemberAccount = keyof typeof ofMember

/** The code of one of the centre's accounts; opened when it is first needed. */
export async function ownAccount(ledger: Ledger, name: OwnAccount, currency: Currency): Promise<string> {
  const code = `${name}/${currency}`
  await ledger.open({ code, currency, ...own[name] })
  return code
}

export async function memberAccount(
  ledger: Ledger,
  name: MemberAccount,
  member: Uint8Array,
  currency: Currency,
): Promise<string> {
  const code = `${name}/${pseudonym(member)}/${currency}`
  await ledger.open({ code, currency, ...ofMember[name] })
  return code
}
