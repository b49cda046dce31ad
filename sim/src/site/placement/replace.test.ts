import { rebuildPlacement } from '@azukari/gateway/services/placement/journal/rebuild'
import { parseRecoverySecret } from '@azukari/gateway/services/placement/keys/keystore'
import { copy } from '@azukari/gateway/services/placement/moves/copy'
import type { ReplaceOrder, ReplacePorts } from '@azukari/gateway/services/placement/moves/making'
import { cancelMaking } from '@azukari/gateway/services/placement/moves/making'
import { reseal } from '@azukari/gateway/services/placement/moves/reseal'
import { replicas } from '@azukari/gateway/services/placement/store'
import { hex } from '@azukari/protocol/bytes'
import { coseKey, publicOf } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { faultOf, standing } from '../../testkit/placement/check.ts'
import { PlacementFixture } from '../../testkit/placement/fixture.ts'
import type { FixturePlace } from '../../testkit/placement/risks.ts'
import { DatabaseMedium } from '../../testkit/world/database.ts'
import { Life } from '../../testkit/world/life.ts'

const places: FixturePlace[] = [
  { id: 'sapporo', region: 'JP-01', latitude: 43.06, longitude: 141.35, quake: 0.02 },
  { id: 'fukuoka', region: 'JP-40', latitude: 33.61, longitude: 130.42, quake: 0.02 },
  { id: 'singapore', region: 'SG', latitude: 1.35, longitude: 103.82, quake: 0.02 },
  { id: 'uusimaa', region: 'FI-18', latitude: 60.17, longitude: 24.94, quake: 0.02 },
]

async function kept(seed: number, bytes: number) {
  const fixture = await PlacementFixture.make({ seed, places })
  const member = await fixture.addMember(3, 'JP-13')
  const content = fixture.random.bytes(bytes)
  const object = await fixture.keep(member, content)
  await fixture.tellCards()
  const free = async (wanted: 1 | 2) => {
    const used = new Set((await standing(fixture, object)).map(({ server }) => server))
    return places.filter(({ id }) => !used.has(id))[wanted - 1]!.id
  }
  const ports = (): ReplacePorts => fixture.placement.replace
  const order = (slot: 1 | 2, to: string): ReplaceOrder => ({
    object,
    version: 1,
    slot,
    to,
    cause: 'risk',
    reason: '{}',
  })
  return { fixture, object, content, free, ports, order }
}

const signal = new AbortController().signal
const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  )

const pending = async (fixture: PlacementFixture) =>
  (await fixture.medium.sql.get<{ n: number }>('SELECT count(*) AS n FROM conditions WHERE written IS NULL'))!.n

for (const bytes of [0, 70_000, 3 * 1024 * 1024])
  t.test(`S9: a byte copy of ${bytes} bytes keeps key and root, and the card is told`, async (t) => {
    const { fixture, object, free, ports, order } = await kept(bytes, bytes)
    const [before] = await standing(fixture, object)
    const to = await free(1)
    await fixture.settle(copy(ports(), order(1, to), signal))
    const [now, other] = await standing(fixture, object)
    t.match(now, { server: to, epoch: before!.epoch + 1, slot: 1 })
    t.ok(Buffer.from(now!.root!).equals(before!.root!) && Buffer.from(now!.key_id).equals(before!.key_id))
    t.equal(await faultOf(fixture, now!), undefined)
    t.equal(await faultOf(fixture, other!), undefined)
    t.equal(await faultOf(fixture, before!), undefined, 'make before break: the old one still stands')
    t.equal(await pending(fixture), 1)
    t.match(await fixture.medium.sql.all('SELECT server, epoch FROM retired'), [
      { server: before!.server, epoch: before!.epoch },
    ])
    await fixture.stop()
  })

t.test('S11: a slot is made anew from the other, under a key of its own', async (t) => {
  const { fixture, object, free, ports, order } = await kept(7, 200_000)
  for (const slot of [1, 2] as const) {
    const before = (await standing(fixture, object))[slot - 1]!
    await fixture.servers.get(before.server)!.files.remove('/disk/replicas')
    const to = await free(1)
    await fixture.settle(reseal(ports(), order(slot, to), signal))
    const now = (await standing(fixture, object))[slot - 1]!
    t.match(now, { server: to, slot, algorithm: before.algorithm })
    t.notOk(Buffer.from(now.key_id).equals(before.key_id) || Buffer.from(now.root!).equals(before.root!))
    t.equal(await faultOf(fixture, now), undefined)
  }
  await fixture.stop()
})

t.test('S11: onto the server where the bad one lies', async (t) => {
  const { fixture, object, ports, order } = await kept(8, 100_000)
  const before = (await standing(fixture, object))[1]!
  await fixture.settle(reseal(ports(), order(2, before.server), signal))
  const now = (await standing(fixture, object))[1]!
  t.match(now, { server: before.server, epoch: before.epoch + 1 })
  t.notOk(Buffer.from(now.key_id).equals(before.key_id))
  t.equal(await faultOf(fixture, now), undefined)
  t.equal((await fixture.medium.sql.all('SELECT * FROM retired')).length, 0)
  await fixture.stop()
})

t.test('S9: what is wrong at the source is no fault of the target, and the other way round', async (t) => {
  const { fixture, object, free, ports, order } = await kept(9, 400_000)
  const [one, two] = await standing(fixture, object)
  const [to, elsewhere] = [await free(1), await free(2)]
  fixture.servers.get(one!.server)!.unreachable = true
  t.match(await failure(fixture.settle(copy(ports(), order(1, to), signal))), { at: 'source', server: one!.server })
  fixture.servers.get(one!.server)!.unreachable = false
  fixture.servers.get(to)!.unreachable = true
  t.match(await failure(fixture.settle(copy(ports(), order(1, to), signal))), { at: 'target', server: to })
  fixture.servers.get(two!.server)!.unreachable = true
  t.match(await failure(fixture.settle(reseal(ports(), order(1, elsewhere), signal))), {
    at: 'source',
    server: two!.server,
  })
  fixture.servers.get(two!.server)!.unreachable = false
  fixture.servers.get(to)!.unreachable = false
  t.ok(await cancelMaking(ports().store, order(1, to)), 'and given up again')
  t.match(await standing(fixture, object), [{ server: one!.server }, { server: two!.server }], 'nothing has changed')
  await fixture.settle(copy(ports(), order(1, to), signal))
  await fixture.run(300_000)
  t.equal(
    await faultOf(fixture, (await standing(fixture, object))[0]!),
    undefined,
    'the order to destroy the given up one spares it',
  )
  await fixture.stop()
})

t.test('S9: two that make the same move at once make it once', async (t) => {
  const { fixture, object, free, ports, order } = await kept(12, 150_000)
  const to = await free(1)
  const move = () => copy(ports(), order(1, to), signal)
  await fixture.settle(Promise.all([move(), move()]))
  const servers = await fixture.medium.sql.all<{ id: string; used: number }>('SELECT id, used FROM servers')
  for (const { server, sealed } of await standing(fixture, object))
    t.equal(servers.find(({ id }) => id === server)!.used, sealed, `${server} counts it once`)
  t.equal((await standing(fixture, object))[0]!.server, to)
  t.equal((await fixture.medium.sql.all('SELECT * FROM retired')).length, 1)
  await fixture.stop()
})

t.test('S9: a crash at any step of a move, and it goes on; a rebuilt placement finds it', async (t) => {
  for (const kind of ['copy', 'reseal'] as const) {
    let crashes = 0
    for (let step = 0; ; step++) {
      const { fixture, object, free, ports, order } = await kept(100, 150_000)
      const to = await free(1)
      const move = () => (kind === 'copy' ? copy : reseal)(ports(), order(1, to), signal)
      let left = step
      const die = async () => {
        if (left-- !== 0) return
        fixture.crash()
        crashed = true
      }
      let crashed = false
      fixture.life.onStep = die
      fixture.onCall = die
      let over = false
      void move().then(
        () => {
          over = true
        },
        () => {
          over = true
        },
      )
      await fixture.run(60_000, () => over || crashed)
      if (!crashed) {
        t.ok(crashes > 8, `${crashes} crashes during a ${kind}`)
        await fixture.stop()
        break
      }
      crashes++
      fixture.onCall = () => {}
      await fixture.boot()
      await fixture.settle<unknown>((await standing(fixture, object))[0]!.server === to ? Promise.resolve() : move())
      const both = await standing(fixture, object)
      if (both[0]!.server !== to || (await faultOf(fixture, both[0]!)) || (await faultOf(fixture, both[1]!)))
        t.fail(`${kind}, step ${step}: ${both[0]!.server}, ${await faultOf(fixture, both[0]!)}`)
      const used = await fixture.medium.sql.all<{ id: string; used: number }>('SELECT id, used FROM servers')
      const due = new Map<string, number>()
      for (const row of await fixture.medium.sql.all<{ server: string; sealed: number }>(
        'SELECT server, sealed FROM replicas UNION ALL SELECT server, sealed FROM retired',
      ))
        due.set(row.server, (due.get(row.server) ?? 0) + row.sealed)
      for (const { id, used: bytes } of used)
        if (bytes !== (due.get(id) ?? 0)) t.fail(`${kind}, step ${step}: ${id} counts ${bytes}, holds ${due.get(id)}`)
      if (!(await rebuiltAlike(fixture, object))) t.fail(`${kind}, step ${step}: rebuilt otherwise`)
      await fixture.stop()
    }
  }
  t.pass()
})

async function rebuiltAlike(fixture: PlacementFixture, object: Uint8Array): Promise<boolean> {
  const medium = new DatabaseMedium()
  await rebuildPlacement({
    database: medium.open(new Life('rebuild'), () => {}),
    recoverySecret: parseRecoverySecret(fixture.recoverySecret),
    servers: [...fixture.servers.values()].map(({ place, identity }) => ({
      id: place.id,
      url: '',
      key: coseKey(publicOf(identity)),
    })),
    dataServers: {
      of: ({ id }) => {
        const server = fixture.servers.get(id)?.server
        if (!server) throw new Problem('server.unreachable', id)
        return server
      },
    },
    clock: fixture.clock,
    random: fixture.random,
    log: fixture.log,
  })
  const text = (rows: Awaited<ReturnType<typeof standing>>) =>
    rows.map(({ server, epoch, key_id, root }) => [server, epoch, hex(key_id), hex(root!)]).join()
  return text(await replicas.of(medium.sql, object, 1)) === text(await standing(fixture, object))
}
