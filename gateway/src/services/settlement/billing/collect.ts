/** Collecting (S13, S14): debits through the bank or from stored value, returns, reminders, receipts for the card; by credit card: `card-charges.ts`. */

import { encodeDeterministic } from '@azukari/protocol/codec'
import {
  type BillReceipt,
  billReceiptDomain,
  type PaymentWay,
  receiptSent,
} from '@azukari/protocol/contracts/settlement-billing'
import { sign1 } from '@azukari/protocol/cose'
import { flatMapInOrder, mapInOrder } from '@azukari/protocol/in-order'
import type { DebitOrder } from '../bank/files/bank-file.ts'
import { writeDirectDebits } from '../bank/files/iso20022.ts'
import { writeDebits } from '../bank/files/zengin.ts'
import { orderFault } from '../bank/files/zengin-text.ts'
import { aboutOf, numberIn } from '../bank/matching.ts'
import type { DebitAnswers } from '../bank/ports.ts'
import { enterBankFile } from '../bank/release.ts'
import { ledgerOf } from '../centre/epoch.ts'
import { receiptPdf, reminderPdf } from '../documents/statement.ts'
import { keepDocument } from '../documents/store.ts'
import { memberAccount, ownAccount } from '../ledger/accounts.ts'
import { availableOf, type Leg } from '../ledger/model.ts'
import { memberKeys, openPerson } from '../members/registers.ts'
import { derivedId, type Within } from '../service-context.ts'
import { addDays, civilDate, latest, nextBankDay } from './calendar.ts'
import {
  creditDebit,
  creditFile,
  creditWaiting,
  type DebitOrderRow,
  debitOrders,
  reverseDebit,
} from './debit-orders.ts'
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
export async function debitFile(ports: BillingPorts): Promise<{ document: Uint8Array; debits: number } | undefined> {
  const { shared, rules } = ports
  const own = ports.own()
  return shared.store.transaction(async (within) => {
    const { sql, nowMs } = within
    const today = civilDate(nowMs, rules.timeZone)
    const due = await flatMapInOrder(await dueOf(within, today, 'debit', debitAheadDays), async (row) => {
      const member = await memberOf(sql, row)
      const { account } = openPerson(shared.keys, member.id, member.person)
      // What no file can carry is left out, and stays due: one name never stops the others.
      return account && orderFault(account.holder, BigInt(row.total)) === undefined ? [{ row, member, account }] : []
    })
    if (due.length === 0) return undefined
    const document = shared.random.bytes(16)
    const date = nextBankDay(latest([today, ...due.map(({ row }) => row.debit_on)]))
    const orders = await mapInOrder(due, async ({ row, member, account }): Promise<DebitOrder> => {
      await holdClaim(within, row)
      await debitOrders.ask(sql, row, document, date)
      const before = await sql.get<{ debited: number }>(
        'SELECT debited FROM billing_accounts WHERE member = ?',
        member.id,
      )
      return {
        account,
        minor: BigInt(row.total),
        reference: row.number,
        first: before?.debited !== 1,
        member: member.number,
        mandateSince: civilDate(member.since ?? nowMs, rules.timeZone),
      }
    })
    const id = Buffer.from(document).toString('hex')
    const frame = {
      id: id.slice(0, 33),
      createdMs: nowMs,
      date,
      currency: rules.currency,
    }
    const zengin = rules.format === 'zengin'
    await keepDocument(shared, sql, {
      id: document,
      kind: 'debit-file',
      member: null,
      at: nowMs,
      media: zengin ? 'text/plain' : 'application/xml',
      name: `debit-${frame.date}-${id.slice(0, 8)}.${zengin ? 'txt' : 'xml'}`,
      content: zengin ? writeDebits(own, frame.date, orders) : writeDirectDebits(own, frame, orders),
    })
    await enterBankFile(sql, nowMs, document, 'debit-file')
    return { document, debits: orders.length }
  })
}

/**
 * Statements to be paid one way, without an open objection, and not with anyone already. Asked for ahead, a card's are there
 * before the deadline for objections: nothing is collected of them until it is past.
 * @param aheadDays so many days before the day of the debit
 */
export async function dueOf(
  { sql }: Within,
  today: string,
  payment: PaymentWay,
  aheadDays = 0,
): Promise<StatementRow[]> {
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
async function holdClaim({ sql, nowMs }: Within, row: StatementRow): Promise<void> {
  const ledger = ledgerOf(sql)
  const hold = derivedId('debit', row.number, String(row.tries))
  await ledger.post(
    {
      id: derivedId('debit-sent', row.number, String(row.tries)),
      reason: 'debit-sent',
      reference: row.number,
      legs: [
        {
          kind: 'hold',
          hold,
          amountMinor: BigInt(row.total),
          expiresMs: nowMs + answerMs,
          debit: await ownAccount(ledger, 'debits-due', row.currency),
          credit: await memberAccount(ledger, 'receivable', row.member, row.currency),
        },
      ],
    },
    nowMs,
  )
  await statements.set(sql, row.number, { state: nextStage(row.state, 'debit'), hold })
}

/** Statements that members pay from stored value, on the day: paid, or reminded of. Returns how many were paid. */
export async function collectValue(ports: BillingPorts): Promise<number> {
  const { shared, rules } = ports
  return shared.store.transaction(async (within) => {
    const { sql, nowMs } = within
    let paid = 0
    for (const row of await dueOf(within, civilDate(nowMs, rules.timeZone), 'value')) {
      const ledger = ledgerOf(sql)
      const value = await memberAccount(ledger, 'value', row.member, row.currency)
      if (availableOf((await ledger.account(value))!) < BigInt(row.total)) {
        await giveBack(ports, within, row, 'no-funds')
        continue
      }
      await ledger.post(
        {
          id: derivedId('value-paid', row.number),
          reason: 'statement-paid',
          reference: row.number,
          legs: [
            {
              kind: 'post',
              debit: value,
              amountMinor: BigInt(row.total),
              credit: await memberAccount(ledger, 'receivable', row.member, row.currency),
            },
          ],
        },
        nowMs,
      )
      await statements.set(sql, row.number, { state: nextStage(row.state, 'pay-value') })
      await sendReceipt(ports, within, row)
      paid++
    }
    return paid
  })
}

/** What the bank answers to debits, and what its lines say of them. */
export function debitAnswers(ports: () => BillingPorts): DebitAnswers {
  return {
    settle: async (within, outcome, day) => {
      const row = await statements.get(within.sql, outcome.reference)
      if (!row) return { why: 'order', detail: `no statement ${outcome.reference.slice(0, 20)}` }
      const order = await debitOrders.ofStatement(within.sql, row.number)
      // An answer to an earlier file comes late, or again: the day is that of its own file.
      if (row.state !== 'debit-sent' || order?.state !== 'asked' || isOtherDay(order, day)) return 'known'
      if ('minor' in outcome && outcome.minor !== BigInt(row.total))
        return { why: 'amount', detail: `${row.number}: ${outcome.minor} instead of ${row.total}` }
      const paid = 'accepted' in outcome ? outcome.accepted : outcome.outcome === 'paid'
      const why = 'accepted' in outcome ? outcome.reason : outcome.outcome
      await answerDebit(ports(), within, row, order, paid ? undefined : why)
      return 'booked'
    },

    answered: creditWaiting,

    rejected: async (within, file, reason) => {
      let booked = 0
      for (const { statement } of await within.sql.all<{ statement: string }>(
        "SELECT statement FROM debit_orders WHERE file = ? AND state = 'asked'",
        file,
      )) {
        const row = (await statements.get(within.sql, statement))!
        await answerDebit(ports(), within, row, (await debitOrders.ofStatement(within.sql, statement))!, reason)
        booked++
      }
      return booked
    },

    match: async (within, line, source) => {
      const number = numberIn(line.texts, 'statement')
      if (!number)
        return line.direction === 'in' && aboutOf(line.texts) === null ? creditFile(within, line, source) : undefined
      const [row, order] = [await statements.get(within.sql, number), await debitOrders.ofStatement(within.sql, number)]
      if (!row || !order || BigInt(order.amount) !== line.minor || order.currency !== line.currency) return undefined
      if (line.direction === 'in') {
        if (order.credited === 1 || order.state === 'returned') return undefined
        if (order.state === 'asked') await answerDebit(ports(), within, row, order, undefined)
        await creditDebit(within, order, source)
        return number
      }
      if (order.state !== 'paid' || order.reversed === 1 || row.state !== 'paid') return undefined
      await reverseDebit(within, order, row.member, source)
      await giveBack(ports(), within, row, 'returned', 'reverse')
      return number
    },
  }
}

function isOtherDay({ day }: DebitOrderRow, told: string | undefined): boolean {
  return day !== null && told !== undefined && day.slice(5).replace('-', '') !== told
}

/** @param why it was not collected; undefined when it was */
async function answerDebit(
  ports: BillingPorts,
  within: Within,
  row: StatementRow,
  order: DebitOrderRow,
  why: string | undefined,
): Promise<void> {
  const { sql, nowMs } = within
  const ledger = ledgerOf(sql)
  const amountMinor = BigInt(row.total)
  const held = await ledger.hold(row.hold!)
  const paid: Leg[] = [{ kind: 'capture', hold: row.hold!, amountMinor }]
  // A claim from before the bank's own line was waited for was made of the bank's account itself.
  if (held?.debit.startsWith('bank/'))
    paid.push({
      kind: 'post',
      debit: await ownAccount(ledger, 'debits-due', row.currency),
      credit: held.debit,
      amountMinor,
    })
  await ledger.post(
    {
      id: derivedId('debit-answer', row.number, String(row.tries)),
      reason: why === undefined ? 'statement-paid' : 'debit-returned',
      reference: row.number,
      legs: why === undefined ? paid : [{ kind: 'void', hold: row.hold! }],
    },
    nowMs,
  )
  await debitOrders.answered(sql, order, why === undefined ? 'paid' : 'returned')
  if (why !== undefined) return giveBack(ports, within, row, why)
  await statements.set(sql, row.number, { state: nextStage(row.state, 'paid') })
  await sql.run('UPDATE billing_accounts SET debited = 1 WHERE member = ?', row.member)
  await sendReceipt(ports, within, row)
}

/** Not collected, or taken back: it is asked for again after some days, with a reminder, or becomes arrears. */
export async function giveBack(
  ports: BillingPorts,
  { sql, nowMs }: Within,
  row: StatementRow,
  why: string,
  move: 'return' | 'reverse' = 'return',
): Promise<void> {
  const { shared, rules } = ports
  const tries = row.tries + 1
  const returned = nextStage(row.state, move)
  const last = tries >= rules.maxTries
  const again = nextBankDay(addDays(civilDate(nowMs, rules.timeZone), rules.againDays))
  await statements.set(sql, row.number, {
    tries,
    hold: null,
    debit_on: again,
    state: last ? nextStage(returned, 'give-up') : returned,
  })
  const content = reminderPdf(
    contentOf(ports, row),
    addressee(ports, await memberOf(sql, row)),
    why,
    last ? undefined : again,
  )
  await keepDocument(shared, sql, {
    id: derivedId('dunning', row.number, String(tries)),
    kind: 'dunning',
    member: row.member,
    at: nowMs,
    content,
    name: `reminder-${row.number}-${tries}.pdf`,
    media: 'application/pdf',
  })
}

export async function sendReceipt(ports: BillingPorts, { sql, nowMs, emit }: Within, row: StatementRow): Promise<void> {
  const { shared, rules } = ports
  const { seq, chain } = await ledgerOf(sql).tip()
  const paidOn = civilDate(nowMs, rules.timeZone)
  const member = await memberOf(sql, row)
  const body: BillReceipt = {
    kind: 'bill',
    statement: row.number,
    from: row.from_date,
    to: row.to_date,
    amountMinor: row.total,
    currency: row.currency,
    taxMinor: row.tax,
    invoiceNumber: shared.rules.issuer.invoiceNumber,
    paidOn,
    payment: row.payment,
    chain,
    seq,
  }
  const receipt = sign1(encodeDeterministic(body), shared.signer, billReceiptDomain)
  await keepDocument(shared, sql, {
    id: derivedId('receipt', row.number, String(row.tries)),
    kind: 'receipt',
    member: member.id,
    at: nowMs,
    media: 'application/pdf',
    name: `receipt-${row.number}${row.tries > 0 ? `-${row.tries}` : ''}.pdf`,
    content: receiptPdf(contentOf(ports, row), addressee(ports, member), paidOn),
  })
  if (await memberKeys.activeOf(sql, member.id))
    await emit(receiptSent, member.device, { receipt, atMs: nowMs }, { keep: true })
}
