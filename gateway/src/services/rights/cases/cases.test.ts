/** From a sighting to a decision, on both engines: who is warned, in which order, once, and who is not. */

import { setImmediate as turn } from 'node:timers/promises'
import { Problem } from '@azukari/protocol/problem'
import sharp from 'sharp'
import t, { type Test } from 'tap'
import type { OutboundAnswer, OutboundRequest } from '../../../adapters/guarded-fetch.ts'
import type { Mail } from '../../../mail/mailer.ts'
import type { Database } from '../../../storage/database.ts'
import { testEngines } from '../../../test-database.ts'
import type { RightsSettings } from '../settings.ts'
import { noonMs, openTestRights, testOffer, testPhoto } from '../test-fixture.ts'

const day = 86_400_000
const never = new AbortController().signal
const home = 'https://hana.example/works/'

/** A work that two bought, pictures at addresses, and what is sent. */
async function scene(database: Database, settings: RightsSettings = {}, title = 'Harbour') {
  const slow = new Map<string, Promise<void>>()
  const web = new Map<string, Uint8Array | Problem>()
  const done: string[] = []
  const mails: Mail[] = []
  let mailProblem: Problem | undefined
  const fetch = async ({ url }: OutboundRequest): Promise<OutboundAnswer> => {
    done.push(`fetched ${url}`)
    await slow.get(url)
    const bytes = web.get(url) ?? new Problem('copy.gone', url)
    if (bytes instanceof Problem) throw bytes
    return { status: 200, headers: { 'content-type': 'image/jpeg' }, bytes }
  }
  const mailer = {
    async send(mail: Mail) {
      if (mailProblem) throw mailProblem
      done.push(`mailed ${mail.to}`)
      mails.push(mail)
    },
  }
  const { rights, clock } = await openTestRights(database, { settings, fetch, mailer })
  const original = await testPhoto(61)
  const { work: id } = await rights.works.register({
    picture: original,
    title,
    author: 'Aoki Hana',
    offer: { ...testOffer, resale: true },
    published: [home],
    by: 'op',
  })
  const sell = (name: string, resale = false) =>
    rights.sales.sell({
      work: id,
      buyer: { name, contact: `${name}@buyer.example` },
      places: [`https://${name}.example/`],
      until: '2027-03-31',
      uses: 1,
      resale,
      by: 'op',
    })
  return {
    rights,
    clock,
    work: id,
    original,
    web,
    slow,
    done,
    mails,
    sell,
    failMail: (problem: Problem | undefined) => {
      mailProblem = problem
    },
    round: () => rights.lookAtCases(never),
    report: (location: string, seenMs: number | undefined = clock.nowMs) =>
      rights.sightings.report({ location, work: id, seenMs, reporter: 'board-1' }, never),
  }
}

async function altered(copy: Uint8Array): Promise<Uint8Array> {
  const { width, height } = await sharp(copy).metadata()
  const part = { left: 30, top: 20, width: Math.round(width * 0.8), height: Math.round(height * 0.8) }
  return new Uint8Array(await sharp(copy).extract(part).jpeg({ quality: 75 }).toBuffer())
}

for (const [engine, open] of Object.entries(testEngines())) {
  const begin = async (t: Test, settings?: RightsSettings, title?: string) => {
    const database = await open()
    t.teardown(() => database.close())
    return scene(database, settings, title)
  }

  t.test(
    `R4 R5 R6: a cropped copy elsewhere: host, then download, then the right buyer, once (${engine})`,
    async (t) => {
      const s = await begin(t)
      const [sato, mori] = [await s.sell('sato'), await s.sell('mori')]
      t.match(await s.report(`${home}1.jpg`), { verdict: { is: 'permitted', by: 'publication' } })
      t.match(await s.report('https://mori.example/m.jpg'), { verdict: { is: 'permitted', sale: mori.sale } })
      const place = 'https://www.pirate.example/p.jpg'
      s.web.set(place, await altered(sato.copy))
      const { case: number } = await s.report(place)
      for (const again of [place, `${place}#x`]) t.equal((await s.report(again)).case, number, 'one case')
      for (let i = 0; i < 6; i++) await s.round()
      t.same(s.done, ['mailed abuse@pirate.example', `fetched ${place}`, 'mailed sato@buyer.example'])
      const [host, buyer] = s.mails
      t.match(host!.text, /Aoki Hana の作品[\s\S]*reported to be a copy/)
      t.match(buyer!.text, new RegExp(`${sato.sale}[\\s\\S]*found at the address`))
      t.notOk(
        s.mails.some(({ to, text }) => /mori/.test(to + text)),
        'the other buyer is not',
      )
      const { row, events, sightings } = await s.rights.cases.get(number!)
      t.match(row, { sale: sato.sale, why: 'place', state: 'undecided' })
      t.ok(row.score_centi! > row.threshold_centi!)
      t.same(
        events.map(({ what }) => what),
        ['opened', 'host warned', 'copy traced', 'buyer warned'],
      )
      t.match(sightings, [{ times: 3, reporter: 'board-1' }])
      t.same(await s.rights.cases.found(number!), s.web.get(place), 'the copy is kept as evidence')
      await s.report(place, s.clock.nowMs + day)
      await s.round()
      t.equal(s.mails.length, 2, 'seen again the next day: nobody is warned again')
    },
  )

  t.test(`R6: nobody is accused of another picture, of a copy sold to nobody, of nothing (${engine})`, async (t) => {
    const s = await begin(t)
    await s.sell('sato')
    const places = {
      'https://a.example/other.jpg': await testPhoto(62, 450, 600),
      'https://b.example/unsold.jpg': s.original,
      'https://c.example/broken.jpg': new Uint8Array([1, 2, 3]),
      'https://10.0.0.7/inside.jpg': new Problem('copy.refused', '10.0.0.7'),
    }
    for (const [place, bytes] of Object.entries(places)) {
      s.web.set(place, bytes)
      await s.report(place)
    }
    await s.report('https://d.example/gone.jpg')
    for (let i = 0; i < 4; i++) await s.round()
    t.same(s.mails.map(({ to }) => to).sort(), [
      'abuse@a.example',
      'abuse@b.example',
      'abuse@c.example',
      'abuse@d.example',
    ])
    const cases = await s.rights.cases.list()
    t.equal(cases.length, 5)
    for (const { number, sale, state } of cases) {
      t.same({ sale, state }, { sale: null, state: 'undecided' })
      await t.rejects(s.rights.cases.decide(number, { decision: 'stopped', by: 'op', reason: 'x' }), {
        code: 'rights.no-buyer',
      })
    }
    const said = await Promise.all(cases.map(async ({ number }) => (await s.rights.cases.get(number)).events.at(-1)!))
    t.match(
      said.map(({ detail }) => detail).join('\n'),
      /copy\.gone[\s\S]*copy\.refused[\s\S]*mark\.unreadable[\s\S]*no sale is named[\s\S]*mark\.no-match/,
    )
  })

  t.test(
    `R6: two who averaged their copies are both named to people, and none is warned by itself (${engine})`,
    async (t) => {
      const s = await begin(t)
      const [a, b] = [await s.sell('sato'), await s.sell('mori')]
      const raw = async (copy: Uint8Array) => sharp(copy).raw().toBuffer({ resolveWithObject: true })
      const [one, two] = [await raw(a.copy), await raw(b.copy)]
      const mixed = Buffer.from(one.data.map((value, i) => (value + two.data[i]!) >> 1))
      const { width, height, channels } = one.info
      const place = 'https://pirate.example/p.png'
      s.web.set(place, new Uint8Array(await sharp(mixed, { raw: { width, height, channels } }).png().toBuffer()))
      const { case: number } = await s.report(place)
      for (let i = 0; i < 4; i++) await s.round()
      const { row, events } = await s.rights.cases.get(number!)
      t.match(row, { state: 'undecided' })
      const traced = events.find(({ what }) => what === 'copy traced')!
      for (const { sale } of [a, b]) t.ok(traced.detail.includes(sale))
      t.same(
        s.mails.map(({ to }) => to),
        ['abuse@pirate.example'],
      )
    },
  )

  t.test(`R6: warnings by setting, a buyer who may resell, a mail server that is away (${engine})`, async (t) => {
    const s = await begin(t, { warn: 'buyer' })
    const sato = await s.sell('sato', true)
    const mori = await s.sell('mori')
    s.web.set('https://x.example/1.png', sato.copy)
    s.web.set('https://x.example/2.png', mori.copy)
    const looked = await s.report('https://x.example/1.png')
    for (let i = 0; i < 3; i++) await s.round()
    t.same(s.mails, [], 'people look first')
    await s.rights.cases.decide(looked.case!, { decision: 'dismissed', by: 'op', reason: 'sold on' })
    await s.round()
    t.same(s.mails, [], 'whoever was never warned is not told that there was nothing')
    await s.report('https://x.example/2.png')
    s.failMail(new Problem('mail.unreachable'))
    for (let i = 0; i < 3; i++) await s.round()
    s.failMail(undefined)
    await s.round()
    t.same(s.mails, [], 'it waits before it tries again')
    s.clock.nowMs += 10 * 60_000
    for (let i = 0; i < 2; i++) await s.round()
    t.same(
      s.mails.map(({ to }) => to),
      ['mori@buyer.example'],
    )
  })

  t.test(`R6: a host that does not answer holds up none of the others (${engine})`, async (t) => {
    const s = await begin(t, { warn: 'host' })
    const sato = await s.sell('sato')
    const slow = Promise.withResolvers<void>()
    s.slow.set('https://slow.example/1.png', slow.promise)
    for (const place of ['https://slow.example/1.png', 'https://slow.example/2.png', 'https://x.example/1.png'])
      await s.report(place)
    s.web.set('https://x.example/1.png', sato.copy)
    await s.rights.start()
    const of = async (number: number) => (await s.rights.cases.get(number)).row.state
    while ((await of(3)) !== 'undecided') await turn()
    t.equal(await of(1), 'trace', 'it is waited for still')
    t.equal(await of(2), 'warn-host', 'of one host one at a time')
    slow.resolve()
    while ((await of(2)) !== 'undecided') await turn()
    t.equal(await of(1), 'undecided')
    await s.rights.stop()
  })

  t.test(`R6: what others gave stands in letters as one line (${engine})`, async (t) => {
    const s = await begin(t, { hosts: { 'Pirate.example.': 'web@pirate.example' } }, 'Harbour\r\nBcc: all@example')
    await s.report('https://pirate.example/x.jpg')
    await s.round()
    t.match(s.mails, [{ to: 'web@pirate.example', text: /“Harbour Bcc: all@example”/ }])
    t.notOk(/[\r\n]/.test(s.mails[0]!.subject))
  })

  t.test(`R6: of a host with many cases in a day the further ones are held for people (${engine})`, async (t) => {
    const s = await begin(t, { casesPerHostDay: 2, warn: 'host' })
    for (let i = 0; i < 5; i++) await s.report(`https://flood.example/${i}.jpg`)
    for (let i = 0; i < 3; i++) await s.round()
    t.equal(s.mails.length, 2)
    const states = (await s.rights.cases.list()).map(({ state }) => state)
    t.same(states.sort(), ['held', 'held', 'held', 'undecided', 'undecided'])
    s.clock.nowMs += 2 * day
    t.match(await s.report('https://flood.example/late.jpg'), { case: 6 })
    await s.round()
    t.equal(s.mails.length, 3)
  })

  t.test(`R8: a case is decided once; a stopped copy may be nowhere; a charge is told (${engine})`, async (t) => {
    const s = await begin(t)
    const [sato, mori] = [await s.sell('sato'), await s.sell('mori')]
    s.web.set('https://p.example/1.png', sato.copy)
    s.web.set('https://p.example/2.png', mori.copy)
    const [first, second] = [await s.report('https://p.example/1.png'), await s.report('https://p.example/2.png')]
    for (let i = 0; i < 4; i++) await s.round()
    const own = 'https://sato.example/own.jpg'
    t.match(await s.report(own), { verdict: { is: 'permitted' } })
    await s.rights.cases.decide(first.case!, { decision: 'stopped', by: 'op', reason: 'not taken down' })
    await s.rights.cases.decide(second.case!, {
      decision: 'charged',
      by: 'op, boss',
      reason: 'used twice',
      amount: 3_300,
    })
    await t.rejects(s.rights.cases.decide(first.case!, { decision: 'dismissed', by: 'op', reason: 'x' }), {
      code: 'rights.case-decided',
    })
    await t.rejects(s.rights.cases.decide(99, { decision: 'dismissed', by: 'op', reason: 'x' }), {
      code: 'rights.case-unknown',
    })
    await s.round()
    const [stop, charge] = s.mails.slice(-2)
    t.match(stop, { to: 'sato@buyer.example', text: /利用の停止[\s\S]*has to end\. Reason: not taken down/ })
    t.match(charge, { to: 'mori@buyer.example', text: /3300 JPY/ })
    t.match(await s.rights.cases.get(first.case!), { row: { state: 'closed', decision: 'stopped', decided_by: 'op' } })
    t.match(await s.report(own), { verdict: { is: 'breach', why: 'stopped' } }, 'also where it was bought for')
    const sales = await s.rights.sales.ofWork(s.work)
    t.equal(sales.find(({ sale }) => sale === sato.sale)?.stoppedMs, noonMs)
    t.equal(sales.find(({ sale }) => sale === mori.sale)?.stoppedMs, undefined)
  })

  t.test(
    `R3 R6: a member who bought at a board is named to people, and written to by nobody (${engine})`,
    async (t) => {
      const s = await begin(t)
      await s.sell('sato')
      const of = { delivery: new Uint8Array(16).fill(5), content: new Uint8Array(16).fill(6), priceMinor: 3_300 }
      const asked = { ...of, work: s.work, card: new Uint8Array(32).fill(7), currency: 'JPY' as const, from: 0 }
      const { sale } = await s.rights.buy(asked)
      s.web.set('https://p.example/1.png', await s.rights.sales.copy(sale))
      const told = await s.report('https://p.example/1.png')
      for (let i = 0; i < 3; i++) await s.round()
      const { row, events } = await s.rights.cases.get(told.case!)
      t.match(row, { sale, state: 'undecided' })
      t.match(events.at(-1), {
        what: 'buyer not warned',
        detail: `a member bought it, by card:${'07'.repeat(32)}: reach them in person`,
      })
      t.same(
        s.mails.map(({ to }) => to),
        ['abuse@p.example'],
      )
    },
  )

  t.test(`R4: a report names a work of this site at an address, or is refused (${engine})`, async (t) => {
    const s = await begin(t)
    const report = (more: object) =>
      s.rights.sightings.report({ location: 'https://x.example/', reporter: 'b', ...more }, never)
    await t.rejects(report({ location: 'file:///etc/passwd', work: s.work }), { code: 'rights.location' })
    await t.rejects(report({ work: '0123456789abcdef' }), { code: 'rights.work-unknown' })
    await t.rejects(report({ picture: await testPhoto(63) }), { code: 'rights.no-mark' })
    await t.rejects(report({}), { code: 'copy.gone' })
    t.same(await s.rights.cases.list(), [])
  })
}
