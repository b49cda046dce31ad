/**
 * Bank files in and out (P5, P7, S13): lines find their owner by the number that stands in them, each entry is booked once
 * however many files bring it, what finds no owner waits for a clerk, and what cannot be booked as it stands is set aside.
 */

import { mapInOrder } from '@azukari/protocol/in-order'
import type { Currency } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import type { Sql } from '../../../storage/database.ts'
import { keepDocument, readDocument } from '../documents/store.ts'
import { noteOperation } from '../ledger/operations.ts'
import { members, openPerson } from '../members/registers.ts'
import { type PayoutRow, sendPayouts } from '../payments/payout.ts'
import { issueValue, topUps } from '../payments/top-up.ts'
import { derivedId, type ServiceContext } from '../service-context.ts'
import { type AsideRow, decideAside, openAside } from './aside.ts'
import type { OwnBankAccount } from './files/bank-file.ts'
import { writeCreditTransfers } from './files/iso20022.ts'
import { writeTransfers } from './files/zengin.ts'
import { type BankFileReport, bookEntry, takeFile } from './intake.ts'
import type { DebitAnswers } from './ports.ts'
import { type BankOutRow, bankFilesWaiting, enterBankFile, noteRelease, releaseNote } from './release.ts'

/** Money that was booked and has no owner yet. */
export interface OpenLine {
  id: Uint8Array
  direction: 'in' | 'out'
  minor: number
  currency: Currency
  bookedOn: string
  /** The number that stands in it, though it could not be booked for that. */
  about: string | null
}

export interface BankDesk {
  /**
   * Takes a file in: whole, but for what is told as set aside.
   * @throws {Problem} `bank.malformed`, `bank.totals`, `config.invalid` when the site names no account
   */
  take(bytes: Uint8Array): Promise<BankFileReport>
  /** Lines without an owner, oldest first. */
  unmatched(limit: number): Promise<OpenLine[]>
  /**
   * A clerk finds the owner of a line that came in.
   * @throws {Problem} `bank.line-known`, `bank.line-out`, `topup.unknown`, `topup.state`, `pay.amount-differs`
   */
  assign(line: Uint8Array, payment: string, clerk: string): Promise<void>
  /** What was set aside and nobody has decided about, oldest first. */
  aside(limit: number): Promise<AsideRow[]>
  /**
   * A clerk books what was set aside as an entry of its own, or drops it.
   * @throws {Problem} `bank.line-known`, `bank.not-bookable`
   */
  decideAside(id: Uint8Array, admitted: boolean, clerk: string): Promise<void>
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

const payoutsPerFile = 10_000

export function bankDesk(
  shared: ServiceContext,
  own: () => OwnBankAccount,
  debits: DebitAnswers,
  confirmed: () => Promise<void>,
): BankDesk {
  const { store, random, clock } = shared
  return {
    take: async (bytes) => takeFile({ shared, own: own(), debits }, bytes),

    unmatched: async (limit) =>
      (
        await store.sql.all<{
          id: Uint8Array
          direction: 'in' | 'out'
          amount: number
          currency: Currency
          booked_on: string
          about: string | null
        }>(
          'SELECT id, direction, amount, currency, booked_on, about FROM bank_lines WHERE matched IS NULL ORDER BY booked_on, id LIMIT ?',
          limit,
        )
      ).map(({ amount, booked_on, ...line }) => ({ ...line, minor: amount, bookedOn: booked_on })),

    assign: (id, payment, clerk) =>
      store.transaction(async (within) => {
        const { sql, nowMs } = within
        const line = await sql.get<{ amount: number; currency: string; matched: string | null; direction: string }>(
          'SELECT amount, currency, matched, direction FROM bank_lines WHERE id = ?',
          id,
        )
        if (!line || line.matched !== null) throw new Problem('bank.line-known')
        if (line.direction !== 'in') throw new Problem('bank.line-out')
        const row = await topUps.get(sql, payment)
        if (!row) throw new Problem('topup.unknown')
        if (row.amount !== line.amount || row.currency !== line.currency) throw new Problem('pay.amount-differs')
        await issueValue(shared, within, row, 'unmatched')
        await sql.run('UPDATE bank_lines SET matched = ? WHERE id = ?', payment, id)
        await noteOperation(sql, nowMs, clerk, 'assign bank line', payment)
      }),

    aside: async (limit) => openAside(store.sql, limit),

    decideAside: (id, admitted, clerk) =>
      store.transaction(async (within) => {
        const { sql, nowMs } = within
        const decided = await decideAside(shared, sql, id, { admitted, clerk, nowMs })
        if (decided)
          await bookEntry(
            { shared, debits },
            within,
            decided.entry,
            { id: derivedId('admitted', id), ref: null },
            decided.file,
          )
        await noteOperation(sql, nowMs, clerk, admitted ? 'admit bank entry' : 'drop bank entry', hexOf(id))
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
