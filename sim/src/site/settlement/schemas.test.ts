/** Our files for banks, and what the simulated bank writes, against the published schemas of ISO 20022. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  readNotification,
  writeCreditTransfers,
  writeDirectDebits,
} from '@azukari/gateway/services/settlement/bank/files/iso20022'
import t from 'tap'
import { memoryPages, validateXML } from 'xmllint-wasm'
import { type Movement, notificationFile, statementFile, statusReportFile } from '../../testkit/settlement/bank-side.ts'
import { ownAccount as own } from '../../testkit/settlement/fixture.ts'

const data = process.env.AZUKARI_DATA ?? join(import.meta.dirname, '../../../../../shared/data')
const schemas = join(data, 'schemas/iso20022')
const skip = !existsSync(schemas) && 'no schemas here'

async function errorsOf(message: string, file: Uint8Array): Promise<string[]> {
  const schema = readFileSync(join(schemas, `${message}.xsd`), 'utf8')
  const { valid, errors } = await validateXML({
    xml: { fileName: `${message}.xml`, contents: Buffer.from(file).toString('utf8') },
    schema: { fileName: `${message}.xsd`, contents: schema },
    maxMemoryPages: 256 * memoryPages.MiB,
  })
  return valid ? [] : errors.map(({ message }) => message)
}

const account = { bank: '0005', branch: '123', kind: 'current' as const, number: '7654321', holder: 'ﾐｾ & <ｺ>' }
const orders = [
  { account, minor: 1_234n, reference: '90000000000123' },
  { account: { ...account, kind: 'savings' as const }, minor: 99_999_999n, reference: '90000000000124' },
]
const debits = orders.map((order) => ({ ...order, first: true, mandateSince: '2026-01-01', member: '10000000000123' }))
const movements: Movement[] = [
  { id: 1, direction: 'in', minor: 3_000, date: '2026-11-02', text: 'ｻｻｷ 60000000000012', payer: 'ﾖｷﾝ ﾊﾅｺ' },
  { id: 2, direction: 'out', minor: 800, date: '2026-11-03', text: '90000000000123', reversal: true },
]

t.test('P5 P7 S13 files for banks and files of banks keep to the schemas', { skip }, async (t) => {
  const currencies = ['JPY', 'EUR'] as const
  for (const currency of currencies) {
    const frame = { id: 'AZ-20261105-1', createdMs: Date.UTC(2026, 10, 5, 3), date: '2026-11-06', currency }
    t.strictSame(
      await errorsOf('pain.001.001.09', writeCreditTransfers(own, frame, orders)),
      [],
      `pain.001 ${currency}`,
    )
    t.strictSame(await errorsOf('pain.008.001.09', writeDirectDebits(own, frame, debits)), [], `pain.008 ${currency}`)
  }
  const answers = [
    { reference: '90000000000123', state: 'RJCT', reason: 'AM04' },
    { reference: '90000000000124', state: 'ACSC' },
  ]
  t.strictSame(await errorsOf('pain.002.001.10', statusReportFile('S1', 'AZ-20261105-1', answers)), [], 'pain.002')
  t.strictSame(await errorsOf('camt.054.001.08', notificationFile(own.account, 'N1', movements)), [], 'camt.054')
  const statement = statementFile(own.account, 'N2', movements, 10_000)
  t.strictSame(await errorsOf('camt.053.001.08', statement), [], 'camt.053')
  t.match(readNotification(statement, own).entries, [
    { direction: 'in', minor: 3_000n, bookedOn: '2026-11-02' },
    { direction: 'out', minor: 800n, reversal: true },
  ])
})

t.test('P7 a file that does not keep to its schema is found out', { skip }, async (t) => {
  const frame = { id: 'X', createdMs: 0, date: '2026-11-06', currency: 'JPY' as const }
  const good = Buffer.from(writeCreditTransfers(own, frame, orders)).toString()
  const bad = (text: string) => errorsOf('pain.001.001.09', new TextEncoder().encode(text))
  t.match(await bad(good.replace('<PmtMtd>TRF</PmtMtd>', '')), [/PmtMtd/])
  t.match(await bad(good.replace('>X<', `>${'X'.repeat(36)}<`)), [/maxLength/])
})
