import { openMembership, PayMember, sealLoss } from '@azukari/device/pay/member'
import { register, reportLoss, revoke, rotate } from '@azukari/protocol/contracts/settlement-members'
import { readAccount, requestValue } from '@azukari/protocol/contracts/settlement-value'
import { generateRsaKey, thumbprint } from '@azukari/protocol/keys'
import { isProblem, type ProblemCode } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import { codesOf, personOf, SettlementFixture } from '../../testkit/settlement/fixture.ts'

const refused = async (t: Test, code: ProblemCode, work: Promise<unknown>, what: string) => {
  try {
    await work
    t.fail(`${what}: ${code} was expected`)
  } catch (error) {
    t.ok(isProblem(error, code), `${what}: ${code}, not ${error}`)
  }
}
const yen = (minor: number) => ({ minor, currency: 'JPY' as const })

t.test(
  'P1 P3 P4 a member applies, gets the number by letter, registers a key, and is known from then on',
  async (t) => {
    const fixture = await new SettlementFixture().start()
    const device = 'term-1'
    const person = personOf(7)
    const { number, code } = await fixture.invite('general', person, device)
    t.match(number, /^1\d{13}$/)
    t.equal(BigInt(number) % 97n, 1n, 'its check digits fit')
    const keys = fixture.newKeys()
    const pay = fixture.memberOf(keys)

    await refused(
      t,
      'register.unknown-number',
      fixture.act(register, { registration: pay.registration({ number, code: 'a'.repeat(16), person }) }, device),
      'a guessed code',
    )
    await refused(
      t,
      'register.unknown-number',
      fixture.act(register, { registration: pay.registration({ number: '10000000000099', code, person }) }, device),
      'another number',
    )
    const registration = pay.registration({ number, code, person })
    t.notOk(Buffer.from(registration).includes(Buffer.from(person.name)), 'nothing of the person is seen on the way')
    const { membership } = await fixture.act(register, { registration }, device)
    t.same(openMembership(fixture.centre, membership).key, thumbprint(keys.signing))
    await refused(
      t,
      'register.number-used',
      fixture.act(register, { registration: pay.registration({ number, code, person }) }, device),
      'the code again',
    )
    await refused(
      t,
      'register.unknown-number',
      fixture.act(register, { registration: pay.registration({ number, code: 'a'.repeat(16), person }) }, device),
      'a guessed code of a number that is used tells nothing of it',
    )

    const { state } = await fixture.call(readAccount, { query: pay.accountQuery('JPY') }, device)
    t.equal(pay.openAccount(state).balance.minor, 0)
    const stranger = fixture.memberOf(fixture.newKeys())
    await refused(
      t,
      'cose.unknown-key',
      fixture.call(readAccount, { query: stranger.accountQuery('JPY') }, device),
      'an unknown key',
    )
    const rows = await fixture.database.all('SELECT * FROM members')
    t.notOk(JSON.stringify(rows).includes(person.name), 'personal data lies sealed in the register')
  },
)

t.test('P4 an RSA key is registered and pays like any other', async (t) => {
  const fixture = await new SettlementFixture().start()
  const person = personOf(1)
  const { number, code } = await fixture.invite('general', person, 'term-1')
  const pay = new PayMember({ ...fixture.newKeys(), signing: generateRsaKey() }, fixture.centre, fixture)
  await fixture.act(register, { registration: pay.registration({ number, code, person }) }, 'term-1')
  const { state } = await fixture.act(requestValue, { request: pay.topUp('transfer', yen(500)) }, 'term-1')
  t.equal(state, 'waiting')
})

t.test('P4 keys change, end and get lost; what was signed with an old key is refused', async (t) => {
  const fixture = await new SettlementFixture().start()
  const one = await fixture.enrol()
  const next = fixture.newKeys()
  await refused(
    t,
    'register.key-known',
    fixture.act(rotate, { rotation: one.pay.rotation(one.keys) }, one.device),
    'the same key as its own heir',
  )
  const late = one.pay.topUp('transfer', yen(100))
  await fixture.act(rotate, { rotation: one.pay.rotation(next) }, one.device)
  const now = fixture.memberOf(next)
  await refused(
    t,
    'register.key-revoked',
    fixture.act(requestValue, { request: late }, one.device),
    'a late message of the old key',
  )
  await fixture.act(requestValue, { request: now.topUp('transfer', yen(100)) }, one.device)
  await fixture.act(revoke, { revocation: now.revocation('sold the terminal') }, one.device)
  await refused(
    t,
    'register.key-revoked',
    fixture.act(requestValue, { request: now.topUp('transfer', yen(100)) }, one.device),
    'after its end',
  )

  const { letter } = await fixture.settlement.enrolment.reissue(one.number, 'clerk-1')
  const { code, blockCode } = codesOf((await fixture.settlement.document(letter))!.content)
  const fresh = fixture.memberOf(fixture.newKeys())
  await fixture.act(
    register,
    { registration: fresh.registration({ number: one.number, code, person: one.person }) },
    'new-term',
  )
  await fixture.act(requestValue, { request: fresh.topUp('transfer', yen(100)) }, 'new-term')

  const wrong = sealLoss(fixture.centre, { number: one.number, code: 'b'.repeat(16), what: 'both' }, fixture.random)
  await refused(
    t,
    'register.unknown-number',
    fixture.act(reportLoss, { loss: wrong }, 'phone'),
    'a guessed blocking code',
  )
  await fixture.act(
    reportLoss,
    { loss: sealLoss(fixture.centre, { number: one.number, code: blockCode, what: 'both' }, fixture.random) },
    'phone',
  )
  await refused(
    t,
    'register.key-revoked',
    fixture.act(requestValue, { request: fresh.topUp('transfer', yen(100)) }, 'new-term'),
    'a lost key',
  )
})

t.test('P4 bad input: replay, other body, expiry, clock, audience, number out of date', async (t) => {
  const fixture = await new SettlementFixture().start()
  const one = await fixture.enrol()
  const request = one.pay.topUp('transfer', yen(100))
  await fixture.act(requestValue, { request }, one.device)
  await refused(
    t,
    'act.replayed',
    fixture.act(requestValue, { request }, 'another-device'),
    'the same act from another device',
  )
  const old = one.pay.topUp('transfer', yen(100))
  fixture.clock.turn(8 * 86_400_000)
  await refused(t, 'cose.expired', fixture.act(requestValue, { request: old }, one.device), 'an act that is too old')
  const ahead = new PayMember(one.keys, fixture.centre, {
    random: fixture.random,
    clock: { now: () => fixture.clock.now() + 600_000 },
  })
  await refused(
    t,
    'pay.clock',
    fixture.act(requestValue, { request: ahead.topUp('transfer', yen(100)) }, one.device),
    'signed in the future',
  )
  const elsewhere = await new SettlementFixture({ seed: 2 }).start()
  const foreign = new PayMember(one.keys, { key: elsewhere.centre.key, agreement: fixture.centre.agreement }, fixture)
  await refused(
    t,
    'cose.wrong-audience',
    fixture.act(requestValue, { request: foreign.topUp('transfer', yen(100)) }, one.device),
    'meant for another centre',
  )
  const unreadable = new PayMember(one.keys, elsewhere.centre, fixture)
  await refused(
    t,
    'cose.decrypt-failed',
    fixture.act(requestValue, { request: unreadable.topUp('transfer', yen(100)) }, one.device),
    'sealed for another centre',
  )
  const forged = new PayMember({ ...one.keys, signing: fixture.newKeys().signing }, fixture.centre, fixture)
  await refused(
    t,
    'cose.unknown-key',
    fixture.act(requestValue, { request: forged.topUp('transfer', yen(100)) }, one.device),
    'another key',
  )
  await refused(
    t,
    'ledger.bad-amount',
    fixture.act(requestValue, { request: one.pay.topUp('transfer', yen(0)) }, one.device),
    'nothing',
  )
  t.throws(() => one.pay.topUp('transfer', yen(-5)), { code: 'message.invalid' })
  t.throws(() => one.pay.topUp('transfer', yen(1_000_000_000_000)), { code: 'message.invalid' })
  await refused(
    t,
    'ledger.wrong-currency',
    fixture.act(requestValue, { request: one.pay.topUp('transfer', { minor: 5, currency: 'USD' }) }, one.device),
    'another currency',
  )

  const person = personOf(9)
  const { number, code } = await fixture.invite('general', person, 'term-9')
  fixture.clock.turn(91 * 86_400_000)
  const latecomer = fixture.memberOf(fixture.newKeys())
  await refused(
    t,
    'register.number-expired',
    fixture.act(register, { registration: latecomer.registration({ number, code, person }) }, 'term-9'),
    'a letter that lay too long',
  )
  await refused(
    t,
    'register.unknown-number',
    fixture.act(register, { registration: latecomer.registration({ number, code: 'a'.repeat(16), person }) }, 'term-9'),
    'a guessed code of a number that has expired tells nothing of it',
  )
})

t.test('P1 a letter’s code is good to the end of the day that the letter names, in the site’s zone', async (t) => {
  const fixture = await new SettlementFixture({ at: '2026-11-02T01:00:00Z' }).start()
  const registers = async (at: string) => {
    const person = personOf(1)
    const { number, code } = await fixture.invite('general', person, 'term-1')
    const [letter] = (await fixture.settlement.documents('letter')).slice(-1)
    fixture.clock.turnTo(at)
    const member = fixture.memberOf(fixture.newKeys())
    const registration = member.registration({ number, code, person })
    return { letter, done: fixture.act(register, { registration }, 'term-1') }
  }
  // 90 days after the morning of 2 November: 31 January in Tokyo, which ends at 15:00 UTC.
  const intime = await registers('2027-01-31T14:59:59.000Z')
  t.match(Buffer.from((await fixture.settlement.document(intime.letter!.id))!.content).toString('latin1'), '2027-01-31')
  await t.resolves(intime.done)
  const late = await registers('2027-05-01T15:00:00.000Z')
  t.match(Buffer.from((await fixture.settlement.document(late.letter!.id))!.content).toString('latin1'), '2027-05-01')
  await refused(t, 'register.number-expired', late.done, 'a day later')
  await fixture.settlement.stop()
})
