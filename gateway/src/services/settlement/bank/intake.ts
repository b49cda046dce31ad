/** Takes files of the bank in (P5, P7, S13): what our account shows, and what became of orders. */
import { createHash } from 'node:crypto'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { encrypt0 } from '@azukari/protocol/cose'
import { Problem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { ledgerOf } from '../centre/epoch.ts'
import { atRestKey } from '../keystore.ts'
import { ownAccount } from '../ledger/accounts.ts'
import { isNumber } from '../numbers.ts'
import { payoutFileRefused } from '../payments/payout-files.ts'
import { payoutRefused } from '../payments/payouts.ts'
import { derivedId, type ServiceContext, type Within } from '../service-context.ts'
import { keepAside } from './aside.ts'
import { compareEntry, type EntryName, EntryNames, type EntryRow } from './entries.ts'
import type {
  BankEntry,
  BankPart,
  DebitOutcome,
  FileOutcome,
  OrderOutcome,
  OwnBankAccount,
  SetAside,
} from './files/bank-file.ts'
import { readNotification, readStatusReport } from './files/iso20022.ts'
import { readDebitResults, readMovements } from './files/zengin.ts'
import { aboutOf, matchLine, suspend } from './matching.ts'
import type { AnswerResult, Booking, DebitAnswers, Line } from './ports.ts'

export type BankFormat = 'camt' | 'pain.002' | 'zengin-movements' | 'zengin-debits'

/** What a file did. */
export interface BankFileReport {
  format: BankFormat
  /** This file was taken in before: nothing was done. */
  known: boolean
  lines: number
  booked: number
  /** Lines that another file had brought, answers that were given before. */
  repeated: number
  /** Lines for which no owner was found. */
  unmatched: number
  /** What could not be booked as it stands, and waits for a clerk. */
  aside: SetAside[]
}

export interface Intake extends Booking {
  own: OwnBankAccount
}

export const textDomain = new TextEncoder().encode('azukari/bank-text/1')
const fileMaxBytes = 64 << 20

type Parsed =
  | { format: 'camt' | 'zengin-movements'; entries: BankEntry[]; aside: SetAside[] }
  | {
      format: 'pain.002' | 'zengin-debits'
      orders: (DebitOutcome | OrderOutcome)[]
      rejected: FileOutcome[]
      day?: string
      /** What makes two answers one, however their bytes are laid out. */
      content: unknown
    }

/** Tells formats apart by how a file begins. */
function parse(bytes: Uint8Array, own: OwnBankAccount): Parsed {
  if (bytes.length > fileMaxBytes) throw new Problem('bank.malformed', 'larger than 64 MiB')
  const head = Buffer.from(bytes.subarray(0, 4096)).toString('latin1')
  if (/^(?:\xef\xbb\xbf)?\s*</.test(head)) {
    if (!head.includes(':pain.002.')) return { format: 'camt', ...readNotification(bytes, own) }
    const report = readStatusReport(bytes)
    return { format: 'pain.002', orders: report.orders, rejected: report.rejected, content: report }
  }
  if (!head.startsWith('191')) return { format: 'zengin-movements', ...readMovements(bytes, own) }
  const { day, outcomes } = readDebitResults(bytes)
  const content = { day, outcomes: outcomes.map((one) => ({ ...one, minor: Number(one.minor) })) }
  return { format: 'zengin-debits', orders: outcomes, rejected: [], day, content }
}

export async function takeFile(intake: Intake, bytes: Uint8Array): Promise<BankFileReport> {
  const { shared, own, debits } = intake
  const parsed = parse(bytes, own)
  const { format } = parsed
  const raw = sha256(bytes)
  // Lines are known one by one; an answer is one thing, and the same however it is laid out.
  const hash = 'entries' in parsed ? raw : sha256(encodeDeterministic([format, parsed.content]))
  const lines = 'entries' in parsed ? parsed.entries.length : parsed.orders.length + parsed.rejected.length
  return shared.store.transaction(async (within) => {
    const { sql, nowMs } = within
    const report: BankFileReport = { format, known: false, lines, booked: 0, repeated: 0, unmatched: 0, aside: [] }
    const isThere = (await isKnown(sql, hash)) || (await isKnown(sql, raw))
    if (isThere && !(await waitsFor(sql, hash))) return { ...report, known: true }
    if (!isThere) await insertRow(sql, 'bank_files', { hash, format, at: nowMs, lines, booked: 0 })
    const setAside = async (aside: SetAside, entry?: { id: Uint8Array; content: BankEntry }) => {
      if (await keepAside(shared, sql, hash, aside, entry, nowMs)) report.aside.push(aside)
      else report.repeated++
    }
    if ('entries' in parsed) {
      for (const aside of parsed.aside) await setAside(aside)
      await takeEntries(intake, within, parsed.entries, hash, report, setAside)
      return report
    }
    for (const [i, order] of parsed.orders.entries()) {
      const result = await answer(within, order, debits, parsed.day)
      if (result === 'booked') report.booked++
      else if (result === 'known') report.repeated++
      else await setAside({ place: `order ${i + 1}`, ...result })
    }
    for (const rejected of parsed.rejected) {
      const count = await fileRejected(within, rejected, debits)
      if (count === undefined)
        await setAside({ place: 'file', why: 'order', detail: `file ${rejected.file} is not ours` })
      else if (count === 0) report.repeated++
      else report.booked += count
    }
    await debits.answered(within)
    return report
  })
}

async function isKnown(sql: Sql, hash: Uint8Array): Promise<boolean> {
  return (await sql.get('SELECT 1 AS there FROM bank_files WHERE hash = ?', hash)) !== undefined
}

async function waitsFor(sql: Sql, file: Uint8Array): Promise<boolean> {
  return (
    (await sql.get('SELECT 1 AS there FROM bank_aside WHERE file = ? AND decided IS NULL LIMIT 1', file)) !== undefined
  )
}

async function takeEntries(
  intake: Intake,
  within: Within,
  entries: readonly BankEntry[],
  file: Uint8Array,
  report: BankFileReport,
  setAside: (aside: SetAside, entry?: { id: Uint8Array; content: BankEntry }) => Promise<void>,
): Promise<void> {
  const { shared, own } = intake
  const names = new EntryNames(own.account.bank + own.account.branch + own.account.number)
  for (const [i, entry] of entries.entries()) {
    const place = `entry ${i + 1}`
    const name = names.of(entry)
    if (!shared.rules.currencies.includes(entry.currency)) {
      const detail = `${entry.minor} ${entry.currency} ${entry.direction}, ${entry.bookedOn}`
      await setAside({ place, why: 'currency', detail })
      continue
    }
    const comparison = await compareEntry(within.sql, entry, name, file)
    if (comparison === 'new') {
      const { booked, unmatched } = await bookEntry(intake, within, entry, name, file)
      report.booked += booked
      report.unmatched += unmatched
    } else if ('known' in comparison) {
      report.repeated++
      if (comparison.known) report.booked += await learnMore(intake, within, comparison.known, entry)
    } else await setAside({ place, ...comparison }, { id: name.id, content: entry })
  }
}

/** Books an entry, part by part: each for its owner, or without one. */
export async function bookEntry(
  booking: Booking,
  within: Within,
  entry: BankEntry,
  { id, ref }: EntryName,
  file: Uint8Array,
): Promise<{ booked: number; unmatched: number }> {
  const { family, kind, statement, direction, reversal, currency, bookedOn, minor, parts } = entry
  await insertRow(within.sql, 'bank_entries', {
    id,
    file,
    family,
    kind,
    statement,
    ref,
    direction,
    reversal: reversal ? 1 : 0,
    amount: minor,
    currency,
    booked_on: bookedOn,
    parts: parts.length,
  })
  let booked = 0
  for (const [i, part] of parts.entries()) {
    const line = { ...part, id: derivedId('bank-part', id, String(i)), currency, reversal }
    const matched = await matchLine(booking, within, line, 'bank')
    if (matched === null) await suspend(within.sql, line, within.nowMs)
    else booked++
    await keepLine(booking.shared, within.sql, line, { file, entry: id, bookedOn, matched, parent: null })
  }
  return { booked, unmatched: parts.length - booked }
}

/** How a line is marked that its parts stand for. */
export const partedMark = 'parts'

/**
 * An entry is told again, and now with its parts: those take the place of what waited without an owner as one sum.
 * @returns how many parts found their owner
 */
async function learnMore(booking: Booking, within: Within, known: EntryRow, entry: BankEntry): Promise<number> {
  if (known.parts !== 1 || entry.parts.length === 1) return 0
  const line = await within.sql.get<{ id: Uint8Array }>(
    'SELECT id FROM bank_lines WHERE entry = ? AND parent IS NULL AND matched IS NULL',
    known.id,
  )
  if (!line) return 0
  await within.sql.run('UPDATE bank_entries SET parts = ? WHERE id = ?', entry.parts.length, known.id)
  return partLine(booking, within, { ...known, line: line.id }, entry.parts)
}

/**
 * Puts parts in the place of a line that waits without an owner; they come to the same sum.
 * @returns how many found their owner
 */
export async function partLine(
  booking: Booking,
  within: Within,
  whole: Pick<EntryRow, 'file' | 'direction' | 'currency' | 'booked_on' | 'reversal'> & {
    id: Uint8Array | null
    line: Uint8Array
  },
  parts: readonly BankPart[],
): Promise<number> {
  const { sql, nowMs } = within
  const { currency } = whole
  await sql.run('UPDATE bank_lines SET matched = ? WHERE id = ?', partedMark, whole.line)
  const lines = parts.map(
    (part, i): Line => ({
      ...part,
      id: derivedId('bank-part-of', whole.line, String(i)),
      currency,
      reversal: whole.reversal === 1,
    }),
  )
  // What goes the other way stands on its own side of the suspense, so that each can be matched by itself.
  const ledger = ledgerOf(sql)
  for (const { id, direction, minor } of lines)
    if (direction !== whole.direction)
      await ledger.post(
        {
          id: derivedId('suspend', id),
          reason: 'parted',
          reference: Buffer.from(id).toString('hex'),
          legs: [
            {
              kind: 'post',
              debit: await ownAccount(ledger, 'unexplained', currency),
              credit: await ownAccount(ledger, 'unmatched', currency),
              amountMinor: minor,
            },
          ],
        },
        nowMs,
      )
  let booked = 0
  for (const line of lines) {
    const matched = await matchLine(booking, within, line, 'suspense')
    if (matched !== null) booked++
    const { id: entry, file, booked_on: bookedOn } = whole
    await keepLine(booking.shared, sql, line, { file, entry, bookedOn, matched, parent: whole.line })
  }
  return booked
}

async function keepLine(
  { keys, random }: Pick<ServiceContext, 'keys' | 'random'>,
  sql: Sql,
  line: Line,
  of: {
    file: Uint8Array
    entry: Uint8Array | null
    bookedOn: string
    matched: string | null
    parent: Uint8Array | null
  },
): Promise<void> {
  const { id, direction, reversal, minor, currency, texts } = line
  const { file, entry, bookedOn, matched, parent } = of
  await insertRow(sql, 'bank_lines', {
    id,
    file,
    entry,
    parent,
    direction,
    reversal: reversal ? 1 : 0,
    amount: minor,
    currency,
    booked_on: bookedOn,
    text: encrypt0(encodeDeterministic(texts), atRestKey(keys, 'bank-text'), random.bytes(12), textDomain),
    about: aboutOf(texts),
    matched,
  })
}

async function answer(
  within: Within,
  outcome: DebitOutcome | OrderOutcome,
  debits: DebitAnswers,
  day: string | undefined,
): Promise<AnswerResult> {
  if (!isNumber(outcome.reference, 'payout')) return debits.settle(within, outcome, day)
  // That the bank has accepted is no movement yet: the money has left when the account's own lines say so.
  if (!('accepted' in outcome) || outcome.accepted) return 'known'
  return (await payoutRefused(within, outcome.reference)) ? 'booked' : 'known'
}

/** Undefined when we have sent no such file. */
async function fileRejected(
  within: Within,
  { file, reason }: FileOutcome,
  debits: DebitAnswers,
): Promise<number | undefined> {
  if (!/^[0-9a-f]{32}$/.test(file)) return undefined
  const document = new Uint8Array(Buffer.from(file, 'hex'))
  const row = await within.sql.get<{ kind: string }>('SELECT kind FROM bank_out WHERE document = ?', document)
  if (!row) return undefined
  if (row.kind === 'debit-file') return debits.rejected(within, document, reason)
  return payoutFileRefused(within, document)
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest())
}
