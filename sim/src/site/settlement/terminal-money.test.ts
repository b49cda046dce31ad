/**
 * A member and their money at a terminal (P1–P8, S13), worked through questions alone as a page asks them, against the real
 * settlement: apply, register with the letter, top up, buy, read and object to a statement, the history without a line.
 */
import { Dialogue } from '@azukari/device/apps/dialogue'
import { MoneyMenu } from '@azukari/device/apps/money/menu'
import type { PresentCard } from '@azukari/device/apps/presence'
import type { Mail } from '@azukari/gateway/mail/mailer'
import type { Contract, RequestOf } from '@azukari/protocol/contract'
import { objectionDecided, statementSent } from '@azukari/protocol/contracts/settlement-billing'
import { balanceChanged, putOffer } from '@azukari/protocol/contracts/settlement-purchase'
import { valueIssued } from '@azukari/protocol/contracts/settlement-value'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { SimulatedDisplay, SimulatedMemory, SimulatedPanel } from '../../testkit/boards/index.ts'
import { quietLog } from '../../testkit/log.ts'
import { codesOf, SettlementFixture } from '../../testkit/settlement/fixture.ts'
import { SimFiles } from '../../testkit/world/files.ts'
import { until } from '../wait.ts'

const cost = { memoryKib: 64, passes: 1, lanes: 1 }
const passwords = { a: 'correct horse', b: 'battery staple' }
const device = 'term-own'
/** What placement says of the member's card. */
const facts = {
  level: 2,
  home: 'JP-13',
  sinceMs: Date.parse('2023-11-01T00:00:00Z'),
  objects: 3,
  bytes: 1_000_000,
  tamperings: 0,
  check: { objects: 3, checked: 3, bad: 0, atMs: 1 },
  kept: [],
  faults: [],
}

/** A terminal with a card in it, its line to settlement, and the person before it. */
async function terminal() {
  const letters: Mail[] = []
  const fixture = await new SettlementFixture({
    placement: { account: async () => ({ ...facts }) },
    more: {
      billing: { firstPeriod: 'whole' },
      mailer: {
        send: async (mail) => {
          letters.push(mail)
        },
      },
    },
  }).start()
  const { clock, random } = fixture
  const panel = new SimulatedPanel({ clock, entry: ['pin', 'text', 'choice'] })
  const display = new SimulatedDisplay()
  const line = { isUp: true }
  const came = new Map<string, { n: number; atMs: number; body: unknown }[]>()
  const hear = async () => {
    for (const contract of [valueIssued, balanceChanged, statementSent, objectionDecided])
      for (const body of await fixture.events(contract, device)) {
        const kept = came.get(contract.id) ?? []
        came.set(contract.id, [...kept, { n: kept.length + 1, atMs: clock.now(), body }])
      }
  }
  const online = () => {
    if (!line.isUp) throw new Problem('link.offline')
  }
  const menu = new MoneyMenu({
    dialogue: new Dialogue({ panels: [panel], display, clock, language: () => 'en' }),
    pay: {
      send: async (contract, body) => {
        online()
        return fixture.act(contract, body, device)
      },
      kept: async <C extends Contract>(contract: C) =>
        (came.get(contract.id) ?? []) as { n: number; atMs: number; body: RequestOf<C> }[],
      pages: async () => [],
      page: async () => new Uint8Array(),
    },
    link: {
      call: async (contract, body) => {
        online()
        return fixture.call(contract, body, device)
      },
    },
    clock,
    random,
    files: new SimFiles({ random }),
    folder: '/terminal/vaults',
    memory: new SimulatedMemory(),
    display,
    language: () => 'en',
    log: quietLog,
    cost,
  })
  const card = {
    facts: { card: new Uint8Array(32).fill(5), member: { id: new Uint8Array(16).fill(9), name: 'Hanako' } },
  } as unknown as PresentCard
  const leave = new AbortController()
  /** The person stands before the menu until `away`. */
  let visit: Promise<void> = Promise.resolve()
  const come = () => {
    visit = menu.open(card, leave.signal)
    visit.catch(() => undefined)
  }
  const away = async () => {
    await until('a question', () => panel.asked !== undefined)
    panel.press('cancel')
    await visit
  }
  const asked = async (prompt: string | RegExp) => {
    const wanted = () =>
      typeof prompt === 'string' ? panel.asked?.prompt === prompt : prompt.test(panel.asked?.prompt ?? '')
    await until(`the question ${prompt} (asked: ${panel.asked?.prompt}; shown: ${display.current?.lines})`, wanted)
  }
  const labels = () => (panel.asked && 'choices' in panel.asked ? panel.asked.choices.map(({ label }) => label) : [])
  const pick = async (label: string | RegExp) => {
    const at = () => labels().findIndex((one) => (typeof label === 'string' ? one === label : label.test(one)))
    await until(
      `the choice ${label} (asked: ${panel.asked?.prompt}; shown: ${display.current?.lines})`,
      () => at() >= 0,
    )
    panel.pick(at())
  }
  const write = async (prompt: string | RegExp, text: string) => {
    await asked(prompt)
    panel.write(text)
  }
  const shown = (text: RegExp) => until(`${text}`, () => text.test(display.current?.lines.join(' / ') ?? ''))
  const person = async () => {
    await write(/^Your name \(Hanako\)/, '預金 花子')
    await write('Your name in kana', 'ヨキン ハナコ')
    await write('Postcode, 7 digits', '10')
    await write(/^It does not fit\. Postcode/, '100-0001')
    await write('Your address', '東京都千代田区千代田1')
    await pick('Without one')
  }
  return {
    letters,
    fixture,
    panel,
    display,
    line,
    hear,
    come,
    away,
    left: () => visit,
    asked,
    labels,
    pick,
    write,
    shown,
    person,
  }
}

t.test('P1 P2 P5 P6 P8 S13: a member’s money, at the terminal alone', async (t) => {
  const { letters, fixture, panel, display, line, hear, come, away, left, asked, labels, pick, write, shown, person } =
    await terminal()
  const shop = await fixture.enrol('shop', { invoiceNumber: 'T1234567890123' })
  const offer = shop.pay.offer([{ item: 'tea', name: 'Tea', kind: 'goods', price: 1080, currency: 'JPY', tax: 8 }])
  await fixture.act(putOffer, { offer }, shop.device)

  // P1: an application; the clerk accepts, and the letter comes.
  come()
  await pick('Apply for membership')
  await person()
  await pick('Yes')
  await shown(/on its way/)
  const [application] = await fixture.settlement.enrolment.applications(10)
  const { number, letter } = await fixture.settlement.enrolment.accept(application!.id, 'clerk-1')
  const { code } = codesOf((await fixture.settlement.document(letter))!.content)

  // P2, P3: passwords, a key of the terminal's own making, and the registration that it signs.
  await pick('Register with the letter that came')
  await pick('Two passwords')
  await asked(/^Your new password A/)
  t.match(panel.asked, { isSecret: true }, 'a password is not shown')
  panel.write(passwords.a)
  await write(/^Your new password A.*Once more/, passwords.a)
  await write(/^Your new password B[^(]*$/, passwords.b)
  await write(/^Your new password B.*Once more/, passwords.b)
  await write(/^Member number of the letter/, number)
  await write(/^Registration code/, `${code.slice(0, 8).toUpperCase()} ${code.slice(8)}`)
  await person()
  await write('Password B', passwords.b)
  await shown(/You are registered as/)
  await away()

  // P5: a wrong password opens nothing; then a payment number, and the clerks count the cash.
  come()
  await write('Password A', 'some other words')
  await t.rejects(left(), { code: 'vault.wrong' })
  come()
  await write('Password A', passwords.a)
  await pick('Top up')
  await pick('Cash by registered post')
  await write('Amount in JPY', '5000')
  await write('Password B', passwords.b)
  await shown(/State this number when you pay/)
  const [payment] = /\d{14}/.exec(display.current?.lines[0] ?? '') ?? ['']
  for (const clerk of ['clerk-1', 'clerk-2']) await fixture.settlement.cash.count(payment, clerk, 5_000, 'R-1')
  await hear()

  // P6: an order that is paid with a signed instruction.
  await pick('Buy from a shop')
  await write(/^Member number of the shop/, shop.number)
  await pick('Tea')
  await write(/How many/, '2')
  await write('Password B', passwords.b)
  await pick('Yes, pay')
  await shown(/Paid 2160 JPY; balance 2840 JPY/)
  await pick('Balance and payments')
  await write('Password B', passwords.b)
  await until('the payments', () => labels().some((label) => label.endsWith('-2160 JPY')))
  panel.press('cancel')

  // Letters are written to whoever wants them, and to nobody before.
  await fixture.settlement.mailsIdle()
  t.strictSame(letters, [])
  await pick('Letters by mail')
  await pick('Write to me when there is news')
  await write('Your mail address', 'hanako at example')
  await write(/^It does not fit\. Your mail/, 'hanako@example.org')
  await write('Password B', passwords.b)
  await shown(/Letters go to hanako@example\.org/)
  await until('the first letter', () => letters.length === 1)
  await away()

  // S13: the statement of the month, and an objection to it.
  fixture.clock.turn(40 * 86_400_000)
  await fixture.settlement.billing.close()
  await hear()
  await until('a letter of it', () => letters.length === 2)
  t.match(letters[1], { to: 'hanako@example.org', subject: /Your statement is ready/ })
  come()
  await write('Password A', passwords.a)
  t.notMatch(letters[1]!.text, /預金|JPY|\d{4}/, 'without name and amount')
  await pick('Letters by mail')
  await pick('No letters')
  await write('Password B', passwords.b)
  await shown(/No letters are written any more/)
  await pick('Statements')
  await write('Password B', passwords.b)
  await pick(/^2026-\d\d-\d\d to 2026-\d\d-\d\d: \d+ JPY$/)
  await until('its lines', () => labels().includes('3 copies were checked, 0 were bad'))
  await pick(/^Object \(until/)
  await pick('The fee')
  await write(/^What is wrong, in your words/, 'too much')
  await write('Password B', passwords.b)
  await shown(/nothing is collected until it is decided/)
  t.equal((await fixture.database.get<{ state: string }>('SELECT state FROM statements'))?.state, 'objected')
  await asked(/^2026/)
  panel.press('cancel')
  await asked('Statements')
  panel.press('cancel')

  await pick('Look for news')
  await write('Password B', passwords.b)
  await shown(/[23] new in your history/)
  await pick('Look for news')
  await write('Password B', passwords.b)
  await shown(/Nothing new/)
  await away()

  // P8: without a line the history opens with password A alone.
  line.isUp = false
  come()
  await write('Password A', passwords.a)
  await pick('My history')
  await until('the history', () => labels().length >= 4)
  const history = labels().map((label) => label.replace(/^\S+ \S+ /, ''))
  for (const what of ['Payment expected', 'Value received', 'Purchase', 'Statement'])
    t.ok(history.includes(what), `${what} is in the history`)
  panel.press('cancel')
  await pick('Top up')
  await shown(/no connection|line|network/i)
  await away()
})
