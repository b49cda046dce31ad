/** The enrolment page (P1, P3, P4) in Chromium: a person applies, the letter comes, the terminal registers; strangers do not pass. */
import { request as ask } from 'node:http'
import type { Service } from '@azukari/gateway/service/service'
import { serveEnrolment } from '@azukari/gateway/services/settlement/members/page/serve'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { register } from '@azukari/protocol/contracts/settlement-members'
import { requestValue } from '@azukari/protocol/contracts/settlement-value'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { launchBrowser, noBrowser } from '../../testkit/browser.ts'
import { codesOf, SettlementFixture } from '../../testkit/settlement/fixture.ts'

interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  text: string
}

/** A request as no browser makes it. */
function send(
  url: string,
  path: string,
  headers: Record<string, string> = {},
  form?: Record<string, string> | string,
): Promise<Answer> {
  const body = form === undefined ? undefined : typeof form === 'string' ? form : new URLSearchParams(form).toString()
  return new Promise((resolve, reject) => {
    const asked = ask(
      new URL(path, url),
      {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded', origin: url }),
          ...headers,
        },
        timeout: 120_000,
      },
      (answer) => {
        let text = ''
        answer.setEncoding('utf8').on('data', (part) => {
          text += part
        })
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }))
      },
    )
    asked.once('error', reject)
    asked.end(body)
  })
}

const person = {
  name: '預金 花子',
  kana: 'よきん　はなこ',
  postcode: '１００－０００１',
  address: '東京都千代田区千代田1-1',
  agree: 'yes',
}

async function served(more: Partial<Parameters<typeof serveEnrolment>[0]> = {}) {
  const fixture = await new SettlementFixture().start()
  const logged: string[] = []
  const note = (text: string, given?: object) => void logged.push(text + JSON.stringify(given ?? {}))
  const log: Log = { debug: note, info: note, warn: note, error: note, child: () => log }
  const page = await serveEnrolment({
    settlement: fixture.settlement,
    clock: systemClock,
    random: fixture.random,
    log,
    host: '127.0.0.1',
    port: 0,
    insecure: false,
    ...more,
  })
  /** A browser's first look at the form: its cookie and ticket. */
  const form = async (kind: string) => {
    const { text, headers } = await send(page.url, `/apply?kind=${kind}`)
    const cookie = String(headers['set-cookie']).split(';')[0]!
    const value = (name: string) => new RegExp(`name="${name}" value="([^"]*)"`).exec(text)![1]!
    return { cookie, fields: { ticket: value('ticket'), terms: value('terms') }, headers }
  }
  const stop = async () => {
    await page.close()
    await fixture.settlement.stop()
  }
  return { fixture, page, form, logged, stop }
}

t.test(
  'P1 P3 P4 a person applies on the page, is told of every mistake, gets the letter, and registers at the terminal',
  { skip: noBrowser },
  async (t) => {
    const { fixture, page, logged, stop } = await served()
    const browser = await launchBrowser()
    t.teardown(async () => {
      await browser.close()
      await stop()
    })
    const tab = await browser.newPage({ locale: 'ja-JP' })
    tab.setDefaultTimeout(300_000)
    const complaints: string[] = []
    tab.on('console', (message) => complaints.push(message.text()))
    await tab.goto(page.url)
    t.equal(await tab.locator('html').getAttribute('lang'), 'ja')
    t.match(await tab.locator('.never').textContent(), /鍵とパスワードは端末で作られ/)
    await tab.getByRole('link', { name: 'English' }).click()
    t.match(await tab.locator('.never').textContent(), /never typed into a web page/)
    await tab.getByRole('link', { name: '日本語' }).click()
    await tab.getByRole('link', { name: '一般会員として申し込む' }).click()
    t.match(await tab.locator('.conditions').textContent(), /異議を申し立てる/, 'the terms are shown')
    t.equal(await tab.locator('input[type=password]').count(), 0)

    await tab.getByLabel('氏名').fill('<script>alert(1)</script>')
    await tab.getByLabel('フリガナ').fill('漢字')
    await tab.getByLabel('郵便番号').fill('12')
    await tab.getByLabel('銀行番号').fill('1')
    await tab.getByRole('button', { name: '申し込む' }).click()
    const alert = tab.getByRole('alert')
    await alert.waitFor()
    for (const code of ['apply.kana', 'apply.postcode', 'apply.address', 'apply.account', 'apply.agree'])
      t.match(await alert.textContent(), code)
    t.notMatch(await alert.textContent(), 'apply.name')
    t.equal(await tab.getByLabel('郵便番号').getAttribute('aria-invalid'), 'true')
    t.equal(await tab.getByLabel('氏名').inputValue(), '<script>alert(1)</script>', 'what was written is kept, as text')
    t.equal((await fixture.settlement.enrolment.applications(10)).length, 0)

    await tab.getByLabel('氏名').fill(person.name)
    await tab.getByLabel('フリガナ').fill(person.kana)
    await tab.getByLabel('郵便番号').fill(person.postcode)
    await tab.getByLabel('住所').fill(person.address)
    await tab.getByLabel('銀行番号').fill('０００１')
    await tab.getByLabel('支店番号').fill('001')
    await tab.getByLabel('口座番号').fill('1234567')
    await tab.getByLabel('口座名義').fill('ヨキン　ハナコ')
    await tab.getByLabel('規約に同意します').check()
    // By keyboard: Enter in a field sends the form.
    await tab.getByLabel('口座名義').press('Enter')
    const reference = await tab.locator('#reference').textContent()
    t.match(reference, /^[0-9a-f]{8}$/)
    const [waiting] = await fixture.settlement.enrolment.applications(10)
    t.match(waiting, {
      kind: 'general',
      person: {
        name: '預金 花子',
        kana: 'ヨキン ハナコ',
        postcode: '100-0001',
        address: person.address,
        account: { bank: '0001', branch: '001', kind: 'ordinary', number: '1234567', holder: 'ﾖｷﾝ ﾊﾅｺ' },
      },
    })
    t.equal(Buffer.from(waiting!.id).toString('hex').slice(0, 8), reference)
    t.strictSame(
      complaints.filter((text) => /policy|refused/i.test(text)),
      [],
    )

    const { number, letter } = await fixture.settlement.enrolment.accept(waiting!.id, 'clerk-1')
    const { code } = codesOf((await fixture.settlement.document(letter))!.content)
    const pay = fixture.memberOf(fixture.newKeys())
    await fixture.act(register, { registration: pay.registration({ number, code, person: waiting!.person }) }, 'term-9')
    const { payment } = await fixture.act(
      requestValue,
      { request: pay.topUp('cash', { minor: 100, currency: 'JPY' }) },
      'term-9',
    )
    t.match(payment, /^6\d{13}$/, 'a member like any other')
    t.notOk(
      logged.some((line) => line.includes('花子') || line.includes('1234567')),
      'nothing of the person is logged',
    )
    const rows = await fixture.database.all<{ person: Uint8Array }>('SELECT person FROM applications')
    t.notOk(
      rows.some((row) => Buffer.from(row.person).includes('千代田')),
      'it lies sealed',
    )
    t.equal(
      (await fixture.database.all('SELECT 1 FROM inbox WHERE instr(reply, ?) > 0', Buffer.from('千代田'))).length,
      0,
    )
  },
)

t.test('P1 a shop needs an account; number and kana are judged; English is English', async (t) => {
  const { fixture, page, form, stop } = await served()
  t.teardown(stop)
  const { cookie, fields } = await form('shop')
  const english = { cookie, 'accept-language': 'en-GB' }
  const bad = await send(page.url, '/apply', english, { ...person, ...fields, invoiceNumber: 'T1' })
  t.equal(bad.status, 422)
  for (const code of ['apply.account', 'apply.invoice-number']) t.ok(bad.text.includes(`<code>${code}</code>`), code)
  t.match(bad.text, /The invoice registration number is not one/)
  const account = { bank: '0001', branch: '001', accountKind: 'current', accountNumber: '7654321', holder: 'よきん' }
  for (const [field, value] of [
    ['holder', '漢字'],
    ['accountKind', 'secret'],
    ['accountNumber', '12345678'],
    ['name', 'a\u202eb'],
    ['name', ''],
    ['email', 'nobody'],
    ['address', 'x'.repeat(201)],
    ['kana', '\u0000'],
  ] as const)
    t.equal(
      (await send(page.url, '/apply', english, { ...person, ...account, ...fields, [field]: value })).status,
      422,
      `${field} ${JSON.stringify(value).slice(0, 20)}`,
    )
  const good = { ...person, ...account, ...fields, invoiceNumber: 'ｔ1234567890123' }
  t.equal((await send(page.url, '/apply', english, good)).status, 200)
  t.match(await fixture.settlement.enrolment.applications(10), [
    { kind: 'shop', person: { invoiceNumber: 'T1234567890123', account: { kind: 'current', holder: 'ﾖｷﾝ' } } },
  ])
})

t.test(
  'P1 P9 strangers: foreign names and origins, forged, stolen and old forms, floods, and what is no form',
  async (t) => {
    let now = Date.parse('2026-11-02T01:00:00Z')
    const clock = { ...systemClock, now: () => now, monotonicMs: () => now }
    const { fixture, page, form, stop } = await served({
      clock,
      limits: { address: { most: 3, perMs: 600_000 }, all: { most: 5, perMs: 3_600_000 } },
    })
    t.teardown(stop)
    const host = new URL(page.url).host
    const waiting = async () => (await fixture.settlement.enrolment.applications(100)).length
    t.equal((await send(page.url, '/', { host: 'evil.example' })).status, 403)
    const first = await form('general')
    const policy = String(first.headers['content-security-policy'])
    for (const rule of ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"])
      t.ok(policy.includes(rule), rule)
    t.match(first.headers, { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' })
    const good = { ...person, ...first.fields }
    const { cookie } = first
    const denied = async (
      what: string,
      status: number,
      headers: Record<string, string>,
      given: Record<string, string> | string,
    ) => t.equal((await send(page.url, '/apply', headers, given)).status, status, what)
    await denied('a page of another origin', 403, { cookie, origin: 'http://evil.example' }, good)
    await denied('a page that hides its origin', 403, { cookie, origin: 'null' }, good)
    await denied('without the cookie', 403, {}, good)
    const second = await form('general')
    await denied('the form of another browser', 403, { cookie: second.cookie }, good)
    await denied(
      'another kind under the same ticket',
      403,
      { cookie },
      { ...good, ticket: good.ticket.replace('general', 'shop') },
    )
    await denied('no ticket at all', 403, { cookie }, person)
    await denied('too large', 413, { cookie }, { ...good, address: 'x'.repeat(20_000) })
    await denied('JSON', 400, { cookie, 'content-type': 'application/json' }, '{}')
    t.equal((await send(page.url, '/../../etc/passwd')).status, 404)
    t.equal(await waiting(), 0)

    await denied('good', 200, { cookie }, good)
    await denied('sent twice', 200, { cookie }, good)
    t.equal(await waiting(), 1, 'is one application')
    const old = await form('general')
    now += 2 * 3_600_000
    await denied('a form from hours ago', 403, { cookie: old.cookie }, { ...person, ...old.fields })
    for (const expected of [200, 200, 200, 429]) {
      const { cookie, fields } = await form('general')
      const answer = await send(page.url, '/apply', { cookie }, { ...person, ...fields })
      t.equal(answer.status, expected)
      if (expected === 429) {
        t.match(answer.text, /apply.too-many/)
        t.equal(answer.headers['retry-after'], '200')
      }
    }
    now += 600_000
    const again = await form('general')
    t.equal(
      (await send(page.url, '/apply', { cookie: again.cookie }, { ...person, ...again.fields })).status,
      200,
      'later it goes on',
    )
    t.equal(await waiting(), 5)
    t.ok(host.startsWith('127.0.0.1:'))
  },
)

t.test('P1 when the terms change, when settlement is away, and when its answer is lost', async (t) => {
  const world = await served()
  const { fixture, stop } = world
  let lose = false
  let away = false
  let terms: string | undefined
  const settlement: Pick<Service, 'handle'> = {
    handle: async (request) => {
      if (away) return { problem: new Problem('service.unavailable').toWire() }
      const reply = await fixture.settlement.handle(request)
      if (lose) return { problem: new Problem('service.unavailable', 'the answer is lost').toWire() }
      const body = reply.body as { terms?: string } | undefined
      return terms && body?.terms ? { body: { ...body, terms } } : reply
    },
  }
  const page = await serveEnrolment({
    settlement,
    clock: fixture.clock,
    random: fixture.random,
    log: { ...console, child: () => undefined as never } as unknown as Log,
    host: '127.0.0.1',
    port: 0,
    insecure: false,
  })
  t.teardown(async () => {
    await page.close()
    await stop()
  })
  const form = async () => {
    const { text, headers } = await send(page.url, '/apply?kind=general')
    const value = (name: string) => new RegExp(`name="${name}" value="([^"]*)"`).exec(text)![1]!
    return {
      cookie: String(headers['set-cookie']).split(';')[0]!,
      fields: { ticket: value('ticket'), terms: value('terms') },
    }
  }
  const { cookie, fields } = await form()
  const given = { ...person, ...fields }
  away = true
  fixture.clock.turn(61_000)
  t.equal((await send(page.url, '/apply', { cookie }, given)).status, 503)
  away = false
  lose = true
  fixture.clock.turn(61_000)
  t.equal((await send(page.url, '/', {})).status, 503)
  lose = false
  await form()
  lose = true
  t.equal((await send(page.url, '/apply', { cookie }, given)).status, 503, 'taken, but nobody knows')
  lose = false
  t.equal((await send(page.url, '/apply', { cookie }, given)).status, 200, 'sent again, it is the same application')
  t.equal((await fixture.settlement.enrolment.applications(10)).length, 1)
  const next = await form()
  terms = '2027-1'
  fixture.clock.turn(61_000)
  const changed = await send(page.url, '/apply', { cookie: next.cookie }, { ...person, ...next.fields })
  t.equal(changed.status, 422)
  t.match(changed.text, /register.terms/)
  t.notMatch(changed.text, /type="checkbox"[^>]* checked/, 'and must be agreed to again')
  await t.rejects(
    serveEnrolment({
      settlement,
      clock: fixture.clock,
      random: fixture.random,
      log: undefined as never,
      host: '0.0.0.0',
      port: 0,
      insecure: false,
    }),
    { code: 'config.invalid' },
    'no open line beyond loopback',
  )
})
