/** Members' purchases, as content asks for them, on both engines. */
import type { RequestOf } from '@azukari/protocol/contract'
import type { buyCopy, offerMade } from '@azukari/protocol/contracts/rights-copies'
import { voidPurchase } from '@azukari/protocol/contracts/rights-copies'
import sharp from 'sharp'
import t from 'tap'
import { systemDefer } from '../../../adapters/defer.ts'
import { serviceCaller } from '../../../service/service.ts'
import { createServiceKeys } from '../../../service/service-keys.ts'
import { testEngines } from '../../../test-database.ts'
import { tracePicture } from '../marks/mark-picture.ts'
import { noonMs, openTestRights, testOffer, testPhoto, testRandom } from '../test-fixture.ts'
import { salesMaster } from './master.ts'

const content = testRandom.bytes(16)
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

for (const [engine, open] of Object.entries(testEngines()))
  t.test(`purchases on ${engine}`, async (t) => {
    const database = await open()
    t.teardown(() => database.close())
    const keys = createServiceKeys(testRandom)
    const offered: RequestOf<typeof offerMade>[] = []
    const { rights, clock } = await openTestRights(database, {
      keys,
      defer: systemDefer,
      offer: async (asked) => {
        offered.push(asked)
        return { content, version: 1 }
      },
    })
    await rights.start()
    t.teardown(() => rights.stop())
    const original = await testPhoto(47)
    const { work } = await rights.works.register({
      picture: original,
      title: 'Harbour',
      author: 'Aoki Hana',
      offer: testOffer,
      published: [],
      by: 'op',
    })
    const card = testRandom.bytes(32)
    const asked = { work, content, card, priceMinor: 3_300, currency: 'JPY' as const }
    const buy = async (of: Omit<RequestOf<typeof buyCopy>, 'from'>) => {
      const pieces: Uint8Array[] = []
      for (let from = 0, size = 1; from < size; ) {
        const { piece, sizeBytes } = await rights.buy({ ...of, from })
        pieces.push(piece)
        from += piece.length
        size = sizeBytes
      }
      return new Uint8Array(Buffer.concat(pieces))
    }
    const stream = testRandom.bytes(16)
    let number = 0
    const voided = async (delivery: Uint8Array) => {
      const { body, problem } = await rights.handle({
        caller: serviceCaller('content'),
        contract: voidPurchase.id,
        id: testRandom.bytes(16),
        act: { stream, seq: ++number },
        atMs: noonMs,
        body: { delivery, reason: 'card.absent' },
      })
      t.equal(problem, undefined)
      return body
    }

    t.test('R3: a work is offered under its published conditions, and may be where it is shown', async (t) => {
      const told = await rights.offer({ work, provider: '12345678901234' })
      t.match(told, { work, content: hexOf(content), version: 1, terms: /365日.*365 days/ })
      const [one] = offered
      t.match(one, {
        work,
        provider: '12345678901234',
        title: 'Harbour, Aoki Hana',
        priceMinor: 3_300,
        currency: 'JPY',
      })
      t.equal(one?.mediaType, 'image/png')
      const small = await sharp(one?.picture).metadata()
      t.match(small, { format: 'jpeg', width: 240 })
      await rights.offer({ work, provider: '12345678901234' })
      t.match(await rights.works.get(work), { published: [`content:${hexOf(content)}`] }, 'once')
      await t.rejects(rights.offer({ work: '0123456789abcdef', provider: '12345678901234' }), {
        code: 'rights.work-unknown',
      })
    })

    t.test('R3 R7: a purchase is one sale, however often it is asked for, and its copy leads to it', async (t) => {
      const delivery = testRandom.bytes(16)
      const [copy, again] = await Promise.all([buy({ ...asked, delivery }), buy({ ...asked, delivery })])
      t.same(copy, again)
      const [sale, ...others] = await rights.sales.ofWork(work)
      t.same(others, [])
      t.match(sale, { buyer: 'a member, at a board', contact: `card:${hexOf(card)}`, priceMinor: 3_300 })
      t.match(sale?.conditions, { places: [`content:${hexOf(content)}`], uses: 1, resale: false })
      const { accused } = await tracePicture({
        suspect: copy,
        original,
        master: salesMaster(keys),
        sales: [BigInt(`0x${sale?.sale}`)],
      })
      t.equal(accused.length, 1)
      const [row] = await database.all<{ buyer: Uint8Array }>('SELECT buyer FROM sales')
      t.notOk(Buffer.from(row!.buyer).includes(hexOf(card)), 'the card lies sealed')
      await t.rejects(rights.buy({ ...asked, work: '0123456789abcdef', delivery, from: 0 }), {
        code: 'rights.sale-unknown',
      })
      await t.rejects(rights.buy({ ...asked, work: '0123456789abcdef', delivery: testRandom.bytes(16), from: 0 }), {
        code: 'rights.work-unknown',
      })
    })

    t.test('R3 C7: what came to nothing is void, stopped, and not sold a second time', async (t) => {
      const delivery = testRandom.bytes(16)
      clock.nowMs += 1_000
      await buy({ ...asked, delivery })
      const [, sale] = await rights.sales.ofWork(work)
      t.same(await voided(delivery), { sale: sale?.sale })
      await voided(delivery)
      const now = (await rights.sales.ofWork(work)).find((one) => one.sale === sale?.sale)
      t.match(now, { voidedMs: Number, stoppedMs: Number })
      await t.rejects(rights.buy({ ...asked, delivery, from: 0 }), { code: 'rights.sale-unknown' })
      t.same(await voided(testRandom.bytes(16)), {}, 'nothing was recorded of that one')
    })
  })
