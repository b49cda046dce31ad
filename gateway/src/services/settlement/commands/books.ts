/** Commands about the books (P7, P9): documents, the centre, statistics, the printed operation log, and the audit. */
import { integer, text } from '@azukari/protocol/adapters/command-line'
import { coseKey } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import { folder, site } from '../../../operator/site-options.ts'
import { journalFormats, journalText } from '../accounting/formats.ts'
import { addDays, type CivilDate } from '../billing/calendar.ts'
import type { DocumentKind } from '../documents/store.ts'
import { maxMonths } from '../statistics/months.ts'
import { statisticsPage } from '../statistics/page.ts'
import { type StatisticsReport, statisticsPicture } from '../statistics/picture.ts'
import { auditFile } from './audit.ts'
import { hex, idOf, type SettlementCommands } from './context.ts'

export const bookCommands: SettlementCommands = {
  'settlement documents': {
    what: 'Letters, statements, receipts and files; with --get one is written out.',
    role: 'clerk',
    options: {
      folder,
      site,
      kind: { type: 'string', what: 'letter, statement, credit-note, receipt, payout-file, debit-file or dunning' },
      get: { type: 'string', what: 'id of a document' },
      out: { type: 'string', what: 'file to write' },
    },
    filesOut: ['out'],
    async carryOut({ service }, act, values) {
      if (values['get'] !== undefined) {
        const document = await service.document(idOf(values['get'], 'document'))
        if (!document) throw new Problem('object.unknown', 'no such document')
        if (document.kind === 'payout-file' || document.kind === 'debit-file')
          throw new Problem('config.invalid', 'a file for the bank leaves with settlement release')
        await act.give({ option: 'out', name: document.name, bytes: document.content })
        const file = values['out'] ?? document.name
        return { json: { file }, text: String(file) }
      }
      const kind = values['kind'] === undefined ? undefined : (text(values, 'kind') as DocumentKind)
      const rows = (await service.documents(kind)).map(({ id, kind, name, at }) => ({ id: hex(id), kind, name, at }))
      const lines = rows.map((row) => `${row.id}  ${row.kind.padEnd(12)} ${row.name}`)
      return { json: rows, text: lines.join('\n') || 'none' }
    },
  },

  'settlement centre': {
    what: 'Tells of each settlement centre whether it leads, under which epoch, and how much of it the other centre has.',
    role: 'clerk',
    everywhere: true,
    options: { folder, site },
    async carryOut({ centre }) {
      if (!centre) return { json: { leading: true, paired: false }, text: 'There is one centre, and no backup.' }
      const { leading, paired, epoch, entries, acknowledged } = await centre.status()
      const state = leading
        ? `leads, ${acknowledged} of ${entries} commits acknowledged${paired ? '' : ', the other centre is not in step'}`
        : `does not lead, ${entries} commits`
      return { json: { leading, paired, epoch, entries, acknowledged }, text: `${state}; epoch ${epoch}` }
    },
  },

  'settlement statistics': {
    what: 'Figures by day and month: purchases, refunds, value issued, fees, payouts, arrears, objections; sales by shop.',
    role: 'clerk',
    options: {
      folder,
      site,
      months: { type: 'string', what: `months, up to ${maxMonths}; 12 unless told` },
      out: { type: 'string', what: 'file for the plots: .svg, .html with tables, or .png (drawn by chromium)' },
    },
    filesOut: ['out'],
    async carryOut({ service }, act, values) {
      const months = values['months'] === undefined ? undefined : integer(values, 'months', 1, maxMonths)
      const report = await service.statistics(months)
      const lines = report.days.map(
        ({ day, reason, postings, minor, currency }) =>
          `${day}  ${reason.padEnd(18)} ${String(postings).padStart(6)}  ${minor} ${currency}`,
      )
      if (values['out'] !== undefined) {
        const path = text(values, 'out')
        await act.give({ option: 'out', bytes: plotsOf(report, path) })
        lines.push(`${path} written`)
      }
      return { json: report, text: lines.join('\n') || 'nothing yet' }
    },
  },

  'settlement journal': {
    what: 'The journal for an accounting program: sums by day, reason and accounts, with nobody’s name in it.',
    role: 'auditor',
    options: {
      folder,
      site,
      from: { type: 'string', what: 'first day, 2026-11-01', required: true },
      to: { type: 'string', what: 'last day; the end of that month unless told' },
      format: { type: 'string', what: 'beancount, money-forward or freee; beancount unless told' },
      out: { type: 'string', what: 'file to write', required: true },
    },
    filesOut: ['out'],
    async carryOut({ service }, act, values) {
      const from = dayOf(text(values, 'from'), 'from')
      const to = values['to'] === undefined ? monthEnd(from) : dayOf(text(values, 'to'), 'to')
      if (to < from || to > addDays(from, mostDays))
        throw new Problem('config.invalid', `--to is from --from on, and ${mostDays} days later at most`)
      const format = journalFormats.find((one) => one === (values['format'] ?? 'beancount'))
      if (!format) throw new Problem('config.invalid', `--format is ${journalFormats.join(', ')}`)
      const entries = await service.journal({ from, to })
      await act.give({ option: 'out', bytes: new TextEncoder().encode(journalText(entries, format)) })
      const file = text(values, 'out')
      return { json: { from, to, format, entries: entries.length, file }, text: `${entries.length} entries in ${file}` }
    },
  },

  'settlement log': {
    what: 'The operation log for printing: who did what and when.',
    role: 'auditor',
    options: { folder, site },
    async carryOut({ service }) {
      const rows = await service.operations(10_000)
      const lines = rows.map(
        ({ at, clerk, what, detail }) => `${new Date(at).toISOString()}  ${clerk}  ${what}  ${detail}`,
      )
      return { json: rows, text: lines.join('\n') || 'empty' }
    },
  },

  'settlement audit': {
    what: 'The independent audit: recomputes every balance, hold and the chain from the journal, and checks the signed heads.',
    role: 'auditor',
    offline: true,
    options: {
      folder,
      site,
      key: {
        type: 'string',
        what: 'settlement’s public COSE_Key in hex, kept by the auditor; without it, the site’s own',
      },
    },
    async carryOut({ service, stores }, { signal }, values) {
      const given = values['key'] === undefined ? undefined : text(values, 'key')
      if (given !== undefined && !/^([0-9a-f]{2})+$/.test(given)) throw new Problem('config.invalid', '--key is hex')
      const key = given === undefined ? coseKey(service.publicKey) : new Uint8Array(Buffer.from(given, 'hex'))
      const report = await auditFile(stores.folder, key, signal)
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
    },
  },

  'settlement key': {
    what: 'Settlement’s public COSE_Key in hex, for the auditor and the gate before the bank.',
    role: 'auditor',
    offline: true,
    options: { folder, site },
    async carryOut({ service }) {
      const key = hex(coseKey(service.publicKey))
      return { json: { key }, text: key }
    },
  },
}

const mostDays = 400

function dayOf(day: string, option: 'from' | 'to'): CivilDate {
  // A date that is none, such as 31 November, is another one when it is written again.
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day) || Number.isNaN(Date.parse(day)) || addDays(day, 0) !== day)
    throw new Problem('config.invalid', `--${option} is a day such as 2026-11-01`)
  return day
}

function monthEnd(day: CivilDate): CivilDate {
  return addDays(`${addDays(`${day.slice(0, 7)}-28`, 4).slice(0, 7)}-01`, -1)
}

/** For a PNG the drawing: whoever writes the file draws it. */
function plotsOf(report: StatisticsReport, path: string): Uint8Array {
  const kind = /\.(svg|html|png)$/.exec(path)?.[1]
  if (!kind) throw new Problem('config.invalid', '--out ends in .svg, .html or .png')
  return new TextEncoder().encode(kind === 'html' ? statisticsPage(report) : statisticsPicture(report))
}
