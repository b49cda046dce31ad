import { memoryDatabase } from '@azukari/gateway/adapters/database'
import { BankGate, releaseNote } from '@azukari/gateway/services/settlement/bank/release'
import { requestValue } from '@azukari/protocol/contracts/settlement-value'
import { signerOf } from '@azukari/protocol/cose'
import { isProblem, Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { debitAnswerFile } from '../../testkit/settlement/bank-side.ts'
import { SettlementFixture } from '../../testkit/settlement/fixture.ts'

const day = 86_400_000
const facts = {
  level: 2,
  home: 'JP-13',
  sinceMs: Date.parse('2026-11-01T00:00:00Z'),
  objects: 1,
  bytes: 1,
  tamperings: 0,
  check: { objects: 1, checked: 1, bad: 0, atMs: 1 },
  kept: [],
  faults: [],
}

/** A bench with a debit file that waits. */
async function withFile(confirmed?: () => Promise<void>) {
  const fixture = await new SettlementFixture({
    placement: { account: async () => facts },
    ...(confirmed ? { more: { confirmed } } : {}),
  }).start()
  const one = await fixture.enrol('general', {}, new Uint8Array(32).fill(5))
  fixture.clock.turn(31 * day)
  await fixture.settlement.billing.close()
  fixture.clock.turn(16 * day)
  return { fixture, one, file: (await fixture.settlement.billing.debitFile())!.document }
}

const lead = (fixture: SettlementFixture, epoch: number) =>
  fixture.database.run('UPDATE centre_self SET epoch = ?', epoch)
const codeOf = async (work: () => unknown) => {
  try {
    await work()
    return 'nothing'
  } catch (error) {
    return isProblem(error) ? error.code : String(error)
  }
}

t.test('P9 a file for the bank leaves once, and the gate before the bank lets it through once', async (t) => {
  const { fixture, file } = await withFile()
  const { bank } = fixture.settlement
  t.match(await bank.waiting(10), [{ document: file, kind: 'debit-file', epoch: 1 }])
  const gate = await BankGate.open(memoryDatabase(), fixture.settlement.publicKey)
  const first = await bank.release(file, 'clerk-1')
  t.same(first.content, (await fixture.settlement.document(file))!.content)
  t.strictSame(await bank.waiting(10), [])
  await t.rejects(bank.release(file, 'clerk-1'), { code: 'bank.released' })
  await t.rejects(bank.release(new Uint8Array(16), 'clerk-1'), { code: 'object.unknown' })

  const now = fixture.clock.now()
  t.equal(await codeOf(() => gate.admit(first.content.subarray(1), first.note, now)), 'bank.note-differs')
  t.equal((await codeOf(() => gate.admit(first.content, first.note.subarray(0, 90), now))).slice(0, 4), 'cbor')
  const forged = releaseNote(signerOf(fixture.newKeys().signing), first.content, {
    name: first.name,
    kind: 'debit-file',
    epoch: 9,
    atMs: now,
  })
  t.equal(await codeOf(() => gate.admit(first.content, forged, now)), 'cose.unknown-key')
  t.match(await gate.admit(first.content, first.note, now), { kind: 'debit-file', epoch: 1, name: first.name })
  const again = await bank.release(file, 'clerk-1', true)
  t.equal(
    await codeOf(() => gate.admit(again.content, again.note, now)),
    'bank.file-known',
    'whatever was given out again',
  )
  t.match(
    (await fixture.settlement.operations(10)).map(({ what }) => what),
    ['accept', 'release bank file', 'release bank file again'],
  )
  await bank.take(debitAnswerFile(first.content, () => '0'))
  t.strictSame((await fixture.settlement.audit()).findings, [])
})

t.test(
  'P9 after a take-over: files of the older epoch are refused, and given out anew under the present one',
  async (t) => {
    const { fixture, file, one } = await withFile()
    const { bank, billing } = fixture.settlement
    const database = memoryDatabase()
    const gate = await BankGate.open(database, fixture.settlement.publicKey)
    const old = await bank.release(file, 'clerk-1')
    await lead(fixture, 2)
    fixture.clock.turn(62 * day)
    await billing.close()
    fixture.clock.turn(16 * day)
    const next = await bank.release((await billing.debitFile())!.document, 'clerk-1')
    const now = fixture.clock.now()
    t.match(await gate.admit(next.content, next.note, now), { epoch: 2 })
    const later = await BankGate.open(database, fixture.settlement.publicKey)
    t.equal(
      await codeOf(() => later.admit(old.content, old.note, now)),
      'centre.old-epoch',
      'also after the gate began anew',
    )
    const anew = await bank.release(file, 'clerk-2', true)
    t.match(await later.admit(anew.content, anew.note, now), { epoch: 2 }, 'the same file, once')

    // Postings carry the epoch of the leadership, and never one before what stands.
    const epochs = async () =>
      (await fixture.database.all<{ epoch: number }>('SELECT DISTINCT epoch FROM ledger_postings ORDER BY seq')).map(
        (row) => row.epoch,
      )
    t.strictSame(await epochs(), [1, 2])
    await lead(fixture, 1)
    const { payment } = await fixture.act(
      requestValue,
      { request: one.pay.topUp('cash', { minor: 500, currency: 'JPY' }) },
      one.device,
    )
    await fixture.settlement.cash.count(payment, 'clerk-1', 500, 'R')
    t.equal(await codeOf(() => fixture.settlement.cash.count(payment, 'clerk-2', 500, 'R')), 'centre.old-epoch')
    await lead(fixture, 3)
    await fixture.settlement.cash.count(payment, 'clerk-2', 500, 'R')
    t.strictSame(await epochs(), [1, 2, 3])
    t.strictSame((await fixture.settlement.audit()).findings, [])
  },
)

t.test('P9 nothing is given out before the release is safe', async (t) => {
  let safe = true
  const { fixture, file } = await withFile(async () => {
    if (!safe) throw new Problem('centre.unconfirmed')
  })
  safe = false
  await t.rejects(fixture.settlement.bank.release(file, 'clerk-1'), { code: 'centre.unconfirmed' })
  safe = true
  await t.rejects(
    fixture.settlement.bank.release(file, 'clerk-1'),
    { code: 'bank.released' },
    'nobody knows: a clerk decides',
  )
  t.ok((await fixture.settlement.bank.release(file, 'clerk-1', true)).note)
})
