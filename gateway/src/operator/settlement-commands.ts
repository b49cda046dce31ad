/**
 * The clerks' commands of settlement (P1, P5, P7, P9, S13), beside a running gateway or without one: applications, cash, bank
 * files, payouts, closing, objections, debits, documents, statistics, the printed operation log, and the audit.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Command, integer, text } from '@azukari/protocol/adapters/command-line'
import { checker } from '@azukari/protocol/contract'
import { LevelChange } from '@azukari/protocol/contracts/settlement-placement'
import { coseKey, parseCoseKey } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { openDatabase } from '../adapters/database.ts'
import { pageFontPath, readFont } from '../adapters/page-font-file.ts'
import { systemPorts } from '../main.ts'
import { accountFacts } from '../services/placement/account-facts.ts'
import { BankGate } from '../services/settlement/bank-release.ts'
import { CentreLog } from '../services/settlement/centre/log.ts'
import type { DocumentKind } from '../services/settlement/documents.ts'
import { auditSite } from '../services/settlement/independent-audit.ts'
import { openSettlement } from '../services/settlement/main.ts'
import type { Settlement } from '../services/settlement/service.ts'
import { settlementSettings } from '../services/settlement/settings.ts'
import { monthsAtMost } from '../services/settlement/statistics/months.ts'
import { statisticsPage } from '../services/settlement/statistics/page.ts'
import { type StatisticsReport, statisticsPicture } from '../services/settlement/statistics/picture.ts'
import { SiteFolder } from '../site-folder.ts'
import type { Check } from './doctor.ts'
import { drawPng } from './draw.ts'

const folder = { type: 'string', what: 'the site’s folder', default: './azukari-data' } as const
const site = { type: 'string', what: 'the site’s name', default: 'site' } as const
const clerk = { type: 'string', what: 'who does it; it goes into the operation log', required: true } as const
const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }

/** What doctor looks at: the settings, and whether pages carry a Japanese font. */
export function settlementChecks(path: string): Check[] {
  const settings = () => {
    const file = join(path, 'settlement.json')
    return existsSync(file) ? settlementSettings(readFileSync(file)) : undefined
  }
  return [
    {
      what: 'settlement.json',
      look: async () => (settings() ? 'sound' : 'not there: no statements, no bank files'),
    },
    {
      what: 'font of pages',
      look: async () => {
        const given = settings()?.font
        const file = pageFontPath(given === undefined ? undefined : resolve(path, given))
        if (file === undefined) {
          if (!settings()) return 'none, and no settlement.json'
          throw new Problem(
            'config.invalid',
            'letters and statements carry no Japanese font: name a .ttf as "font" in settlement.json, or install the gateway with its packages',
          )
        }
        return `${readFont(file).metrics.name} is carried by every page`
      },
    },
  ]
}

async function drawStatistics(report: StatisticsReport, path: string): Promise<void> {
  const kind = /\.(svg|html|png)$/.exec(path)?.[1]
  if (!kind) throw new Problem('config.invalid', '--out ends in .svg, .html or .png')
  const picture = statisticsPicture(report)
  writeFileSync(path, kind === 'html' ? statisticsPage(report) : kind === 'svg' ? picture : await drawPng(picture))
}

async function withSettlement<T>(
  values: Parameters<Command['run']>[0],
  work: (settlement: Settlement) => Promise<T> | T,
): Promise<T> {
  const path = text(values, 'folder')
  const place = new SiteFolder(path, text(values, 'site'), systemPorts)
  const placement = openDatabase(`${path}/placement/placement.db`)
  try {
    const settlement = await openSettlement(place, systemPorts, {
      placement: { account: async (question) => accountFacts(placement, question, systemPorts.clock.now()) },
      log: silent,
      passphrase: process.env['AZUKARI_PASSPHRASE'],
      clerk: true,
    })
    return await work(settlement)
  } finally {
    placement.close()
  }
}

const checkChange = checker(LevelChange, 'change of a member')
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

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

/** An id of 32 hexadecimal digits. @throws {Problem} `config.invalid` */
function idOf(given: string | undefined, what: string): Uint8Array {
  if (!given || !/^[0-9a-f]{32}$/.test(given))
    throw new Problem('config.invalid', `which ${what}? 32 hexadecimal digits`)
  return new Uint8Array(Buffer.from(given, 'hex'))
}

export const settlementCommands: Record<string, Command> = {
  'settlement applications': {
    what: 'Applications for membership that wait for a clerk.',
    options: { folder, site },
    run: (values) =>
      withSettlement(values, ({ enrolment }) => {
        const rows = enrolment
          .applications(100)
          .map(({ id, kind, person, at }) => ({ id: hex(id), kind, name: person.name, at }))
        return { json: rows, text: rows.map(({ id, kind, name }) => `${id}  ${kind}  ${name}`).join('\n') || 'none' }
      }),
  },

  'settlement accept': {
    what: 'Accepts an application: gives the number and writes the letter with the codes.',
    positionals: 'APPLICATION',
    options: { folder, site, clerk, out: { type: 'string', what: 'file of the letter (PDF)', required: true } },
    run: (values, [application]) =>
      withSettlement(values, (settlement) => {
        const { number, letter } = settlement.enrolment.accept(idOf(application, 'application'), text(values, 'clerk'))
        writeFileSync(text(values, 'out'), settlement.document(letter)!.content, { mode: 0o600 })
        return {
          json: { number, letter: text(values, 'out') },
          text: `${number}: print and post ${text(values, 'out')}`,
        }
      }),
  },

  'settlement reissue': {
    what: 'New codes for a member by letter, after a loss.',
    positionals: 'NUMBER',
    options: { folder, site, clerk, out: { type: 'string', what: 'file of the letter (PDF)', required: true } },
    run: (values, [number = '']) =>
      withSettlement(values, (settlement) => {
        const { letter } = settlement.enrolment.reissue(number, text(values, 'clerk'))
        writeFileSync(text(values, 'out'), settlement.document(letter)!.content, { mode: 0o600 })
        return { json: { number, letter: text(values, 'out') }, text: `print and post ${text(values, 'out')}` }
      }),
  },

  'settlement member': {
    what: 'How a member’s card stands here and at placement; with --plan, --level or --home it changes, and placement is told.',
    positionals: 'NUMBER',
    options: {
      folder,
      site,
      clerk: { ...clerk, required: false },
      plan: { type: 'string', what: 'light, basic, standard or premium; years of membership are added' },
      level: { type: 'string', what: '0 to 3, in place of a plan' },
      home: { type: 'string', what: 'home region, such as JP-13' },
      found: { type: 'boolean', what: 'the card that was reported lost is back' },
    },
    run: (values, [number = '']) =>
      withSettlement(values, ({ enrolment }) => {
        const { plan, level, home } = values
        if (plan !== undefined || level !== undefined || home !== undefined)
          enrolment.change(
            number,
            text(values, 'clerk'),
            checkChange({
              ...(plan !== undefined && { plan }),
              ...(level !== undefined && { level: integer(values, 'level', 0, 3) }),
              ...(home !== undefined && { home }),
            }),
          )
        if (values['found']) enrolment.found(number, text(values, 'clerk'))
        const standing = enrolment.standing(number)
        const { lost, inStep, refused } = standing
        const at = standing.level === undefined ? 'not known there' : `level ${standing.level}, ${standing.home}`
        return {
          json: { number, ...standing },
          text: `${number}: card ${lost ? 'lost' : 'good'}; placement: ${at}${inStep ? '' : ', being told'}${refused ? `, refused: ${refused}` : ''}`,
        }
      }),
  },

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
      withSettlement(values, ({ cash }) => {
        const amount = integer(values, 'amount', 1, 999_999_999_999)
        const { issued } = cash.count(payment, text(values, 'clerk'), amount, text(values, 'mail'))
        return { json: { issued }, text: issued ? 'value is issued' : 'counted once; another clerk counts now' }
      }),
  },

  'settlement bank': {
    what: 'Takes in a file of the bank: camt.054, camt.053, pain.002, Zengin movements or debit results.',
    positionals: 'FILE',
    options: { folder, site },
    run: (values, [file]) =>
      withSettlement(values, ({ bank }) => {
        if (!file) throw new Problem('config.invalid', 'which file?')
        const report = bank.take(new Uint8Array(readFileSync(file)))
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
      withSettlement(values, ({ bank }) => {
        if (values['line'])
          bank.assign(idOf(text(values, 'line'), 'line'), text(values, 'payment'), text(values, 'clerk'))
        const rows = bank.unmatched(1_000).map(({ id, ...row }) => ({ id: hex(id), ...row }))
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
        const file = settlement.bank.payoutFile(text(values, 'date'), format)
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
        const rows = objections.open(1_000).map(({ id, ...row }) => ({ id: hex(id), ...row }))
        return { json: rows, text: rows.map((row) => `${row.id}  ${row.statement}  ${row.about}`).join('\n') || 'none' }
      }),
  },

  'settlement debit': {
    what: 'Writes the bank file of the debits that are due, collects from stored value, and asks the card company.',
    options: { folder, site, out: { type: 'string', what: 'file to write', required: true } },
    run: (values) =>
      withSettlement(values, async (settlement) => {
        const paid = settlement.billing.collectValue()
        const cards = settlement.billing.collectCards()
        const file = settlement.billing.debitFile()
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
        const rows = settlement.bank.waiting(1_000).map(({ document, kind, epoch, at }) => ({
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
        const { name, kind, epoch } = new BankGate(database, key).admit(content!, note!, systemPorts.clock.now())
        return { json: { name, kind, epoch }, text: `${name} may go to the bank (epoch ${epoch})` }
      } finally {
        database.close()
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
      withSettlement(values, ({ billing }) => {
        if (way !== 'debit' && way !== 'card' && way !== 'value')
          throw new Problem('config.invalid', 'the way is debit, card or value')
        billing.payBy(number, way)
        return { json: { number, way }, text: `${number} pays by ${way}` }
      }),
  },

  'settlement cards': {
    what: 'Statements that the card company is asked about, and payments that it took back and nobody here knows.',
    options: { folder, site },
    run: (values) =>
      withSettlement(values, ({ billing }) => {
        const report = billing.cards(1_000)
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

  'settlement documents': {
    what: 'Letters, statements, receipts and files; with --get one is written out.',
    options: {
      folder,
      site,
      kind: { type: 'string', what: 'letter, statement, credit-note, receipt, payout-file, debit-file or dunning' },
      get: { type: 'string', what: 'id of a document' },
      out: { type: 'string', what: 'file to write' },
    },
    run: (values) =>
      withSettlement(values, (settlement) => {
        if (values['get']) {
          const document = settlement.document(idOf(text(values, 'get'), 'document'))
          if (!document) throw new Problem('object.unknown', 'no such document')
          if (document.kind === 'payout-file' || document.kind === 'debit-file')
            throw new Problem('config.invalid', 'a file for the bank leaves with settlement release')
          const out = values['out'] ? text(values, 'out') : document.name
          writeFileSync(out, document.content, { mode: 0o600 })
          return { json: { file: out }, text: out }
        }
        const kind = values['kind'] ? (text(values, 'kind') as DocumentKind) : undefined
        const rows = settlement.documents(kind).map(({ id, kind, name, at }) => ({ id: hex(id), kind, name, at }))
        return {
          json: rows,
          text: rows.map((row) => `${row.id}  ${row.kind.padEnd(12)} ${row.name}`).join('\n') || 'none',
        }
      }),
  },

  'settlement centre': {
    what: 'Tells whether this folder’s settlement centre leads, under which epoch, and how much of it the other centre has.',
    options: { folder },
    async run(values) {
      const database = openDatabase(`${text(values, 'folder')}/settlement/settlement.db`)
      try {
        const log = new CentreLog(database)
        const { n: entries } = log.tip()
        const { leading, epoch, acknowledged } = log
        const report = { leading, epoch, entries, acknowledged, follows: log.genesis !== undefined }
        const state = leading
          ? `leads, ${acknowledged} of ${entries} commits acknowledged`
          : `does not lead, ${entries} commits`
        return { json: report, text: `This centre ${state}; epoch ${epoch}.` }
      } finally {
        database.close()
      }
    },
  },

  'settlement statistics': {
    what: 'Figures by day and month: purchases, refunds, value issued, fees, payouts, arrears, objections; sales by shop.',
    options: {
      folder,
      site,
      months: { type: 'string', what: `months, up to ${monthsAtMost}; 12 unless told` },
      out: { type: 'string', what: 'file for the plots: .svg, .html with tables, or .png (drawn by chromium)' },
    },
    run: (values) =>
      withSettlement(values, async (settlement) => {
        const report = settlement.statistics(
          values['months'] === undefined ? undefined : integer(values, 'months', 1, monthsAtMost),
        )
        const lines = report.days.map(
          ({ day, reason, postings, minor, currency }) =>
            `${day}  ${reason.padEnd(18)} ${String(postings).padStart(6)}  ${minor} ${currency}`,
        )
        if (values['out'] !== undefined) {
          const path = text(values, 'out')
          await drawStatistics(report, path)
          lines.push(`${path} written`)
        }
        return { json: report, text: lines.join('\n') || 'nothing yet' }
      }),
  },

  'settlement log': {
    what: 'The operation log for printing: who did what and when.',
    options: { folder, site },
    run: (values) =>
      withSettlement(values, (settlement) => {
        const rows = settlement.operations(10_000)
        const lines = rows.map(
          ({ at, clerk, what, detail }) => `${new Date(at).toISOString()}  ${clerk}  ${what}  ${detail}`,
        )
        return { json: rows, text: lines.join('\n') || 'empty' }
      }),
  },

  'settlement audit': {
    what: 'The independent audit: recomputes every balance, hold and the chain from the journal, and checks the signed heads.',
    options: {
      folder,
      site,
      key: {
        type: 'string',
        what: 'settlement’s public COSE_Key in hex, kept by the auditor; without it, the site’s own',
      },
    },
    async run(values) {
      const given = values['key'] ? new Uint8Array(Buffer.from(text(values, 'key'), 'hex')) : undefined
      const key = given ?? (await withSettlement(values, ({ publicKey }) => coseKey(publicKey)))
      const database = openDatabase(`${text(values, 'folder')}/settlement/settlement.db`)
      try {
        const report = auditSite(database, key)
        const { postings, accounts, heads, bank, findings } = report
        const said = `${postings} postings, ${accounts} accounts, ${heads} signed heads, ${bank.lines} bank lines`
        return {
          json: report,
          text:
            findings.length === 0
              ? `${said}: everything agrees`
              : [said, ...findings.map(({ what, where }) => `BAD ${what}: ${where}`)].join('\n'),
          exit: findings.length === 0 ? 0 : 1,
        }
      } finally {
        database.close()
      }
    },
  },
}
