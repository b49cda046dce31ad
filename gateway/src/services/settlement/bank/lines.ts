/**
 * Bank files in and out (P5, P7, S13): lines find their owner by the number that stands in them, each line is booked once
 * however many files bring it, and what finds no owner waits for a clerk.
 */

import { createHash } from 'node:crypto'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { encrypt0 } from '@azukari/protocol/cose'
import { mapInOrder } from '@azukari/protocol/in-order'
import type { Currency } from '@azukari/protocol/money'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { insertRow } from '../../../storage/insert.ts'
import { ledgerOf } from '../centre/epoch.ts'
import { keepDocument, readDocument } from '../documents/store.ts'
import { atRestKey } from '../keystore.ts'
import { ownAccount } from '../ledger/accounts.ts'
import { noteOperation } from '../ledger/operations.ts'
import { members, openPerson } from '../members/registers.ts'
import { isNumber, type NumberKind } from '../numbers.ts'
import { type PayoutRow, sendPayouts, settlePayout } from '../payments/payout.ts'
import { issueValue, reverseValue, topUps } from '../payments/top-up.ts'
import { derivedId, type ServiceContext, type Within } from '../service-context.ts'
import type { BankLine, DebitOutcome, OrderOutcome, OwnBankAccount } from './files/bank-file.ts'
import { readNotification, readStatusReport, writeCreditTransfers } from './files/iso20022.ts'
import { readDebitResults, readMovements, writeTransfers } from './files/zengin.ts'
import { type BankOutRow, bankFilesWaiting, enterBankFile, noteRelease, releaseNote } from './release.ts'

export type BankFormat = 'camt' | 'pain.002' | 'zengin-movements' | 'zengin-debits'

/** What a file did. */
export interface BankFileReport {
  format: BankFormat
  /** This very file was taken in before: nothing was done. */
  known: boolean
  lines: number
  booked: number
  /** Lines that another file had brought. */
  repeated: number
  /** Lines for which no owner was found. */
  unmatched: number
}

export interface BankDesk {
  /** Takes a file in, whole or not at all. @throws {Problem} `bank.malformed`, `bank.totals`, `bank.text` */
  take(bytes: Uint8Array): Promise<BankFileReport>
  /** Lines without an owner, oldest first. */
  unmatched(limit: number): Promise<{ id: Uint8Array; minor: number; currency: Currency; bookedOn: string }[]>
  /** A clerk finds the owner of a line. @throws {Problem} `bank.line-known`, `topup.unknown`, `topup.state`, `pay.amount-differs` */
  assign(line: Uint8Array, payment: string, clerk: string): Promise<void>
  /**
   * Hands all claimed money to the bank: one file per format, in the transaction that books it. Undefined when nothing waits.
   * @param date civil date of execution
   */
  payoutFile(
    date: string,
    format: 'zengin' | 'pain.001',
    currency?: Currency,
  ): Promise<{ document: Uint8Array; payouts: number } | undefined>
  /** Files that were made and not given out, oldest first. */
  waiting(limit: number): Promise<BankOutRow[]>
  /**
   * Gives a file out, with its note, when the release is safe from the loss of this centre (P9).
   * @param again it was given out and did not come to the bank
   * @throws {Problem} `object.unknown`, `bank.released`, `centre.not-leader`, `centre.unconfirmed`
   */
  release(document: Uint8Array, clerk: string, again?: boolean): Promise<ReleasedFile>
}

export interface ReleasedFile {
  name: string
  content: Uint8Array
  note: Uint8Array
}

/** What billing does with the bank's answers; it lives apart. */
export interface DebitAnswers {
  settle(within: Within, outcome: DebitOutcome | OrderOutcome): Promise<boolean>
}

const payoutsPerFile = 10_000
const textDomain = new TextEncoder().encode('azukari/bank-text/1')

export function bankDesk(
  shared: ServiceContext,
  own: () => OwnBankAccount,
  debits: DebitAnswers,
  confirmed: () => Promise<void>,
): BankDesk {
  const { store, keys, random, clock } = shared
  return {
    take: async (bytes) => {
      const { format, lines, outcomes } = parse(bytes)
      const hash = new Uint8Array(createHash('sha256').update(bytes).digest())
      return store.transaction(async (within) => {
        const { sql, nowMs } = within
        const report = {
          format,
          known: false,
          lines: lines.length + outcomes.length,
          booked: 0,
          repeated: 0,
          unmatched: 0,
        }
        if (await sql.get('SELECT 1 AS there FROM bank_files WHERE hash = ?', hash)) return { ...report, known: true }
        await insertRow(sql, 'bank_files', { hash, format, at: nowMs, lines: report.lines, booked: 0 })
        for (const outcome of outcomes) {
          if (await settleOutcome(within, outcome, debits)) report.booked++
          else report.repeated++
        }
        for (const line of lines) {
          const id = derivedId('bank-line', line.key, line.direction, line.reversal ? 'reversal' : '')
          if (await sql.get('SELECT 1 AS there FROM bank_lines WHERE id = ?', id)) {
            report.repeated++
            continue
          }
          const text = encrypt0(
            encodeDeterministic(line.texts),
            atRestKey(keys, 'bank-text'),
            random.bytes(12),
            textDomain,
          )
          const matched = await bookLine(shared, within, line, id)
          await insertRow(sql, 'bank_lines', {
            id,
            file: hash,
            amount: line.minor,
            currency: line.currency,
            booked_on: line.bookedOn,
            text,
            matched,
          })
          if (matched) report.booked++
          else report.unmatched++
        }
        return report
      })
    },

    unmatched: async (limit) =>
      (
        await store.sql.all<{ id: Uint8Array; amount: number; currency: Currency; booked_on: string }>(
          'SELECT id, amount, currency, booked_on FROM bank_lines WHERE matched IS NULL AND reversed = 0 ORDER BY booked_on LIMIT ?',
          limit,
        )
      ).map(({ id, amount, currency, booked_on }) => ({ id, minor: amount, currency, bookedOn: booked_on })),

    assign: (id, payment, clerk) =>
      store.transaction(async (within) => {
        const { sql, nowMs } = within
        const line = await sql.get<{ amount: number; currency: string; matched: string | null }>(
          'SELECT amount, currency, matched FROM bank_lines WHERE id = ?',
          id,
        )
        if (!line || line.matched !== null) throw new Problem('bank.line-known')
        const row = await topUps.get(sql, payment)
        if (!row) throw new Problem('topup.unknown')
        if (row.amount !== line.amount || row.currency !== line.currency) throw new Problem('pay.amount-differs')
        await issueValue(shared, within, row, 'unmatched')
        await sql.run('UPDATE bank_lines SET matched = ? WHERE id = ?', payment, id)
        await noteOperation(sql, nowMs, clerk, 'assign bank line', payment)
      }),

    waiting: async (limit) => bankFilesWaiting(store.sql, limit),

    release: async (id, clerk, again = false) => {
      const { atMs, epoch } = await store.transaction(async ({ sql, nowMs }) => {
        const epoch = await noteRelease(sql, nowMs, id, again)
        await noteOperation(sql, nowMs, clerk, again ? 'release bank file again' : 'release bank file', hexOf(id))
        return { atMs: nowMs, epoch }
      })
      await confirmed()
      const { name, kind, content } = (await readDocument(shared, store.sql, id))!
      return { name, content, note: releaseNote(shared.signer, content, { name, kind, epoch, atMs }) }
    },

    payoutFile: (date, format, currency = 'JPY') =>
      store.transaction(async ({ sql, nowMs }) => {
        const document = random.bytes(16)
        const rows = await sendPayouts(sql, currency, document, payoutsPerFile, nowMs)
        if (rows.length === 0) return undefined
        const orders = await mapInOrder(rows, async (row) => ({
          account: await accountOf(shared, sql, row),
          minor: BigInt(row.amount),
          reference: row.number,
        }))
        const id = Buffer.from(document).toString('hex')
        const frame = { id: id.slice(0, 33), createdMs: clock.now(), date, currency }
        const zengin = format === 'zengin'
        await keepDocument(shared, sql, {
          id: document,
          kind: 'payout-file',
          member: null,
          at: nowMs,
          name: `payout-${date}-${id.slice(0, 8)}.${zengin ? 'txt' : 'xml'}`,
          media: zengin ? 'text/plain' : 'application/xml',
          content: zengin ? writeTransfers(own(), date, orders) : writeCreditTransfers(own(), frame, orders),
        })
        await enterBankFile(sql, nowMs, document, 'payout-file')
        return { document, payouts: rows.length }
      }),
  }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

async function accountOf(shared: ServiceContext, sql: Sql, { shop }: PayoutRow) {
  const member = (await members.get(sql, shop))!
  const { account } = openPerson(shared.keys, shop, member.person)
  if (!account) throw new Problem('register.unknown-number', 'the shop has no bank account')
  return account
}

interface Parsed {
  format: BankFormat
  lines: BankLine[]
  outcomes: (DebitOutcome | OrderOutcome)[]
}

const fileMaxBytes = 64 << 20

/** Tells formats apart by how a file begins. */
function parse(bytes: Uint8Array): Parsed {
  if (bytes.length > fileMaxBytes) throw new Problem('bank.malformed', 'larger than 64 MiB')
  const head = Buffer.from(bytes.subarray(0, 4096)).toString('latin1')
  if (/^(?:\xef\xbb\xbf)?\s*</.test(head)) {
    if (head.includes(':pain.002.')) return { format: 'pain.002', lines: [], outcomes: readStatusReport(bytes) }
    return { format: 'camt', lines: readNotification(bytes), outcomes: [] }
  }
  if (head.startsWith('191')) return { format: 'zengin-debits', lines: [], outcomes: readDebitResults(bytes) }
  return { format: 'zengin-movements', lines: readMovements(bytes), outcomes: [] }
}

/** False when it was known before. */
async function settleOutcome(
  within: Within,
  outcome: DebitOutcome | OrderOutcome,
  debits: DebitAnswers,
): Promise<boolean> {
  const { sql, nowMs } = within
  if (!isNumber(outcome.reference, 'payout')) return debits.settle(within, outcome)
  const state = (await sql.get<{ state: string }>('SELECT state FROM payouts WHERE number = ?', outcome.reference))
    ?.state
  // That the bank has accepted is no movement yet: the money has left when the account's own lines say so.
  if (state !== 'sent' || !('accepted' in outcome) || outcome.accepted) return false
  await settlePayout(sql, outcome.reference, 'returned', nowMs)
  return true
}

/** Books one line of our account. Returns whose it is; null when a clerk must find out. */
async function bookLine(
  shared: ServiceContext,
  within: Within,
  line: BankLine,
  id: Uint8Array,
): Promise<string | null> {
  const { sql, nowMs } = within
  const comesIn = (line.direction === 'in') !== line.reversal
  const payment = numberIn(line.texts, 'payment')
  const payout = numberIn(line.texts, 'payout')
  if (payout && (await isOpenPayout(sql, payout, line))) {
    await settlePayout(sql, payout, comesIn ? 'returned' : 'paid', nowMs)
    return payout
  }
  const row = payment ? await topUps.get(sql, payment) : undefined
  const fits =
    row &&
    BigInt(row.amount) === line.minor &&
    row.currency === line.currency &&
    (row.way === 'transfer' || row.way === 'deposit')
  try {
    if (fits && comesIn) {
      await issueValue(shared, within, row, 'bank')
      return row.payment
    }
    if (fits && line.reversal) {
      await reverseValue(shared, within, row, 'bank')
      return row.payment
    }
  } catch (error) {
    // Paid twice, or taken back twice: it is somebody's money all the same, and a clerk's question.
    if (!isProblem(error, 'topup.state')) throw error
  }
  await suspend(sql, line, id, comesIn, nowMs)
  return null
}

async function isOpenPayout(sql: Sql, number: string, { minor, currency }: BankLine): Promise<boolean> {
  const row = await sql.get<PayoutRow>("SELECT * FROM payouts WHERE number = ? AND state = 'sent'", number)
  return row !== undefined && BigInt(row.amount) === minor && row.currency === currency
}

/** Money whose owner is not known, so that the bank's account and ours agree all the same. */
async function suspend(
  sql: Sql,
  { minor, currency }: BankLine,
  id: Uint8Array,
  comesIn: boolean,
  nowMs: number,
): Promise<void> {
  const ledger = ledgerOf(sql)
  const bank = await ownAccount(ledger, 'bank', currency)
  // What went out without our knowing is a claim of ours, not a debt to nobody.
  const other = await ownAccount(ledger, comesIn ? 'unmatched' : 'unexplained', currency)
  await ledger.post(
    {
      id: derivedId('suspend', id),
      reason: comesIn ? 'unmatched' : 'unexplained',
      reference: Buffer.from(id).toString('hex'),
      legs: [{ kind: 'post', debit: comesIn ? bank : other, credit: comesIn ? other : bank, amountMinor: minor }],
    },
    nowMs,
  )
}

/** The one number of a kind that stands in the texts, with right check digits; undefined when there are several. */
function numberIn(texts: readonly string[], kind: NumberKind): string | undefined {
  const found = new Set(
    texts
      .flatMap((text) => text.replaceAll(/[ -]/g, '').match(/\d{14}/g) ?? [])
      .filter((digits) => isNumber(digits, kind)),
  )
  return found.size === 1 ? [...found][0] : undefined
}
