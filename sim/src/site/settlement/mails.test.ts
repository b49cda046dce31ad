/** Letters to members: the real service, the real mail library, a real mail server on a socket. */
import { smtpMailer } from '@azukari/gateway/adapters/smtp-mailer'
import { chooseMail } from '@azukari/protocol/contracts/settlement-mail'
import { revoke } from '@azukari/protocol/contracts/settlement-members'
import { requestValue, valueIssued } from '@azukari/protocol/contracts/settlement-value'
import t, { type Test } from 'tap'
import { type MailBox, startMailBox } from '../../testkit/mail-box.ts'
import { type FixtureMember, SettlementFixture } from '../../testkit/settlement/fixture.ts'
import { until } from '../wait.ts'

const hour = 3_600_000

async function bench(t: Test) {
  const post: { box: MailBox } = { box: await startMailBox() }
  const { port } = post.box
  const fixture = await new SettlementFixture({
    more: { mailer: smtpMailer({ host: '127.0.0.1', port, from: 'office@azukari.example' }, undefined) },
  }).start()
  t.teardown(async () => {
    await fixture.settlement.stop()
    await post.box.close()
  })
  const one = await fixture.enrol('general')
  return { post, port, fixture, one }
}

const choose = (fixture: SettlementFixture, { pay, device }: FixtureMember, mail?: string) =>
  fixture.act(chooseMail, { choice: pay.mailChoice(mail) }, device)

/** Money that comes: something to write of. */
async function topUp(fixture: SettlementFixture, { pay, device }: FixtureMember): Promise<void> {
  const request = pay.topUp('cash', { minor: 1_000, currency: 'JPY' })
  const { payment } = await fixture.act(requestValue, { request }, device)
  for (const clerk of ['clerk-1', 'clerk-2']) await fixture.settlement.cash.count(payment, clerk, 1_000, 'R-1')
}

const taken = (what: string, { box }: { box: MailBox }, count: number) => until(what, () => box.mails.length === count)
/** Turns the clock until it is so: a look that was under way may have seen the time before. */
const reach = (what: string, fixture: SettlementFixture, so: () => boolean | Promise<boolean>) =>
  until(what, async () => {
    await fixture.settlement.mailsIdle()
    if (await so()) return true
    fixture.clock.turn(hour)
    return undefined
  })
/** The subject as a reader sees it: RFC 2047 undone, and folding. */
const subjectOf = (source: string) =>
  (/^Subject: ((?:.+\r\n)(?:[ \t].+\r\n)*)/m.exec(source)?.[1] ?? '')
    .replace(/\r\n[ \t]/g, '')
    .replace(/=\?UTF-8\?Q\?([^?]*)\?=/gi, (_, text: string) =>
      Buffer.from(
        text
          .replaceAll('_', ' ')
          .replace(/=([0-9A-F]{2})/g, (_, code: string) => String.fromCharCode(parseInt(code, 16))),
        'latin1',
      ).toString(),
    )
    .replace(/=\?UTF-8\?B\?([^?]*)\?=/gi, (_, text: string) => Buffer.from(text, 'base64').toString())

t.test(
  'S13 D8: whoever wants letters gets them, the first to say so, and nobody else; no more when they say so',
  async (t) => {
    const { post, fixture, one } = await bench(t)
    const other = await fixture.enrol('general')
    for (const member of [one, other]) await topUp(fixture, member)
    t.same(await choose(fixture, one, 'one@members.example'), { isWritten: true, atMs: fixture.clock.now() })
    await taken('the first letter', post, 1)
    for (const member of [one, other]) await topUp(fixture, member)
    await taken('one of the money', post, 2)
    const [first, second] = post.box.mails
    t.strictSame(first?.to, ['one@members.example'])
    t.match(subjectOf(first!.source), /お知らせをメールでお送りします \/ We write to you here/)
    t.match(subjectOf(second!.source), /入金の状況が変わりました \/ News of your top-up/)
    const kept = await fixture.database.all<{ address: Uint8Array }>('SELECT address FROM mail_addresses')
    t.equal(kept.length, 1)
    t.notOk(Buffer.from(kept[0]!.address).includes('members.example'), 'the address is sealed at rest')
    t.same(await choose(fixture, one), { isWritten: false, atMs: fixture.clock.now() })
    await topUp(fixture, one)
    await fixture.settlement.mailsIdle()
    t.equal(post.box.mails.length, 2)
    t.strictSame(await fixture.settlement.mails(), { members: 0, waiting: [], refused: [] })
  },
)

t.test(
  'S13: a mail server that is away for a day delays letters, one of a kind waits, and each comes once',
  async (t) => {
    const { post, port, fixture, one } = await bench(t)
    await choose(fixture, one, 'one@members.example')
    await taken('the first letter', post, 1)
    await fixture.settlement.mailsIdle()
    await post.box.close()
    for (let n = 0; n < 3; n++) await topUp(fixture, one)
    const tries = async () => (await fixture.settlement.mails()).waiting[0]?.tries ?? 0
    for (let n = 1; n <= 24; n++) {
      await until('a try', async () => (await tries()) >= n)
      await fixture.settlement.mailsIdle()
      fixture.clock.turn(hour)
    }
    const { waiting } = await fixture.settlement.mails()
    t.match(waiting, [{ number: one.number, what: valueIssued.name, trouble: /ECONNREFUSED/ }])
    t.equal(waiting.length, 1)
    await fixture.restart()
    post.box = await startMailBox(port)
    await reach('what waited', fixture, () => post.box.mails.length === 1)
    fixture.clock.turn(30 * 24 * hour)
    await fixture.settlement.mailsIdle()
    t.equal(post.box.mails.length, 1)
    t.strictSame((await fixture.settlement.mails()).waiting, [])
  },
)

t.test(
  'S13: an address that is refused is told to the clerks and not tried again; a good one takes its place',
  async (t) => {
    const { post, fixture, one } = await bench(t)
    post.box.refused.add('wrong@members.example')
    await choose(fixture, one, 'wrong@members.example')
    await until('the refusal', async () => (await fixture.settlement.mails()).refused.length === 1)
    await fixture.settlement.mailsIdle()
    t.strictSame((await fixture.settlement.mails()).waiting, [], 'it is not tried again')
    t.match(await fixture.settlement.mails(), {
      members: 1,
      waiting: [],
      refused: [{ number: one.number, why: /550/ }],
    })
    await choose(fixture, one, 'right@members.example')
    await taken('the first letter', post, 1)
    await fixture.settlement.mailsIdle()
    t.match(await fixture.settlement.mails(), { members: 1, waiting: [], refused: [] })
  },
)

t.test('S13: what a mail server never takes is given up after a week; a site without one says so', async (t) => {
  const { post, fixture, one } = await bench(t)
  await post.box.close()
  await choose(fixture, one, 'one@members.example')
  const waits = async () => (await fixture.settlement.mails()).waiting.length > 0
  await until('a try', async () => ((await fixture.settlement.mails()).waiting[0]?.tries ?? 0) > 0)
  fixture.clock.turn(7 * 24 * hour)
  await reach('it is given up', fixture, async () => !(await waits()))
  post.box = await startMailBox()

  const without = await new SettlementFixture().start()
  t.teardown(() => without.settlement.stop())
  const member = await without.enrol('general')
  await t.rejects(choose(without, member, 'one@members.example'), { code: 'mail.none' })
  t.equal((await choose(without, member)).isWritten, false)
})

t.test('P4 S13: what waits for a member whose key was revoked is not sent any more', async (t) => {
  const { post, port, fixture, one } = await bench(t)
  await choose(fixture, one, 'one@members.example')
  await taken('the first letter', post, 1)
  await fixture.settlement.mailsIdle()
  await post.box.close()
  await topUp(fixture, one)
  await until('a try', async () => ((await fixture.settlement.mails()).waiting[0]?.tries ?? 0) > 0)
  await fixture.settlement.mailsIdle()
  await fixture.act(revoke, { revocation: one.pay.revocation('stolen') }, one.device)
  post.box = await startMailBox(port)
  await reach('nothing waits', fixture, async () => (await fixture.settlement.mails()).waiting.length === 0)
  t.strictSame(post.box.mails, [])
})
