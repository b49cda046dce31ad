/** The stages of a statement (ARCHITECTURE §9), as a table. */
import { Problem } from '@azukari/protocol/problem'

/**
 * `sent`: objections are possible; `debit-sent`: with the bank; `card-held`: with the card company, an objection still stops
 * it; `card-sent`: the card company was told to collect; `returned`: it could not be collected, or was taken back, and is
 * asked for again;
 * `credited`: an objection was right, another statement took its place; `arrears`: asked often enough.
 */
export type StatementState =
  | 'sent'
  | 'objected'
  | 'debit-sent'
  | 'card-held'
  | 'card-sent'
  | 'paid'
  | 'returned'
  | 'credited'
  | 'arrears'

const moves = {
  object: { sent: 'objected', 'card-held': 'objected' },
  uphold: { objected: 'credited' },
  refuse: { objected: 'sent' },
  debit: { sent: 'debit-sent', returned: 'debit-sent' },
  'hold-card': { sent: 'card-held', returned: 'card-held' },
  'capture-card': { 'card-held': 'card-sent' },
  'pay-value': { sent: 'paid', returned: 'paid', arrears: 'paid' },
  paid: { 'debit-sent': 'paid', 'card-sent': 'paid' },
  return: {
    'debit-sent': 'returned',
    'card-held': 'returned',
    'card-sent': 'returned',
    sent: 'returned',
    returned: 'returned',
  },
  /** The card company took a payment back. */
  reverse: { paid: 'returned' },
  /** The member chose another way. */
  again: { arrears: 'returned' },
  'give-up': { returned: 'arrears' },
} as const satisfies Record<string, Partial<Record<StatementState, StatementState>>>
export type StatementMove = keyof typeof moves

/** @throws {Problem} `bill.handed-over`, `bill.objected`, `bill.state` */
export function nextStage(state: StatementState, move: StatementMove): StatementState {
  const next = (moves[move] as Partial<Record<StatementState, StatementState>>)[state]
  if (next) return next
  if (move === 'object' && (state === 'debit-sent' || state === 'card-sent')) throw new Problem('bill.handed-over')
  if (state === 'objected') throw new Problem('bill.objected')
  throw new Problem('bill.state', `${move} of a statement that is ${state}`)
}
