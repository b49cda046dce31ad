import { readNotification, readStatusReport } from '@azukari/gateway/services/settlement/bank-files/iso20022'
import { readMovements, writeDebits, writeTransfers } from '@azukari/gateway/services/settlement/bank-files/zengin'
import { decodeBankText, encodeBankText, toBankText } from '@azukari/gateway/services/settlement/bank-files/zengin-text'
import { actAsShop, instructPayment, placeOrder, putOffer } from '@azukari/protocol/contracts/settlement-purchase'
import { requestValue, valueIssued } from '@azukari/protocol/contracts/settlement-value'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import {
  debitAnswerFile,
  type Movement,
  movementsFile,
  notificationFile,
  readTransfers,
  statusReportFile,
} from './bank-side.ts'
import { type BenchMember, ownAccount as own, SettlementBench } from './bench.ts'

const yen = (minor: number) => ({ minor, currency: 'JPY' as const })
const latin = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))

async function asks(bench: SettlementBench, one: BenchMember, way: 'transfer' | 'deposit', minor: number) {
  return (await bench.act(requestValue, { request: one.pay.topUp(way, yen(minor)) }, one.device)).payment
}

function conserved(t: Test, bench: SettlementBench) {
  for (const { debitsMinor, creditsMinor } of bench.settlement.trialBalance()) t.equal(debitsMinor, creditsMinor)
  t.strictSame(bench.settlement.audit().findings, [])
}

t.test('P5 bank text: what people write becomes the banks’ characters, one byte each', (t) => {
  t.equal(toBankText('よきん はなこ'), 'ﾖｷﾝ ﾊﾅｺ')
  t.equal(toBankText('ヴァイオリン　ぱーく（カ）'), 'ｳﾞｱｲｵﾘﾝ ﾊﾟ-ｸ(ｶ)')
  t.throws(() => toBankText('株式会社'), { code: 'bank.text' })
  t.equal(toBankText('ガッツポーズ'), 'ｶﾞﾂﾂﾎﾟ-ｽﾞ')
  t.equal(toBankText('ａｂｃ　１２'), 'ABC 12')
  t.equal(decodeBankText(encodeBankText('ﾖｷﾝ 1')), 'ﾖｷﾝ 1')
  t.same(encodeBankText('ｱ'), Uint8Array.of(0xb1))
  t.throws(() => decodeBankText(Uint8Array.of(0x80)), { code: 'bank.malformed' })
  t.end()
})

t.test('P7 S13 Zengin files have records of exactly 120 bytes, with the fields where the format has them', (t) => {
  const account = { bank: '0005', branch: '123', kind: 'current' as const, number: '7654321', holder: 'ﾐｾ' }
  const orders = [{ account, minor: 1_234n, reference: '90000000000123' }]
  const transfers = Buffer.from(writeTransfers(own, '2026-11-25', orders))
    .toString('latin1')
    .split('\r\n')
  t.strictSame(
    transfers.map((line) => line.length),
    [120, 120, 120, 120, 0],
  )
  t.equal(transfers[0]!.slice(0, 58), `1210${'0000000001'}${'AZUKARI'.padEnd(40)}1125`)
  t.equal(transfers[1]!.slice(0, 5), '20005')
  t.equal(transfers[1]!.slice(42, 50), '27654321')
  t.equal(transfers[1]!.slice(80, 91), '00000012340')
  t.equal(transfers[1]!.slice(91, 112), '90000000000123      7')
  t.equal(transfers[2]!.slice(0, 19), `8${'000001'}${'000000001234'}`)
  t.equal(transfers[3], '9'.padEnd(120))
  const debit = { ...orders[0]!, first: true, mandateSince: '2026-01-01', member: '10000000000123' }
  const debits = Buffer.from(writeDebits(own, '2026-11-27', [debit]))
    .toString('latin1')
    .split('\r\n')
  t.strictSame(
    debits.map((line) => line.length),
    [120, 120, 120, 120, 0],
  )
  t.equal(debits[0]!.slice(0, 4), '1910')
  t.equal(debits[1]!.slice(80, 112), `00000012341${'90000000000123'.padEnd(20)}0`)
  t.throws(() => writeTransfers(own, '2026-11-25', [{ account, minor: 99_999_999_999n, reference: '' }]), {
    code: 'bank.malformed',
  })
  t.end()
})

t.test('P5 value by transfer and by direct deposit: once the bank’s file says so, and once only', async (t) => {
  const bench = await new SettlementBench().start()
  const one = await bench.enrol()
  const [first, second, third] = [
    await asks(bench, one, 'transfer', 3000),
    await asks(bench, one, 'deposit', 2000),
    await asks(bench, one, 'transfer', 700),
  ]
  const movements: Movement[] = [
    { id: 1, direction: 'in', minor: 3000, date: '2026-11-02', text: first },
    {
      id: 2,
      direction: 'in',
      minor: 2000,
      date: '2026-11-02',
      text: `${second.slice(0, 7)} ${second.slice(7)}`,
      payer: 'ﾖｷﾝ',
    },
    { id: 3, direction: 'in', minor: 999, date: '2026-11-02', text: third },
    { id: 4, direction: 'in', minor: 50, date: '2026-11-02', text: 'NO NUMBER' },
  ]
  const { bank } = bench.settlement
  const file = movementsFile(own.account, movements)
  t.match(bank.take(file), { format: 'zengin-movements', booked: 2, unmatched: 2, repeated: 0, known: false })
  t.match(bank.take(file), { known: true, booked: 0 }, 'the same file again')
  const more: Movement[] = [...movements, { id: 5, direction: 'in', minor: 3000, date: '2026-11-03', text: first }]
  t.match(
    bank.take(movementsFile(own.account, more)),
    { booked: 0, repeated: 4, unmatched: 1 },
    'the same lines in another file, and one paid twice',
  )
  const issues = (await bench.events(valueIssued, one.device)).map(({ issue }) => one.pay.openIssue(issue))
  t.strictSame(
    issues.map(({ balance }) => balance.minor),
    [3000, 5000],
  )
  const lines = bank.unmatched(10)
  t.strictSame(
    lines.map(({ minor }) => minor).sort((a, b) => a - b),
    [50, 999, 3000],
  )
  const odd = lines.find(({ minor }) => minor === 999)!
  t.throws(() => bank.assign(odd.id, third, 'clerk-1'), { code: 'pay.amount-differs' })
  t.throws(() => bank.assign(odd.id, '60000000000099', 'clerk-1'), { code: 'topup.unknown' })
  const other = await asks(bench, one, 'deposit', 999)
  bank.assign(odd.id, other, 'clerk-1')
  t.throws(() => bank.assign(odd.id, other, 'clerk-1'), { code: 'bank.line-known' })
  const back: Movement[] = [{ id: 6, direction: 'out', minor: 2000, date: '2026-11-04', text: second, reversal: false }]
  t.match(
    bank.take(notificationFile(own.account, 'N1', back)),
    { format: 'camt', unmatched: 1 },
    'money that left unexplained is a claim, not lost',
  )
  const reversed: Movement[] = [
    { id: 7, direction: 'in', minor: 3000, date: '2026-11-04', text: first, reversal: true },
  ]
  t.match(bank.take(notificationFile(own.account, 'N2', reversed)), { booked: 1 })
  conserved(t, bench)
  t.throws(() => bench.database.run('DELETE FROM operations'), 'the log of clerks does not change')
})

t.test('P5 a reversal after the money was spent leaves a debt, never a negative balance', async (t) => {
  const bench = await new SettlementBench().start()
  const [buyer, shop] = [await bench.enrol(), await bench.enrol('shop')]
  const payment = await asks(bench, buyer, 'transfer', 500)
  bench.settlement.bank.take(
    notificationFile(own.account, 'N1', [{ id: 1, direction: 'in', minor: 500, date: '2026-11-02', text: payment }]),
  )
  await bench.act(
    putOffer,
    { offer: shop.pay.offer([{ item: 'x', name: 'x', kind: 'digital', price: 400, currency: 'JPY', tax: 10 }]) },
    shop.device,
  )
  const { transaction, total } = await bench.act(
    placeOrder,
    { order: buyer.pay.order(shop.number, [{ item: 'x', count: 1 }]) },
    buyer.device,
  )
  await bench.act(
    instructPayment,
    { instruction: buyer.pay.instruction(transaction, shop.number, total) },
    buyer.device,
  )
  bench.settlement.bank.take(
    notificationFile(own.account, 'N2', [
      { id: 2, direction: 'in', minor: 500, date: '2026-11-03', text: payment, reversal: true },
    ]),
  )
  const issues = (await bench.events(valueIssued, buyer.device)).map(({ issue }) => buyer.pay.openIssue(issue))
  t.match(issues.at(-1), { state: 'reversed', balance: { minor: 0 } })
  const owed = bench.database.get<{ debits_posted: number }>(
    "SELECT debits_posted FROM ledger_accounts WHERE code LIKE 'receivable/%'",
  )
  t.equal(owed!.debits_posted, 400)
  conserved(t, bench)
})

t.test(
  'P7 payouts: claimed money goes out in one file, comes back when the bank returns it, and is paid once',
  async (t) => {
    const bench = await new SettlementBench().start()
    const [buyer, shop] = [await bench.enrol(), await bench.enrol('shop')]
    const { bank } = bench.settlement
    const payment = await asks(bench, buyer, 'transfer', 5000)
    bank.take(
      notificationFile(own.account, 'N1', [{ id: 1, direction: 'in', minor: 5000, date: '2026-11-02', text: payment }]),
    )
    await bench.act(
      putOffer,
      { offer: shop.pay.offer([{ item: 'x', name: 'x', kind: 'digital', price: 400, currency: 'JPY', tax: 10 }]) },
      shop.device,
    )
    for (let i = 0; i < 2; i++) {
      const { transaction, total } = await bench.act(
        placeOrder,
        { order: buyer.pay.order(shop.number, [{ item: 'x', count: 1 }]) },
        buyer.device,
      )
      await bench.act(
        instructPayment,
        { instruction: buyer.pay.instruction(transaction, shop.number, total) },
        buyer.device,
      )
      await bench.act(
        actAsShop,
        { act: shop.pay.shopAct(transaction, { do: 'deliver', state: 'delivered', how: 'transfer' }) },
        shop.device,
      )
      await bench.act(actAsShop, { act: shop.pay.shopAct(transaction, { do: 'claim' }) }, shop.device)
    }
    const file = bank.payoutFile('2026-11-04', 'zengin')!
    t.equal(file.payouts, 1)
    t.equal(bank.payoutFile('2026-11-04', 'zengin'), undefined, 'nothing waits any more')
    const [order] = readTransfers(bench.settlement.document(file.document)!.content)
    t.match(order, { minor: 800, number: shop.person.account!.number })
    const refusal = statusReportFile('S1', 'F1', [{ reference: order!.reference, state: 'RJCT', reason: 'AC04' }])
    t.match(bank.take(refusal), { format: 'pain.002', booked: 1 })
    t.match(bank.take(statusReportFile('S2', 'F1', [{ reference: order!.reference, state: 'RJCT' }])), {
      booked: 0,
      repeated: 1,
    })
    const again = bank.payoutFile('2026-11-06', 'pain.001')!
    const xml = Buffer.from(bench.settlement.document(again.document)!.content).toString()
    t.match(xml, /<InstdAmt Ccy="JPY">800<\/InstdAmt>/)
    const reference = /<EndToEndId>(\d{14})/.exec(xml)![1]!
    t.not(reference, order!.reference)
    const paid: Movement[] = [{ id: 9, direction: 'out', minor: 800, date: '2026-11-06', text: reference }]
    t.match(bank.take(movementsFile(own.account, paid)), { booked: 1 })
    t.match(
      bank.take(notificationFile(own.account, 'N9', paid)),
      { unmatched: 1 },
      'a second withdrawal for it is a question for a clerk',
    )
    const states = bench.database.all<{ state: string }>('SELECT state FROM orders').map(({ state }) => state)
    t.strictSame(states, ['paid-out', 'paid-out'])
    conserved(t, bench)
  },
)

t.test(
  'P5 bad bank files: every field wrong in turn, cut off anywhere, sums that differ; nothing is booked',
  async (t) => {
    const bench = await new SettlementBench().start()
    const one = await bench.enrol()
    const payment = await asks(bench, one, 'transfer', 3000)
    const line: Movement = { id: 1, direction: 'in', minor: 3000, date: '2026-11-02', text: payment }
    const good = Buffer.from(movementsFile(own.account, [line])).toString('latin1')
    const { bank } = bench.settlement
    const refuses = (what: string, text: string, code = 'bank.malformed') =>
      t.throws(() => bank.take(latin(text)), { code }, what)
    const change = (record: number, at: number, value: string) => {
      const lines = good.split('\r\n')
      lines[record] = lines[record]!.slice(0, at) + value + lines[record]!.slice(at + value.length)
      return lines.join('\r\n')
    }
    refuses('empty', '')
    refuses('another type', change(0, 1, '99'))
    refuses('a period that is no number', change(0, 10, 'X'))
    refuses('an inquiry number of letters', change(1, 1, 'ABCDEFGH'))
    refuses('a day that does not exist', change(1, 9, '081399'))
    refuses('neither in nor out', change(1, 21, '3'))
    refuses('an amount of letters', change(1, 24, 'XXX'))
    refuses('an amount of nothing', change(1, 24, '000000000000'))
    refuses('an unknown record', change(1, 0, '5'))
    refuses('a byte outside the set', change(1, 100, '\x80'))
    refuses('a record too short', good.replace('\r\n', 'X\r\n'))
    refuses('no trailer', [0, 1, 3].map((i) => good.split('\r\n')[i]).join('\r\n'))
    refuses('records after the end', `${good}${good.split('\r\n')[1]}\r\n`, 'bank.totals')
    refuses('another sum', change(2, 7, '0000000003001'), 'bank.totals')
    refuses('another count', change(2, 1, '000002'), 'bank.totals')
    for (let cut = 1; cut < good.length - 4; cut += 37)
      t.throws(() => bank.take(latin(good.slice(0, cut))), { code: /^bank\./ }, `cut off after ${cut}`)

    const xml = Buffer.from(notificationFile(own.account, 'N1', [line])).toString()
    const refusesXml = (what: string, text: string, code = 'bank.malformed') =>
      t.throws(() => bank.take(new TextEncoder().encode(text)), { code }, what)
    refusesXml('not well formed', xml.replace('</Ntry>', ''))
    refusesXml('a document type', xml.replace('<Document', '<!DOCTYPE x [<!ENTITY a "b">]><Document'))
    refusesXml('another message', xml.replaceAll('BkToCstmrDbtCdtNtfctn', 'Other'))
    refusesXml('a fraction of a yen', xml.replace('>3000<', '>3000.5<'))
    refusesXml('a negative amount', xml.replace('>3000<', '>-3000<'))
    refusesXml('an amount of nothing', xml.replace('>3000<', '>0<'))
    refusesXml('an absurd amount', xml.replace('>3000<', '>99999999999999999<'))
    refusesXml('an unknown currency', xml.replace('Ccy="JPY"', 'Ccy="ZZZ"'))
    refusesXml('no direction', xml.replace('CRDT', 'XXXX'))
    refusesXml('no date', xml.replace('<Dt>2026-11-02</Dt>', '<Dt>tomorrow</Dt>'))
    refusesXml('no reference', xml.replace(/<NtryRef>.*<\/NtryRef>/, '').replace(/<AcctSvcrRef>.*<\/AcctSvcrRef>/, ''))
    refusesXml('another number of entries', xml.replace('<NbOfNtries>1<', '<NbOfNtries>2<'), 'bank.totals')
    refusesXml('deep nesting', `<Document>${'<a>'.repeat(60)}${'</a>'.repeat(60)}</Document>`)
    t.match(
      bank.take(new TextEncoder().encode(xml.replace('BOOK', 'PDNG'))),
      { lines: 0 },
      'what is not booked yet is no money',
    )
    t.strictSame(
      bench.settlement.trialBalance().map(({ debitsMinor }) => debitsMinor),
      [],
      'no account was even opened',
    )

    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const bytes = latin(good)
        bytes[at] = byte
        try {
          readMovements(bytes)
        } catch (error) {
          if (!(error instanceof Error && 'code' in error && String(error.code).startsWith('bank.'))) throw error
        }
      }),
      { numRuns: 300 },
    )
    t.throws(() => readNotification(new Uint8Array([0xff])), { code: 'bank.malformed' })
    t.throws(() => readStatusReport(new TextEncoder().encode('<a/>')), { code: 'bank.malformed' })
    t.throws(() => bank.take(debitAnswerFile(writeDebits(own, '2026-11-27', []), () => '7').subarray(0, 200)), {
      code: 'bank.malformed',
    })
  },
)
