/** Lines that are expected: what was collected of members, what was paid to shops, one by one or as one sum, and what comes back. */
import { openBillReceipt } from '@azukari/device/pay/member'
import { openPerson, sealPerson } from '@azukari/gateway/services/settlement/members/registers'
import { receiptSent } from '@azukari/protocol/contracts/settlement-billing'
import type { AccountFacts } from '@azukari/protocol/contracts/settlement-placement'
import t from 'tap'
import { AccountFixture, entry, statement } from '../../testkit/settlement/account-fixture.ts'
import { debitAnswerFile, statusReportFile } from '../../testkit/settlement/bank-side.ts'

const day = 86_400_000
const facts: AccountFacts = {
  level: 2,
  home: 'JP-13',
  sinceMs: Date.parse('2026-11-01T00:00:00Z'),
  objects: 1,
  bytes: 1_000,
  tamperings: 0,
  check: { objects: 1, checked: 1, bad: 0, atMs: 1 },
  kept: [],
  faults: [],
}

/** A statement of 1,100 that the bank was asked to collect. */
async function asked() {
  const site = await AccountFixture.open(
    { placement: { account: async () => facts }, more: { billing: { firstPeriod: 'whole' } } },
    new Uint8Array(32).fill(5),
  )
  const { fixture } = site
  const { billing } = fixture.settlement
  fixture.clock.turn(31 * day)
  await billing.close()
  fixture.clock.turn(14 * day)
  const { document } = (await billing.debitFile())!
  const content = (await fixture.settlement.document(document))!.content
  const bill = async () =>
    (await fixture.database.get<{ number: string; state: string; total: number }>(
      'SELECT number, state, total FROM statements ORDER BY number LIMIT 1',
    ))!
  const { number, total } = await bill()
  return { site, document, content, number, total, state: async () => (await bill()).state }
}

const names = [
  ['by its number', (number: string) => `FURIKAE ${number}`],
  ['as one sum of the file', () => 'ｺｳｻﾞﾌﾘｶｴ'],
] as const

for (const [how, text] of names)
  for (const order of [
    ['answer', 'line'],
    ['line', 'answer'],
  ])
    t.test(`S13 a debit that was collected is money once, told ${how}, ${order[0]} first`, async (t) => {
      const { site, content, number, total, state } = await asked()
      const line = statement('S1', [entry({ minor: total, ref: 'K1', text: text(number) })])
      for (const what of order) await site.bank.take(what === 'answer' ? debitAnswerFile(content, () => '0') : line)
      t.equal(await state(), 'paid')
      await site.shows(t, { bank: total, value: 0 })
      t.strictSame(await site.bank.unmatched(10), [], 'nothing is left that could be assigned as value')
      const receipts = await site.fixture.events(receiptSent, site.member.device)
      t.strictSame(
        receipts.map(({ receipt }) => openBillReceipt(site.fixture.centre, receipt).amountMinor),
        [total],
      )
    })

t.test(
  'S13 P9 until the bank’s own line brings it, what was collected stands beside the account, not in it',
  async (t) => {
    const { site, content, total } = await asked()
    await site.bank.take(debitAnswerFile(content, () => '0'))
    await site.shows(t, { bank: 0, value: 0 })
    const { minor } = (await site.fixture.database.get<{ minor: number }>(
      "SELECT debits_posted - credits_posted AS minor FROM ledger_accounts WHERE code = 'debits-due/JPY'",
    ))!
    t.equal(minor, total)
  },
)

t.test('S13 S14 a collected debit that comes back later opens its statement again', async (t) => {
  const { site, content, number, total, state } = await asked()
  await site.bank.take(debitAnswerFile(content, () => '0'))
  await site.bank.take(statement('S1', [entry({ minor: total, ref: 'K1' })]))
  const back = entry({ minor: total, ref: 'K2', direction: 'DBIT', reversal: 'true', text: number })
  t.match(await site.bank.take(statement('S2', [back])), { booked: 1 })
  t.equal(await state(), 'returned')
  await site.shows(t, { bank: 0, value: 0 })
  t.equal((await site.fixture.settlement.documents('dunning')).length, 1, 'the member is reminded')
  site.fixture.clock.turn(16 * day)
  t.equal((await site.fixture.settlement.billing.debitFile())?.debits, 1, 'and asked again')
})

t.test('S13 an answer to an earlier file, however it is laid out, says nothing of a later debit', async (t) => {
  const { site, content, state } = await asked()
  const first = debitAnswerFile(content, () => '1')
  await site.bank.take(first)
  t.equal(await state(), 'returned')
  site.fixture.clock.turn(16 * day)
  await site.fixture.settlement.billing.debitFile()
  t.equal(await state(), 'debit-sent')
  const bare = Buffer.from(first).toString('latin1').replaceAll('\r\n', '')
  t.match(await site.bank.take(Buffer.from(bare, 'latin1')), { known: true })
  t.equal(await state(), 'debit-sent')
  await site.fixture.database.run('DELETE FROM bank_files')
  t.match(await site.bank.take(first), { booked: 0, repeated: 1 }, 'its day is that of the earlier file')
  t.equal(await state(), 'debit-sent')
})

t.test('S13 P9 a file of debits that the bank rejects as a whole: its statements are asked for again', async (t) => {
  const { site, document, state } = await asked()
  const report = Buffer.from(statusReportFile('R1', Buffer.from(document).toString('hex'), [])).toString()
  const rejected = report.replace('</OrgnlPmtInfAndSts>', '<PmtInfSts>RJCT</PmtInfSts></OrgnlPmtInfAndSts>')
  t.match(await site.bank.take(Buffer.from(rejected)), { booked: 1, aside: [] })
  t.equal(await state(), 'returned')
  await site.shows(t, { bank: 0, value: 0 })
})

t.test('P7 a file of payouts that leaves as one sum pays all that is in it, and one of them may bounce', async (t) => {
  for (const named of [true, false]) {
    const site = await AccountFixture.open()
    await site.claim()
    await site.claim()
    const { document, payouts } = (await site.bank.payoutFile('2026-11-04', 'pain.001'))!
    t.equal(payouts, 2)
    const text = named ? `${Buffer.from(document).toString('hex')}-1` : 'ｿｳｺﾞｳﾌﾘｺﾐ'
    await site.bank.take(statement('S1', [entry({ minor: 1600, ref: 'Q1', direction: 'DBIT', text })]))
    await site.shows(t, { bank: 8400, value: 8400 })
    const [first, ...others] = await site.fixture.database.all<{ number: string; state: string }>(
      'SELECT number, state FROM payouts ORDER BY number',
    )
    t.strictSame(
      [first, ...others].map((row) => row?.state),
      ['paid', 'paid'],
    )
    const back = entry({ minor: 800, ref: 'Q2', reversal: '1', text: first!.number })
    t.match(await site.bank.take(statement('S2', [back])), { booked: 1 })
    t.equal((await site.bank.payoutFile('2026-11-05', 'zengin'))?.payouts, 1)
    await site.shows(t, { bank: 9200, value: 8400 })
  }
})

t.test('P1 P7 a holder whose name banks cannot write is told at registration, and never stops a file', async (t) => {
  const site = await AccountFixture.open()
  const { fixture } = site
  const account = { bank: '0001', branch: '001', kind: 'ordinary' as const, number: '1000001' }
  for (const holder of ['株式会社', 'ガ'.repeat(16), ' '])
    await t.rejects(() => fixture.enrol('shop', { account: { ...account, holder } }), { code: 'bank.text' }, holder)
  await site.claim()
  const shop = await site.claim({ account: { ...account, holder: 'せきヶはら＆こ' } })
  const { database, keys, random } = fixture
  const row = (await database.get<{ id: Uint8Array; person: Uint8Array }>(
    'SELECT id, person FROM members WHERE number = ?',
    shop.number,
  ))!
  const person = openPerson(keys, row.id, row.person)
  t.equal(person.account?.holder, 'ｾｷｹﾊﾗ.ｺ', 'kept as files have it')
  // One from before names were checked.
  const bad = { ...person, account: { ...account, holder: '株式会社' } }
  await database.run('UPDATE members SET person = ? WHERE id = ?', sealPerson(keys, row.id, bad, random), row.id)
  t.equal((await site.bank.payoutFile('2026-11-04', 'zengin'))?.payouts, 1)
  t.match(await site.bank.unpayable(), [{ why: /holder/ }])
  await database.run('UPDATE members SET person = ? WHERE id = ?', sealPerson(keys, row.id, person, random), row.id)
  t.equal((await site.bank.payoutFile('2026-11-05', 'zengin'))?.payouts, 1, 'paid when it is mended')
})
