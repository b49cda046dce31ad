/** The centre's statistics (P9): what is counted, what is closed for privacy, and that plots show it. */

import { drawPng } from '@azukari/gateway/adapters/draw'
import { healthServer } from '@azukari/gateway/operator/health'
import { statisticsHealth } from '@azukari/gateway/services/settlement/health'
import { statisticsPage, statisticsPolicy } from '@azukari/gateway/services/settlement/statistics/page'
import { statisticsPicture } from '@azukari/gateway/services/settlement/statistics/picture'
import { closeSmall, type ShopFigure } from '@azukari/gateway/services/settlement/statistics/shops'
import { actAsShop, instructPayment, placeOrder, putOffer } from '@azukari/protocol/contracts/settlement-purchase'
import { requestValue } from '@azukari/protocol/contracts/settlement-value'
import fc from '@azukari/protocol/test-properties'
import { SaxesParser } from 'saxes'
import t from 'tap'
import { launchBrowser, noBrowser } from '../../testkit/browser.ts'
import { type FixtureMember, SettlementFixture } from '../../testkit/settlement/fixture.ts'

/** Throws unless it is well-formed XML; returns the text of it. */
function xmlText(xml: string): string {
  let text = ''
  const parser = new SaxesParser()
  parser.on('text', (part) => {
    text += part
  })
  parser.on('error', (error) => {
    throw error
  })
  parser.write(xml).close()
  return text
}

/** A year of a small site: a large shop, two small ones, top-ups, a refund. */
async function year() {
  const fixture = await new SettlementFixture({ at: '2026-08-31T14:30:00Z' }).start()
  const item = { item: 'x', name: 'x', kind: 'goods' as const, price: 100, currency: 'JPY' as const, tax: 10 as const }
  const shops: FixtureMember[] = []
  for (let n = 0; n < 4; n++) {
    const shop = await fixture.enrol('shop')
    await fixture.act(putOffer, { offer: shop.pay.offer([item]) }, shop.device)
    shops.push(shop)
  }
  const buyers: FixtureMember[] = []
  for (let n = 0; n < 6; n++) {
    const buyer = await fixture.enrol()
    const { payment } = await fixture.act(
      requestValue,
      { request: buyer.pay.topUp('cash', { minor: 1_000, currency: 'JPY' }) },
      buyer.device,
    )
    for (const clerk of ['a', 'b']) await fixture.settlement.cash.count(payment, clerk, 1_000, 'R')
    buyers.push(buyer)
  }
  const buy = async (buyer: FixtureMember, shop: FixtureMember, count: number) => {
    const order = buyer.pay.order(shop.number, [{ item: 'x', count }])
    const { transaction, total } = await fixture.act(placeOrder, { order }, buyer.device)
    await fixture.act(
      instructPayment,
      { instruction: buyer.pay.instruction(transaction, shop.number, total) },
      buyer.device,
    )
    return transaction
  }
  // 23:30 in Tokyo: still August there. An hour later it is September.
  await buy(buyers[0]!, shops[0]!, 3)
  fixture.clock.turn(3_600_000)
  for (const buyer of buyers.slice(1)) await buy(buyer, shops[0]!, 1)
  for (const buyer of buyers) await buy(buyer, shops[1]!, 1)
  await buy(buyers[1]!, shops[2]!, 2)
  const returned = await buy(buyers[2]!, shops[3]!, 2)
  const refund = shops[3]!.pay.shopAct(returned, { do: 'refund', minor: 50, reason: 'late' })
  await fixture.act(actAsShop, { act: refund }, shops[3]!.device)
  fixture.clock.turnTo('2026-11-20T00:00:00Z')
  return { fixture, shops, buyers }
}

t.test('P9 figures by month in the site’s calendar; small shops only in one sum', async (t) => {
  const { fixture, shops } = await year()
  const report = await fixture.settlement.statistics(4)
  t.strictSame(report.months, ['2026-08', '2026-09', '2026-10', '2026-11'])
  const of = (name: string) => report.figures.find((one) => one.series === name)
  t.match(of('purchases'), { currency: 'JPY', counts: [1, 13, 0, 0], minors: [300, 1_500, 0, 0] })
  t.match(of('top-ups'), { counts: [6, 0, 0, 0], minors: [6_000, 0, 0, 0] })
  t.match(of('refunds'), { counts: [0, 1, 0, 0], minors: [0, 50, 0, 0] })
  t.match(of('members'), { counts: [10, 0, 0, 0] })
  t.equal(of('payouts'), undefined, 'what never happened has no plot')
  t.strictSame(
    report.shops.shops.map(({ shop, minor }) => [shop, minor]),
    [[shops[0]!.number, 800]],
    'the small shops have two buyers in all, so the next larger one is closed with them',
  )
  t.strictSame(report.shops.others, [{ currency: 'JPY', shops: 3, payments: 8, minor: 950 }])
  const all = JSON.stringify({ ...report, days: [] }) + statisticsPage(report)
  for (const shop of shops.slice(1)) t.notOk(all.includes(shop.number), 'neither its number nor its figure is told')
  await fixture.settlement.stop()
})

t.test('P9 a day of winter is a day of winter when it is looked at in summer', async (t) => {
  const more = { billing: { timeZone: 'Europe/Berlin' } }
  const fixture = await new SettlementFixture({ at: '2026-01-31T22:00:00Z', more }).start()
  const member = await fixture.enrol()
  // 23:30 on 31 January in Berlin; by the offset of summer it would be February.
  fixture.clock.turnTo('2026-01-31T22:30:00Z')
  const request = member.pay.topUp('cash', { minor: 700, currency: 'JPY' })
  const { payment } = await fixture.act(requestValue, { request }, member.device)
  for (const clerk of ['a', 'b']) await fixture.settlement.cash.count(payment, clerk, 700, 'R')
  fixture.clock.turnTo('2026-06-30T22:30:00Z')
  const report = await fixture.settlement.statistics(7)
  t.strictSame(report.months[0], '2026-01', 'July has begun')
  const topUps = report.figures.find((one) => one.series === 'top-ups')
  t.strictSame(topUps?.counts, [1, 0, 0, 0, 0, 0, 0])
  t.strictSame(
    report.days.map(({ day, minor }) => [day, minor]),
    [['2026-01-31', 700]],
  )
  await fixture.settlement.stop()
})

t.test('P9 no total less what is shown tells of one shop, or of few people', (t) => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          buyers: fc.integer({ min: 1, max: 12 }),
          minor: fc.nat(10_000),
          currency: fc.constantFrom('JPY', 'USD'),
        }),
      ),
      (some) => {
        const rows = some.map((row, n): ShopFigure => ({ ...row, shop: `2${n}`, payments: row.buyers }))
        const { shops, others } = closeSmall(rows, 5)
        for (const currency of ['JPY', 'USD']) {
          const own = rows.filter((row) => row.currency === currency)
          const shown = shops.filter((row) => row.currency === currency)
          const closed = own.filter((row) => !shown.includes(row))
          if (shown.some(({ buyers }) => buyers < 5)) return false
          const sum = others.find((row) => row.currency === currency)
          if (shown.length > 0 && closed.length > 0 && (closed.length < 2 || !sum)) return false
          if (
            sum &&
            (closed.reduce((n, { buyers }) => n + buyers, 0) < 5 ||
              sum.minor !== closed.reduce((n, { minor }) => n + minor, 0))
          )
            return false
        }
        return true
      },
    ),
  )
  t.end()
})

t.test(
  'P9 the picture is sound SVG, and drawn as PNG; the page shows it and tables, and may do nothing else',
  { skip: noBrowser },
  async (t) => {
    const { fixture } = await year()
    const report = await fixture.settlement.statistics()
    const picture = statisticsPicture(report)
    const words = xmlText(picture)
    for (const word of ['購入 Purchases (JPY)', '返金 Refunds', '25-12', '26-11', '¥2,000', '他 3 店 others'])
      t.ok(words.includes(word), word)
    const bars = [...picture.matchAll(/<rect [^>]*height="([\d.]+)"[^>]*><title>2026-(08|09): (¥[\d,]+)/g)].map(
      ([, tall, month, amount]) => [month, amount, Number(tall)] as const,
    )
    const [august, september] = [bars.find(([month]) => month === '08')!, bars.find(([month]) => month === '09')!]
    t.strictSame([august[1], september[1]], ['¥300', '¥1,500'])
    t.ok(Math.abs(september[2] / august[2] - 5) < 0.1, 'a bar is as tall as its amount')
    const png = await drawPng(picture)
    t.equal(Buffer.from(png.subarray(1, 4)).toString(), 'PNG')
    t.equal(Buffer.from(png).readUInt32BE(16), Number(/width="(\d+)"/.exec(picture)![1]))

    const server = healthServer({
      version: '1',
      status: () => ({
        site: 's',
        boot: 'b',
        underWay: 0,
        devicesUp: 0,
        buffer: { bytes: 0, transfers: 0, full: false },
        counts: { requests: 0, refused: 0, unopened: 0, blocks: 0, births: 0, enrolments: 0 },
      }),
      services: () => ({}),
      parts: [statisticsHealth(async () => fixture.settlement.statistics())],
    })
    await server.listen({ host: '127.0.0.1', port: 0 })
    const { port } = server.server.address() as { port: number }
    const browser = await launchBrowser()
    t.teardown(async () => {
      await browser.close()
      await server.close()
      await fixture.settlement.stop()
    })
    const page = await browser.newPage()
    const complaints: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    const answer = await page.goto(`http://127.0.0.1:${port}/statistics`)
    t.equal(answer?.headers()['content-security-policy'], statisticsPolicy)
    t.equal(await page.locator('table').count(), report.figures.length + 1)
    t.ok(await page.getByRole('img', { name: /決済統計/ }).isVisible())
    t.match(await page.locator('table', { hasText: '購入' }).textContent(), /2026-0913¥1,500/)
    t.strictSame(
      complaints.filter((text) => /policy|refused/i.test(text)),
      [],
      'its own style is allowed',
    )
    t.equal((await page.goto(`http://127.0.0.1:${port}/statistics.svg`))?.headers()['content-type'], 'image/svg+xml')
    t.equal((await server.inject({ url: '/statistics', headers: { host: 'evil.example' } })).statusCode, 403)
  },
)
