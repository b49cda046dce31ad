/**
 * Bank files in and out (P5, P7, S13): lines find their owner by the number that stands in them, each entry is booked once
 * however many files bring it, what finds no owner waits for a clerk, and what cannot be booked as it stands is set aside.
 */

import { mapInOrder } from '@azukari/protocol/in-order'
import type { Currency } from '@azukari/protocol/money'
import type { Sql } from '../../../storage/database.ts'
import { keepDocument, readDocument } from '../documents/store.ts'
import { noteOperation } from '../ledger/operations.ts'
import { members, openPerson } from '../members/registers.ts'
import { sendPayouts, waitingPayouts } from '../payments/payouts.ts'
import { setOffDebts } from '../payments/shop-debts.ts'
import { derivedId, type ServiceContext, type Within } from '../service-context.ts'
import { type AsideRow, decideAside, openAside } from './aside.ts'
import type { OwnBankAccount } from './files/bank-file.ts'
import { writeCreditTransfers } from './files/iso20022.ts'
import { writeTransfers } from './files/zengin.ts'
import { orderFault } from './files/zengin-text.ts'
import { type BankFileReport, bookEntry, takeFile } from './intake.ts'
import { assignLine, explainLine, pairLines, returnLine, splitLine } from './open-lines.ts'
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
   * @param asItCame the value is what came, whatever was asked for
   * @throws {Problem} `bank.line-known`, `bank.line-out`, `topup.unknown`, `topup.state`, `pay.amount-differs`
   */
  assign(line: Uint8Array, payment: string, clerk: string, asItCame?: boolean): Promise<void>
  /** Parts a line. @returns how many parts found their owner @throws {Problem} `bank.line-known`, `pay.amount-differs` */
  split(line: Uint8Array, minors: readonly number[], clerk: string): Promise<number>
  /** @throws {Problem} `bank.line-known`, `bank.line-out` */
  explain(line: Uint8Array, as: 'charges' | 'income', clerk: string): Promise<void>
  /** Two lines about the same money. @throws {Problem} `bank.line-known`, `pay.amount-differs` */
  pair(first: Uint8Array, second: Uint8Array, clerk: string): Promise<void>
  /**
   * Sends money back to a member's own account. @returns the payout
   * @throws {Problem} `bank.line-known`, `bank.line-out`, `register.unknown-number`, `register.no-account`
   */
  sendBack(line: Uint8Array, member: string, clerk: string): Promise<string>
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
  /** Claimed money that no file can carry, and why: the rest is paid without it. */
  unpayable(currency?: Currency): Promise<{ number: string; why: string }[]>
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
  const booking = { shared, debits }
  /** A clerk's act with its line in the log. */
  const noted = async <T>(clerk: string, what: string, detail: string, act: (within: Within) => Promise<T>) =>
    store.transaction(async (within) => {
      const done = await act(within)
      await noteOperation(within.sql, within.nowMs, clerk, what, detail)
      return done
    })
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

    assign: (id, payment, clerk, asItCame = false) =>
      noted(clerk, asItCame ? 'assign bank line as it came' : 'assign bank line', payment, (within) =>
        assignLine(booking, within, id, payment, asItCame),
      ),

    split: (id, minors, clerk) =>
      noted(clerk, 'split bank line', `${hexOf(id)} ${minors.join(' ')}`, (within) =>
        splitLine(booking, within, id, minors),
      ),

    explain: (id, as, clerk) =>
      noted(clerk, 'explain bank line', `${hexOf(id)} ${as}`, (within) => explainLine(within, id, as)),

    pair: (first, second, clerk) =>
      noted(clerk, 'pair bank lines', `${hexOf(first)} ${hexOf(second)}`, (within) => pairLines(within, first, second)),

    sendBack: (id, member, clerk) =>
      noted(clerk, 'send bank line back', `${hexOf(id)} ${member}`, (within) =>
        returnLine(booking, within, id, member),
      ),

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

    unpayable: async (currency = 'JPY') =>
      (await payoutOrders(shared, store.sql, currency)).flatMap(({ row: { number }, fault }) =>
        fault === undefined ? [] : [{ number, why: fault }],
      ),

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
        await setOffDebts(sql, currency, document, nowMs)
        const payable = (await payoutOrders(shared, sql, currency)).flatMap(({ row, account, fault }) =>
          account && fault === undefined ? [{ row, account }] : [],
        )
        if (payable.length === 0) return undefined
        const rows = payable.map(({ row }) => row)
        await sendPayouts(sql, rows, currency, document, nowMs)
        const orders = payable.map(({ row: { amount, number }, account }) => ({
          account,
          minor: BigInt(amount),
          reference: number,
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

/** Payouts that wait, each with its account, and what keeps it out of a file. */
async function payoutOrders(shared: ServiceContext, sql: Sql, currency: Currency) {
  return mapInOrder(await waitingPayouts(sql, currency, payoutsPerFile), async (row) => {
    const { person } = (await members.get(sql, row.shop))!
    const { account } = openPerson(shared.keys, row.shop, person)
    return { row, account, fault: orderFault(account?.holder, BigInt(row.amount)) }
  })
}
