/**
 * What a bank file tells and cannot be booked as it stands: kept with its place and reason until a clerk admits it as a line of
 * its own, or drops it.
 */
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { checker, Type } from '@azukari/protocol/contract'
import { decrypt0, encrypt0 } from '@azukari/protocol/cose'
import { CurrencyCode } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { atRestKey } from '../keystore.ts'
import { derivedId, type ServiceContext } from '../service-context.ts'
import type { AsideReason, BankEntry, SetAside } from './files/bank-file.ts'

export interface AsideRow {
  id: Uint8Array
  place: string
  why: AsideReason
  detail: string
  /** The entry, sealed; null where there is none that could be booked. */
  entry: Uint8Array | null
  at: number
}

const entryDomain = new TextEncoder().encode('azukari/bank-aside/1')
const Direction = Type.Union([Type.Literal('in'), Type.Literal('out')])
const Part = Type.Object({
  direction: Direction,
  minor: Type.Integer({ minimum: 1 }),
  texts: Type.Array(Type.String()),
})
const KeptEntry = Type.Object({
  family: Type.Union([Type.Literal('camt'), Type.Literal('zengin')]),
  kind: Type.String(),
  statement: Type.String(),
  reversal: Type.Boolean(),
  direction: Direction,
  minor: Type.Integer({ minimum: 1 }),
  currency: CurrencyCode,
  bookedOn: Type.String(),
  texts: Type.Array(Type.String()),
  parts: Type.Array(Part),
})
const checkEntry = checker(KeptEntry, 'entry set aside')

/** Keeps what is set aside. @returns false when it was before, and a clerk has decided */
export async function keepAside(
  { keys, random }: Pick<ServiceContext, 'keys' | 'random'>,
  sql: Sql,
  file: Uint8Array,
  { place, why, detail }: SetAside,
  entry: { id: Uint8Array; content: BankEntry } | undefined,
  nowMs: number,
): Promise<boolean> {
  const id = entry ? derivedId('aside', why, entry.id) : derivedId('aside', why, file, place, detail)
  const known = await sql.get<{ decided: number | null }>('SELECT decided FROM bank_aside WHERE id = ?', id)
  if (known) return known.decided === null
  const sealed = entry
    ? encrypt0(encodeDeterministic(keptOf(entry.content)), atRestKey(keys, 'bank-text'), random.bytes(12), entryDomain)
    : null
  await insertRow(sql, 'bank_aside', { id, file, place, why, detail, entry: sealed, at: nowMs })
  return true
}

function keptOf({ reference: _reference, formerKeys: _formerKeys, ...entry }: BankEntry) {
  const parts = entry.parts.map(({ direction, minor, texts }) => ({ direction, minor: Number(minor), texts }))
  return { ...entry, minor: Number(entry.minor), parts }
}

export async function openAside(sql: Sql, limit: number): Promise<AsideRow[]> {
  return sql.all<AsideRow>(
    'SELECT id, place, why, detail, entry, at FROM bank_aside WHERE decided IS NULL ORDER BY at, place LIMIT ?',
    limit,
  )
}

/**
 * A clerk has decided.
 * @returns the entry to be booked, when it is admitted, and the file that brought it
 * @throws {Problem} `bank.line-known` when it was decided before, `bank.not-bookable`
 */
export async function decideAside(
  { keys }: Pick<ServiceContext, 'keys'>,
  sql: Sql,
  id: Uint8Array,
  decision: { admitted: boolean; clerk: string; nowMs: number },
): Promise<{ file: Uint8Array; entry: BankEntry } | undefined> {
  const row = await sql.get<AsideRow & { file: Uint8Array }>(
    'SELECT * FROM bank_aside WHERE id = ? AND decided IS NULL',
    id,
  )
  if (!row) throw new Problem('bank.line-known')
  const { admitted, clerk, nowMs } = decision
  if (admitted && !row.entry) throw new Problem('bank.not-bookable', `${row.why}: ${row.detail}`)
  await sql.run(
    'UPDATE bank_aside SET decided = ?, admitted = ?, clerk = ? WHERE id = ?',
    nowMs,
    admitted ? 1 : 0,
    clerk,
    id,
  )
  if (!admitted || !row.entry) return undefined
  const kept = checkEntry(decode(decrypt0(row.entry, atRestKey(keys, 'bank-text'), entryDomain)))
  const parts = kept.parts.map((part) => ({ ...part, minor: BigInt(part.minor) }))
  return { file: row.file, entry: { ...kept, minor: BigInt(kept.minor), parts, reference: undefined, formerKeys: [] } }
}
