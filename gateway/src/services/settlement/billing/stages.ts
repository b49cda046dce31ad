/** The stages of a statement (ARCHITECTURE §9), as a table. */
import { Problem } from '@azukari/protocol/problem'

/**
 * `sent`: objections are possible; `debit-sent`: with the bank; `returned`: the bank could not collect, it is asked again;
 * `credited`: an objection was right, another statement took its place; `arrears`: asked often enough.
 */
export type StatementState = 'sent' | 'objected' | 'debit-sent' | 'paid' | 'returned' | 'credited' | 'arrears'

const moves = {
  object: { sent: 'objected' },
  uphold: { objected: 'credited' },
  refuse: { objected: 'sent' },
  debit: { sent: 'debit-sent', returned: 'debit-sent' },
  'pay-value': { sent: 'paid', returned: 'paid', arrears: 'paid' },
  paid: { 'debit-sent': 'paid' },
  return: { 'debit-sent': 'returned', sent: 'returned', returned: 'returned' },
  'give-up': { returned: 'arrears' },
} as const satisfies Record<string, Partial<Record<StatementState, StatementState>>>
export type StatementMove = keyof typeof moves

/** @throws {Problem} `bill.handed-over`, `bill.objected`, `bill.state` */
export function nextStage(state: StatementState, move: StatementMove): StatementState {
  const next = (moves[move] as Partial<Record<StatementState, StatementState>>)[state]
  if (next) return next
  if (move === 'object' && state === 'debit-sent') throw new Problem('bill.handed-over')
  if (state === 'objected') throw new Problem('bill.objected')
  throw new Problem('bill.state', `${move} of a statement that is ${state}`)
}
