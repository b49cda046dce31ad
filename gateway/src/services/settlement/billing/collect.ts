/** Collecting (S13, S14): debits through the bank or from stored value, returns, reminders, receipts for the card; by credit card: `card-charges.ts`. */
import { encodeDeterministic } from '@azukari/protocol/codec'
import {
  type BillReceipt,
  billReceiptDomain,
  type PaymentWay,
  receiptSent,
} from '@azukari/protocol/contracts/settlement-billing'
import { sign1 } from '@azukari/protocol/cose'
import { Problem } from '@azukari/protocol/problem'
import { memberAccount, ownAccount } from '../accounts.ts'
import type { DebitAnswers } from '../bank-desk.ts'
import type { DebitOrder } from '../bank-files/bank-file.ts'
import { writeDirectDebits } from '../bank-files/iso20022.ts'
import { writeDebits } from '../bank-files/zengin.ts'
import { enterBankFile } from '../bank-release.ts'
import { derivedId, type Within } from '../desk.ts'
import { keepDocument } from '../documents.ts'
import { ledgerOf } from '../epoch.ts'
import { availableOf } from '../ledger/model.ts'
import { receiptPdf, reminderPdf } from '../paper/statement.ts'
import { memberKeys, openPerson } from '../registers.ts'
import { addDays, civilDate, latest, nextBankDay } from './calendar.ts'
import type { BillingPorts } from './ports.ts'
import { nextStage } from './stages.ts'
import { addressee, contentOf, memberOf, type StatementRow, statements } from './statements.ts'

const debitsPerFile = 10_000
/** Banks want the file some days before; a week is before every debit day that is near. */
const debitAheadDays = 7
/** How long the bank may take to answer before the claim stands open again. */
const answerMs = 400 * 86_400_000

/**
 * The bank file of all debits that are due: past the deadline, without an open objection, not with the bank already. All
 * of this is read in the very transaction that books and writes the file, so an objection is either before it or refused.
 */
export function debitFile(ports: BillingPorts): { document: Uint8Array; debits: number } | undefined {
  const { desk, rules } = ports
  const own = ports.own()
  return desk.store.transaction((within) => {
    const { sql, nowMs } = within
    const today = civilDate(nowMs, rules.timeZone)
    const due = dueOf(within, today, 'debit', debitAheadDays).flatMap((row) => {
      const member = memberOf(sql, row)
      const { account } = openPerson(desk.keys, member.id, member.person)
      return account ? [{ row, member, account }] : []
    })
    if (due.length === 0) return undefined
    const document = desk.random.bytes(16)
    const date = latest([today, ...due.map(({ row }) => row.debit_on)])
    const orders = due.map(({ row, member, account }): DebitOrder => {
      holdClaim(within, row)
      const before = sql.get<{ debited: number }>('SELECT debited FROM billing_accounts WHERE member = ?', member.id)
      return {
        ...{
          account,
          minor: BigInt(row.total),
          reference: row.number,
          first: before?.debited !== 1,
          member: member.number,
        },
        mandateSince: civilDate(member.since ?? nowMs, rules.timeZone),
      }
    })
    const id = Buffer.from(document).toString('hex')
    const frame = {
      id: id.slice(0, 33),
      createdMs: nowMs,
      date: nextBankDay(date),
      currency: rules.currency,
    }
    const zengin = rules.format === 'zengin'
    keepDocument(desk, sql, {
      ...{
        id: document,
        kind: 'debit-file',
        member: null,
        at: nowMs,
        media: zengin ? 'text/plain' : 'application/xml',
      },
      name: `debit-${frame.date}-${id.slice(0, 8)}.${zengin ? 'txt' : 'xml'}`,
      content: zengin ? writeDebits(own, frame.date, orders) : writeDirectDebits(own, frame, orders),
    })
    enterBankFile(sql, nowMs, document, 'debit-file')
    return { document, debits: orders.length }
  })
}

/**
 * Statements to be paid one way, without an open objection, and not with anyone already. Asked for ahead, a card's are there
 * before the deadline for objections: nothing is collected of them until it is past.
 * @param aheadDays so many days before the day of the debit
 */
export function dueOf({ sql }: Within, today: string, payment: PaymentWay, aheadDays = 0): StatementRow[] {
  return sql.all<StatementRow>(
    `SELECT s.* FROM statements s WHERE s.state IN ('sent', 'returned') AND s.payment = ?1
     AND (?1 = 'card' OR s.object_by < ?2)
     AND NOT EXISTS (SELECT 1 FROM card_charges c WHERE c.statement = s.number
       AND c.state IN ('asked', 'authorised', 'capturing', 'voiding'))
     AND s.debit_on <= ?3 AND NOT EXISTS (SELECT 1 FROM objections o WHERE o.statement = s.number AND o.decided IS NULL)
     ORDER BY s.number LIMIT ?4`,
    payment,
    today,
    addDays(today, aheadDays),
    debitsPerFile,
  )
}

/** Reserves what is claimed: the same debt cannot be claimed from the bank and paid otherwise. */
function holdClaim({ sql, nowMs }: Within, row: StatementRow): void {
  const ledger = ledgerOf(sql)
  const hold = derivedId('debit', row.number, String(row.tries))
  ledger.post(
    {
      id: derivedId('debit-sent', row.number, String(row.tries)),
      reason: 'debit-sent',
      reference: row.number,
      legs: [
        {
          ...{ kind: 'hold', hold, amountMinor: BigInt(row.total), expiresMs: nowMs + answerMs },
          debit: ownAccount(ledger, 'bank', row.currency),
          credit: memberAccount(ledger, 'receivable', row.member, row.currency),
        },
      ],
    },
    nowMs,
  )
  statements.set(sql, row.number, { state: nextStage(row.state, 'debit'), hold })
}

/** Statements that members pay from stored value, on the day: paid, or reminded of. Returns how many were paid. */
export function collectValue(ports: BillingPorts): number {
  const { desk, rules } = ports
  return desk.store.transaction((within) => {
    const { sql, nowMs } = within
    let paid = 0
    for (const row of dueOf(within, civilDate(nowMs, rules.timeZone), 'value')) {
      const ledger = ledgerOf(sql)
      const value = memberAccount(ledger, 'value', row.member, row.currency)
      if (availableOf(ledger.account(value)!) < BigInt(row.total)) {
        giveBack(ports, within, row, 'no-funds')
        continue
      }
      ledger.post(
        {
          id: derivedId('value-paid', row.number),
          reason: 'statement-paid',
          reference: row.number,
          legs: [
            {
              ...{ kind: 'post', debit: value, amountMinor: BigInt(row.total) },
              credit: memberAccount(ledger, 'receivable', row.member, row.currency),
            },
          ],
        },
        nowMs,
      )
      statements.set(sql, row.number, { state: nextStage(row.state, 'pay-value') })
      sendReceipt(ports, within, row)
      paid++
    }
    return paid
  })
}

/** What the bank answers to debits. */
export function debitAnswers(ports: () => BillingPorts): DebitAnswers {
  return {
    settle: (within, outcome) => {
      const { sql, nowMs } = within
      const row = statements.get(sql, outcome.reference)
      if (row?.state !== 'debit-sent') return false
      if ('minor' in outcome && outcome.minor !== BigInt(row.total)) throw new Problem('pay.amount-differs', row.number)
      const paid = 'accepted' in outcome ? outcome.accepted : outcome.outcome === 'paid'
      ledgerOf(sql).post(
        {
          id: derivedId('debit-answer', row.number, String(row.tries)),
          reason: paid ? 'statement-paid' : 'debit-returned',
          reference: row.number,
          legs: [
            paid
              ? { kind: 'capture', hold: row.hold!, amountMinor: BigInt(row.total) }
              : { kind: 'void', hold: row.hold! },
          ],
        },
        nowMs,
      )
      if (paid) {
        statements.set(sql, row.number, { state: nextStage(row.state, 'paid') })
        sql.run('UPDATE billing_accounts SET debited = 1 WHERE member = ?', row.member)
        sendReceipt(ports(), within, row)
      } else giveBack(ports(), within, row, 'accepted' in outcome ? outcome.reason : outcome.outcome)
      return true
    },
  }
}

/** Not collected, or taken back: it is asked for again after some days, with a reminder, or becomes arrears. */
export function giveBack(
  ports: BillingPorts,
  { sql, nowMs }: Within,
  row: StatementRow,
  why: string,
  move: 'return' | 'reverse' = 'return',
): void {
  const { desk, rules } = ports
  const tries = row.tries + 1
  const returned = nextStage(row.state, move)
  const last = tries >= rules.triesMost
  const again = nextBankDay(addDays(civilDate(nowMs, rules.timeZone), rules.againDays))
  statements.set(sql, row.number, {
    ...{ tries, hold: null, debit_on: again },
    state: last ? nextStage(returned, 'give-up') : returned,
  })
  const content = reminderPdf(
    contentOf(ports, row),
    addressee(ports, memberOf(sql, row)),
    why,
    last ? undefined : again,
  )
  keepDocument(desk, sql, {
    ...{ id: derivedId('dunning', row.number, String(tries)), kind: 'dunning', member: row.member, at: nowMs, content },
    ...{ name: `reminder-${row.number}-${tries}.pdf`, media: 'application/pdf' },
  })
}

export function sendReceipt(ports: BillingPorts, { sql, nowMs, emit }: Within, row: StatementRow): void {
  const { desk, rules } = ports
  const { seq, chain } = ledgerOf(sql).tip()
  const paidOn = civilDate(nowMs, rules.timeZone)
  const member = memberOf(sql, row)
  const body: BillReceipt = {
    ...{ kind: 'bill', statement: row.number, from: row.from_date, to: row.to_date, amountMinor: row.total },
    ...{ currency: row.currency, taxMinor: row.tax, invoiceNumber: desk.rules.issuer.invoiceNumber, paidOn },
    ...{ payment: row.payment, chain, seq },
  }
  const receipt = sign1(encodeDeterministic(body), desk.signer, billReceiptDomain)
  keepDocument(desk, sql, {
    ...{
      // One that was taken back and paid again has two.
      id: derivedId('receipt', row.number, String(row.tries)),
      kind: 'receipt',
      member: member.id,
      at: nowMs,
      media: 'application/pdf',
    },
    ...{
      name: `receipt-${row.number}${row.tries > 0 ? `-${row.tries}` : ''}.pdf`,
      content: receiptPdf(contentOf(ports, row), addressee(ports, member), paidOn),
    },
  })
  if (memberKeys.activeOf(sql, member.id)) emit(receiptSent, member.device, { receipt, atMs: nowMs }, { keep: true })
}
