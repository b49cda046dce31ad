/**
 * ISO 20022 files: credit transfers (pain.001.001.09), direct debits (pain.008.001.09), their answers (pain.002.001.10), and
 * what moved on our account (camt.054.001.08, camt.053.001.08). Elements as in the message definition reports of iso20022.org.
 */
import type { BankAccount } from '@azukari/protocol/contracts/settlement-members'
import { amountMaxMinor, type Currency, formatAmount, isCurrency, parseAmount } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import {
  type AccountReport,
  type BankEntry,
  type BankPart,
  type DebitOrder,
  type FileOutcome,
  isOwnAccount,
  type OrderOutcome,
  type OwnBankAccount,
  type TransferOrder,
} from './bank-file.ts'
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

/** What a pain.002 says: of single orders, and of files or groups that were rejected as a whole. */
export interface StatusReport {
  /** Our own name of the file that it answers. */
  file: string
  orders: OrderOutcome[]
  rejected: FileOutcome[]
}

/**
 * Answers that are final; those in between (accepted, pending) say nothing yet. A state that stands at the group or the file
 * counts for every order below it (ISO 20022 pain.002 `GrpSts`, `PmtInfSts`, `TxSts`).
 * @throws {Problem} `bank.malformed`
 */
export function readStatusReport(bytes: Uint8Array): StatusReport {
  const [report] = at(readXml(bytes), 'Document', 'CstmrPmtStsRpt')
  if (!report) throw new Problem('bank.malformed', 'not a pain.002')
  const [group] = at(report, 'OrgnlGrpInfAndSts')
  const file = group && textAt(group, 'OrgnlMsgId')
  if (!group || !file) throw new Problem('bank.malformed', 'it does not say which file it answers (OrgnlMsgId)')
  const orders: OrderOutcome[] = []
  const rejected: FileOutcome[] = []
  const infos = at(report, 'OrgnlPmtInfAndSts')
  const ofGroup = textAt(group, 'GrpSts')
  for (const info of infos) {
    const ofInfo = textAt(info, 'PmtInfSts') ?? ofGroup
    const transactions = at(info, 'TxInfAndSts')
    if (transactions.length === 0 && ofInfo === 'RJCT') rejected.push({ file, reason: reasonOf(info) ?? ofInfo })
    for (const [i, one] of transactions.entries()) {
      const reference = textAt(one, 'OrgnlEndToEndId')
      const state = textAt(one, 'TxSts') ?? ofInfo
      if (!reference) throw new Problem('bank.malformed', `transaction ${i + 1} has no reference (OrgnlEndToEndId)`)
      if (!state) throw new Problem('bank.malformed', `transaction ${i + 1} has no state (TxSts)`)
      const accepted = finalStates[state]
      if (accepted !== undefined) orders.push({ reference, accepted, reason: reasonOf(one) ?? reasonOf(info) ?? state })
    }
  }
  if (infos.length === 0 && ofGroup === 'RJCT') rejected.push({ file, reason: reasonOf(group) ?? ofGroup })
  return { file, orders, rejected }
}

function reasonOf(node: XmlNode): string | undefined {
  const [why] = at(node, 'StsRsnInf', 'Rsn')
  return why && (textAt(why, 'Cd') ?? textAt(why, 'Prtry'))
}

const reports = [
  { kind: 'camt.054', root: 'BkToCstmrDbtCdtNtfctn', part: 'Ntfctn' },
  { kind: 'camt.053', root: 'BkToCstmrStmt', part: 'Stmt' },
] as const

/**
 * Booked movements of our account in a camt.054 or camt.053. What is of other accounts or currencies is set aside; an entry
 * of nothing is passed over.
 * @throws {Problem} `bank.malformed`, `bank.totals`
 */
export function readNotification(bytes: Uint8Array, own: OwnBankAccount): AccountReport {
  const document = readXml(bytes)
  const found = reports.flatMap(({ kind, root, part }) =>
    at(document, 'Document', root, part).map((node) => ({ kind, node })),
  )
  if (found.length === 0) throw new Problem('bank.malformed', 'neither camt.054 nor camt.053')
  const report: AccountReport = { entries: [], aside: [] }
  for (const [i, { kind, node }] of found.entries()) {
    const place = `part ${i + 1}`
    const entries = at(node, 'Ntry')
    const stated = textAt(node, 'TxsSummry', 'TtlNtries', 'NbOfNtries')
    if (stated !== undefined && Number(stated) !== entries.length) throw new Problem('bank.totals', place)
    const account = textAt(node, 'Acct', 'Id', 'Othr', 'Id') ?? textAt(node, 'Acct', 'Id', 'IBAN') ?? ''
    if (!isOwnAccount(account, own)) {
      report.aside.push({ place, why: 'account', detail: `account ${account.slice(0, 34)}, ${entries.length} entries` })
      continue
    }
    const statement = { kind, account, statement: textAt(node, 'Id') ?? '', madeOn: dateAt(node, 'CreDtTm') }
    for (const [n, entry] of entries.entries()) readEntry(entry, statement, `${place}, entry ${n + 1}`, report)
  }
  return report
}

interface Statement extends Pick<BankEntry, 'kind' | 'statement'> {
  account: string
  madeOn: string | undefined
}

function readEntry(entry: XmlNode, statement: Statement, place: string, report: AccountReport): void {
  if ((textAt(entry, 'Sts', 'Cd') ?? textAt(entry, 'Sts')) !== 'BOOK') return
  const direction = directionOf(entry)
  if (!direction) throw new Problem('bank.malformed', `${place}: no direction (CdtDbtInd)`)
  const bookedOn =
    dateAt(entry, 'BookgDt', 'Dt') ??
    dateAt(entry, 'BookgDt', 'DtTm') ??
    dateAt(entry, 'ValDt', 'Dt') ??
    statement.madeOn
  if (!bookedOn) throw new Problem('bank.malformed', `${place}: no date (BookgDt)`)
  const { minor, currency, given } = amountOf(entry, place)
  if (minor === undefined || !isCurrency(currency)) {
    report.aside.push({ place, why: 'currency', detail: `${given} ${currency}, ${direction}` })
    return
  }
  if (minor === 0n) return
  const details = at(entry, 'NtryDtls', 'TxDtls')
  const { kind, account } = statement
  const former = textAt(entry, 'AcctSvcrRef') ?? textAt(entry, 'NtryRef')
  const parts = partsOf(entry, details, { direction, minor, currency }, place)
  report.entries.push({
    family: 'camt',
    kind,
    statement: statement.statement,
    reference: referenceOf(entry, details),
    reversal: isTrue(textAt(entry, 'RvslInd')),
    direction,
    minor,
    currency,
    bookedOn,
    texts: [...new Set([...textsOf(entry), ...details.flatMap(textsOf)])],
    parts,
    formerKeys: former === undefined ? [] : parts.map((_, i) => `camt/${account}/${former}/${i}`),
  })
}

/** A batch in its parts, when they add up to it; else the entry as it stands, for a clerk to part. */
function partsOf(
  entry: XmlNode,
  details: readonly XmlNode[],
  whole: { direction: 'in' | 'out'; minor: bigint; currency: Currency },
  place: string,
): BankPart[] {
  const { direction } = whole
  const asItStands: BankPart[] = [
    { direction, minor: whole.minor, texts: [...new Set([...details.flatMap(textsOf), ...textsOf(entry)])] },
  ]
  if (details.length < 2) return asItStands
  const parts: BankPart[] = []
  for (const [i, detail] of details.entries()) {
    const { minor, currency } = amountOf(detail, `${place}, detail ${i + 1}`, true)
    if (minor === undefined || currency !== whole.currency) return asItStands
    if (minor === 0n) continue
    parts.push({ direction: directionOf(detail) ?? direction, minor, texts: [...textsOf(detail), ...textsOf(entry)] })
  }
  const all = [...parts, ...chargesOf(entry, details, whole)]
  for (const list of [parts, all]) if (list.length > 0 && netOf(list, direction) === whole.minor) return list
  return asItStands
}

/** What parts come to in the entry's own direction. */
function netOf(parts: readonly BankPart[], direction: 'in' | 'out'): bigint {
  return parts.reduce((sum, part) => (part.direction === direction ? sum + part.minor : sum - part.minor), 0n)
}

/** Charges that the bank took off the entry, each a movement out. */
function chargesOf(entry: XmlNode, details: readonly XmlNode[], whole: { currency: Currency }): BankPart[] {
  return [entry, ...details].flatMap((node) =>
    [...at(node, 'Chrgs', 'Rcrd'), ...at(node, 'Chrgs')].flatMap((charge): BankPart[] => {
      const { minor, currency } = amountOf(charge, 'charge', true)
      if (minor === undefined || minor === 0n || currency !== whole.currency) return []
      return [{ direction: directionOf(charge) ?? 'out', minor, texts: ['charges'] }]
    }),
  )
}

function directionOf(node: XmlNode): 'in' | 'out' | undefined {
  const direction = textAt(node, 'CdtDbtInd')
  return direction === 'CRDT' ? 'in' : direction === 'DBIT' ? 'out' : undefined
}

/** Where our own name of a file or group stands. */
const namesOfFiles = [
  ['Refs', 'MsgId'],
  ['Refs', 'PmtInfId'],
  ['NtryDtls', 'Btch', 'MsgId'],
  ['NtryDtls', 'Btch', 'PmtInfId'],
] as const

function textsOf(node: XmlNode): string[] {
  return [
    textAt(node, 'Refs', 'EndToEndId'),
    ...namesOfFiles.flatMap((path) => at(node, ...path).map(({ text }) => text.trim())),
    ...at(node, 'RmtInf', 'Ustrd').map(({ text }) => text.trim()),
    ...at(node, 'RmtInf', 'Strd', 'CdtrRefInf', 'Ref').map(({ text }) => text.trim()),
    textAt(node, 'RltdPties', 'Dbtr', 'Pty', 'Nm') ?? textAt(node, 'RltdPties', 'Dbtr', 'Nm'),
    textAt(node, 'AddtlTxInf'),
    textAt(node, 'AddtlNtryInf'),
  ].filter((text) => text !== undefined && text !== '') as string[]
}

/** Words that stand where a bank has no reference. */
const noReference = /^(?:NONREF|NOTPROVIDED|NOTAVAILABLE|NONE|N\/?A|0*|-+)$/i

function ownReference(text: string | undefined): string | undefined {
  return text === undefined || noReference.test(text) ? undefined : text
}

/** The bank's reference of the entry, or those of all its details. `NtryRef` is no more than a place in one statement. */
function referenceOf(entry: XmlNode, details: readonly XmlNode[]): string | undefined {
  const own = ownReference(textAt(entry, 'AcctSvcrRef'))
  if (own !== undefined) return own
  const parts = details.map((detail) => ownReference(textAt(detail, 'Refs', 'AcctSvcrRef')))
  return parts.length > 0 && parts.every((part) => part !== undefined) ? parts.sort().join(' ') : undefined
}

/** `xs:boolean` */
function isTrue(text: string | undefined): boolean {
  return text === 'true' || text === '1'
}

function dateAt(node: XmlNode, ...path: string[]): string | undefined {
  const date = textAt(node, ...path)?.slice(0, 10)
  return date && /^\d{4}-\d{2}-\d{2}$/.test(date) && !Number.isNaN(Date.parse(date)) ? date : undefined
}

/**
 * @param isPart a detail or a charge: what it lacks is no fault, and its amount may stand in `AmtDtls`
 * @returns no amount for a currency that is not known here
 */
function amountOf(
  node: XmlNode,
  place: string,
  isPart = false,
): { minor: bigint | undefined; currency: string; given: string } {
  const direct = at(node, 'Amt')
  const [amount, ...more] = direct.length > 0 || !isPart ? direct : at(node, 'AmtDtls', 'TxAmt', 'Amt')
  const currency = amount?.attributes['Ccy'] ?? ''
  const given = amount?.text.trim().slice(0, 24) ?? ''
  if (isPart && !amount) return { minor: undefined, currency, given }
  if (!amount || more.length > 0 || !/^[A-Z]{3}$/.test(currency))
    throw new Problem('bank.malformed', `${place}: no amount with a currency (Amt)`)
  if (!isCurrency(currency)) return { minor: undefined, currency, given }
  const minor = parseAmount(given, currency)
  if (minor === undefined || minor > amountMaxMinor) throw new Problem('bank.malformed', `${place}: amount ${given}`)
  return { minor, currency, given }
}
