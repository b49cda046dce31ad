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
import type { EntryRow, EntryState } from './ledgers.ts'
import type { ContentSettings } from './settings.ts'
import { type Share, site } from './split.ts'

/** When what could not be paid is tried again, ms. */
const againMs = 3_600_000
const atOnce = 64

export interface BillingOptions {
  store: ServiceStore
  post(charge: RequestOf<typeof postCharge>): Promise<ReplyOf<typeof postCharge>>
  /** The rate of the tax that prices contain, for statements. */
  tax: ContentSettings['tax']
  log: Log
}

/** An entry, and what it is of. */
type Titled = EntryRow & { title: string }

/** @returns how many were paid */
export async function bill(options: BillingOptions, nowMs: number): Promise<number> {
  const { store, log } = options
  const due = await store.sql.all<Titled>(
    `SELECT e.*, c.title AS title FROM fee_entries e
       JOIN deliveries d ON d.id = e.delivery JOIN contents c ON c.id = e.content
     WHERE e.state = 'counted' AND e.kind = 'charge' AND d.state = 'done' AND e.tried <= ?
     ORDER BY e.at, e.server, e.seq, e.ledger LIMIT ?`,
    nowMs - againMs,
    atOnce,
  )
  let paid = 0
  for (const entry of due) {
    const problem = await tryPost(options, entry, await sharesOf(store, entry))
    await setBilled(store, entry, { state: problem === undefined ? 'paid' : 'counted', problem, nowMs })
    if (problem === undefined) paid++
    else log.info('a charge waits', { ledger: entry.ledger, server: entry.server, seq: entry.seq, code: problem })
  }
  await noteReversed(options, nowMs)
  return paid
}

/** What was reversed before anybody paid, told once for the member's statement (S13). */
async function noteReversed(options: BillingOptions, nowMs: number): Promise<void> {
  const { store, log } = options
  const due = await store.sql.all<Titled>(
    `SELECT e.*, c.title AS title FROM fee_entries e JOIN contents c ON c.id = e.content
     WHERE e.state = 'cancelled' AND e.kind = 'charge' AND e.noted = 0 AND e.minor > 0 AND e.tried <= ?
     ORDER BY e.at, e.server, e.seq, e.ledger LIMIT ?`,
    nowMs - againMs,
    atOnce,
  )
  for (const entry of due) {
    const problem = await tryPost(options, entry, [])
    await setBilled(store, entry, { state: 'cancelled', problem, nowMs })
    if (problem !== undefined) log.info('a reversal is not on a statement yet', { server: entry.server, code: problem })
  }
}

function setBilled(
  store: ServiceStore,
  { ledger, server, seq, state: before }: EntryRow,
  { state, problem, nowMs }: { state: EntryState; problem: string | undefined; nowMs: number },
): Promise<unknown> {
  return store.transaction(({ sql }) =>
    sql.run(
      `UPDATE fee_entries SET state = ?, problem = ?, tried = ?, noted = ?
       WHERE ledger = ? AND server = ? AND seq = ? AND state = ?`,
      state,
      problem ?? null,
      nowMs,
      problem === undefined ? 1 : 0,
      ledger,
      server,
      seq,
      before,
    ),
  )
}

export function sharesOf({ sql }: Pick<ServiceStore, 'sql'>, { ledger, server, seq }: EntryRow): Promise<Share[]> {
  return sql.all<Share>(
    'SELECT part, payee, minor FROM fee_shares WHERE ledger = ? AND server = ? AND seq = ? ORDER BY part',
    ledger,
    server,
    seq,
  )
}

/** @param shares who gets it; none for what was reversed */
async function tryPost(
  { post, tax }: BillingOptions,
  entry: Titled,
  shares: readonly Share[],
): Promise<string | undefined> {
  const { ledger, server, seq, client, currency, title, at, minor, state } = entry
  if (!isCurrency(currency)) throw new Problem('message.invalid', `a currency that nobody keeps: ${currency}`)
  const card = new Uint8Array(client)
  const moves = shares.map(({ payee, minor }) => ({
    from: { card, account: 'value' as const },
    to: payee === site ? { own: 'income' as const } : { member: payee, account: 'payable' as const },
    minor,
    currency,
  }))
  const id = createHash('sha256').update(`${ledger}/${server}/${seq}`).digest().subarray(0, 16)
  const item = { card, title, atMs: at, minor, currency, tax, isReversed: state === 'cancelled' }
  try {
    await post({ id: new Uint8Array(id), reason: `${ledger}-fee`, reference: `${server}/${seq}`, moves, item })
    return undefined
  } catch (error) {
    if (!isProblem(error)) throw error
    return error.code
  }
}
