/** What banks tell of an account, in the ways in which they tell it: which way money goes, which lines are one, what is not ours. */
import type { Xml } from '@azukari/gateway/services/settlement/bank/files/xml'
import { writeDebits } from '@azukari/gateway/services/settlement/bank/files/zengin'
import { auditSite } from '@azukari/gateway/services/settlement/ledger/independent-audit'
import { coseKey } from '@azukari/protocol/keys'
import t from 'tap'
import { AccountFixture, detail, entry, statement } from '../../testkit/settlement/account-fixture.ts'
import {
  debitAnswerFile,
  type Movement,
  movementsFile,
  notificationFile,
  statusReportFile,
} from '../../testkit/settlement/bank-side.ts'
import { ownAccount as own } from '../../testkit/settlement/fixture.ts'

t.test('P5 P9 reversals: CdtDbtInd says which way the money goes, RvslInd only that it undoes another', async (t) => {
  for (const yes of ['true', '1']) {
    const site = await AccountFixture.open()
    const payment = await site.awaits(3000)
    await site.bank.take(statement('S1', [entry({ minor: 3000, ref: 'A1', text: payment })]))
    await site.shows(t, { bank: 3000, value: 3000 })
    const back = entry({ minor: 3000, ref: 'A1', direction: 'DBIT', reversal: yes, text: payment })
    t.match(await site.bank.take(statement('S2', [back])), { booked: 1 })
    await site.shows(t, { bank: 0, value: 0 }, `RvslInd ${yes}`)
    t.match(await site.bank.take(statement('S3', [back])), { booked: 0, repeated: 1 })
    const refund = entry({ minor: 880, ref: 'A2', reversal: yes, text: 'FEE TAKEN BACK' })
    t.match(await site.bank.take(statement('S4', [refund])), { unmatched: 1 })
    await site.shows(t, { bank: 880, value: 0, in: 880 }, 'what undoes a withdrawal comes in')
  }
})

t.test(
  'P5 P9 Zengin 取引区分: 18 is その他 and says nothing, 19 is 訂正 whose direction is turned already',
  async (t) => {
    const site = await AccountFixture.open()
    const payment = await site.awaits(5000)
    const came: Movement = { id: 1, direction: 'in', minor: 5000, date: '2026-11-02', text: payment, means: '18' }
    t.match(await site.bank.take(movementsFile(own.account, [came])), { booked: 1 })
    await site.shows(t, { bank: 5000, value: 5000 })
    const corrected: Movement = { ...came, id: 2, direction: 'out', date: '2026-11-03', means: '19' }
    t.match(await site.bank.take(movementsFile(own.account, [corrected])), { booked: 1 })
    await site.shows(t, { bank: 0, value: 0 })
  },
)

t.test('P5 a reversal that is told before what it undoes takes the value back when that comes', async (t) => {
  const site = await AccountFixture.open()
  const payment = await site.awaits(2000)
  const back = entry({ minor: 2000, ref: 'B2', direction: 'DBIT', reversal: 'true', text: payment })
  t.match(await site.bank.take(statement('S2', [back])), { unmatched: 1 })
  t.match(await site.bank.take(statement('S1', [entry({ minor: 2000, ref: 'B1', text: payment })])), { booked: 1 })
  await site.shows(t, { bank: 0, value: 0 })
  t.strictSame(await site.bank.unmatched(10), [])
})

t.test('P5 P9 a line that went out never becomes value, whoever assigns it', async (t) => {
  const site = await AccountFixture.open()
  const payment = await site.awaits(880)
  await site.bank.take(statement('S1', [entry({ minor: 880, ref: 'C1', direction: 'DBIT', text: 'BANK FEE' })]))
  const [fee] = await site.bank.unmatched(10)
  t.match(fee, { direction: 'out', minor: 880 })
  await t.rejects(() => site.bank.assign(fee!.id, payment, 'clerk-1'), { code: 'bank.line-out' })
  t.match(
    await site.bank.take(statement('S2', [entry({ minor: 880, ref: 'C2', direction: 'DBIT', text: payment })])),
    { unmatched: 1 },
    'nor when the number of a request stands in it',
  )
  await site.shows(t, { bank: -1760, value: 0, out: 1760 })
})

t.test(
  'P5 which lines are one: words that are no reference, counters that begin anew, numbers of nothing',
  async (t) => {
    const site = await AccountFixture.open()
    const [a, b, c, d] = [
      await site.awaits(1000),
      await site.awaits(2000),
      await site.awaits(4000),
      await site.awaits(500),
    ]
    const nonref = statement('S1', [
      entry({ minor: 1000, ref: 'NONREF', text: a }),
      entry({ minor: 2000, ref: 'NONREF', text: b }),
    ])
    t.match(await site.bank.take(nonref), { booked: 2 })
    const counted = (minor: number, date: string, text: string) => entry({ minor, ntryRef: '1', date, text })
    t.match(await site.bank.take(statement('S2', [counted(4000, '2026-11-04', c)])), { booked: 1 })
    t.match(await site.bank.take(statement('S3', [counted(500, '2026-11-05', d)])), { booked: 1 })
    await site.shows(t, { bank: 7500, value: 7500 })
    const [e, f] = [await site.awaits(30), await site.awaits(70)]
    const zero: Movement[] = [
      { id: 0, direction: 'in', minor: 30, date: '2026-11-06', text: e },
      { id: 0, direction: 'in', minor: 70, date: '2026-11-06', text: f },
      { id: 0, direction: 'in', minor: 30, date: '2026-11-06', text: e },
    ]
    t.match(await site.bank.take(movementsFile(own.account, zero)), { booked: 2, unmatched: 1 })
    t.match(
      await site.bank.take(movementsFile(own.account, zero.slice(0, 2))),
      { booked: 0, repeated: 2 },
      'the same day told again',
    )
    await site.shows(t, { bank: 7630, value: 7600, in: 30 })
  },
)

t.test('P5 P9 a known reference with something else is told, set aside, and booked only by a clerk', async (t) => {
  const site = await AccountFixture.open()
  await site.bank.take(statement('S1', [entry({ minor: 1000, ref: 'D1', text: 'one' })]))
  const other = statement('S2', [entry({ minor: 2000, ref: 'D1', text: 'two' })])
  t.match(await site.bank.take(other), {
    booked: 0,
    unmatched: 0,
    aside: [{ why: 'differs', detail: /2000.*D1 was 1000/ }],
  })
  await site.shows(t, { bank: 1000, value: 0, in: 1000 })
  t.match(await site.bank.take(other), { known: false, aside: [{ why: 'differs' }] }, 'told until it is decided')
  const [aside, ...others] = await site.bank.aside(10)
  t.strictSame(others, [])
  await site.bank.decideAside(aside!.id, true, 'clerk-1, clerk-2')
  await site.shows(t, { bank: 3000, value: 0, in: 3000 })
  await t.rejects(() => site.bank.decideAside(aside!.id, true, 'clerk-1, clerk-2'), { code: 'bank.line-known' })
  t.match(await site.bank.take(other), { known: true })
  // Without a reference the same words in the next statement may be the next payment, or the same.
  const same = [entry({ minor: 700, text: 'RENT' })]
  t.match(await site.bank.take(statement('S3', same)), { unmatched: 1 })
  t.match(await site.bank.take(statement('S4', same)), { aside: [{ why: 'perhaps-known' }] })
  await site.shows(t, { bank: 3700, value: 0, in: 3700 })
})

t.test('P5 a batch told as a sum and then in its parts is one entry, and its parts find their owners', async (t) => {
  const site = await AccountFixture.open()
  const [a, b] = [await site.awaits(1000), await site.awaits(2000)]
  const parts = [detail(1000, a), detail(2000, b)]
  t.match(await site.bank.take(statement('S1', [entry({ minor: 3000, ref: 'E1' })])), { unmatched: 1 })
  await site.shows(t, { bank: 3000, value: 0, in: 3000 })
  t.match(await site.bank.take(statement('S2', [entry({ minor: 3000, ref: 'E1', details: parts })])), {
    booked: 2,
    repeated: 1,
  })
  await site.shows(t, { bank: 3000, value: 3000 })
  t.match(await site.bank.take(statement('S3', [entry({ minor: 3000, ref: 'E1' })])), { booked: 0, repeated: 1 })
  await site.shows(t, { bank: 3000, value: 3000 })
  t.strictSame(await site.bank.unmatched(10), [], 'the sum waits no more')
  // A net batch: what goes the other way is a line of its own.
  const c = await site.awaits(500)
  const net = [detail(500, c), detail(120, 'RETURNED', 'DBIT')]
  await site.bank.take(statement('S4', [entry({ minor: 380, ref: 'E2' })]))
  t.match(await site.bank.take(statement('S5', [entry({ minor: 380, ref: 'E2', details: net })])), { booked: 1 })
  await site.shows(t, { bank: 3380, value: 3500, out: 120 })
})

t.test(
  'P5 what is valid is read: zero, foreign currencies, other accounts, charges, CDATA, dates before numbers',
  async (t) => {
    const site = await AccountFixture.open()
    const [a, b, c, d, e] = [
      await site.awaits(100),
      await site.awaits(200),
      await site.awaits(300),
      await site.awaits(400),
      await site.awaits(500),
    ]
    const file = statement('S1', [
      entry({ minor: 0, ref: 'F0', text: 'INTEREST' }),
      entry({ minor: '12.50', currency: 'CHF', ref: 'F1' }),
      entry({ minor: '3.00', currency: 'EUR', ref: 'F2' }),
      entry({ minor: 300, ref: 'F3', details: [detail(100, a), detail(200, b)] }),
      entry({
        minor: 300,
        details: [['TxDtls', ['Refs', ['AcctSvcrRef', 'T1']], ['RmtInf', ['Ustrd', `20261103 ${c}`]]]],
      }),
      entry({ minor: 890, ref: 'F4', details: [detail(400, 'x'), detail(500, 'y')] }),
    ])
    t.match(await site.bank.take(file), {
      booked: 3,
      unmatched: 1,
      aside: [
        { why: 'currency', detail: /12.50 CHF/ },
        { why: 'currency', detail: /300 EUR/ },
      ],
    })
    await site.shows(t, { bank: 1490, value: 600, in: 890 }, 'a batch that its parts do not explain waits for a clerk')
    const charged: Xml = ['Chrgs', ['Rcrd', ['Amt', { Ccy: 'JPY' }, '10'], ['CdtDbtInd', 'DBIT']]]
    const explained = entry({ minor: 890, ref: 'F5', details: [detail(400, d), detail(500, e)], more: [charged] })
    t.match(await site.bank.take(statement('S2', [explained])), { booked: 2, unmatched: 1 })
    await site.shows(t, { bank: 2380, value: 1500, in: 890, out: 10 }, 'charges that are told are a line out')
    const f = await site.awaits(50)
    const xml = Buffer.from(statement('S3', [entry({ minor: 50, ref: 'F6', text: f })])).toString()
    t.match(await site.bank.take(Buffer.from(xml.replace(f, `<![CDATA[${f}]]>`))), { booked: 1 })
    const strange = statement('S4', [entry({ minor: 1000, ref: 'F7', text: await site.awaits(1000) })], '9998887')
    t.match(await site.bank.take(strange), { booked: 0, aside: [{ why: 'account', detail: /9998887, 1 entries/ }] })
    const g = await site.awaits(70)
    const ours: Movement = { id: 8, direction: 'in', minor: 70, date: '2026-11-05', text: g }
    const theirs = movementsFile({ ...own.account, number: '7654321' }, [{ ...ours, id: 9 }])
    t.match(await site.bank.take(theirs), { booked: 0, aside: [{ why: 'account' }] })
    const [head, rest] = [movementsFile(own.account, [ours]), theirs].map((bytes) =>
      Buffer.from(bytes).toString('latin1').split('\r\n').slice(0, 3),
    )

    const both = [...head!, ...rest!, `9${'7'.padStart(10, '0')}${'2'.padStart(5, '0')}`.padEnd(200), '']
    t.match(await site.bank.take(Buffer.from(both.join('\r\n'), 'latin1')), { booked: 1, aside: [{ why: 'account' }] })
    await site.shows(t, { bank: 2500, value: 1620, in: 890, out: 10 })
    for (const { id } of await site.bank.aside(10)) {
      await t.rejects(() => site.bank.decideAside(id, true, 'clerk-1'), { code: 'bank.not-bookable' })
      await site.bank.decideAside(id, false, 'clerk-1')
    }
    t.strictSame(await site.bank.aside(10), [])
  },
)

t.test('P5 P9 what is missing in an entry is named', async (t) => {
  const site = await AccountFixture.open()
  const missing = async (what: RegExp, xml: string) =>
    await t.rejects(() => site.bank.take(Buffer.from(xml)), { code: 'bank.malformed', detail: what })
  const good = Buffer.from(statement('S1', [entry({ minor: 1, ref: 'G1' })])).toString()
  await missing(/part 1, entry 1: no direction \(CdtDbtInd\)/, good.replace(/<CdtDbtInd>CRDT<\/CdtDbtInd>/, ''))
  const undated = good.replace(/<BookgDt>.*?<\/BookgDt>/, '').replaceAll(/<CreDtTm>.*?<\/CreDtTm>/g, '')
  await missing(/no date \(BookgDt\)/, undated)
  await missing(/no amount with a currency/, good.replace('Ccy="JPY"', ''))
  const answer = Buffer.from(statusReportFile('R1', 'F1', [{ reference: '1', state: 'RJCT' }])).toString()
  await missing(/no reference \(OrgnlEndToEndId\)/, answer.replace(/<OrgnlEndToEndId>1<\/OrgnlEndToEndId>/, ''))
  await missing(/which file it answers/, answer.replace('<OrgnlMsgId>F1</OrgnlMsgId>', ''))
})

t.test('S13 P9 an answer is known by what it says, however its bytes are laid out', async (t) => {
  const site = await AccountFixture.open()
  const order = {
    account: own.account,
    minor: 700n,
    reference: '80000000000123',
    first: false,
    mandateSince: '2026-01-01',
    member: '1',
  }
  const answer = debitAnswerFile(writeDebits(own, '2026-11-27', [order]), () => '1')
  t.match(await site.bank.take(answer), { known: false, aside: [{ why: 'order', detail: /80000000000123/ }] })
  for (const { id } of await site.bank.aside(10)) await site.bank.decideAside(id, false, 'clerk-1')
  t.match(await site.bank.take(answer), { known: true })
  const bare = Buffer.from(answer).toString('latin1').replaceAll('\r\n', '')
  t.match(await site.bank.take(Buffer.from(bare, 'latin1')), { known: true }, 'without line ends')
  t.match(await site.bank.take(Buffer.from(`${bare}\x1a`, 'latin1')), { known: true }, 'with an end-of-file mark')
  const unknown = Buffer.from(statusReportFile('R1', 'abc', [])).toString()
  const rejected = unknown
    .replace(/<OrgnlPmtInfAndSts>.*<\/OrgnlPmtInfAndSts>/, '')
    .replace('</OrgnlGrpInfAndSts>', '<GrpSts>RJCT</GrpSts></OrgnlGrpInfAndSts>')
  t.match(
    await site.bank.take(Buffer.from(rejected)),
    { aside: [{ why: 'order', detail: /abc/ }] },
    'a file that is not ours',
  )
})

t.test('P5 P9 the audit finds an entry that the bank told and the account does not have', async (t) => {
  const site = await AccountFixture.open()
  await site.bank.take(
    notificationFile(own.account, 'N1', [{ id: 1, direction: 'in', minor: 5, date: '2026-11-02', text: '' }]),
  )
  await site.shows(t, { bank: 5, value: 0, in: 5 })
  await site.fixture.database.run('UPDATE bank_entries SET amount = 6')
  const { findings } = await auditSite(site.fixture.database, coseKey(site.fixture.settlement.publicKey))
  t.match(findings, [{ what: 'bank', where: /come to 6, the account has 5/ }])
})

t.test('P7 P9 a file of payouts that the bank rejects as a whole: its orders wait for the next one', async (t) => {
  for (const at of ['GrpSts', 'PmtInfSts'] as const) {
    const site = await AccountFixture.open()
    await site.claim()
    const { document } = (await site.bank.payoutFile('2026-11-04', 'pain.001'))!
    const id = Buffer.from(document).toString('hex')
    const report = Buffer.from(statusReportFile('R1', id, [])).toString()
    const group = report.includes('<OrgnlPmtInfAndSts>')
      ? report.replace(/<OrgnlPmtInfAndSts>.*<\/OrgnlPmtInfAndSts>/, '')
      : report
    const states = {
      GrpSts: group.replace('</OrgnlGrpInfAndSts>', '<GrpSts>RJCT</GrpSts></OrgnlGrpInfAndSts>'),
      PmtInfSts: report.replace('</OrgnlPmtInfAndSts>', '<PmtInfSts>RJCT</PmtInfSts></OrgnlPmtInfAndSts>'),
    }
    t.match(await site.bank.take(Buffer.from(states[at])), { booked: 1, aside: [] }, at)
    t.match(await site.bank.take(Buffer.from(`${states[at]}\n`)), { known: true })
    t.equal((await site.bank.payoutFile('2026-11-05', 'zengin'))?.payouts, 1)
    await site.shows(t, { bank: 5000, value: 4200 })
  }
})

t.test('P7 a payout that bounces is the shop’s again, in whatever order its two lines are told', async (t) => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const site = await AccountFixture.open()
    await site.claim()
    await site.bank.payoutFile('2026-11-04', 'zengin')
    const { number } = (await site.fixture.database.get<{ number: string }>('SELECT number FROM payouts'))!
    const lines = [
      entry({ minor: 800, ref: 'P1', direction: 'DBIT', text: number }),
      entry({ minor: 800, ref: 'P2', direction: 'CRDT', reversal: 'true', text: number }),
    ]
    for (const i of order) t.match(await site.bank.take(statement(`S${i}`, [lines[i]!])), { booked: 1 })
    const states = await site.fixture.database.all<{ state: string }>('SELECT state FROM payouts ORDER BY number')
    t.strictSame(
      states.map(({ state }) => state),
      ['returned', 'waiting'],
    )
    t.equal((await site.fixture.database.get<{ state: string }>('SELECT state FROM orders'))!.state, 'claimed')
    await site.shows(t, { bank: 5000, value: 4200 })
  }
})
