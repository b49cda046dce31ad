import { readNotification, readStatusReport } from '@azukari/gateway/services/settlement/bank/files/iso20022'
import { readMovements, writeDebits, writeTransfers } from '@azukari/gateway/services/settlement/bank/files/zengin'
import { decodeBankText, encodeBankText, toBankText } from '@azukari/gateway/services/settlement/bank/files/zengin-text'
import { actAsShop, instructPayment, placeOrder, putOffer } from '@azukari/protocol/contracts/settlement-purchase'
import { requestValue, valueIssued } from '@azukari/protocol/contracts/settlement-value'
import fc from '@azukari/protocol/test-properties'
import t, { type Test } from 'tap'
import {
  debitAnswerFile,
  type Movement,
  movementsFile,
  notificationFile,
  readTransfers,
  statusReportFile,
} from '../../testkit/settlement/bank-side.ts'
import { type FixtureMember, ownAccount as own, SettlementFixture } from '../../testkit/settlement/fixture.ts'

const yen = (minor: number) => ({ minor, currency: 'JPY' as const })
const latin = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))

async function asks(fixture: SettlementFixture, one: FixtureMember, way: 'transfer' | 'deposit', minor: number) {
  return (await fixture.act(requestValue, { request: one.pay.topUp(way, yen(minor)) }, one.device)).payment
}

async function conserved(t: Test, fixture: SettlementFixture) {
  for (const { debitsMinor, creditsMinor } of await fixture.settlement.trialBalance())
    t.equal(debitsMinor, creditsMinor)
  t.strictSame((await fixture.settlement.audit()).findings, [])
}

t.test('P5 bank text: what people write becomes the banks’ characters, one byte each', (t) => {
  t.equal(toBankText('よきん はなこ'), 'ﾖｷﾝ ﾊﾅｺ')
  t.equal(toBankText('ヴァイオリン　ぱーく（カ）'), 'ｳﾞｱｲｵﾘﾝ ﾊﾟ-ｸ(ｶ)')
  t.throws(() => toBankText('株式会社'), { code: 'bank.text' })
  t.equal(toBankText('ガッツポーズ'), 'ｶﾞﾂﾂﾎﾟ-ｽﾞ')
  t.equal(toBankText('ａｂｃ　１２'), 'ABC 12')
  t.equal(toBankText('せきヶはら・ヰゼキ'), 'ｾｷｹﾊﾗ.ｲｾﾞｷ')
  t.equal(toBankText('くゎんおん ＡＢ＆Ｃ’Ｓ ￥100−5'), 'ｸﾜﾝｵﾝ AB.C.S \\100-5')
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
  const fixture = await new SettlementFixture().start()
  const one = await fixture.enrol()
  const [first, second, third] = [
    await asks(fixture, one, 'transfer', 3000),
    await asks(fixture, one, 'deposit', 2000),
    await asks(fixture, one, 'transfer', 700),
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
  const { bank } = fixture.settlement
  const file = movementsFile(own.account, movements)
  t.match(await bank.take(file), { format: 'zengin-movements', booked: 2, unmatched: 2, repeated: 0, known: false })
  t.match(await bank.take(file), { known: true, booked: 0 }, 'the same file again')
  const more: Movement[] = [...movements, { id: 5, direction: 'in', minor: 3000, date: '2026-11-03', text: first }]
  t.match(
    await bank.take(movementsFile(own.account, more)),
    { booked: 0, repeated: 4, unmatched: 1 },
    'the same lines in another file, and one paid twice',
  )
  const issues = (await fixture.events(valueIssued, one.device)).map(({ issue }) => one.pay.openIssue(issue))
  t.strictSame(
    issues.map(({ balance }) => balance.minor),
    [3000, 5000],
  )
  const lines = await bank.unmatched(10)
  t.strictSame(
    lines.map(({ minor }) => minor).sort((a, b) => a - b),
    [50, 999, 3000],
  )
  const odd = lines.find(({ minor }) => minor === 999)!
  await t.rejects(() => bank.assign(odd.id, third, 'clerk-1'), { code: 'pay.amount-differs' })
  await t.rejects(() => bank.assign(odd.id, '60000000000099', 'clerk-1'), { code: 'topup.unknown' })
  const other = await asks(fixture, one, 'deposit', 999)
  await bank.assign(odd.id, other, 'clerk-1')
  await t.rejects(() => bank.assign(odd.id, other, 'clerk-1'), { code: 'bank.line-known' })
  const back: Movement[] = [{ id: 6, direction: 'out', minor: 2000, date: '2026-11-04', text: second, reversal: false }]
  t.match(
    await bank.take(notificationFile(own.account, 'N1', back)),
    { format: 'camt', unmatched: 1 },
    'money that left unexplained is a claim, not lost',
  )
  const reversed: Movement[] = [
    { id: 7, direction: 'out', minor: 3000, date: '2026-11-04', text: first, reversal: true },
  ]
  t.match(await bank.take(notificationFile(own.account, 'N2', reversed)), { booked: 1 })
  await conserved(t, fixture)
  await t.rejects(() => fixture.database.run('DELETE FROM operations'), 'the log of clerks does not change')
})

t.test('P5 a reversal after the money was spent leaves a debt, never a negative balance', async (t) => {
  const fixture = await new SettlementFixture().start()
  const [buyer, shop] = [await fixture.enrol(), await fixture.enrol('shop')]
  const payment = await asks(fixture, buyer, 'transfer', 500)
  await fixture.settlement.bank.take(
    notificationFile(own.account, 'N1', [{ id: 1, direction: 'in', minor: 500, date: '2026-11-02', text: payment }]),
  )
  await fixture.act(
    putOffer,
    { offer: shop.pay.offer([{ item: 'x', name: 'x', kind: 'digital', price: 400, currency: 'JPY', tax: 10 }]) },
    shop.device,
  )
  const { transaction, total } = await fixture.act(
    placeOrder,
    { order: buyer.pay.order(shop.number, [{ item: 'x', count: 1 }]) },
    buyer.device,
  )
  await fixture.act(
    instructPayment,
    { instruction: buyer.pay.instruction(transaction, shop.number, total) },
    buyer.device,
  )
  await fixture.settlement.bank.take(
    notificationFile(own.account, 'N2', [
      { id: 2, direction: 'out', minor: 500, date: '2026-11-03', text: payment, reversal: true },
    ]),
  )
  const issues = (await fixture.events(valueIssued, buyer.device)).map(({ issue }) => buyer.pay.openIssue(issue))
  t.match(issues.at(-1), { state: 'reversed', balance: { minor: 0 } })
  const owed = await fixture.database.get<{ debits_posted: number }>(
    "SELECT debits_posted FROM ledger_accounts WHERE code LIKE 'receivable/%'",
  )
  t.equal(owed!.debits_posted, 400)
  await conserved(t, fixture)
})

t.test(
  'P7 payouts: claimed money goes out in one file, comes back when the bank returns it, and is paid once',
  async (t) => {
    const fixture = await new SettlementFixture().start()
    const [buyer, shop] = [await fixture.enrol(), await fixture.enrol('shop')]
    const { bank } = fixture.settlement
    const payment = await asks(fixture, buyer, 'transfer', 5000)
    await bank.take(
      notificationFile(own.account, 'N1', [{ id: 1, direction: 'in', minor: 5000, date: '2026-11-02', text: payment }]),
    )
    await fixture.act(
      putOffer,
      { offer: shop.pay.offer([{ item: 'x', name: 'x', kind: 'digital', price: 400, currency: 'JPY', tax: 10 }]) },
      shop.device,
    )
    for (let i = 0; i < 2; i++) {
      const { transaction, total } = await fixture.act(
        placeOrder,
        { order: buyer.pay.order(shop.number, [{ item: 'x', count: 1 }]) },
        buyer.device,
      )
      await fixture.act(
        instructPayment,
        { instruction: buyer.pay.instruction(transaction, shop.number, total) },
        buyer.device,
      )
      await fixture.act(
        actAsShop,
        { act: shop.pay.shopAct(transaction, { do: 'deliver', state: 'delivered', how: 'transfer' }) },
        shop.device,
      )
      await fixture.act(actAsShop, { act: shop.pay.shopAct(transaction, { do: 'claim' }) }, shop.device)
    }
    const file = (await bank.payoutFile('2026-11-04', 'zengin'))!
    t.equal(file.payouts, 1)
    t.equal(await bank.payoutFile('2026-11-04', 'zengin'), undefined, 'nothing waits any more')
    const [order] = readTransfers((await fixture.settlement.document(file.document))!.content)
    t.match(order, { minor: 800, number: shop.person.account!.number })
    const refusal = statusReportFile('S1', 'F1', [{ reference: order!.reference, state: 'RJCT', reason: 'AC04' }])
    t.match(await bank.take(refusal), { format: 'pain.002', booked: 1 })
    t.match(await bank.take(statusReportFile('S2', 'F1', [{ reference: order!.reference, state: 'RJCT' }])), {
      booked: 0,
      repeated: 1,
    })
    const again = (await bank.payoutFile('2026-11-06', 'pain.001'))!
    const xml = Buffer.from((await fixture.settlement.document(again.document))!.content).toString()
    t.match(xml, /<InstdAmt Ccy="JPY">800<\/InstdAmt>/)
    const reference = /<EndToEndId>(\d{14})/.exec(xml)![1]!
    t.not(reference, order!.reference)
    const paid: Movement[] = [{ id: 9, direction: 'out', minor: 800, date: '2026-11-06', text: reference }]
    t.match(await bank.take(movementsFile(own.account, paid)), { booked: 1 })
    t.match(
      await bank.take(notificationFile(own.account, 'N9', paid)),
      { booked: 0, unmatched: 0, aside: [{ why: 'perhaps-known' }] },
      'that another kind of file tells the same is a question for a clerk',
    )
    const second = [{ ...paid[0]!, id: 10, date: '2026-11-07' }]
    t.match(
      await bank.take(movementsFile(own.account, second)),
      { unmatched: 1 },
      'a second withdrawal for it is a question for a clerk',
    )
    const states = (await fixture.database.all<{ state: string }>('SELECT state FROM orders')).map(({ state }) => state)
    t.strictSame(states, ['paid-out', 'paid-out'])
    await conserved(t, fixture)
  },
)

t.test(
  'P5 bad bank files: every field wrong in turn, cut off anywhere, sums that differ; nothing is booked',
  async (t) => {
    const fixture = await new SettlementFixture().start()
    const one = await fixture.enrol()
    const payment = await asks(fixture, one, 'transfer', 3000)
    const line: Movement = { id: 1, direction: 'in', minor: 3000, date: '2026-11-02', text: payment }
    const good = Buffer.from(movementsFile(own.account, [line])).toString('latin1')
    const { bank } = fixture.settlement
    const refuses = async (what: string, text: string, code = 'bank.malformed') =>
      await t.rejects(() => bank.take(latin(text)), { code }, what)
    const change = (record: number, at: number, value: string) => {
      const lines = good.split('\r\n')
      lines[record] = lines[record]!.slice(0, at) + value + lines[record]!.slice(at + value.length)
      return lines.join('\r\n')
    }
    await refuses('empty', '')
    await refuses('another type', change(0, 1, '99'))
    await refuses('a period that is no number', change(0, 10, 'X'))
    await refuses('an inquiry number of letters', change(1, 1, 'ABCDEFGH'))
    await refuses('a day that does not exist', change(1, 9, '081399'))
    await refuses('neither in nor out', change(1, 21, '3'))
    await refuses('an amount of letters', change(1, 24, 'XXX'))
    await refuses('an amount that the trailer does not have', change(1, 24, '000000000000'), 'bank.totals')
    await refuses('an unknown record', change(1, 0, '5'))
    await refuses('a byte outside the set', change(1, 100, '\x80'))
    await refuses('a record too short', good.replace('\r\n', 'X\r\n'))
    await refuses('no trailer', [0, 1, 3].map((i) => good.split('\r\n')[i]).join('\r\n'))
    await refuses('records after the end', `${good}${good.split('\r\n')[1]}\r\n`, 'bank.totals')
    await refuses('another sum', change(2, 7, '0000000003001'), 'bank.totals')
    await refuses('another count', change(2, 1, '000002'), 'bank.totals')
    for (let cut = 1; cut < good.length - 4; cut += 37)
      await t.rejects(() => bank.take(latin(good.slice(0, cut))), { code: /^bank\./ }, `cut off after ${cut}`)

    const xml = Buffer.from(notificationFile(own.account, 'N1', [line])).toString()
    const refusesXml = async (what: string, text: string, code = 'bank.malformed') =>
      await t.rejects(() => bank.take(new TextEncoder().encode(text)), { code }, what)
    await refusesXml('not well formed', xml.replace('</Ntry>', ''))
    await refusesXml('a document type', xml.replace('<Document', '<!DOCTYPE x [<!ENTITY a "b">]><Document'))
    await refusesXml('another message', xml.replaceAll('BkToCstmrDbtCdtNtfctn', 'Other'))
    await refusesXml('a fraction of a yen', xml.replace('>3000<', '>3000.5<'))
    await refusesXml('a negative amount', xml.replace('>3000<', '>-3000<'))
    await refusesXml('an absurd amount', xml.replace('>3000<', '>99999999999999999<'))
    await refusesXml('no currency', xml.replace('Ccy="JPY"', 'Ccy="yen"'))
    await refusesXml('no direction', xml.replace('CRDT', 'XXXX'))
    const undated = xml.replace(/<CreDtTm>[^<]*<\/CreDtTm>/g, '')
    await refusesXml('no date', undated.replace('<Dt>2026-11-02</Dt>', '<Dt>tomorrow</Dt>'))
    await refusesXml('another number of entries', xml.replace('<NbOfNtries>1<', '<NbOfNtries>2<'), 'bank.totals')
    await refusesXml('deep nesting', `<Document>${'<a>'.repeat(60)}${'</a>'.repeat(60)}</Document>`)
    t.match(
      await bank.take(new TextEncoder().encode(xml.replace('BOOK', 'PDNG'))),
      { lines: 0 },
      'what is not booked yet is no money',
    )
    t.strictSame(
      (await fixture.settlement.trialBalance()).map(({ debitsMinor }) => debitsMinor),
      [],
      'no account was even opened',
    )

    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const bytes = latin(good)
        bytes[at] = byte
        try {
          readMovements(bytes, own)
        } catch (error) {
          if (!(error instanceof Error && 'code' in error && String(error.code).startsWith('bank.'))) throw error
        }
      }),
      { numRuns: 300 },
    )
    t.throws(() => readNotification(new Uint8Array([0xff]), own), { code: 'bank.malformed' })
    t.throws(() => readStatusReport(new TextEncoder().encode('<a/>')), { code: 'bank.malformed' })
    await t.rejects(() => bank.take(debitAnswerFile(writeDebits(own, '2026-11-27', []), () => '7').subarray(0, 200)), {
      code: 'bank.malformed',
    })
  },
)
