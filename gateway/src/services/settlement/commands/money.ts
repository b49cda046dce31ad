/**
 * The clerks' commands about money (P5, P7, P9, S13): cash, files to and from the bank, closing, objections, disputes, debits,
 * cards. What gives value away, corrects a bill or lets a file go to the bank takes two people.
 */
import { integer, text } from '@azukari/protocol/adapters/command-line'
import { refuseUtf16 } from '@azukari/protocol/adapters/named-file'
import { Problem } from '@azukari/protocol/problem'
import { folder, site } from '../../../operator/site-options.ts'
import type { CallFile, ServiceAct } from '../../../operator-api/roles.ts'
import type { Settlement } from '../service.ts'
import { asideWords } from './bank-lines.ts'
import { clerkOf, hex, idOf, type SettlementCommands } from './context.ts'

export const moneyCommands: SettlementCommands = {
  'settlement cash': {
    what: 'Counts cash that came by registered post; a second clerk counts again, and only then value is issued.',
    role: 'clerk',
    positionals: 'PAYMENT-NUMBER',
    options: {
      folder,
      site,
      amount: { type: 'string', what: 'counted, in minor units', required: true },
      mail: { type: 'string', what: 'the post’s number of the letter', required: true },
    },
    async carryOut({ service: { cash } }, act, values, [payment = '']) {
      const amount = integer(values, 'amount', 1, 999_999_999_999)
      const { issued } = await cash.count(payment, act.operator, amount, text(values, 'mail'))
      return { json: { issued }, text: issued ? 'value is issued' : 'counted once; another clerk counts now' }
    },
  },

  'settlement bank': {
    what: 'Takes in a file of the bank: camt.054, camt.053, pain.002, Zengin movements or debit results.',
    role: 'clerk',
    positionals: 'FILE',
    filesIn: ['FILE'],
    options: { folder, site },
    async carryOut({ service: { bank } }, act) {
      const report = await bank.take(bankFile(act.file('FILE')))
      const { format, known, booked, repeated, unmatched, aside } = report
      const told = aside.map(({ place, why, detail }) => `${place}: ${asideWords[why]} (${detail})`)
      const sums = `${format}: ${booked} booked, ${repeated} known, ${unmatched} without an owner, ${aside.length} set aside`
      return {
        json: report,
        text: known ? 'this file was taken in before' : [sums, ...told].join('\n'),
        exit: aside.length > 0 ? 1 : 0,
      }
    },
  },

  'settlement payout': {
    what: 'Writes the bank file of all money that shops have claimed. Takes two people; the file goes to whoever confirms.',
    role: 'clerk',
    twoPeople: true,
    options: {
      folder,
      site,
      date: { type: 'string', what: 'day of execution, such as 2026-11-25', required: true },
      format: { type: 'string', what: 'zengin or pain.001', default: 'zengin' },
    },
    filesOut: ['out'],
    async carryOut({ service }, act, values) {
      const format = text(values, 'format')
      if (format !== 'zengin' && format !== 'pain.001')
        throw new Problem('config.invalid', 'format is zengin or pain.001')
      const file = await service.bank.payoutFile(text(values, 'date'), format)
      const unpayable = await service.bank.unpayable()
      const left = unpayable.map(({ number, why }) => `${number} is left out: ${why}`)
      const exit = left.length > 0 ? 1 : 0
      if (!file) return { json: { payouts: 0, unpayable }, text: ['nothing waits', ...left].join('\n'), exit }
      await giveOut(service, act, file.document)
      const { payouts } = file
      return { json: { payouts, unpayable }, text: [`${payouts} payouts in the file`, ...left].join('\n'), exit }
    },
  },

  'settlement close': {
    what: 'Closes every billing period that has ended and sends the statements.',
    role: 'clerk',
    options: { folder, site },
    async carryOut({ service: { billing } }) {
      const { issued, postponed } = await billing.close()
      return {
        json: { issued, postponed },
        text: `${issued.length} statements, ${postponed} postponed`,
        exit: postponed > 0 ? 1 : 0,
      }
    },
  },

  'settlement objections': {
    what: 'Open objections to statements; settlement decide decides one.',
    role: 'clerk',
    options: { folder, site },
    async carryOut({ service: { billing } }) {
      const rows = (await billing.objections.open(1_000)).map(({ id, ...row }) => ({ id: hex(id), ...row }))
      return { json: rows, text: rows.map((row) => `${row.id}  ${row.statement}  ${row.about}`).join('\n') || 'none' }
    },
  },

  'settlement decide': {
    what: 'Checks an objection again and decides it; a statement that was too high is corrected. Takes two people.',
    role: 'clerk',
    twoPeople: true,
    positionals: 'OBJECTION',
    options: {
      folder,
      site,
      level: { type: 'string', what: 'the level that the member had in the period, when it was lower than billed' },
      reason: { type: 'string', what: 'how that was found; goes to the member' },
    },
    async carryOut({ service: { billing } }, act, values, [objection]) {
      const correction =
        values['level'] === undefined
          ? undefined
          : { level: integer(values, 'level', 0, 9), reason: text(values, 'reason') }
      const decided = await billing.objections.decide(idOf(objection, 'objection'), clerkOf(act), correction)
      return { json: decided, text: [decided.upheld ? 'upheld' : 'refused', ...decided.findings].join('\n') }
    },
  },

  'settlement collect': {
    what: 'Collects what is due from stored value, and asks the card company for what is due by card.',
    role: 'clerk',
    options: { folder, site },
    async carryOut({ service: { billing } }) {
      const paid = await billing.collectValue()
      const cards = await billing.collectCards()
      return { json: { paid, cards }, text: `${paid} paid from stored value, ${cards} asked of the card company` }
    },
  },

  'settlement debit': {
    what: 'Writes the bank file of the debits that are due. Takes two people; the file goes to whoever confirms.',
    role: 'clerk',
    twoPeople: true,
    options: { folder, site },
    filesOut: ['out'],
    async carryOut({ service }, act) {
      const file = await service.billing.debitFile()
      if (file) await giveOut(service, act, file.document)
      const debits = file?.debits ?? 0
      return { json: { debits }, text: file ? `${debits} debits in the file` : 'nothing is due' }
    },
  },

  'settlement files': {
    what: 'Files for the bank that were made and not given out; settlement release gives one out.',
    role: 'clerk',
    options: { folder, site },
    async carryOut({ service: { bank } }) {
      const rows = (await bank.waiting(1_000)).map(({ document, kind, epoch, at }) => ({
        id: hex(document),
        kind,
        epoch,
        at,
      }))
      return { json: rows, text: rows.map(({ id, kind }) => `${id}  ${kind}`).join('\n') || 'none' }
    },
  },

  'settlement release': {
    what: 'Gives a file for the bank out with its note, once. Takes two people; the file goes to whoever confirms.',
    role: 'clerk',
    twoPeople: true,
    positionals: 'DOCUMENT',
    options: {
      folder,
      site,
      again: { type: 'boolean', what: 'it was given out before and did not come to the bank' },
    },
    filesOut: ['out'],
    async carryOut({ service }, act, values, [document]) {
      await giveOut(service, act, idOf(document, 'file'), values['again'] === true)
      return { json: { document }, text: 'given out, with its note' }
    },
  },

  'settlement pay-by': {
    what: 'How a member’s statements are paid, on the member’s word: debit, value, or the card that the member has named.',
    role: 'clerk',
    positionals: 'NUMBER WAY',
    options: { folder, site },
    async carryOut({ service: { billing } }, _act, _values, [number = '', way]) {
      if (way !== 'debit' && way !== 'card' && way !== 'value')
        throw new Problem('config.invalid', 'the way is debit, card or value')
      await billing.payBy(number, way)
      return { json: { number, way }, text: `${number} pays by ${way}` }
    },
  },

  'settlement cards': {
    what: 'Statements that the card company is asked about, and payments that it took back and nobody here knows.',
    role: 'clerk',
    options: { folder, site },
    async carryOut({ service: { billing } }) {
      const report = await billing.cards(1_000)
      const open = report.open.map(
        ({ statement, state, amount, currency, tries }) =>
          `${statement}  ${state.padEnd(10)} ${amount} ${currency}  ${tries} unclear answers`,
      )
      const back = report.unexplained.map(
        ({ n, amount, currency }) => `taken back, unknown: ${n}  ${amount} ${currency}`,
      )
      return { json: report, text: [...open, ...back].join('\n') || 'none' }
    },
  },
}

/** Gives a file for the bank out, and its note beside it. */
async function giveOut({ bank }: Settlement, act: ServiceAct, document: Uint8Array, again = false): Promise<void> {
  const { content, note } = await bank.release(document, clerkOf(act), again)
  await act.give({ option: 'out', bytes: content })
  await act.give({ option: 'out', suffix: '.release', bytes: note })
}

/** @throws {Problem} `command.invalid` for what is no file of a format that is taken in, told as what it is */
function bankFile({ path, bytes }: CallFile): Uint8Array {
  refuseUtf16(path, bytes)
  const head = Buffer.from(bytes.subarray(0, 2_000)).toString('latin1')
  if (/^\s*(\{1:F01|:20:)/.test(head) && /^:(25|28C|60[FM]):/m.test(head))
    throw new Problem(
      'command.invalid',
      `${path} is a SWIFT MT940 statement, which is not taken in; ask the bank for camt.053 or Zengin movements`,
    )
  return bytes
}
