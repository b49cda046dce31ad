import { hex } from '@azukari/protocol/bytes'
import { flatMapInOrder, mapInOrder } from '@azukari/protocol/in-order'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { faultOf, standing } from '../../testkit/placement/check.ts'
import { PlacementFixture } from '../../testkit/placement/fixture.ts'
import type { FixturePlace } from '../../testkit/placement/risks.ts'

const hourMs = 3_600_000
/** Two safe places far from each other, two that are a little less so, and two poor ones. */
const places: FixturePlace[] = [
  { id: 'uusimaa', region: 'FI-18', latitude: 60.17, longitude: 24.94, quake: 0.01 },
  { id: 'singapore', region: 'SG', latitude: 1.35, longitude: 103.82, quake: 0.01 },
  { id: 'quebec', region: 'CA-QC', latitude: 45.5, longitude: -73.57, quake: 0.01 },
  { id: 'zurich', region: 'CH-ZH', latitude: 47.37, longitude: 8.54, quake: 0.01 },
  { id: 'sapporo', region: 'JP-01', latitude: 43.06, longitude: 141.35, quake: 0.03 },
  { id: 'fukuoka', region: 'JP-40', latitude: 33.61, longitude: 130.42, quake: 0.03 },
]

async function bedOf(
  seed: number,
  objects: number,
  options: Partial<Parameters<typeof PlacementFixture.make>[0]> = {},
) {
  const fixture = await PlacementFixture.make({ seed, places, ...options })
  const member = await fixture.addMember(2, 'JP-13')
  const kept: Uint8Array[] = []
  for (let i = 0; i < objects; i++) kept.push(await fixture.keep(member, fixture.random.bytes(1_000 + i)))
  await fixture.tellCards()
  const where = async () =>
    await mapInOrder(kept, async (object) => (await standing(fixture, object)).map(({ server }) => server))
  const on = async (server: string) => (await where()).flat().filter((other) => other === server).length
  const allGood = async () => {
    for (const object of kept)
      for (const replica of await standing(fixture, object)) {
        const fault = await faultOf(fixture, replica)
        if (fault) return `${hex(object)} slot ${replica.slot} on ${replica.server}: ${fault}`
      }
    return undefined
  }
  const moves = async () =>
    (await flatMapInOrder(kept, (object) => standing(fixture, object))).reduce((sum, { epoch }) => sum + epoch - 1, 0)
  return { fixture, member, kept, where, on, allGood, moves }
}

t.test('S9: a forecast moves what lies in its way, before it arrives, and nothing else', async (t) => {
  const { fixture, kept, where, on, allGood, moves } = await bedOf(1, 40)
  const before = await where()
  const hit = before.filter((pair) => pair.includes('uusimaa')).length
  t.ok(hit > 5 && hit < 40, `${hit} of 40 lie in its way`)
  fixture.risks.announce('storm-1', ['uusimaa'], 0.6, fixture.clock.now() + 48 * hourMs)
  await fixture.rest()
  t.equal(await on('uusimaa'), 0)
  for (const [i, pair] of (await where()).entries())
    for (const [slot, server] of pair.entries())
      if (before[i]![slot] !== 'uusimaa')
        t.equal(server, before[i]![slot], 'what was not in its way stayed') || t.fail()
  t.equal(await allGood(), undefined)
  t.equal(await moves(), hit)
  const pending = (await fixture.medium.sql.get<{ n: number }>(
    'SELECT count(*) AS n FROM conditions WHERE written IS NULL',
  ))!.n
  t.equal(pending, hit, 'each card concerned is to be told, and no other')
  const moved = (await flatMapInOrder(kept, (object) => standing(fixture, object))).filter(({ epoch }) => epoch > 1)
  t.match(JSON.parse(moved[0]!.reason), {
    cause: 'risk',
    from: { server: 'uusimaa', hazard: 'storm-1', peril: 'storm' },
  })
  await fixture.stop()
})

t.test('S9: a forecast that wobbles moves data once, and one that passes lets it stay', async (t) => {
  const { fixture, on, allGood, where, moves } = await bedOf(2, 30)
  const hit = await on('uusimaa')
  for (let i = 0; i < 20; i++) {
    fixture.risks.announce('storm-1', ['uusimaa'], i % 2 ? 0.3 : 0.6, fixture.clock.now() + 48 * hourMs)
    await fixture.run(hourMs)
  }
  t.equal(await moves(), hit)
  fixture.risks.announce('storm-1', ['uusimaa'], 0, fixture.clock.now())
  const after = await where()
  await fixture.run(2 * 24 * hourMs)
  t.same(await where(), after, 'equal places: there is no reason to go back')
  t.equal(await allGood(), undefined)
  await fixture.stop()
})

t.test('S9: when the hazard has passed, moves that have not been made are not made', async (t) => {
  const { fixture, on, allGood } = await bedOf(3, 60, { placement: { mover: { bytesPerSecond: 1_000, atOnce: 1 } } })
  const hit = await on('uusimaa')
  fixture.risks.announce('storm-1', ['uusimaa'], 0.6, fixture.clock.now() + 48 * hourMs)
  await fixture.run(12_000)
  const moved = fixture.placement.mover.counts.moved
  t.ok(moved > 0 && moved < hit, `${moved} of ${hit} had moved`)
  fixture.risks.announce('storm-1', ['uusimaa'], 0, fixture.clock.now())
  await fixture.rest()
  t.ok(fixture.placement.mover.counts.moved <= moved + 2)
  t.ok((await on('uusimaa')) >= hit - moved - 2)
  t.equal((await fixture.medium.sql.all('SELECT * FROM moves')).length, 0)
  t.equal((await fixture.medium.sql.all('SELECT * FROM making')).length, 0)
  t.equal(await allGood(), undefined)
  await fixture.stop()
})

t.test('S9: a whole region is gone: all that was there is made anew from the other copies', async (t) => {
  const { fixture, on, allGood, where, moves } = await bedOf(4, 30, {
    placement: { mover: { lostAfterMs: 600_000, watchMs: 60_000 } },
  })
  const lost = (await where())[0]![0]!
  const hit = await on(lost)
  fixture.servers.get(lost)!.server = undefined
  await fixture.run(300_000)
  t.equal(await on(lost), hit, 'away is not lost')
  await fixture.run(900_000)
  await fixture.rest()
  t.equal(await on(lost), 0)
  t.equal(await allGood(), undefined)
  t.equal(await moves(), hit)
  t.ok(fixture.placement.mover.counts.resealed >= hit)
  await fixture.stop()
})

t.test('S5, S9: nowhere to go: the data stays, the operator is told, and it goes when there is a place', async (t) => {
  const { fixture, on, allGood, where } = await bedOf(5, 10, { places: places.slice(0, 2) })
  const before = await where()
  fixture.risks.announce('storm-1', ['uusimaa'], 0.9, fixture.clock.now() + hourMs)
  await fixture.run(hourMs)
  t.same(await where(), before)
  t.equal(await allGood(), undefined)
  const row = (await fixture.placement.registry.servers()).find(({ id }) => id === 'uusimaa')!
  await fixture.placement.replace.store.transaction(({ sql }) =>
    sql.run(`UPDATE servers SET state = 'draining' WHERE id = ?`, row.id),
  )
  fixture.placement.mover.changed('test')
  await fixture.run(hourMs)
  t.ok(fixture.placement.mover.counts.stuck > 0)
  t.same(await where(), before, 'never fewer than two')
  t.equal(await on('uusimaa'), 10)
  await fixture.stop()
})

t.test('S9: the mover dies again and again and loses nothing', async (t) => {
  const { fixture, on, allGood } = await bedOf(6, 40, { placement: { mover: { atOnce: 3 }, graceMs: hourMs } })
  fixture.risks.announce('storm-1', ['uusimaa', 'zurich'], 0.6, fixture.clock.now() + 48 * hourMs)
  for (let life = 0; life < 25; life++) {
    let steps = fixture.random.between(5, 60)
    fixture.life.onStep = async () => {
      if (--steps > 0) return
      fixture.crash()
    }
    await fixture.run(600_000, () => !fixture.life.alive)
    const fault = await allGood()
    if (fault) t.fail(`after ${life} lives: ${fault}`)
    if (!fixture.life.alive) await fixture.boot()
  }
  await fixture.rest()
  t.equal((await on('uusimaa')) + (await on('zurich')), 0)
  t.equal(await allGood(), undefined)
  const sql = fixture.medium.sql
  t.equal((await sql.all('SELECT * FROM moves')).length + (await sql.all('SELECT * FROM making')).length, 0)
  await fixture.tellCards()
  await fixture.run(2 * hourMs)
  t.equal((await sql.all('SELECT * FROM retired')).length, 0, 'and the old ones are destroyed in the end')
  for (const [id, { server }] of fixture.servers) {
    const here = (await sql.all<{ n: number }>('SELECT 1 FROM replicas WHERE server = ?', id)).length
    t.equal((await server!.list(undefined, 1000, false)).length, here, `${id} holds what is its own`)
  }
  await fixture.stop()
})

t.test('S9: what a device brought leaves its new region when the device stands elsewhere', async (t) => {
  const { fixture, member, where, allGood } = await bedOf(11, 30)
  const elsewhere = await fixture.keep(member, fixture.random.bytes(500), 'US-CA')
  const before = await where()
  const inSingapore = before.filter(([, two]) => two === 'singapore').length
  t.ok(inSingapore > 2, `${inSingapore} second replicas lie where the device goes`)
  await fixture.keep(member, fixture.random.bytes(500), 'SG', 'cam')
  await fixture.rest()
  for (const [i, [one, two]] of (await where()).entries()) {
    t.not(two, 'singapore', 'none lies in the region that its device asks from')
    if (before[i]![1] !== 'singapore') t.same([one, two], before[i], 'what was well placed stayed')
  }
  t.equal(await allGood(), undefined)
  const { asking } = (await fixture.medium.sql.get<{ asking: string }>(
    'SELECT asking FROM saves WHERE object = ?',
    elsewhere,
  ))!
  t.equal(asking, 'US-CA', 'what another device brought is none of its business')
  await fixture.stop()
})

t.test('S9: paused, nothing begins; it survives a restart', async (t) => {
  const { fixture, on } = await bedOf(7, 10)
  const hit = await on('uusimaa')
  await fixture.placement.mover.pause(true)
  fixture.risks.announce('storm-1', ['uusimaa'], 0.6, fixture.clock.now() + 48 * hourMs)
  await fixture.run(600_000)
  fixture.crash()
  await fixture.boot()
  await fixture.run(600_000)
  t.equal(await on('uusimaa'), hit)
  await fixture.placement.mover.pause(false)
  await fixture.rest()
  t.equal(await on('uusimaa'), 0)
  await fixture.stop()
})

t.test('S9: targets that all failed for a while are tried again', async (t) => {
  const { fixture, on, allGood } = await bedOf(9, 12)
  t.ok((await on('uusimaa')) > 0)
  const others = [...fixture.servers].filter(([id]) => id !== 'uusimaa').map(([, server]) => server)
  for (const { files } of others)
    files.intercept = (operation, path) => {
      if (operation === 'write' && path.includes('/incoming/')) throw new Problem('storage.full', path)
    }
  fixture.risks.announce('storm-1', ['uusimaa'], 0.6, fixture.clock.now() + 48 * hourMs)
  await fixture.run(2 * hourMs)
  t.ok((await on('uusimaa')) > 0, 'nobody takes it')
  t.ok((await fixture.placement.mover.status()).failures > 6)
  for (const { files } of others) files.intercept = undefined
  await fixture.run(2 * hourMs)
  t.equal(await on('uusimaa'), 0)
  t.equal(await allGood(), undefined)
  await fixture.stop()
})

t.test('S9: on a full disk moves wait, and it is told; when there is room they are made', async (t) => {
  let unkept = 0
  let calls = 0
  const { fixture, on, allGood } = await bedOf(11, 20, {
    onLog: (line) => {
      if (line.includes('failure could not be kept')) unkept++
    },
  })
  const { store } = fixture.placement.replace
  const { transaction } = store
  fixture.risks.announce('storm-1', ['uusimaa'], 0.6, fixture.clock.now() + 48 * hourMs)
  fixture.onCall = () => {
    calls++
    store.transaction = () => {
      throw new Problem('storage.full')
    }
  }
  await fixture.run(10 * 60_000)
  t.ok(unkept > 0, `${unkept} failures were told`)
  t.ok(calls < 200, `${calls} calls to servers in ten minutes`)
  t.ok((await on('uusimaa')) > 0)
  fixture.onCall = () => {}
  store.transaction = transaction
  await fixture.rest()
  t.equal(await on('uusimaa'), 0)
  t.equal(await allGood(), undefined)
  await fixture.stop()
})

t.test('S16: a higher level gets the safest place; the lower one that filled it moves away', async (t) => {
  const small = places.map((place) => ({ ...place, capacityBytes: place.quake < 0.02 ? 1e6 : 1e9 }))
  const fixture = await PlacementFixture.make({ seed: 8, places: small, placement: { mover: { decideMs: 60_000 } } })
  const low = await fixture.addMember(1, 'JP-13')
  const lows: Uint8Array[] = []
  for (let i = 0; i < 60; i++) lows.push(await fixture.keep(low, fixture.random.bytes(40_000)))
  await fixture.tellCards()
  const safe = new Set(['uusimaa', 'singapore', 'quebec', 'zurich'])
  const inSafe = async (objects: Uint8Array[]) =>
    (await flatMapInOrder(objects, (object) => standing(fixture, object))).filter(({ server }) => safe.has(server))
      .length
  const filled = await inSafe(lows)
  t.ok(filled > 40 && filled < 70, `${filled} of the low level's replicas fill their share`)
  const high = await fixture.addMember(3, 'JP-13')
  const highs: Uint8Array[] = []
  for (let i = 0; i < 40; i++) highs.push(await fixture.keep(high, fixture.random.bytes(40_000)))
  fixture.placement.mover.changed('test')
  await fixture.rest(48 * hourMs)
  await fixture.run(2 * hourMs)
  await fixture.rest()
  // A bucket wants a quarter more room than it fills, so one may be left over by how they fit in.
  t.ok((await inSafe(highs)) >= 79, `${await inSafe(highs)} of the high level’s 80 replicas are in the safest places`)
  t.ok((await inSafe(lows)) < filled, `${await inSafe(lows)} of the low level’s are left there`)
  for (const object of [...lows, ...highs])
    for (const replica of await standing(fixture, object)) {
      const fault = await faultOf(fixture, replica)
      if (fault) t.fail(`${replica.server}: ${fault}`)
    }
  await fixture.stop()
})
