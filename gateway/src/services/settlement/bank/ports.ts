/** What taking in bank files asks of billing, and what it says to it. */
import type { Currency } from '@azukari/protocol/money'
import type { OwnAccount } from '../ledger/accounts.ts'
import type { ServiceContext, Within } from '../service-context.ts'
import type { BankPart, DebitOutcome, OrderOutcome, SetAside } from './files/bank-file.ts'

/** A line as it is booked. */
export interface Line extends BankPart {
  id: Uint8Array
  currency: Currency
  reversal: boolean
}

/** What became of an answer: it was booked, it was known, or why it cannot be. */
export type AnswerResult = 'booked' | 'known' | Pick<SetAside, 'why' | 'detail'>

/** What billing does with the bank's answers; it lives apart. */
export interface DebitAnswers {
  /** @param day of the debits as the answer has it, month and day, where it has one */
  settle(within: Within, outcome: DebitOutcome | OrderOutcome, day?: string): Promise<AnswerResult>
  /** A whole answer was booked. */
  answered(within: Within): Promise<void>
  /** The bank rejected a file of debits as a whole. @returns how many are asked for again */
  rejected(within: Within, file: Uint8Array, reason: string): Promise<number>
  /**
   * Books a line that brings what was collected, or takes it back.
   * @param source the account that the line moves
   * @returns the statement or file that it is for; undefined when it is none
   */
  match(within: Within, line: Line, source: OwnAccount): Promise<string | undefined>
}

/** What booking a line needs. */
export interface Booking {
  shared: ServiceContext
  debits: DebitAnswers
}
