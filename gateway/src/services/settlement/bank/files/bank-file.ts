/** What bank files say, whatever their format: lines of our account, orders to the bank, and its answers. */
import type { BankAccount } from '@azukari/protocol/contracts/settlement-members'
import type { Currency } from '@azukari/protocol/money'

/** A movement on our own account. */
export interface BankLine {
  /** Names the movement at the bank: the same line in another file has the same key. */
  key: string
  direction: 'in' | 'out'
  /** Takes an earlier line back. */
  reversal: boolean
  minor: bigint
  currency: Currency
  /** Civil date. */
  bookedOn: string
  /** All free texts: somewhere in them stands what it is for. */
  texts: string[]
}

/** Our account and how the bank knows us. */
export interface OwnBankAccount {
  account: BankAccount
  /** Requester code that the bank gave us, 10 digits. */
  requester: string
}

export interface TransferOrder {
  account: BankAccount
  minor: bigint
  /** Number of the payout. */
  reference: string
}

export interface DebitOrder {
  account: BankAccount
  minor: bigint
  /** Number of the statement. */
  reference: string
  /** The first debit of this account: the bank checks the mandate. */
  first: boolean
  /** Since when the member's mandate is there, civil date. */
  mandateSince: string
  member: string
}

export interface DebitOutcome {
  reference: string
  minor: bigint
  outcome: 'paid' | 'no-funds' | 'no-account' | 'stopped-by-payer' | 'no-mandate' | 'stopped-by-us' | 'other'
}

/** What became of a transfer or debit that a file asked for. */
export interface OrderOutcome {
  reference: string
  accepted: boolean
  reason: string
}
