import { requestValue } from '@azukari/protocol/contracts/settlement-value'
import t from 'tap'
import { readTransfers } from '../../testkit/settlement/bank-side.ts'
import { SettlementFixture } from '../../testkit/settlement/fixture.ts'

t.test(
  'C9 W11 R3 P9 other services post charges: once, whole, and what is earned goes out with the payouts',
  async (t) => {
    const fixture = await new SettlementFixture().start()
    const card = new Uint8Array(32).fill(7)
    const [client, provider] = [await fixture.enrol('general', {}, card), await fixture.enrol()]
    const { payment } = await fixture.act(
      requestValue,
      { request: client.pay.topUp('cash', { minor: 100, currency: 'JPY' }) },
      client.device,
    )
    for (const clerk of ['a', 'b']) await fixture.settlement.cash.count(payment, clerk, 100, 'R')
    const { settlement } = fixture
    const value = { member: client.number, account: 'value' as const }
    const payable = { member: provider.number, account: 'payable' as const }
    const jpy = { currency: 'JPY' as const }
    const one = {
      id: new Uint8Array(16).fill(1),
      reason: 'usage',
      reference: 'work-7',
      moves: [
        { from: value, to: payable, minor: 60, ...jpy },
        { from: value, to: { own: 'income' as const }, minor: 10, ...jpy },
      ],
    }
    const first = await settlement.charge('content', one)
    t.strictSame(await settlement.charge('content', one), first, 'the same charge again')
    await t.rejects(() => settlement.charge('content', { ...one, reference: 'work-8' }), { code: 'ledger.conflict' })
    await t.rejects(
      () => settlement.charge('work', one),
      { code: 'ledger.insufficient' },
      'the same id of another service is another charge',
    )
    await t.rejects(
      () =>
        settlement.charge('content', {
          ...one,
          id: new Uint8Array(16).fill(2),
          moves: [{ from: value, to: { ...payable, member: '10000000000099' }, minor: 1, ...jpy }],
        }),
      { code: 'register.unknown-number' },
    )
    const stranger = { card: new Uint8Array(32), account: 'value' as const }
    await t.rejects(
      () => settlement.charge('content', { ...one, moves: [{ from: stranger, to: payable, minor: 1, ...jpy }] }),
      { code: 'register.unknown-number' },
      'a card that nobody holds',
    )
    await settlement.charge('rights', {
      id: new Uint8Array(16).fill(3),
      reason: 'return',
      reference: 'work-7',
      moves: [{ from: payable, to: { card, account: 'value' }, minor: 5, ...jpy }],
    })
    await t.rejects(
      () =>
        settlement.charge('rights', {
          id: new Uint8Array(16).fill(4),
          reason: 'return',
          reference: 'work-7',
          moves: [{ from: payable, to: value, minor: 56, ...jpy }],
        }),
      { code: 'ledger.insufficient' },
    )
    const file = (await settlement.bank.payoutFile('2026-11-04', 'zengin'))!
    t.match(readTransfers((await settlement.document(file.document))!.content), [
      { minor: 55, number: provider.person.account!.number },
    ])
    t.strictSame((await settlement.audit()).findings, [])
  },
)

t.test(
  'P7 S13 a site that has not said whose account and who issues makes no bank file and no statement',
  async (t) => {
    const fixture = await new SettlementFixture({
      rules: { issuer: { name: 'Azukari', invoiceNumber: 'T0000000000000' } },
      more: { own: undefined as never },
    }).start()
    await t.rejects(fixture.settlement.billing.close(), { code: 'config.invalid' })
    await t.rejects(() => fixture.settlement.billing.debitFile(), { code: 'config.invalid' })
  },
)
