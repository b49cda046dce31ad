import { createHash } from 'node:crypto'
import { rebuildPlacement } from '@azukari/gateway/services/placement/journal/rebuild'
import { parseRecoverySecret } from '@azukari/gateway/services/placement/keys/keystore'
import { members } from '@azukari/gateway/services/placement/store'
import { hex } from '@azukari/protocol/bytes'
import { decode } from '@azukari/protocol/codec'
import { checker, type Static } from '@azukari/protocol/contract'
import {
  ClosingReceipt,
  closingDomain,
  ErasureReceipt,
  erasureDomain,
  readErasures,
} from '@azukari/protocol/contracts/member-request'
import { saveStatus } from '@azukari/protocol/contracts/save'
import { verify1 } from '@azukari/protocol/cose'
import { coseKey, publicOf } from '@azukari/protocol/keys'
import { openRemovalReceipt } from '@azukari/protocol/manifest'
import t from 'tap'
import { standing } from '../../testkit/placement/check.ts'
import { PlacementFixture } from '../../testkit/placement/fixture.ts'
import type { FixturePlace } from '../../testkit/placement/risks.ts'
import { DatabaseMedium } from '../../testkit/world/database.ts'
import { Life } from '../../testkit/world/life.ts'

const place = (id: string, region: string, latitude: number, longitude: number): FixturePlace => ({
  id,
  region,
  latitude,
  longitude,
  quake: 0.02,
})
const places = [
  place('sapporo', 'JP-01', 43.06, 141.35),
  place('fukuoka', 'JP-40', 33.61, 130.42),
  place('naha', 'JP-47', 26.21, 127.68),
  place('singapore', 'SG', 1.35, 103.82),
  place('uusimaa', 'FI-18', 60.17, 24.94),
]

const checkErasure = checker(ErasureReceipt, 'erasure receipt')
const checkClosing = checker(ClosingReceipt, 'closing receipt')
type Erasures = Static<typeof readErasures.reply>

async function site(seed: number, objects: number, level = 3) {
  const fixture = await PlacementFixture.make({ seed, places })
  const member = await fixture.addMember(level, 'JP-13')
  const kept: Uint8Array[] = []
  for (let i = 0; i < objects; i++) kept.push(await fixture.keep(member, fixture.random.bytes(5_000)))
  await fixture.tellCards()
  return { fixture, member, kept }
}

/** What a data server has on its disks of an object, past all code of placement. */
async function held(fixture: PlacementFixture, object: Uint8Array): Promise<string[]> {
  const found: string[] = []
  for (const [id, { server }] of fixture.servers)
    for (const { ref } of (await server?.list(undefined, 10_000, false)) ?? [])
      if (hex(ref.object) === hex(object)) found.push(id)
  return found.sort()
}

/** The region that counts as the asking one. */
async function askingOf({ medium }: PlacementFixture, object: Uint8Array): Promise<string | undefined> {
  return (await medium.sql.get<{ asking: string }>('SELECT asking FROM saves WHERE object = ?', object))?.asking
}

const asked = (fixture: PlacementFixture, act: Uint8Array) => fixture.ask<Erasures>(readErasures, { act, limit: 8 })
const openRows = async (fixture: PlacementFixture) =>
  (await fixture.medium.sql.get<{ n: number }>("SELECT count(*) AS n FROM erasing WHERE state = 'open'"))!.n

/** Lets time pass until nothing is to be erased. */
async function erased(fixture: PlacementFixture, act: Uint8Array): Promise<ErasureReceipt[]> {
  await fixture.run(
    3 * 3_600_000,
    async () => !(await fixture.medium.sql.get('SELECT 1 FROM erasures WHERE done IS NULL')),
  )
  const { open, erasures } = await asked(fixture, act)
  if (open > 0) throw new Error(`${open} are not erased`)
  return erasures.map(({ receipt }) => opened(fixture, receipt!))
}

function opened(fixture: PlacementFixture, receipt: Uint8Array): ErasureReceipt {
  return checkErasure(decode(verify1(receipt, () => publicOf(fixture.keys.signing), erasureDomain).payload))
}

t.test('D8: what a member erases is destroyed wherever it lies, and the receipt names where', async (t) => {
  const { fixture, member, kept } = await site(1, 3)
  const [gone, other] = kept as [Uint8Array, Uint8Array]
  const lay = await held(fixture, gone)
  const used = (await fixture.placement.registry.servers()).map(({ used }) => used)
  const { act, reply } = await fixture.wish(member, { kind: 'erase', objects: [gone] })
  t.match(reply, { objects: 1 })
  const [receipt] = await erased(fixture, act)
  t.same(await held(fixture, gone), [])
  t.equal((await held(fixture, other)).length, 2, 'nothing else is touched')
  t.match(receipt, { cause: 'member', keys: 2 })
  t.same(receipt!.places.map(({ server }) => server).sort(), lay)
  for (const { server, outcome, receipt: word } of receipt!.places) {
    t.equal(outcome, 'destroyed')
    t.match(openRemovalReceipt(word!, publicOf(fixture.servers.get(server)!.identity)), { server, held: true })
  }
  const { sql } = fixture.medium
  for (const table of ['saves', 'replicas', 'conditions', 'making', 'moves', 'retired', 'abandoned'])
    t.equal((await sql.get<{ n: number }>(`SELECT count(*) AS n FROM ${table} WHERE object = ?`, gone))!.n, 0, table)
  t.ok(
    (await fixture.placement.registry.servers()).reduce((sum, { used }) => sum + used, 0) <
      used.reduce((a, b) => a + b, 0),
    'its room is free again',
  )
  t.match(await fixture.ask(saveStatus, { object: gone, version: 1 }), { stage: 'refused', problem: 'object.erased' })
  t.equal(hex(receipt!.object), hex(gone))
  await fixture.stop()
})

t.test('D8: bad wishes: replayed, twice, of others, changed, stale, for somebody else', async (t) => {
  const { fixture, member, kept } = await site(2, 2)
  const [one, two] = kept as [Uint8Array, Uint8Array]
  const thief = await fixture.addMember(0, 'JP-27')
  t.match(await fixture.wish(thief, { kind: 'erase', objects: [one] }), { problem: 'object.unknown' })
  t.match(await fixture.wish(thief, { kind: 'erase', objects: [one] }, { member: member.id }), {
    problem: 'cose.bad-signature',
  })
  t.match(await fixture.wish(member, { kind: 'erase', objects: [one] }, { audience: fixture.random.bytes(32) }), {
    problem: 'cose.wrong-audience',
  })
  t.match(await fixture.wish(member, { kind: 'erase', objects: [one] }, { expiresMs: fixture.clock.now() - 1 }), {
    problem: 'message.expired',
  })
  t.match(await fixture.wish(member, { kind: 'erase', objects: [one, fixture.random.bytes(16)] }), {
    problem: 'object.unknown',
  })
  t.match(await fixture.wish(member, { kind: 'erase', objects: [one, one] }), { problem: 'object.unknown' })
  t.equal((await held(fixture, one)).length, 2, 'a wish that is refused has no effect, not even in part')
  t.notOk(await fixture.medium.sql.get('SELECT 1 FROM erasures'))

  const [first, second] = await Promise.all([
    fixture.wish(member, { kind: 'erase', objects: [one] }),
    fixture.wish(member, { kind: 'erase', objects: [one] }),
  ])
  t.same([first.problem ?? 'done', second.problem ?? 'done'].sort(), ['done', 'object.unknown'], 'twice at once')
  const done = first.problem ? second : first
  await erased(fixture, done.act)
  t.same((await fixture.say(done.signed)).reply, done.reply, 'replayed: the same answer, no second effect')
  t.match(await fixture.wish(member, { kind: 'erase', objects: [two] }, { act: done.act }), { problem: 'act.conflict' })
  t.equal((await held(fixture, two)).length, 2)
  await t.rejects(fixture.ask(readErasures, { act: done.act, limit: 8 }, 'other'), { code: 'object.unknown' })
  await fixture.stop()
})

t.test('D8: a server that is down is asked until it has destroyed its replica, also after a crash', async (t) => {
  const { fixture, member, kept } = await site(3, 1)
  const [object] = kept as [Uint8Array]
  const [down] = await held(fixture, object)
  fixture.servers.get(down!)!.unreachable = true
  const { act } = await fixture.wish(member, { kind: 'erase', objects: [object] })
  await fixture.run(60_000, async () => (await openRows(fixture)) === 1)
  t.match(await asked(fixture, act), { open: 1, erasures: [{ waiting: [down] }] })
  fixture.crash()
  await fixture.boot()
  await fixture.run(1_800_000)
  t.match(await asked(fixture, act), { open: 1, erasures: [{ waiting: [down] }] }, 'nothing is signed too early')
  t.same(await held(fixture, object), [down])
  fixture.servers.get(down!)!.unreachable = false
  const [receipt] = await erased(fixture, act)
  t.ok(receipt!.places.every(({ outcome }) => outcome === 'destroyed'))
  t.same(await held(fixture, object), [])
  await fixture.stop()
})

t.test(
  'D8: what lay on a server that is gone for good is named as lost, and destroyed should it come back',
  async (t) => {
    const { fixture, member, kept } = await site(4, 1)
    const [object] = kept as [Uint8Array]
    const [lost] = await held(fixture, object)
    fixture.servers.get(lost!)!.unreachable = true
    const { act } = await fixture.wish(member, { kind: 'erase', objects: [object] })
    await fixture.run(60_000, async () => (await openRows(fixture)) === 1)
    await fixture.placement.changeServer(lost!, 'lost')
    const [receipt] = await erased(fixture, act)
    t.match(
      receipt!.places.find(({ server }) => server === lost),
      { outcome: 'lost' },
    )
    fixture.servers.get(lost!)!.unreachable = false
    await fixture.placement.changeServer(lost!, 'open')
    await fixture.run(25 * 3_600_000)
    t.same(await held(fixture, object), [])
    await fixture.stop()
  },
)

t.test('D8: erased during a save and during a move, at any moment, nothing is left', async (t) => {
  for (let seed = 10; seed < 22; seed++) {
    const { fixture, member, kept } = await site(seed, 4)
    const [moving] = kept as [Uint8Array]
    const [from] = await standing(fixture, moving)
    fixture.risks.announce('storm', [from!.server], 0.9, fixture.clock.now() + 36 * 3_600_000)
    const saving = await fixture.offer(member, fixture.random.bytes(70_000))
    // Anywhere between the choice of places and long after.
    let calls = 0
    const until = 1 + (seed % 12) * 3
    fixture.onCall = () => void calls++
    await fixture.run(30_000, () => calls >= until)
    const { act, problem } = await fixture.wish(member, { kind: 'erase', objects: [moving, saving] })
    t.equal(problem, undefined)
    if (seed % 3 === 0) {
      fixture.crash()
      await fixture.boot()
    }
    await erased(fixture, act)
    await fixture.run(3_600_000)
    t.same([await held(fixture, moving), await held(fixture, saving)], [[], []], `seed ${seed}`)
    t.equal(await fixture.stateOf(saving), undefined)
    await fixture.stop()
  }
})

t.test(
  'D8: an account that is closed leaves nothing but receipts; a rebuilt placement does not bring it back',
  async (t) => {
    const { fixture, member, kept } = await site(5, 13)
    const other = await fixture.addMember(1, 'JP-27')
    const stays = await fixture.keep(other, fixture.random.bytes(100))
    const { sql } = fixture.medium
    await fixture.run(600_000, async () => !!(await sql.get('SELECT 1 FROM catalogues WHERE record IS NOT NULL')))
    const before = await sql.all<{ object: Uint8Array }>(
      'SELECT DISTINCT object FROM saves WHERE member = ?',
      member.id,
    )
    t.equal(before.length, 14, 'the catalogue is one of them')
    const { act, reply, signed } = await fixture.wish(member, { kind: 'close' })
    t.match(reply, { objects: 14 })
    t.match(await fixture.wish(member, { kind: 'consent', location: true, abroad: true }), {
      problem: 'member.suspended',
    })
    await fixture.run(3_600_000, async () => !(await members.byId(sql, member.id)))
    t.equal(await members.byId(sql, member.id), undefined, 'the key that opened everything is gone')
    for (const { object } of before) t.same(await held(fixture, object), [])
    t.equal((await held(fixture, stays)).length, 2)
    const { closing } = await asked(fixture, act)
    const receipt = checkClosing(decode(verify1(closing!, () => publicOf(fixture.keys.signing), closingDomain).payload))
    t.equal(receipt.objects, 14)
    const receipts = createHash('sha256')
    for (let after: Uint8Array | undefined; ; ) {
      const { erasures } = await fixture.ask<Erasures>(readErasures, { act, limit: 8, ...(after ? { after } : {}) })
      for (const one of erasures) receipts.update(one.receipt!)
      after = erasures.at(-1)?.object
      if (!after) break
    }
    t.equal(hex(receipt.receipts), receipts.digest('hex'), 'and the receipts that it vouches for are those')
    t.match(await fixture.say(signed), { problem: 'cose.unknown-key' }, 'its card says nothing any more')

    await fixture.settle(fixture.placement.worker.journal.push())
    const medium = new DatabaseMedium()
    const rebuilt = await fixture.settle(
      rebuildPlacement({
        database: medium.open(new Life('rebuilt'), () => {}),
        recoverySecret: parseRecoverySecret(fixture.recoverySecret),
        servers: [...fixture.servers.values()].map(({ place: { id }, identity }) => ({
          id,
          url: `sim:${id}`,
          key: coseKey(publicOf(identity)),
        })),
        dataServers: { of: ({ id }) => fixture.servers.get(id)!.server! },
        clock: fixture.clock,
        random: fixture.random,
        log: fixture.log,
      }),
    )
    t.equal(rebuilt.members, 1)
    t.same(
      (await medium.sql.all<{ object: Uint8Array }>('SELECT DISTINCT object FROM saves')).map(({ object }) =>
        hex(object),
      ),
      [hex(stays)],
    )
    t.equal((await medium.sql.get<{ n: number }>('SELECT count(*) AS n FROM erasures'))!.n, 14)
    t.equal(kept.length, 13)
    await fixture.stop()
  },
)

t.test('D8: retention: what was kept longer than its member wants is erased, and only that', async (t) => {
  const { fixture, member, kept } = await site(6, 1)
  const [old] = kept as [Uint8Array]
  await fixture.wish(member, { kind: 'retention', days: 1 })
  await fixture.run(20 * 3_600_000)
  const young = await fixture.keep(member, fixture.random.bytes(100))
  t.equal((await held(fixture, old)).length, 2, 'not before its time')
  await fixture.run(6 * 3_600_000)
  t.same(await held(fixture, old), [])
  t.equal((await held(fixture, young)).length, 2)
  t.match(await fixture.medium.sql.get('SELECT cause FROM erasures WHERE object = ?', old), { cause: 'retention' })
  await fixture.wish(member, { kind: 'retention', days: 0 })
  await fixture.run(22 * 3_600_000)
  t.equal((await held(fixture, young)).length, 2, 'for ever again')
  await fixture.stop()
})

t.test('D8, S9: without consent to storage abroad data comes home, and new data stays there', async (t) => {
  const { fixture, member } = await site(7, 12)
  const regionsOf = async () =>
    (
      await fixture.medium.sql.all<{ region: string }>(
        'SELECT DISTINCT s.region FROM replicas AS r JOIN servers AS s ON s.id = r.server',
      )
    ).map(({ region }) => region)
  t.ok(
    (await regionsOf()).some((region) => !region.startsWith('JP')),
    'some of it lies abroad',
  )
  await fixture.wish(member, { kind: 'consent', location: false, abroad: false })
  await fixture.rest()
  t.ok(
    (await regionsOf()).every((region) => region.startsWith('JP')),
    'all of it has come home',
  )
  const fresh = await fixture.keep(member, fixture.random.bytes(100), 'US-CA')
  t.ok(
    (await standing(fixture, fresh)).every(({ server }) => fixture.servers.get(server)!.place.region.startsWith('JP')),
  )
  t.match(
    await fixture.medium.sql.get('SELECT asking FROM saves WHERE object = ?', fresh),
    { asking: 'JP-13' },
    'and where the device stands is not looked at',
  )
  await fixture.stop()
})

t.test('D8 S5: consent to location is not given until it is said', async (t) => {
  const fixture = await PlacementFixture.make({ seed: 9, places })
  const member = await fixture.addMember(3, 'JP-13', false)
  const location = async () => (await members.byId(fixture.medium.sql, member.id))!.location
  t.equal(await location(), 0, 'without a word')
  const before = await fixture.keep(member, fixture.random.bytes(5_000), 'JP-01')
  t.equal(await askingOf(fixture, before), 'JP-13', 'where the device stands decides nothing')
  await fixture.wish(member, { kind: 'consent', location: true, abroad: true })
  t.equal(await location(), 1, 'said')
  const after = await fixture.keep(member, fixture.random.bytes(5_000), 'JP-01')
  t.equal(await askingOf(fixture, after), 'JP-01')
  await fixture.stop()
})
