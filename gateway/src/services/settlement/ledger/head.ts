/** The journal's signed daily head (P9): given to the backup centre, the auditor and members' cards, so that nobody can rewrite a past day unnoticed. */

import type { KeyObject } from 'node:crypto'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { Count, checker, Hash, type Static, TimeMs, Type } from '@azukari/protocol/contract'
import { type DirectSigner, sign1, verify1 } from '@azukari/protocol/cose'
import type { Sql } from '../../../storage/database.ts'
import type { Ledger } from './ledger.ts'
import { OperationsTip, operationsTip } from './operations.ts'

const headDomain = new TextEncoder().encode('azukari/ledger-head/1')

export const LedgerHead = Type.Object({
  /** Civil date of the site, `2026-11-21`. */
  day: Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}$' }),
  seq: Count,
  chain: Hash,
  atMs: TimeMs,
  epoch: Count,
  /** Where the clerks' log ended; absent in heads from before it was chained. */
  operations: Type.Optional(OperationsTip),
  /** Sum of all debits, equal to that of all credits, per currency. */
  totals: Type.Array(Type.Object({ currency: Type.String(), minor: Count }), { maxItems: 32 }),
})
export type LedgerHead = Static<typeof LedgerHead>
const checkHead = checker(LedgerHead, 'ledger head')

/** Signs the day's head, once; the same day again gives the same bytes. */
export async function signHead(
  sql: Sql,
  ledger: Ledger,
  signer: DirectSigner,
  day: string,
  nowMs: number,
): Promise<Uint8Array> {
  const known = await sql.get<{ head: Uint8Array }>('SELECT head FROM ledger_heads WHERE day = ?', day)
  if (known) return known.head
  const { seq, chain } = await ledger.tip()
  const totals = (await ledger.trialBalance()).map(({ currency, debitsMinor }) => ({
    currency,
    minor: Number(debitsMinor),
  }))
  const body: LedgerHead = {
    day,
    seq,
    chain,
    atMs: nowMs,
    epoch: await ledger.epoch(),
    operations: await operationsTip(sql),
    totals,
  }
  const head = sign1(encodeDeterministic(checkHead(body)), signer, headDomain)
  await sql.run('INSERT INTO ledger_heads (day, seq, chain, head) VALUES (?, ?, ?, ?)', day, seq, chain, head)
  return head
}

/** @throws {Problem} `cose.*`, `cbor.*`, `message.invalid` */
export function openHead(head: Uint8Array, keyFor: (kid: Uint8Array) => KeyObject | undefined): LedgerHead {
  return checkHead(decode(verify1(head, keyFor, headDomain).payload))
}

/** Whether the journal still says at the head's place what the head says. */
export async function headHolds(sql: Sql, { seq, chain }: Pick<LedgerHead, 'seq' | 'chain'>): Promise<boolean> {
  if (seq === 0) return true
  const row = await sql.get<{ chain: Uint8Array }>('SELECT chain FROM ledger_postings WHERE seq = ?', seq)
  return row !== undefined && Buffer.compare(row.chain, chain) === 0
}
