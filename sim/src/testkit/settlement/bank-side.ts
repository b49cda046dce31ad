/** What a bank writes and reads on its side of the files: movements, notifications, answers to debits and transfers. */

import {
  readFile,
  readRecord,
  widthOf,
  writeFile,
  writeRecord,
} from '@azukari/gateway/services/settlement/bank/files/records'
import { writeXml, type Xml } from '@azukari/gateway/services/settlement/bank/files/xml'
import { layouts } from '@azukari/gateway/services/settlement/bank/files/zengin'
import type { BankAccount } from '@azukari/protocol/contracts/settlement-members'

/** A movement as the bank knows it. */
export interface Movement {
  /** The bank's own number of it. */
  id: number
  direction: 'in' | 'out'
  minor: number
  /** Civil date. */
  date: string
  text: string
  payer?: string
  /** Undoes an earlier one; its direction is that of the money. */
  reversal?: boolean
  /** 取引区分, where it matters. */
  means?: string
}

const era = (date: string) =>
  `${String(Number(date.slice(0, 4)) - 2018).padStart(2, '0')}${date.slice(5, 7)}${date.slice(8, 10)}`

/** A file of movements, type 03. */
export function movementsFile(account: BankAccount, movements: readonly Movement[]): Uint8Array {
  const first = movements[0]?.date ?? '2026-01-01'
  const last = movements.at(-1)?.date ?? first
  const sum = (direction: 'in' | 'out') =>
    movements.filter((one) => one.direction === direction).reduce((total, { minor }) => total + minor, 0)
  const count = (direction: 'in' | 'out') => movements.filter((one) => one.direction === direction).length
  return writeFile([
    writeRecord(layouts.movementHeader, {
      record: '1',
      type: '03',
      code: '0',
      made: era(last),
      from: era(first),
      to: era(last),
      bank: account.bank,
      branch: account.branch,
      kind: '1',
      number: account.number,
      holder: account.holder,
      overdraft: '1',
      book: '1',
    }),
    ...movements.map(({ id, direction, minor, date, text, payer = '', reversal, means }) =>
      writeRecord(layouts.movementData, {
        record: '2',
        inquiry: String(id),
        booked: era(date),
        value: era(date),
        direction: direction === 'in' ? '1' : '2',
        means: means ?? (reversal ? '19' : '11'),
        amount: String(minor),
        payer,
        note: text,
      }),
    ),
    writeRecord(layouts.movementTrailer, {
      record: '8',
      inCount: String(count('in')),
      in: String(sum('in')),
      outCount: String(count('out')),
      out: String(sum('out')),
      overdraft: '1',
      rows: String(movements.length),
    }),
    writeRecord(layouts.movementEnd, { record: '9', rows: String(movements.length + 3), accounts: '1' }),
  ])
}

/** A camt.054.001.08. */
export function notificationFile(account: BankAccount, id: string, movements: readonly Movement[]): Uint8Array {
  return accountReport('camt.054.001.08', 'BkToCstmrDbtCdtNtfctn', 'Ntfctn', account, id, movements)
}

/** A camt.053.001.08: the same movements with the balances before and after them. @param opening minor units */
export function statementFile(
  account: BankAccount,
  id: string,
  movements: readonly Movement[],
  opening: number,
): Uint8Array {
  const closing = movements.reduce((sum, { direction, minor }) => sum + (direction === 'in' ? minor : -minor), opening)
  const balance = (code: string, minor: number, date: string): Xml => [
    'Bal',
    ['Tp', ['CdOrPrtry', ['Cd', code]]],
    ['Amt', { Ccy: 'JPY' }, String(Math.abs(minor))],
    ['CdtDbtInd', minor < 0 ? 'DBIT' : 'CRDT'],
    ['Dt', ['Dt', date]],
  ]
  return accountReport('camt.053.001.08', 'BkToCstmrStmt', 'Stmt', account, id, movements, [
    balance('OPBD', opening, movements[0]?.date ?? '2026-01-01'),
    balance('CLBD', closing, movements.at(-1)?.date ?? '2026-01-01'),
  ])
}

function accountReport(
  message: string,
  root: string,
  part: string,
  account: BankAccount,
  id: string,
  movements: readonly Movement[],
  balances: Xml[] = [],
): Uint8Array {
  const entries = movements.map(
    ({ id, direction, minor, date, text, payer, reversal }): Xml => [
      'Ntry',
      ['NtryRef', String(id)],
      ['Amt', { Ccy: 'JPY' }, String(minor)],
      ['CdtDbtInd', direction === 'in' ? 'CRDT' : 'DBIT'],
      reversal ? ['RvslInd', 'true'] : undefined,
      ['Sts', ['Cd', 'BOOK']],
      ['BookgDt', ['Dt', date]],
      ['AcctSvcrRef', `B${id}`],
      ['BkTxCd', ['Prtry', ['Cd', 'TRF']]],
      [
        'NtryDtls',
        [
          'TxDtls',
          ['Refs', ['EndToEndId', 'NOTPROVIDED']],
          payer ? ['RltdPties', ['Dbtr', ['Pty', ['Nm', payer]]]] : undefined,
          ['RmtInf', ['Ustrd', text]],
        ],
      ],
    ],
  )
  return writeXml([
    'Document',
    { xmlns: `urn:iso:std:iso:20022:tech:xsd:${message}` },
    [
      root,
      ['GrpHdr', ['MsgId', id], ['CreDtTm', `${movements.at(-1)?.date ?? '2026-01-01'}T18:00:00`]],
      [
        part,
        ['Id', `${id}-1`],
        ['CreDtTm', `${movements.at(-1)?.date ?? '2026-01-01'}T18:00:00`],
        ['Acct', ['Id', ['Othr', ['Id', account.number]]]],
        balances,
        ['TxsSummry', ['TtlNtries', ['NbOfNtries', String(movements.length)]]],
        entries,
      ],
    ],
  ])
}

/** Orders of a file of transfers, type 21, as the bank reads them. */
export function readTransfers(
  bytes: Uint8Array,
): { reference: string; minor: number; holder: string; number: string }[] {
  return readFile(bytes, widthOf(layouts.header))
    .filter((record) => record[0] === '2')
    .map((record) => readRecord(layouts.transferData, record, 'data'))
    .map(({ reference, amount, holder, number }) => ({
      reference: reference!,
      minor: Number(amount),
      holder: holder!,
      number: number!,
    }))
}

/** The answer to a file of debits, type 91: the same records with results and sums. */
export function debitAnswerFile(bytes: Uint8Array, resultOf: (reference: string) => string): Uint8Array {
  const records = readFile(bytes, widthOf(layouts.header))
  const data = records
    .filter((record) => record[0] === '2')
    .map((record) => readRecord(layouts.debitData, record, 'data'))
    .map((values): Record<string, string> => ({ ...values, result: resultOf(values['reference']!) }))
  const part = (paid: boolean) => data.filter(({ result }) => (result === '0') === paid)
  const sum = (rows: typeof data) => String(rows.reduce((total, { amount }) => total + Number(amount), 0))
  return writeFile([
    records[0]!,
    ...data.map((values) => writeRecord(layouts.debitData, values)),
    writeRecord(layouts.debitTrailer, {
      record: '8',
      count: String(data.length),
      total: sum(data),
      paidCount: String(part(true).length),
      paid: sum(part(true)),
      unpaidCount: String(part(false).length),
      unpaid: sum(part(false)),
    }),
    writeRecord(layouts.end, { record: '9' }),
  ])
}

/** A pain.002.001.10 that refuses or accepts orders. */
export function statusReportFile(
  id: string,
  original: string,
  answers: readonly { reference: string; state: string; reason?: string }[],
): Uint8Array {
  return writeXml([
    'Document',
    { xmlns: 'urn:iso:std:iso:20022:tech:xsd:pain.002.001.10' },
    [
      'CstmrPmtStsRpt',
      ['GrpHdr', ['MsgId', id], ['CreDtTm', '2026-11-02T10:00:00']],
      ['OrgnlGrpInfAndSts', ['OrgnlMsgId', original], ['OrgnlMsgNmId', 'pain.001.001.09']],
      [
        'OrgnlPmtInfAndSts',
        ['OrgnlPmtInfId', `${original}-1`],
        answers.map(
          ({ reference, state, reason }): Xml => [
            'TxInfAndSts',
            ['OrgnlEndToEndId', reference],
            ['TxSts', state],
            reason ? ['StsRsnInf', ['Rsn', ['Cd', reason]]] : undefined,
          ],
        ),
      ],
    ],
  ])
}

/** What the bank says in its answer that it collected. */
export function collectedOf(answer: Uint8Array): number {
  const trailer = Buffer.from(answer)
    .toString('latin1')
    .split('\r\n')
    .find((record) => record.startsWith('8'))
  return Number(trailer?.slice(25, 37) ?? 0)
}
