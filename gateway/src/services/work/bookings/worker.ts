/**
 * Has settlement book what is due (W5, W11), once: the charge bears the row's own id, so that one whose answer was lost is the same
 * charge again. What settlement cannot book now waits; a redemption that it never will book is refused, and its points are back.
 */
import type { ReplyOf, RequestOf } from '@azukari/protocol/contract'
import type { postCharge } from '@azukari/protocol/contracts/settlement-charges'
import { isCurrency } from '@azukari/protocol/money'
import type { Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { ServiceStore } from '../../../service/service.ts'
import type { BookingRow } from '../tables.ts'
import { bookings } from './store.ts'

export type PostCharge = (charge: RequestOf<typeof postCharge>) => Promise<ReplyOf<typeof postCharge>>

/** When settlement is asked again, ms. */
export const againMs = 60_000
const atOnce = 64
/** What does not pass by waiting. */
const final: ReadonlySet<string> = new Set([
  'register.unknown-number',
  'member.suspended',
  'ledger.conflict',
  'ledger.same-account',
])

/** @returns whether there may be more */
export async function book(
  { store, post, log }: { store: ServiceStore; post: PostCharge; log: Log },
  nowMs: number,
): Promise<boolean> {
  const due = await bookings.due(store.sql, nowMs, atOnce)
  for (const row of due) {
    const problem = await tryPost(post, row)
    if (problem !== undefined) log.info('a booking waits or is refused', { kind: row.kind, code: problem })
    const after: BookingRow = {
      ...row,
      state: stateAfter(row, problem),
      problem: problem ?? null,
      next_ms: nowMs + againMs,
    }
    await store.transaction(({ sql }) => bookings.setState(sql, after))
  }
  return due.length === atOnce
}

/** An invoice stays due: the customer can be told, and pays into the stored value. */
export function stateAfter({ kind }: Pick<BookingRow, 'kind'>, problem: string | undefined): BookingRow['state'] {
  if (problem === undefined) return 'booked'
  return kind === 'redemption' && final.has(problem) ? 'refused' : 'due'
}

async function tryPost(post: PostCharge, { id, kind, reference, member, minor, currency }: BookingRow) {
  if (!isCurrency(currency)) throw new Problem('message.invalid', `a currency that nobody keeps: ${currency}`)
  const value = { member, account: 'value' as const }
  const income = { own: 'income' as const }
  const [from, to] = {
    invoice: [value, income] as const,
    redemption: [income, value] as const,
    licence: [income, { member, account: 'payable' as const }] as const,
  }[kind]
  try {
    await post({ id: new Uint8Array(id), reason: kind, reference, moves: [{ from, to, minor, currency }] })
    return undefined
  } catch (error) {
    if (!isProblem(error)) throw error
    return error.code
  }
}
