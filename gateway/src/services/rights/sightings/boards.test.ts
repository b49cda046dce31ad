/** What boards tell, over the host as they send it, on both engines. */
import type { ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { sightingConsent, tellSightings } from '@azukari/protocol/contracts/rights-boards'
import { Problem } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import { systemDefer } from '../../../adapters/defer.ts'
import type { OpenTestDatabase } from '../../../test-database.ts'
import { testEngines } from '../../../test-database.ts'
import type { RightsSettings } from '../settings.ts'
import { noonMs, openTestRights, testOffer, testPhoto, testRandom } from '../test-fixture.ts'

const content = new Uint8Array(16).fill(7)
const address = `content:${'07'.repeat(16)}`
const day = '2026-12-01'

async function scene(t: Test, open: OpenTestDatabase, settings: RightsSettings = {}) {
  const database = await open()
  t.teardown(() => database.close())
  const member = { id: new Uint8Array(16).fill(1), level: 1, card: testRandom.bytes(32), session: testRandom.bytes(16) }
  const { rights, clock } = await openTestRights(database, {
    settings,
    members: async () => member,
    defer: systemDefer,
  })
  await rights.start()
  t.teardown(() => rights.stop())
  const { work } = await rights.works.register({
    picture: await testPhoto(81),
    title: 'Harbour',
    author: 'Aoki Hana',
    offer: testOffer,
    published: [],
    by: 'op',
  })
  const streams = new Map<string, { stream: Uint8Array; seq: number }>()
  const ask = async (id: string, body: unknown, device: string, isAct: boolean) => {
    const at = streams.get(device) ?? { stream: testRandom.bytes(16), seq: 0 }
    if (isAct) streams.set(device, { ...at, seq: at.seq + 1 })
    const caller = { device, region: device === 'north' ? 'JP-01' : 'JP-47', roles: ['printer'] }
    const request = { caller, contract: id, id: testRandom.bytes(16), atMs: clock.nowMs, body }
    const { body: reply, problem } = await rights.handle(
      isAct ? { ...request, act: { stream: at.stream, seq: at.seq + 1 } } : { ...request, token: testRandom.bytes(64) },
    )
    if (problem) throw Problem.fromWire(problem)
    return reply
  }
  const tell = async (sightings: RequestOf<typeof tellSightings>['sightings'], device = 'north') =>
    ((await ask(tellSightings.id, { sightings }, device, true)) as ReplyOf<typeof tellSightings>).taken
  const consent = async (body: RequestOf<typeof sightingConsent>) =>
    ((await ask(sightingConsent.id, body, 'north', false)) as ReplyOf<typeof sightingConsent>).allows
  return { rights, clock, work, tell, consent }
}

for (const [engine, open] of Object.entries(testEngines())) {
  t.test(`R4 R5: what boards met is judged like an enquiry, each once (${engine})`, async (t) => {
    const { rights, work, tell } = await scene(t, open)
    t.equal(
      await tell([
        { work, content, day },
        { work, content, day },
        { work, day },
      ]),
      2,
      'the same twice is one',
    )
    t.equal(await tell([{ work, content, day }]), 0, 'and in another message, too')
    t.equal(await tell([{ work, content, day }], 'south'), 1, 'another board met it, too')
    t.equal(await tell([{ work: '0123456789abcdef', content, day }]), 0, 'a work that is not registered here')
    t.match(await rights.sightings.ofWork(work), [
      { location: '', day, times: 1, regions: ['JP-01'], verdict: 'unplaced', why: 'no address' },
      { location: address, day, times: 2, regions: ['JP-01', 'JP-47'], verdict: 'breach', why: 'place' },
    ])
    const cases = await rights.cases.list()
    t.match(cases, [{ work, location: address, host: 'content', why: 'place', state: 'held' }], 'for people to look at')
    t.equal(cases.length, 1)
    await t.rejects(rights.sightings.ofWork('0123456789abcdef'), { code: 'rights.work-unknown' })
  })

  t.test(`R4 R5: a content in which the work may be is no breach (${engine})`, async (t) => {
    const { rights, work, tell } = await scene(t, open)
    const buyer = { name: 'Sato', contact: 'sato@buyer.example' }
    const sold = { work, buyer, places: [address], until: '2026-12-31', uses: 1, resale: false, by: 'op' }
    const { sale } = await rights.sales.sell(sold)
    await tell([{ work, content, day }])
    t.match(await rights.sightings.ofWork(work), [{ verdict: 'permitted', why: sale }])
    t.same(await rights.cases.list(), [])
  })

  t.test(`R4: a board tells so much a day, of days of late (${engine})`, async (t) => {
    const { clock, work, tell } = await scene(t, open, { sightingsPerBoardDay: 3 })
    const of = (n: number) => ({ work, content: new Uint8Array(16).fill(n), day })
    t.equal(
      await tell([
        { work, day: '2026-12-03' },
        { work, day: '2026-09-01' },
        { work, day: '2026-13-99' },
      ]),
      0,
    )
    t.equal(await tell([of(1), of(2)]), 2)
    t.equal(await tell([of(3), of(4), of(5)]), 1, 'the fourth is dropped')
    t.equal(await tell([of(4)], 'south'), 1, 'another board has its own')
    clock.nowMs = noonMs + 86_400_001
    t.equal(await tell([of(4)]), 1)
  })

  t.test(
    `R4 D8: no member lets boards tell before they have said so, and until they say otherwise (${engine})`,
    async (t) => {
      const { consent } = await scene(t, open)
      t.equal(await consent({}), false)
      t.equal(await consent({ allows: true }), true)
      t.equal(await consent({ allows: true }), true)
      t.equal(await consent({}), true)
      t.equal(await consent({ allows: false }), false)
      t.equal(await consent({}), false)
    },
  )
}
