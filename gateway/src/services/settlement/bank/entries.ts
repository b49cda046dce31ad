/**
 * When two entries of bank files are one (P5): the bank's own reference tells it, with amount, direction and day; where the
 * bank gives none, what the entry says, and how often its statement says the same. A reference that comes back with something
 * else, and what another kind of report may have told already, is no entry and no repetition: a clerk is asked.
 */
import type { Currency } from '@azukari/protocol/money'
import type { Sql } from '../../../storage/database.ts'
import { derivedId } from '../service-context.ts'
import type { AsideReason, BankEntry } from './files/bank-file.ts'

export interface EntryRow {
  id: Uint8Array
  file: Uint8Array
  family: string
  kind: string
  statement: string
  /** The bank's reference, hashed; null when it gave none. */
  ref: Uint8Array | null
  direction: 'in' | 'out'
  reversal: number
  amount: number
  currency: Currency
  booked_on: string
  /** In how many parts it was told. */
  parts: number
}

export interface EntryName {
  id: Uint8Array
  ref: Uint8Array | null
}

/** Names the entries of one file. */
export class EntryNames {
  readonly #account: string
  readonly #times = new Map<string, number>()

  /** @param account ours, as the site's settings name it */
  constructor(account: string) {
    this.#account = account
  }

  of({
    family,
    kind,
    statement,
    reference,
    reversal,
    direction,
    minor,
    currency,
    bookedOn,
    texts,
  }: BankEntry): EntryName {
    const undoes = reversal ? 'reversal' : ''
    const says = [
      direction,
      undoes,
      String(minor),
      currency,
      bookedOn,
      ...(reference === undefined ? texts : [reference]),
    ]
    const content = derivedId('bank-entry', family, this.#account, ...says)
    const place = `${kind}/${statement}/${Buffer.from(content).toString('hex')}`
    const times = this.#times.get(place) ?? 0
    this.#times.set(place, times + 1)
    return {
      id: times === 0 ? content : derivedId('bank-entry-again', content, String(times)),
      ref: reference === undefined ? null : derivedId('bank-reference', family, this.#account, reference, undoes),
    }
  }
}

export type Comparison = 'new' | { known: EntryRow | undefined } | { why: AsideReason; detail: string }

/** @param file the one that brings the entry */
export async function compareEntry(
  sql: Sql,
  entry: BankEntry,
  { id, ref }: EntryName,
  file: Uint8Array,
): Promise<Comparison> {
  const { family, kind, statement, direction, reversal, minor, currency, bookedOn } = entry
  const known = await sql.get<EntryRow>('SELECT * FROM bank_entries WHERE id = ?', id)
  const said = `${minor} ${currency} ${direction}, ${bookedOn}`
  if (known) {
    // Without a reference the same words in the next statement may well be the next payment.
    const isAnother = ref === null && known.kind === kind && known.statement !== statement
    return isAnother ? { why: 'perhaps-known', detail: `${said}: another statement says the same` } : { known }
  }
  if (await isFormerLine(sql, entry)) return { known: undefined }
  const other =
    ref && (await sql.get<EntryRow>('SELECT * FROM bank_entries WHERE ref = ? AND file <> ? LIMIT 1', ref, file))
  if (other)
    return {
      why: 'differs',
      detail: `${said}: ${entry.reference} was ${other.amount} ${other.currency} ${other.direction}, ${other.booked_on}`,
    }
  const perhaps = await sql.get(
    `SELECT 1 AS there FROM bank_entries WHERE booked_on = ?1 AND amount = ?2 AND currency = ?3 AND direction = ?4
     AND reversal = ?5 AND (family <> ?6 OR kind <> ?7 AND (ref IS NULL OR ?8 = 1)) LIMIT 1`,
    bookedOn,
    minor,
    currency,
    direction,
    reversal ? 1 : 0,
    family,
    kind,
    ref ? 0 : 1,
  )
  return perhaps ? { why: 'perhaps-known', detail: `${said}: another kind of report says the same` } : 'new'
}

/** Lines from before entries were kept have other names, and not always one each: what they say must be the same as well. */
async function isFormerLine(sql: Sql, { formerKeys, direction, parts, minor, currency, bookedOn }: BankEntry) {
  for (const [i, key] of formerKeys.entries())
    for (const undoes of ['', 'reversal']) {
      const row = await sql.get<{ amount: number; currency: string; booked_on: string }>(
        'SELECT amount, currency, booked_on FROM bank_lines WHERE id = ? AND entry IS NULL',
        derivedId('bank-line', key, direction, undoes),
      )
      if (!row || row.currency !== currency || row.booked_on !== bookedOn) continue
      if (BigInt(row.amount) === parts[i]?.minor || BigInt(row.amount) === minor) return true
    }
  return false
}
