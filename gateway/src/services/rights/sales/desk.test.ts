import t from 'tap'
import { createServiceKeys } from '../../../service/service-keys.ts'
import { testEngines } from '../../../test-database.ts'
import { tracePicture } from '../marks/mark-picture.ts'
import { openTestRights, testOffer, testPhoto, testRandom } from '../test-fixture.ts'
import { agree } from './conditions.ts'
import { salesMaster } from './master.ts'

for (const [engine, open] of Object.entries(testEngines()))
  t.test(`rights on ${engine}`, async (t) => {
    const database = await open()
    t.teardown(() => database.close())
    const keys = createServiceKeys(testRandom)
    const { rights, clock } = await openTestRights(database, { keys })
    const original = await testPhoto(41)
    const { work } = await rights.works.register({
      picture: original,
      title: 'Harbour',
      author: 'Aoki Hana',
      offer: testOffer,
      published: [],
      by: 'op',
    })
    const order = { work, places: ['https://shop.example/a/'], until: '2027-03-31', uses: 1, resale: false, by: 'op' }
    const buyers = ['Sato Ken', 'Mori Aya'].map((name, i) => ({ name, contact: `buyer${i}@example.org` }))
    const first = await rights.sales.sell({ ...order, buyer: buyers[0]! })
    clock.nowMs += 1_000
    const second = await rights.sales.sell({ ...order, buyer: buyers[1]! })

    t.test('R3 R7: each copy is traced to its own sale, by the key that is derived for it', async (t) => {
      const sales = [first, second].map(({ sale }) => BigInt(`0x${sale}`))
      for (const [i, { copy }] of [first, second].entries()) {
        const { accused } = await tracePicture({ suspect: copy, original, master: salesMaster(keys), sales })
        t.same(
          accused.map(({ sale }) => sale),
          [sales[i]],
        )
      }
      const other = salesMaster(createServiceKeys(testRandom))
      const wrong = await tracePicture({ suspect: first.copy, original, master: other, sales })
      t.same(wrong.accused, [], 'another keystore reads nothing')
    })

    t.test('R3: the sale is recorded with conditions, price, date and how its key was derived', async (t) => {
      t.match(await rights.sales.ofWork(work), [
        {
          sale: first.sale,
          buyer: 'Sato Ken',
          contact: 'buyer0@example.org',
          conditions: { places: order.places, untilMs: Date.parse('2027-04-01T00:00:00Z'), uses: 1, resale: false },
          priceMinor: 3_300,
          currency: 'JPY',
          derivation: /^HKDF-SHA-256 /,
          by: 'op',
        },
        { sale: second.sale },
      ])
      t.match(await rights.works.get(work), { sales: 2 })
      const rows = await database.all('SELECT * FROM sales')
      const text = Buffer.concat(
        rows.flatMap((row) =>
          Object.values(row).map((value) => Buffer.from(value instanceof Uint8Array ? value : String(value))),
        ),
      )
      t.notOk(text.includes('Sato') || text.includes('buyer0'), 'names and contacts lie sealed')
    })

    t.test('R3: a copy can be given again, the same bytes', async (t) => {
      t.same(await rights.sales.copy(first.sale), first.copy)
      await t.rejects(rights.sales.copy('00000000aa'), { code: 'rights.sale-unknown' })
    })

    t.test('R3: what is published is what can be bought, and no more', async (t) => {
      t.match(await rights.sales.conditions(work), [{ work, title: 'Harbour', offer: testOffer }])
      await t.rejects(rights.sales.conditions('0123456789abcdef'), { code: 'rights.work-unknown' })
      await t.rejects(rights.sales.sell({ ...order, uses: 4, buyer: buyers[0]! }), { code: 'rights.not-offered' })
      t.equal((await rights.sales.ofWork(work)).length, 2, 'nothing was recorded')
    })
  })

t.test('R3: conditions are agreed within the offer', (t) => {
  const nowMs = Date.parse('2026-12-01T12:00:00Z')
  const asked = { places: ['https://a.example/', 'https://a.example/'], until: '2026-12-01', uses: 1, resale: false }
  t.match(agree(asked, testOffer, nowMs), {
    places: ['https://a.example/'],
    untilMs: Date.parse('2026-12-02T00:00:00Z'),
  })
  for (const wrong of [
    { until: '2026-11-30' },
    { until: '2027-02-30' },
    { until: '2027-12-03' },
    { uses: 4 },
    { resale: true },
  ])
    t.throws(
      () => agree({ ...asked, ...wrong }, testOffer, nowMs),
      { code: 'rights.not-offered' },
      JSON.stringify(wrong),
    )
  t.ok(agree({ ...asked, until: '2027-12-01' }, testOffer, nowMs), 'to the last day')
  t.ok(agree({ ...asked, resale: true }, { ...testOffer, resale: true }, nowMs))
  t.end()
})
