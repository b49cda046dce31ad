/**
 * Files of the Japanese Bankers Association's formats: transfers (type 21), account debits and their results (type 91), 120
 * bytes a record; movements of an account (type 03), 200 bytes a record. Dates have no year in the first two, and years of
 * the era in the third.
 */
import type { BankAccount } from '@azukari/protocol/contracts/settlement-members'
import { Problem } from '@azukari/protocol/problem'
import {
  type AccountReport,
  type BankEntry,
  type DebitOrder,
  type DebitOutcome,
  isOwnAccount,
  type OwnBankAccount,
  type TransferOrder,
} from './bank-file.ts'
import { c, type Layout, n, readFile, readRecord, type Values, widthOf, writeFile, writeRecord } from './records.ts'

const header: Layout = [
  n('record', 1),
  n('type', 2),
  n('code', 1),
  n('requester', 10),
  c('name', 40),
  n('date', 4),
  n('bank', 4),
  c('bankName', 15),
  n('branch', 3),
  c('branchName', 15),
  n('kind', 1),
  n('number', 7),
  c('blank', 17),
]
const transferData: Layout = [
  n('record', 1),
  n('bank', 4),
  c('bankName', 15),
  n('branch', 3),
  c('branchName', 15),
  c('clearing', 4),
  n('kind', 1),
  n('number', 7),
  c('holder', 30),
  n('amount', 10),
  n('new', 1),
  c('reference', 20),
  c('way', 1),
  c('edi', 1),
  c('blank', 7),
]
const transferTrailer: Layout = [n('record', 1), n('count', 6), n('total', 12), c('blank', 101)]
const debitData: Layout = [
  n('record', 1),
  n('bank', 4),
  c('bankName', 15),
  n('branch', 3),
  c('branchName', 15),
  c('blank1', 4),
  n('kind', 1),
  n('number', 7),
  c('holder', 30),
  n('amount', 10),
  n('new', 1),
  c('reference', 20),
  n('result', 1),
  c('blank', 8),
]
const debitTrailer: Layout = [
  n('record', 1),
  n('count', 6),
  n('total', 12),
  n('paidCount', 6),
  n('paid', 12),
  n('unpaidCount', 6),
  n('unpaid', 12),
  c('blank', 65),
]
const end: Layout = [n('record', 1), c('blank', 119)]

const movementHeader: Layout = [
  n('record', 1),
  n('type', 2),
  n('code', 1),
  n('made', 6),
  n('from', 6),
  n('to', 6),
  n('bank', 4),
  c('bankName', 15),
  n('branch', 3),
  c('branchName', 15),
  c('blank1', 3),
  n('kind', 1),
  n('number', 10),
  c('holder', 40),
  n('overdraft', 1),
  n('book', 1),
  n('before', 14),
  c('blank', 71),
]
const movementData: Layout = [
  n('record', 1),
  n('inquiry', 8),
  n('booked', 6),
  n('value', 6),
  n('direction', 1),
  n('means', 2),
  n('amount', 12),
  n('others', 12),
  c('presented', 6),
  c('bounced', 6),
  c('chequeKind', 1),
  c('cheque', 7),
  c('sister', 3),
  c('payerCode', 10),
  c('payer', 48),
  c('fromBank', 15),
  c('fromBranch', 15),
  c('note', 20),
  c('edi', 20),
  c('blank', 1),
]
const movementTrailer: Layout = [
  n('record', 1),
  n('inCount', 6),
  n('in', 13),
  n('outCount', 6),
  n('out', 13),
  n('overdraft', 1),
  n('after', 14),
  n('rows', 7),
  c('blank', 139),
]
const movementEnd: Layout = [n('record', 1), n('rows', 10), n('accounts', 5), c('blank', 184)]

export const layouts = {
  header,
  transferData,
  transferTrailer,
  debitData,
  debitTrailer,
  end,
  movementHeader,
  movementData,
  movementTrailer,
  movementEnd,
}

const accountKinds = { ordinary: '1', current: '2', savings: '4' } as const satisfies Record<
  BankAccount['kind'],
  string
>
const widthShort = widthOf(header)
const widthLong = widthOf(movementHeader)

/** A file of transfers: payouts to shops (P7). @param date civil date of execution */
export function writeTransfers(own: OwnBankAccount, date: string, orders: readonly TransferOrder[]): Uint8Array {
  const data = orders.map(({ account, minor, reference }) =>
    writeRecord(transferData, {
      record: '2',
      bank: account.bank,
      branch: account.branch,
      kind: accountKinds[account.kind],
      number: account.number,
      holder: account.holder,
      amount: String(minor),
      new: '0',
      reference,
      way: '7',
    }),
  )
  const total = orders.reduce((sum, { minor }) => sum + minor, 0n)
  return writeFile([
    writeRecord(header, headerValues('21', own, date)),
    ...data,
    writeRecord(transferTrailer, { record: '8', count: String(orders.length), total: String(total) }),
    writeRecord(end, { record: '9' }),
  ])
}

/** A file of debits: fees that members' banks are asked for (S13). */
export function writeDebits(own: OwnBankAccount, date: string, orders: readonly DebitOrder[]): Uint8Array {
  const data = orders.map(({ account, minor, reference, first }) =>
    writeRecord(debitData, {
      record: '2',
      bank: account.bank,
      branch: account.branch,
      kind: accountKinds[account.kind],
      number: account.number,
      holder: account.holder,
      amount: String(minor),
      new: first ? '1' : '0',
      reference,
      result: '0',
    }),
  )
  const total = orders.reduce((sum, { minor }) => sum + minor, 0n)
  return writeFile([
    writeRecord(header, headerValues('91', own, date)),
    ...data,
    writeRecord(debitTrailer, { record: '8', count: String(orders.length), total: String(total) }),
    writeRecord(end, { record: '9' }),
  ])
}

function headerValues(type: string, own: OwnBankAccount, date: string): Values {
  return {
    record: '1',
    type,
    code: '0',
    requester: own.requester,
    name: own.account.holder,
    date: date.slice(5, 7) + date.slice(8, 10),
    bank: own.account.bank,
    branch: own.account.branch,
    kind: accountKinds[own.account.kind],
    number: own.account.number,
  }
}

const debitResults: Record<string, DebitOutcome['outcome']> = {
  0: 'paid',
  1: 'no-funds',
  2: 'no-account',
  3: 'stopped-by-payer',
  4: 'no-mandate',
  8: 'stopped-by-us',
  9: 'other',
}

/** What the bank answers to a file of debits. */
export interface DebitResults {
  /** The day of the debits as the file has it: `1127`, without a year. */
  day: string
  outcomes: DebitOutcome[]
}

/** @throws {Problem} `bank.malformed`, `bank.totals` */
export function readDebitResults(bytes: Uint8Array): DebitResults {
  const records = readFile(bytes, widthShort)
  const first = readRecord(header, records[0]!, 'record 1')
  if (first['record'] !== '1' || first['type'] !== '91') throw new Problem('bank.malformed', 'not an answer to debits')
  const outcomes: DebitOutcome[] = []
  let trailer: Values | undefined
  readAfterHeader(records, {
    data: (record, place) => {
      const { reference, amount, result } = readRecord(debitData, record, place)
      const outcome = debitResults[result!]
      if (!outcome) throw new Problem('bank.malformed', `${place}, result ${result}`)
      outcomes.push({ reference: reference!, minor: BigInt(amount!), outcome })
    },
    trailer: (record, place) => {
      trailer = readRecord(debitTrailer, record, place)
    },
  })
  const sum = (paid: boolean) =>
    outcomes.filter(({ outcome }) => (outcome === 'paid') === paid).reduce((total, { minor }) => total + minor, 0n)
  const count = (paid: boolean) => outcomes.filter(({ outcome }) => (outcome === 'paid') === paid).length
  if (
    Number(trailer?.['count']) !== outcomes.length ||
    BigInt(trailer!['total']!) !== sum(true) + sum(false) ||
    Number(trailer!['paidCount']) !== count(true) ||
    BigInt(trailer!['paid']!) !== sum(true) ||
    Number(trailer!['unpaidCount']) !== count(false) ||
    BigInt(trailer!['unpaid']!) !== sum(false)
  )
    throw new Problem('bank.totals')
  return { day: first['date']!, outcomes }
}

/**
 * Movements of our account (type 03), with those of other accounts set aside: a file may hold several, one after the other.
 * @throws {Problem} `bank.malformed`, `bank.totals`
 */
export function readMovements(bytes: Uint8Array, own: OwnBankAccount): AccountReport {
  const records = readFile(bytes, widthLong)
  const report: AccountReport = { entries: [], aside: [] }
  let account = accountOf(records[0]!, 'record 1')
  let accounts = 1
  let lines: MovementLine[] = []
  readAfterHeader(records, {
    header: (record, place) => {
      account = accountOf(record, place)
      accounts++
    },
    data: (record, place) => void lines.push(movementLine(readRecord(movementData, record, place), account, place)),
    trailer: (record, place) => {
      checkTotals(readRecord(movementTrailer, record, place), lines)
      const entries = lines.flatMap(({ entry }) => entry ?? [])
      if (isOwnAccount(account, own)) report.entries.push(...entries)
      else report.aside.push({ place, why: 'account', detail: `account ${account}, ${entries.length} entries` })
      lines = []
    },
    end: (record, place) => {
      const values = readRecord(movementEnd, record, place)
      if (Number(values['rows']) !== records.length) throw new Problem('bank.totals', 'rows')
      if (Number(values['accounts']) !== accounts) throw new Problem('bank.totals', 'accounts')
    },
  })
  return report
}

/** Bank, branch and number, of 4, 3 and 7 digits. */
function accountOf(record: string, place: string): string {
  const values = readRecord(movementHeader, record, place)
  if (values['record'] !== '1' || values['type'] !== '03')
    throw new Problem('bank.malformed', 'not a file of movements')
  return `${values['bank']}${values['branch']}${values['number']!.replace(/^0{1,3}/, '')}`
}

function checkTotals(trailer: Values, lines: readonly MovementLine[]): void {
  const of = (direction: 'in' | 'out') => lines.filter((line) => line.direction === direction)
  const sum = (direction: 'in' | 'out') => of(direction).reduce((total, { minor }) => total + minor, 0n)
  if (
    Number(trailer['inCount']) !== of('in').length ||
    BigInt(trailer['in']!) !== sum('in') ||
    Number(trailer['outCount']) !== of('out').length ||
    BigInt(trailer['out']!) !== sum('out') ||
    Number(trailer['rows']) !== lines.length
  )
    throw new Problem('bank.totals')
}

interface MovementLine {
  direction: 'in' | 'out'
  minor: bigint
  /** None for a line of nothing. */
  entry: BankEntry | undefined
}

/** 取引区分 19 is 訂正: it undoes another, and 入払区分 says already which way the money goes. 18 is その他. */
const correction = '19'

function movementLine(values: Values, account: string, place: string): MovementLine {
  const { inquiry, booked, means, payer, payerCode, note, edi } = values
  if (values['direction'] !== '1' && values['direction'] !== '2')
    throw new Problem('bank.malformed', `${place}, direction ${values['direction']}`)
  const direction = values['direction'] === '1' ? 'in' : 'out'
  const minor = BigInt(values['amount']!)
  const bookedOn = eraDate(booked!, place)
  if (minor === 0n) return { direction, minor, entry: undefined }
  const texts = [edi!, note!, payer!, payerCode!].filter((text) => text !== '')
  const entry: BankEntry = {
    family: 'zengin',
    kind: '03',
    statement: '',
    reference: /^0*$/.test(inquiry!) ? undefined : `${booked}/${inquiry}`,
    reversal: means === correction,
    direction,
    minor,
    currency: 'JPY',
    bookedOn,
    texts,
    parts: [{ direction, minor, texts }],
    formerKeys: [`03/${account.slice(0, 7)}${account.slice(7).padStart(10, '0')}/${booked}/${inquiry}`],
  }
  return { direction, minor, entry }
}

/** Years of the era Reiwa, which began in 2019. */
function eraDate(text: string, place: string): string {
  const [year, month, day] = [2018 + Number(text.slice(0, 2)), text.slice(2, 4), text.slice(4, 6)]
  const date = `${year}-${month}-${day}`
  const time = Date.parse(`${date}T00:00:00Z`)
  if (Number.isNaN(time) || new Date(time).toISOString().slice(0, 10) !== date)
    throw new Problem('bank.malformed', `${place}, date ${text}`)
  return date
}

/**
 * Walks over what follows a file's first header: data, a trailer, perhaps another header with its own, the end, and nothing
 * more.
 * @param take what is done with each record; without `header` only one is allowed
 */
function readAfterHeader(
  records: readonly string[],
  take: Record<'data' | 'trailer', (record: string, place: string) => void> &
    Partial<Record<'header' | 'end', (record: string, place: string) => void>>,
): void {
  let state: 'data' | 'trailer' | 'end' = 'data'
  for (const [i, record] of records.entries()) {
    const place = `record ${i + 1}`
    if (i === 0) continue
    if (state === 'end') throw new Problem('bank.malformed', `${place} comes after the end`)
    const [kind] = record
    if (kind === '2' && state === 'data') take.data(record, place)
    else if (kind === '8' && state === 'data') {
      take.trailer(record, place)
      state = 'trailer'
    } else if (kind === '1' && state === 'trailer' && take.header) {
      take.header(record, place)
      state = 'data'
    } else if (kind === '9' && state === 'trailer') {
      take.end?.(record, place)
      state = 'end'
    } else throw new Problem('bank.malformed', `${place} begins with ${kind}`)
  }
  if (state !== 'end') throw new Problem('bank.malformed', 'the file is cut off')
}
