/**
 * What members owe for content reaches settlement (C8, C9): each entry of a ledger, when its delivery has ended well, is one charge from the
 * member's stored value to those who share it. Once: the charge has the entry's own id. What cannot be paid yet waits, and the others go on.
 */
import { createHash } from 'node:crypto'
import type { ReplyOf, RequestOf } from '@azukari/protocol/contract'
import type { postCharge } from '@azukari/protocol/contracts/settlement-charges'
import { isCurrency } from '@azukari/protocol/money'
import type { Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { ServiceStore } from '../../service/service.ts'
import type { EntryRow } from './ledgers.ts'
import { type Share, site } from './split.ts'

/** When what could not be paid is tried again, ms. */
const againMs = 3_600_000
const atOnce = 64

export interface BillingOptions {
  store: ServiceStore
  post(charge: RequestOf<typeof postCharge>): Promise<ReplyOf<typeof postCharge>>
  log: Log
}

/** @returns how many were paid */
export async function bill({ store, post, log }: BillingOptions, nowMs: number): Promise<number> {
  const due = await store.sql.all<EntryRow>(
    `SELECT e.* FROM fee_entries e JOIN deliveries d ON d.id = e.delivery
     WHERE e.state = 'counted' AND e.kind = 'charge' AND d.state = 'done' AND e.tried <= ?
     ORDER BY e.at, e.server, e.seq, e.ledger LIMIT ?`,
    nowMs - againMs,
    atOnce,
  )
  let paid = 0
  for (const entry of due) {
    const problem = await tryPost(post, entry, await sharesOf(store, entry))
    await store.transaction(({ sql }) =>
      sql.run(
        "UPDATE fee_entries SET state = ?, problem = ?, tried = ? WHERE ledger = ? AND server = ? AND seq = ? AND state = 'counted'",
        problem === undefined ? 'paid' : 'counted',
        problem ?? null,
        nowMs,
        entry.ledger,
        entry.server,
        entry.seq,
      ),
    )
    if (problem === undefined) paid++
    else log.info('a charge waits', { ledger: entry.ledger, server: entry.server, seq: entry.seq, code: problem })
  }
  return paid
}

export function sharesOf({ sql }: Pick<ServiceStore, 'sql'>, { ledger, server, seq }: EntryRow): Promise<Share[]> {
  return sql.all<Share>(
    'SELECT part, payee, minor FROM fee_shares WHERE ledger = ? AND server = ? AND seq = ? ORDER BY part',
    ledger,
    server,
    seq,
  )
}

async function tryPost(
  post: BillingOptions['post'],
  entry: EntryRow,
  shares: readonly Share[],
): Promise<string | undefined> {
  const { ledger, server, seq, client, currency } = entry
  if (!isCurrency(currency)) throw new Problem('message.invalid', `a currency that nobody keeps: ${currency}`)
  const from = { card: new Uint8Array(client), account: 'value' as const }
  const moves = shares.map(({ payee, minor }) => ({
    from,
    to: payee === site ? { own: 'income' as const } : { member: payee, account: 'payable' as const },
    minor,
    currency,
  }))
  const id = createHash('sha256').update(`${ledger}/${server}/${seq}`).digest().subarray(0, 16)
  try {
    await post({ id: new Uint8Array(id), reason: `${ledger}-fee`, reference: `${server}/${seq}`, moves })
    return undefined
  } catch (error) {
    if (!isProblem(error)) throw error
    return error.code
  }
}
