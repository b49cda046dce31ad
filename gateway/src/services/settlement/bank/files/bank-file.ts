/** What bank files say, whatever their format: lines of our account, orders to the bank, and its answers. */
import type { BankAccount } from '@azukari/protocol/contracts/settlement-members'
import type { Currency } from '@azukari/protocol/money'

/** Which formats tell of an account: the references of one say nothing about those of the other. */
export type BankFamily = 'camt' | 'zengin'

/** A part of an entry: what one payer sent, or one charge. */
export interface BankPart {
  direction: 'in' | 'out'
  minor: bigint
  /** All free texts: somewhere in them stands what it is for. */
  texts: string[]
}

/**
 * A movement on our own account. Its direction is that of the money, net: one that undoes another goes the other way (ISO
 * 20022 `CdtDbtInd`; Zengin 入払区分).
 */
export interface BankEntry extends BankPart {
  family: BankFamily
  /** The file's kind of report: `camt.053`, `camt.054`, `03`. */
  kind: string
  /** The statement that lists it, as the bank numbers it; empty where one day's list is always the whole. */
  statement: string
  /** The bank's own reference of it; undefined when it gives none that tells entries apart. */
  reference: string | undefined
  /** Undoes an earlier one: `RvslInd`, 訂正. It says why the money moves, never which way. */
  reversal: boolean
  currency: Currency
  /** Civil date. */
  bookedOn: string
  /** One, or those of a batch; their sum is the entry. */
  parts: BankPart[]
  /** Names that its parts had before entries were kept. */
  formerKeys: string[]
}

/** What stands in a file and cannot be booked as it stands: told, and kept until a clerk has decided. */
export interface SetAside {
  /** Where in the file. */
  place: string
  why: AsideReason
  /** Amounts, references: never names of people. */
  detail: string
}

/**
 * `account`: not ours; `currency`: none that settlement keeps; `differs`: the bank's reference is known with something else;
 * `perhaps-known`: may be the same as one that another report told; `order`: the answer to an order that we do not know;
 * `amount`: an answer of another amount than was asked.
 */
export type AsideReason = 'account' | 'currency' | 'differs' | 'perhaps-known' | 'order' | 'amount'

/** What a file says of our account. */
export interface AccountReport {
  entries: BankEntry[]
  aside: SetAside[]
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

/** What a bank says of a whole file of orders, or of a group of it. */
export interface FileOutcome {
  /** Our own name of the file. */
  file: string
  reason: string
}

/** Whether an account named in a file is ours: by its number, with branch and bank where they stand before it. */
export function isOwnAccount(named: string, { account: { bank, branch, number } }: OwnBankAccount): boolean {
  const digits = named.replaceAll(/[ -]/g, '')
  return [number, branch + number, bank + branch + number].includes(digits)
}
