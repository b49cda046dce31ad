/** The clerks' commands about money (P5, P7, S13): cash, files to and from the bank, closing, objections, debits, cards. */
import { readFileSync, writeFileSync } from 'node:fs'
import { type Command, integer, text } from '@azukari/protocol/adapters/command-line'
import { readNamedFile, refuseUtf16 } from '@azukari/protocol/adapters/named-file'
import { coseKey, parseCoseKey } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import { openDatabase } from '../../adapters/database.ts'
import { systemPorts } from '../../adapters/system-ports.ts'
import { BankGate } from '../../services/settlement/bank-release.ts'
import type { Settlement } from '../../services/settlement/service.ts'
import { folder, site } from '../site-options.ts'
import { clerk, hex, idOf, withSettlement } from './access.ts'

export const settlementMoneyCommands: Record<string, Command> = {
  'settlement cash': {
    what: 'Counts cash that came by registered post; a second clerk counts again, and only then value is issued.',
    positionals: 'PAYMENT-NUMBER',
    options: {
      folder,
      site,
      clerk,
      amount: { type: 'string', what: 'counted, in minor units', required: true },
      mail: { type: 'string', what: 'the post’s number of the letter', required: true },
    },
    run: (values, [payment = '']) =>
      withSettlement(values, async ({ cash }) => {
        const amount = integer(values, 'amount', 1, 999_999_999_999)
        const { issued } = await cash.count(payment, text(values, 'clerk'), amount, text(values, 'mail'))
        return { json: { issued }, text: issued ? 'value is issued' : 'counted once; another clerk counts now' }
      }),
  },

  'settlement bank': {
    what: 'Takes in a file of the bank: camt.054, camt.053, pain.002, Zengin movements or debit results.',
    positionals: 'FILE',
    options: { folder, site },
    run: (values, [file]) =>
      withSettlement(values, async ({ bank }) => {
        if (!file) throw new Problem('config.invalid', 'which file?')
        const report = await bank.take(bankFile(file))
        const { format, known, booked, repeated, unmatched } = report
        return {
          json: report,
          text: known
            ? 'this file was taken in before'
            : `${format}: ${booked} booked, ${repeated} known, ${unmatched} without an owner`,
        }
      }),
  },

  'settlement unmatched': {
    what: 'Money that came without an owner; with --line and --payment a clerk names the owner.',
    options: {
      folder,
      site,
      line: { type: 'string', what: 'id of the line' },
      payment: { type: 'string', what: 'payment number that it is for' },
      clerk: { ...clerk, required: false },
    },
    run: (values) =>
      withSettlement(values, async ({ bank }) => {
        if (values['line'])
          await bank.assign(idOf(text(values, 'line'), 'line'), text(values, 'payment'), text(values, 'clerk'))
        const rows = (await bank.unmatched(1_000)).map(({ id, ...row }) => ({ id: hex(id), ...row }))
        return {
          json: rows,
          text: rows.map((row) => `${row.id}  ${row.bookedOn}  ${row.minor} ${row.currency}`).join('\n') || 'none',
        }
      }),
  },

  'settlement payout': {
    what: 'Writes the bank file of all money that shops have claimed.',
    options: {
      folder,
      site,
      date: { type: 'string', what: 'day of execution, such as 2026-11-25', required: true },
      format: { type: 'string', what: 'zengin or pain.001', default: 'zengin' },
      out: { type: 'string', what: 'file to write', required: true },
    },
    run: (values) =>
      withSettlement(values, async (settlement) => {
        const format = text(values, 'format')
        if (format !== 'zengin' && format !== 'pain.001')
          throw new Problem('config.invalid', 'format is zengin or pain.001')
        const file = await settlement.bank.payoutFile(text(values, 'date'), format)
        if (!file) return { json: { payouts: 0 }, text: 'nothing waits' }
        await giveOut(settlement, file.document, text(values, 'out'), 'settlement payout')
        return {
          json: { payouts: file.payouts, file: text(values, 'out') },
          text: `${file.payouts} payouts in ${text(values, 'out')}`,
        }
      }),
  },

  'settlement close': {
    what: 'Closes every billing period that has ended and sends the statements.',
    options: { folder, site },
    run: (values) =>
      withSettlement(values, async ({ billing }) => {
        const { issued, postponed } = await billing.close()
        return {
          json: { issued, postponed },
          text: `${issued.length} statements, ${postponed} postponed`,
          exit: postponed > 0 ? 1 : 0,
        }
      }),
  },

  'settlement objections': {
    what: 'Open objections; with --decide one is checked again and decided.',
    options: {
      folder,
      site,
      decide: { type: 'string', what: 'id of the objection' },
      clerk: { ...clerk, required: false },
    },
    run: (values) =>
      withSettlement(values, async ({ billing: { objections } }) => {
        if (values['decide']) {
          const decided = await objections.decide(idOf(text(values, 'decide'), 'objection'), text(values, 'clerk'))
          return { json: decided, text: [decided.upheld ? 'upheld' : 'refused', ...decided.findings].join('\n') }
        }
        const rows = (await objections.open(1_000)).map(({ id, ...row }) => ({ id: hex(id), ...row }))
        return { json: rows, text: rows.map((row) => `${row.id}  ${row.statement}  ${row.about}`).join('\n') || 'none' }
      }),
  },

  'settlement debit': {
    what: 'Writes the bank file of the debits that are due, collects from stored value, and asks the card company.',
    options: { folder, site, out: { type: 'string', what: 'file to write', required: true } },
    run: (values) =>
      withSettlement(values, async (settlement) => {
        const paid = await settlement.billing.collectValue()
        const cards = await settlement.billing.collectCards()
        const file = await settlement.billing.debitFile()
        if (file) await giveOut(settlement, file.document, text(values, 'out'), 'settlement debit')
        const debits = file?.debits ?? 0
        return {
          json: { debits, paid, cards },
          text: `${debits} debits in the file, ${paid} paid from stored value, ${cards} asked of the card company`,
        }
      }),
  },

  'settlement release': {
    what: 'Files for the bank that were made and not given out; with a document, gives it out with its note, once.',
    positionals: '[DOCUMENT]',
    options: {
      folder,
      site,
      clerk: { ...clerk, required: false },
      out: { type: 'string', what: 'file to write; its note goes to FILE.release' },
      again: { type: 'boolean', what: 'it was given out before and did not come to the bank' },
    },
    run: (values, [document]) =>
      withSettlement(values, async (settlement) => {
        if (document) {
          const out = text(values, 'out')
          await giveOut(settlement, idOf(document, 'file'), out, text(values, 'clerk'), values['again'] === true)
          return { json: { file: out }, text: `${out} and ${out}.release` }
        }
        const rows = (await settlement.bank.waiting(1_000)).map(({ document, kind, epoch, at }) => ({
          ...{ id: hex(document), kind, epoch, at },
        }))
        return { json: rows, text: rows.map(({ id, kind }) => `${id}  ${kind}`).join('\n') || 'none' }
      }),
  },

  'settlement gate': {
    what: 'Stands before the bank: lets a file with its note through once, and refuses one of an older epoch than it has seen.',
    positionals: 'FILE',
    options: {
      state: { type: 'string', what: 'what it has let through', required: true },
      key: { type: 'string', what: 'settlement’s public COSE_Key in hex', required: true },
    },
    async run(values, [file]) {
      if (!file) throw new Problem('config.invalid', 'which file?')
      const database = openDatabase(text(values, 'state'))
      try {
        const key = parseCoseKey(new Uint8Array(Buffer.from(text(values, 'key'), 'hex')))
        const [content, note] = [file, `${file}.release`].map((path) => new Uint8Array(readFileSync(path)))
        const { name, kind, epoch } = await (await BankGate.open(database, key)).admit(
          content!,
          note!,
          systemPorts.clock.now(),
        )
        return { json: { name, kind, epoch }, text: `${name} may go to the bank (epoch ${epoch})` }
      } finally {
        await database.close()
      }
    },
  },

  'settlement key': {
    what: 'Settlement’s public COSE_Key in hex, for the auditor and the gate before the bank.',
    options: { folder, site },
    run: (values) =>
      withSettlement(values, ({ publicKey }) => {
        const key = hex(coseKey(publicKey))
        return { json: { key }, text: key }
      }),
  },

  'settlement pay-by': {
    what: 'How a member’s statements are paid, on the member’s word: debit, value, or the card that the member has named.',
    positionals: 'NUMBER WAY',
    options: { folder, site },
    run: (values, [number = '', way]) =>
      withSettlement(values, async ({ billing }) => {
        if (way !== 'debit' && way !== 'card' && way !== 'value')
          throw new Problem('config.invalid', 'the way is debit, card or value')
        await billing.payBy(number, way)
        return { json: { number, way }, text: `${number} pays by ${way}` }
      }),
  },

  'settlement cards': {
    what: 'Statements that the card company is asked about, and payments that it took back and nobody here knows.',
    options: { folder, site },
    run: (values) =>
      withSettlement(values, async ({ billing }) => {
        const report = await billing.cards(1_000)
        const open = report.open.map(
          ({ statement, state, amount, currency, tries }) =>
            `${statement}  ${state.padEnd(10)} ${amount} ${currency}  ${tries} unclear answers`,
        )
        const back = report.unexplained.map(
          ({ n, amount, currency }) => `taken back, unknown: ${n}  ${amount} ${currency}`,
        )
        return { json: report, text: [...open, ...back].join('\n') || 'none' }
      }),
  },
}

/** Writes a file for the bank and its note. */
async function giveOut(
  { bank }: Settlement,
  document: Uint8Array,
  path: string,
  clerk: string,
  again = false,
): Promise<void> {
  const { content, note } = await bank.release(document, clerk, again)
  writeFileSync(path, content, { mode: 0o600 })
  writeFileSync(`${path}.release`, note, { mode: 0o600 })
}

/** @throws {Problem} `command.invalid` for what is no file of a format that is taken in, told as what it is */
function bankFile(path: string): Uint8Array {
  const bytes = readNamedFile(path)
  refuseUtf16(path, bytes)
  const head = Buffer.from(bytes.subarray(0, 2_000)).toString('latin1')
  if (/^\s*(\{1:F01|:20:)/.test(head) && /^:(25|28C|60[FM]):/m.test(head))
    throw new Problem(
      'command.invalid',
      `${path} is a SWIFT MT940 statement, which is not taken in; ask the bank for camt.053 or Zengin movements`,
    )
  return bytes
}
