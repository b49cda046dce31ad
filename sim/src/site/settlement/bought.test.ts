/** What members bought of other services, on their statements (S13, C8): once, with tax, and in sum what the ledger took. */
import type { RequestOf } from '@azukari/protocol/contract'
import { objectTo, type Statement, statementSent } from '@azukari/protocol/contracts/settlement-billing'
import type { postCharge } from '@azukari/protocol/contracts/settlement-charges'
import { requestValue } from '@azukari/protocol/contracts/settlement-value'
import t from 'tap'
import { readTransfers } from '../../testkit/settlement/bank-side.ts'
import { type FixtureMember, SettlementFixture } from '../../testkit/settlement/fixture.ts'

type Charge = RequestOf<typeof postCharge>

const card = new Uint8Array(32).fill(7)
const day = 86_400_000

async function makeSite() {
  let tamperings = 0
  let now = () => 0
  const fixture = await new SettlementFixture({
    at: '2027-01-20T05:00:00Z',
    placement: {
      account: async () => ({
        level: 2,
        home: 'JP-13',
        sinceMs: 0,
        objects: 1,
        bytes: 1,
        tamperings,
        check: { objects: 1, checked: 1, bad: 0, atMs: now() },
        kept: [],
        faults: [],
      }),
    },
  }).start()
  now = () => fixture.clock.now()
  const client = await fixture.enrol('general', {}, card)
  const provider = await fixture.enrol()
  const { payment } = await fixture.act(
    requestValue,
    { request: client.pay.topUp('cash', { minor: 100_000, currency: 'JPY' }) },
    client.device,
  )
  for (const clerk of ['a', 'b']) await fixture.settlement.cash.count(payment, clerk, 100_000, 'R')
  let charges = 0
  const charged = (title: string, minor: number, isReversed = false): Charge => ({
    id: new Uint8Array(16).fill(++charges),
    reason: 'content-fee',
    reference: `one/${charges}`,
    moves: isReversed
      ? []
      : [
          {
            from: { card, account: 'value' },
            to: { member: provider.number, account: 'payable' },
            minor,
            currency: 'JPY',
          },
        ],
    item: { card, title, atMs: fixture.clock.now(), minor, currency: 'JPY', tax: 10, isReversed },
  })
  const statementsOf = async ({ device, pay }: FixtureMember): Promise<Statement[]> =>
    (await fixture.events(statementSent, device)).map(({ statement }) => pay.openStatement(statement))
  /** Every period that has ended is closed. */
  const close = async (days: number) => {
    fixture.clock.turn(days * day)
    await fixture.settlement.billing.close()
  }
  const tamper = () => {
    tamperings = 1
  }
  return { fixture, client, charged, close, statementsOf, tamper }
}

t.test(
  'S13 C8 what was bought and what was reversed stands on one statement, and sums to what was taken',
  async (t) => {
    const { fixture, client, charged, close, statementsOf } = await makeSite()
    const { settlement } = fixture
    const song = charged('Harbour in Winter 冬の港', 300)
    await settlement.charge('content', song)
    await settlement.charge('content', song)
    const lost = charged('A film', 900, true)
    await settlement.charge('content', lost)
    await settlement.charge('content', lost)
    await close(32)
    await settlement.charge('content', charged('Later', 30))
    await close(32)
    await close(32)
    const issued = await statementsOf(client)
    const bought = issued.map((statement) => statement.bought)
    t.match(bought[0], {
      lines: [
        { title: 'Harbour in Winter 冬の港', what: 'content-content-fee', minor: 300, tax: 10, isReversed: false },
        { title: 'A film', minor: 900, isReversed: true },
      ],
      further: 0,
      taxes: [{ rate: 10, gross: 300, tax: 27 }],
      total: { minor: 300, currency: 'JPY' },
    })
    t.equal(bought[0]?.lines.length, 2, 'each once')
    t.strictSame(
      bought.slice(1).flatMap((one) => one?.lines.map(({ title }) => title) ?? []),
      ['Later'],
      'and no other statement has it again',
    )
    const fees = issued[0]?.taxes.reduce((sum, { net, tax }) => sum + net + tax, 0)
    t.equal(issued[0]?.total.minor, fees, 'what was paid already is not collected')
    const stated = bought.reduce((sum, one) => sum + (one?.total.minor ?? 0), 0)
    t.equal(stated, 330)
    const file = await settlement.bank.payoutFile('2027-05-06', 'zengin')
    const document = await settlement.document(file?.document ?? new Uint8Array(16))
    const [transfer] = readTransfers(document?.content ?? new Uint8Array(0))
    t.equal(transfer?.minor, stated, 'the statements say what was taken')
    t.strictSame((await settlement.audit()).findings, [])
  },
)

t.test('S13 C8 a charge whose item says another amount than is moved is refused, and nothing is booked', async (t) => {
  const { fixture, client, charged, close, statementsOf } = await makeSite()
  const post = (change: Partial<Charge>, item: Partial<NonNullable<Charge['item']>> = {}) => {
    const { item: said, ...of } = charged('Song', 300)
    if (!said) throw new Error('it has an item')
    return fixture.settlement.charge('content', { ...of, item: { ...said, ...item }, ...change })
  }
  await t.rejects(post({}, { minor: 299 }), { code: 'message.invalid' })
  await t.rejects(post({}, { currency: 'USD' }), { code: 'message.invalid' })
  await t.rejects(post({}, { card: new Uint8Array(32) }), { code: 'message.invalid' }, 'another member’s card')
  await t.rejects(post({}, { isReversed: true }), { code: 'message.invalid' }, 'taken, and said to be reversed')
  await t.rejects(post({ moves: [] }), { code: 'message.invalid' }, 'said to be paid, and not taken')
  const { item: _none, ...nothing } = charged('Song', 300)
  await t.rejects(fixture.settlement.charge('content', { ...nothing, moves: [] }), { code: 'message.invalid' })
  await close(32)
  t.strictSame(
    (await statementsOf(client)).map(({ bought }) => bought),
    [undefined],
  )
})

t.test('S13 a statement that takes the place of another has what was bought, and only that one', async (t) => {
  const { fixture, client, charged, close, statementsOf, tamper } = await makeSite()
  await fixture.settlement.charge('content', charged('Song', 300))
  await close(32)
  const [first] = await statementsOf(client)
  // Booked after its period: it belongs to the next one.
  await fixture.settlement.charge('content', charged('Later', 30))
  tamper()
  const objection = client.pay.objection(first?.statement ?? '', 'data', 'a picture was changed')
  await fixture.act(objectTo, { objection }, client.device)
  const [open] = await fixture.settlement.billing.objections.open(10)
  const decided = await fixture.settlement.billing.objections.decide(open?.id ?? new Uint8Array(16), 'clerk-1')
  t.match(decided, { upheld: true })
  await close(32)
  const titles = (await statementsOf(client)).map(({ statement, replaces, bought }) => [
    statement === first?.statement || replaces !== undefined ? 'of the period' : 'the next',
    ...(bought?.lines.map(({ title }) => title) ?? []),
  ])
  t.strictSame(titles, [
    ['of the period', 'Song'],
    ['the next', 'Later'],
  ])
})

t.test('S13 more than a statement has room for is counted in its sums, and the page is made', async (t) => {
  const { fixture, client, charged, close, statementsOf } = await makeSite()
  for (let n = 0; n < 63; n++) await fixture.settlement.charge('content', charged('長い題名の歌 '.repeat(25), 10))
  await close(32)
  const [statement] = await statementsOf(client)
  t.match(statement?.bought, {
    further: 3,
    total: { minor: 630 },
    taxes: [{ gross: 630, tax: 57 }],
  })
  t.equal(statement?.bought?.lines.length, 60)
  const [page] = await fixture.settlement.documents('statement')
  const document = await fixture.settlement.document(page?.id ?? new Uint8Array(16))
  t.ok((document?.content.length ?? 0) > 1_000)
})
