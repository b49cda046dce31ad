/**
 * ISO 20022 files: credit transfers (pain.001.001.09), direct debits (pain.008.001.09), their answers (pain.002.001.10), and
 * what moved on our account (camt.054.001.08, camt.053.001.08).
 */
import type { BankAccount } from '@azukari/protocol/contracts/settlement-members'
import { type Currency, formatAmount, isCurrency, parseAmount } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import type { BankLine, DebitOrder, OrderOutcome, OwnBankAccount, TransferOrder } from './bank-file.ts'
import { at, readXml, textAt, writeXml, type Xml, type XmlNode } from './xml.ts'

const namespace = (message: string) => ({ xmlns: `urn:iso:std:iso:20022:tech:xsd:${message}` })

export interface FileFrame {
  /** Unique per file, at most 35 characters. */
  id: string
  createdMs: number
  /** Civil date of execution or collection. */
  date: string
  currency: Currency
}

/** @throws {Problem} `bank.malformed` when there is nothing to write */
export function writeCreditTransfers(
  own: OwnBankAccount,
  frame: FileFrame,
  orders: readonly TransferOrder[],
): Uint8Array {
  const { count, sum } = totals(orders, frame.currency)
  return writeXml([
    'Document',
    namespace('pain.001.001.09'),
    [
      'CstmrCdtTrfInitn',
      groupHeader(own, frame, count, sum),
      [
        'PmtInf',
        ['PmtInfId', `${frame.id}-1`],
        ['PmtMtd', 'TRF'],
        ['NbOfTxs', count],
        ['CtrlSum', sum],
        ['ReqdExctnDt', ['Dt', frame.date]],
        ['Dbtr', ['Nm', own.account.holder]],
        ['DbtrAcct', ...account(own.account, frame.currency)],
        ['DbtrAgt', agent(own.account)],
        orders.map(
          ({ account: to, minor, reference }): Xml => [
            'CdtTrfTxInf',
            ['PmtId', ['EndToEndId', reference]],
            ['Amt', ['InstdAmt', { Ccy: frame.currency }, formatAmount(minor, frame.currency)]],
            ['CdtrAgt', agent(to)],
            ['Cdtr', ['Nm', to.holder]],
            ['CdtrAcct', ...account(to, frame.currency)],
            ['RmtInf', ['Ustrd', reference]],
          ],
        ),
      ],
    ],
  ])
}

/** @throws {Problem} `bank.malformed` when there is nothing to write */
export function writeDirectDebits(own: OwnBankAccount, frame: FileFrame, orders: readonly DebitOrder[]): Uint8Array {
  const { count, sum } = totals(orders, frame.currency)
  return writeXml([
    'Document',
    namespace('pain.008.001.09'),
    [
      'CstmrDrctDbtInitn',
      groupHeader(own, frame, count, sum),
      [
        'PmtInf',
        ['PmtInfId', `${frame.id}-1`],
        ['PmtMtd', 'DD'],
        ['NbOfTxs', count],
        ['CtrlSum', sum],
        ['ReqdColltnDt', frame.date],
        ['Cdtr', ['Nm', own.account.holder]],
        ['CdtrAcct', ...account(own.account, frame.currency)],
        ['CdtrAgt', agent(own.account)],
        orders.map(
          ({ account: from, minor, reference, member, mandateSince }): Xml => [
            'DrctDbtTxInf',
            ['PmtId', ['EndToEndId', reference]],
            ['InstdAmt', { Ccy: frame.currency }, formatAmount(minor, frame.currency)],
            ['DrctDbtTx', ['MndtRltdInf', ['MndtId', member], ['DtOfSgntr', mandateSince]]],
            ['DbtrAgt', agent(from)],
            ['Dbtr', ['Nm', from.holder]],
            ['DbtrAcct', ...account(from, frame.currency)],
            ['RmtInf', ['Ustrd', reference]],
          ],
        ),
      ],
    ],
  ])
}

function totals(orders: readonly { minor: bigint }[], currency: Currency) {
  if (orders.length === 0) throw new Problem('bank.malformed', 'a file without orders')
  return {
    count: String(orders.length),
    sum: formatAmount(
      orders.reduce((sum, { minor }) => sum + minor, 0n),
      currency,
    ),
  }
}

function groupHeader(own: OwnBankAccount, { id, createdMs }: FileFrame, count: string, sum: string): Xml {
  return [
    'GrpHdr',
    ['MsgId', id],
    ['CreDtTm', new Date(createdMs).toISOString().slice(0, 19)],
    ['NbOfTxs', count],
    ['CtrlSum', sum],
    ['InitgPty', ['Nm', own.account.holder], ['Id', ['OrgId', ['Othr', ['Id', own.requester]]]]],
  ]
}

function agent({ bank, branch }: BankAccount): Xml {
  return ['FinInstnId', ['ClrSysMmbId', ['ClrSysId', ['Cd', 'JPZGN']], ['MmbId', bank + branch]]]
}

const accountTypes = { ordinary: '1', current: '2', savings: '4' } as const

function account({ number, kind }: BankAccount, currency: Currency): [Xml, Xml, Xml] {
  return [
    ['Id', ['Othr', ['Id', number]]],
    ['Tp', ['Prtry', accountTypes[kind]]],
    ['Ccy', currency],
  ]
}

const finalStates: Record<string, boolean> = { ACSC: true, ACCC: true, RJCT: false }

/** Answers that are final; those in between (accepted, pending) say nothing yet. @throws {Problem} `bank.malformed` */
export function readStatusReport(bytes: Uint8Array): OrderOutcome[] {
  const [report] = at(readXml(bytes), 'Document', 'CstmrPmtStsRpt')
  if (!report) throw new Problem('bank.malformed', 'not a pain.002')
  const outcomes: OrderOutcome[] = []
  for (const info of at(report, 'OrgnlPmtInfAndSts'))
    for (const [i, one] of at(info, 'TxInfAndSts').entries()) {
      const reference = textAt(one, 'OrgnlEndToEndId')
      const state = textAt(one, 'TxSts') ?? textAt(info, 'PmtInfSts')
      if (!reference || !state) throw new Problem('bank.malformed', `transaction ${i + 1} has no reference or state`)
      const accepted = finalStates[state]
      if (accepted === undefined) continue
      const [why] = at(one, 'StsRsnInf', 'Rsn')
      outcomes.push({ reference, accepted, reason: (why && (textAt(why, 'Cd') ?? textAt(why, 'Prtry'))) ?? state })
    }
  return outcomes
}

/** Booked movements of a camt.054 or camt.053. @throws {Problem} `bank.malformed`, `bank.totals` */
export function readNotification(bytes: Uint8Array): BankLine[] {
  const document = readXml(bytes)
  const parts = [
    ...at(document, 'Document', 'BkToCstmrDbtCdtNtfctn', 'Ntfctn'),
    ...at(document, 'Document', 'BkToCstmrStmt', 'Stmt'),
  ]
  if (parts.length === 0) throw new Problem('bank.malformed', 'neither camt.054 nor camt.053')
  return parts.flatMap((part, i) => {
    const entries = at(part, 'Ntry')
    const stated = textAt(part, 'TxsSummry', 'TtlNtries', 'NbOfNtries')
    if (stated !== undefined && Number(stated) !== entries.length) throw new Problem('bank.totals', `part ${i + 1}`)
    const ours = textAt(part, 'Acct', 'Id', 'Othr', 'Id') ?? textAt(part, 'Acct', 'Id', 'IBAN') ?? ''
    return entries.flatMap((entry, n) => linesOf(entry, ours, `part ${i + 1}, entry ${n + 1}`))
  })
}

function linesOf(entry: XmlNode, ours: string, place: string): BankLine[] {
  const booked = textAt(entry, 'Sts', 'Cd') ?? textAt(entry, 'Sts')
  if (booked !== 'BOOK') return []
  const direction = textAt(entry, 'CdtDbtInd')
  const date = textAt(entry, 'BookgDt', 'Dt') ?? textAt(entry, 'BookgDt', 'DtTm')?.slice(0, 10)
  const reference = textAt(entry, 'AcctSvcrRef') ?? textAt(entry, 'NtryRef')
  if ((direction !== 'CRDT' && direction !== 'DBIT') || !date || !/^\d{4}-\d{2}-\d{2}$/.test(date) || !reference)
    throw new Problem('bank.malformed', `${place}: direction, date or reference`)
  const whole = amountOf(entry, place)
  const details = at(entry, 'NtryDtls', 'TxDtls')
  const parts = details.length > 0 ? details : [entry]
  const lines = parts.map((part, i): BankLine => {
    const { minor, currency } = parts.length === 1 ? whole : amountOf(part, `${place}, detail ${i + 1}`)
    return {
      key: `camt/${ours}/${reference}/${i}`,
      direction: direction === 'CRDT' ? 'in' : 'out',
      reversal: textAt(entry, 'RvslInd') === 'true',
      minor,
      currency,
      bookedOn: date,
      texts: [
        textAt(part, 'Refs', 'EndToEndId'),
        ...at(part, 'RmtInf', 'Ustrd').map(({ text }) => text.trim()),
        textAt(part, 'RmtInf', 'Strd', 'CdtrRefInf', 'Ref'),
        textAt(part, 'RltdPties', 'Dbtr', 'Pty', 'Nm'),
        textAt(entry, 'AddtlNtryInf'),
      ].filter((text) => text !== undefined && text !== '') as string[],
    }
  })
  if (lines.reduce((sum, { minor }) => sum + minor, 0n) !== whole.minor) throw new Problem('bank.totals', place)
  return lines
}

function amountOf(node: XmlNode, place: string): { minor: bigint; currency: Currency } {
  const [amount, ...more] = at(node, 'Amt')
  const currency = amount?.attributes['Ccy'] ?? ''
  if (!amount || more.length > 0 || !isCurrency(currency)) throw new Problem('bank.malformed', `${place}: amount`)
  const minor = parseAmount(amount.text.trim(), currency)
  if (minor === undefined || minor === 0n)
    throw new Problem('bank.malformed', `${place}: amount ${amount.text.slice(0, 24)}`)
  return { minor, currency }
}
