/** The clerks' commands about the books (P7, P9): documents, the centre, statistics, the printed operation log, and the audit. */
import { writeFileSync } from 'node:fs'
import { type Command, integer, text } from '@azukari/protocol/adapters/command-line'
import { coseKey } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import { openDatabase } from '../../adapters/database.ts'
import { CentreLog } from '../../services/settlement/centre/log.ts'
import type { DocumentKind } from '../../services/settlement/documents.ts'
import { auditSite } from '../../services/settlement/independent-audit.ts'
import { monthsAtMost } from '../../services/settlement/statistics/months.ts'
import { statisticsPage } from '../../services/settlement/statistics/page.ts'
import { type StatisticsReport, statisticsPicture } from '../../services/settlement/statistics/picture.ts'
import { drawPng } from '../draw.ts'
import { folder, site } from '../site-options.ts'
import { hex, idOf, withSettlement } from './access.ts'

export const settlementBookCommands: Record<string, Command> = {
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
      withSettlement(values, async (settlement) => {
        if (values['get']) {
          const document = await settlement.document(idOf(text(values, 'get'), 'document'))
          if (!document) throw new Problem('object.unknown', 'no such document')
          if (document.kind === 'payout-file' || document.kind === 'debit-file')
            throw new Problem('config.invalid', 'a file for the bank leaves with settlement release')
          const out = values['out'] ? text(values, 'out') : document.name
          writeFileSync(out, document.content, { mode: 0o600 })
          return { json: { file: out }, text: out }
        }
        const kind = values['kind'] ? (text(values, 'kind') as DocumentKind) : undefined
        const rows = (await settlement.documents(kind)).map(({ id, kind, name, at }) => ({
          id: hex(id),
          kind,
          name,
          at,
        }))
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
        const { n: entries } = await log.tip()
        const { leading, epoch, acknowledged } = log
        const report = { leading, epoch, entries, acknowledged, follows: log.genesis !== undefined }
        const state = leading
          ? `leads, ${acknowledged} of ${entries} commits acknowledged`
          : `does not lead, ${entries} commits`
        return { json: report, text: `This centre ${state}; epoch ${epoch}.` }
      } finally {
        await database.close()
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
        const report = await settlement.statistics(
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
      withSettlement(values, async (settlement) => {
        const rows = await settlement.operations(10_000)
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
        const report = await auditSite(database, key)
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
        await database.close()
      }
    },
  },
}

async function drawStatistics(report: StatisticsReport, path: string): Promise<void> {
  const kind = /\.(svg|html|png)$/.exec(path)?.[1]
  if (!kind) throw new Problem('config.invalid', '--out ends in .svg, .html or .png')
  const picture = statisticsPicture(report)
  writeFileSync(path, kind === 'html' ? statisticsPage(report) : kind === 'svg' ? picture : await drawPng(picture))
}
