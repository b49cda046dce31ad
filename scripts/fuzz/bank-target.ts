/** Bank files: ISO 20022 messages and the fixed-width files of Japanese banks. Every reader sees every input. */
import { readNotification, readStatusReport } from '@azukari/gateway/services/settlement/bank/files/iso20022'
import { readDebitResults, readMovements, writeDebits } from '@azukari/gateway/services/settlement/bank/files/zengin'
import { isProblem } from '@azukari/protocol/problem'
import {
  debitAnswerFile,
  type Movement,
  movementsFile,
  notificationFile,
  statementFile,
  statusReportFile,
} from '@azukari/sim/testkit/settlement/bank-side'
import { type FuzzTarget, holds } from './target.ts'

const holder = { bank: '0001', branch: '100', kind: 'ordinary' as const, number: '1234567', holder: 'AZUKARI' }
const own = { account: holder, requester: '0000000001' }
const movements: Movement[] = [
  { id: 1, direction: 'in', minor: 5000, date: '2026-11-25', text: '60000000000590', payer: 'ﾀﾅｶ' },
  { id: 2, direction: 'out', minor: 300, date: '2026-11-26', text: 'ﾃｽｳﾘﾖｳ' },
  { id: 3, direction: 'out', minor: 700, date: '2026-11-26', text: '60000000000687', reversal: true },
]
const order = {
  account: holder,
  minor: 1200n,
  reference: '90000000000123',
  first: true,
  mandateSince: '2026-01-01',
  member: '1',
}
const readers: readonly ((bytes: Uint8Array) => readonly object[])[] = [
  (bytes) => readNotification(bytes, own).entries,
  (bytes) => readStatusReport(bytes).orders,
  (bytes) => readMovements(bytes, own).entries,
  (bytes) => readDebitResults(bytes).outcomes,
]

export const bankTarget: FuzzTarget = {
  what: 'bank files (camt, pain.002, Zengin movements and debits)',
  corpus: () => [
    movementsFile(holder, movements),
    notificationFile(holder, 'N1', movements),
    statementFile(holder, 'S1', movements, 10_000),
    statusReportFile('R1', 'F1', [{ reference: '90000000000123', state: 'ACSC' }]),
    debitAnswerFile(writeDebits(own, '2026-11-27', [order]), () => '0'),
  ],
  run(bytes) {
    const refusals: unknown[] = []
    for (const read of readers)
      try {
        for (const one of read(bytes))
          if ('minor' in one) holds(typeof one.minor === 'bigint' && one.minor >= 0n, `the amount ${one.minor}`)
      } catch (error) {
        if (!isProblem(error)) throw error
        refusals.push(error)
      }
    if (refusals.length === readers.length) throw refusals[0]
  },
}
