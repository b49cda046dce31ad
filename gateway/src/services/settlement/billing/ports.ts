/** What billing needs besides the service’s context: placement's word on a member, the tariff, the calendar. */
import type { RequestOf } from '@azukari/protocol/contract'
import type { AccountFacts, readAccountFacts } from '@azukari/protocol/contracts/settlement-placement'
import type { Currency } from '@azukari/protocol/money'
import type { OwnBankAccount } from '../bank/files/bank-file.ts'
import type { ServiceContext } from '../service-context.ts'
import type { FirstPeriod, Tariff } from './price.ts'

/** Placement, in this process or apart (`placement.account`). Rejects when placement cannot answer; then nothing is closed. */
export interface PlacementView {
  account(question: RequestOf<typeof readAccountFacts>): Promise<AccountFacts>
}

export interface BillingRules {
  tariff: Tariff
  firstPeriod: FirstPeriod
  currency: Currency
  /** The site's time zone: closing days and deadlines are civil dates in it. */
  timeZone: string
  /** Days after closing within which a member may object. */
  objectDays: number
  /** Bank days between the deadline and the debit. */
  debitBankDays: number
  /** Days until the bank is asked again after a return. */
  againDays: number
  /** So many days before the day of the debit a card's authorisation is asked for. */
  authoriseDays: number
  /** After so many returns it is arrears. */
  maxTries: number
  /** Periods are closed by themselves, or by the command alone. */
  closing: 'by-itself' | 'by-command'
  /** Evidence of the data's integrity that is older than so many days does not count at the closing. */
  checkDays: number
  /** So many days the closing waits for data to be looked at and mended; then it says what is not. */
  checkWaitDays: number
  format: 'zengin' | 'pain.008'
}

export interface BillingPorts {
  shared: ServiceContext
  placement: PlacementView
  rules: BillingRules
  /** Whether a card company is there to ask. */
  cards: boolean
  /** Our account. @throws {Problem} `config.invalid` when the site has named none */
  own: () => OwnBankAccount
}
