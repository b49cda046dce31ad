import { createHash } from 'node:crypto'
import { rebuildPlacement } from '@azukari/gateway/services/placement/journal/rebuild'
import { parseRecoverySecret } from '@azukari/gateway/services/placement/keys/keystore'
import { members } from '@azukari/gateway/services/placement/store'
import { hex } from '@azukari/protocol/bytes'
import { decode } from '@azukari/protocol/codec'
import { checker, type Static } from '@azukari/protocol/contract'
import { saveStatus } from '@azukari/protocol/contracts/save'
import {
  ClosingReceipt,
  closingDomain,
  ErasureReceipt,
  erasureDomain,
  readErasures,
} from '@azukari/protocol/contracts/wish'
import { verify1 } from '@azukari/protocol/cose'
import { coseKey, publicOf } from '@azukari/protocol/keys'
import { openRemovalReceipt } from '@azukari/protocol/manifest'
import t from 'tap'
import { type BedPlace, PlacementBed } from '../../testkit/placement/bed.ts'
import { standing } from '../../testkit/placement/check.ts'
import { DatabaseMedium } from '../../testkit/world/database.ts'
import { Life } from '../../testkit/world/life.ts'

const place = (id: string, region: string, latitude: number, longitude: number): BedPlace => ({
  ...{ id, region, latitude, longitude, quake: 0.02 },
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
  const bed = await PlacementBed.make({ seed, places })
  const member = await bed.addMember(level, 'JP-13')
  const kept: Uint8Array[] = []
  for (let i = 0; i < objects; i++) kept.push(await bed.keep(member, bed.random.bytes(5_000)))
  await bed.tellCards()
  return { bed, member, kept }
}

/** What a data server has on its disks of an object, past all code of placement. */
async function held(bed: PlacementBed, object: Uint8Array): Promise<string[]> {
  const found: string[] = []
  for (const [id, { server }] of bed.servers)
    for (const { ref } of (await server?.list(undefined, 10_000, false)) ?? [])
      if (hex(ref.object) === hex(object)) found.push(id)
  return found.sort()
}

const asked = (bed: PlacementBed, act: Uint8Array) => bed.ask<Erasures>(readErasures, { act, limit: 8 })
const openRows = async (bed: PlacementBed) =>
  (await bed.medium.sql.get<{ n: number }>("SELECT count(*) AS n FROM erasing WHERE state = 'open'"))!.n

/** Lets time pass until nothing is to be erased. */
async function erased(bed: PlacementBed, act: Uint8Array): Promise<ErasureReceipt[]> {
  await bed.run(3 * 3_600_000, async () => !(await bed.medium.sql.get('SELECT 1 FROM erasures WHERE done IS NULL')))
  const { open, erasures } = await asked(bed, act)
  if (open > 0) throw new Error(`${open} are not erased`)
  return erasures.map(({ receipt }) => opened(bed, receipt!))
}

function opened(bed: PlacementBed, receipt: Uint8Array): ErasureReceipt {
  return checkErasure(decode(verify1(receipt, () => publicOf(bed.keys.signing), erasureDomain).payload))
}

t.test('D8: what a member erases is destroyed wherever it lies, and the receipt names where', async (t) => {
  const { bed, member, kept } = await site(1, 3)
  const [gone, other] = kept as [Uint8Array, Uint8Array]
  const lay = await held(bed, gone)
  const used = (await bed.placement.registry.servers()).map(({ used }) => used)
  const { act, reply } = await bed.wish(member, { kind: 'erase', objects: [gone] })
  t.match(reply, { objects: 1 })
  const [receipt] = await erased(bed, act)
  t.same(await held(bed, gone), [])
  t.equal((await held(bed, other)).length, 2, 'nothing else is touched')
  t.match(receipt, { cause: 'member', keys: 2 })
  t.same(receipt!.places.map(({ server }) => server).sort(), lay)
  for (const { server, outcome, receipt: word } of receipt!.places) {
    t.equal(outcome, 'destroyed')
    t.match(openRemovalReceipt(word!, publicOf(bed.servers.get(server)!.identity)), { server, held: true })
  }
  const { sql } = bed.medium
  for (const table of ['saves', 'replicas', 'conditions', 'making', 'moves', 'retired', 'abandoned'])
    t.equal((await sql.get<{ n: number }>(`SELECT count(*) AS n FROM ${table} WHERE object = ?`, gone))!.n, 0, table)
  t.ok(
    (await bed.placement.registry.servers()).reduce((sum, { used }) => sum + used, 0) < used.reduce((a, b) => a + b, 0),
    'its room is free again',
  )
  t.match(await bed.ask(saveStatus, { object: gone, version: 1 }), { stage: 'refused', problem: 'object.erased' })
  t.equal(hex(receipt!.object), hex(gone))
  await bed.stop()
})

t.test('D8: bad wishes: replayed, twice, of others, changed, stale, for somebody else', async (t) => {
  const { bed, member, kept } = await site(2, 2)
  const [one, two] = kept as [Uint8Array, Uint8Array]
  const thief = await bed.addMember(0, 'JP-27')
  t.match(await bed.wish(thief, { kind: 'erase', objects: [one] }), { problem: 'object.unknown' })
  t.match(await bed.wish(thief, { kind: 'erase', objects: [one] }, { member: member.id }), {
    problem: 'cose.bad-signature',
  })
  t.match(await bed.wish(member, { kind: 'erase', objects: [one] }, { audience: bed.random.bytes(32) }), {
    problem: 'cose.wrong-audience',
  })
  t.match(await bed.wish(member, { kind: 'erase', objects: [one] }, { expiresMs: bed.clock.now() - 1 }), {
    problem: 'message.expired',
  })
  t.match(await bed.wish(member, { kind: 'erase', objects: [one, bed.random.bytes(16)] }), {
    problem: 'object.unknown',
  })
  t.match(await bed.wish(member, { kind: 'erase', objects: [one, one] }), { problem: 'object.unknown' })
  t.equal((await held(bed, one)).length, 2, 'a wish that is refused has no effect, not even in part')
  t.notOk(await bed.medium.sql.get('SELECT 1 FROM erasures'))

  const [first, second] = await Promise.all([
    bed.wish(member, { kind: 'erase', objects: [one] }),
    bed.wish(member, { kind: 'erase', objects: [one] }),
  ])
  t.same([first.problem ?? 'done', second.problem ?? 'done'].sort(), ['done', 'object.unknown'], 'twice at once')
  const done = first.problem ? second : first
  await erased(bed, done.act)
  t.same((await bed.say(done.signed)).reply, done.reply, 'replayed: the same answer, no second effect')
  t.match(await bed.wish(member, { kind: 'erase', objects: [two] }, { act: done.act }), { problem: 'act.conflict' })
  t.equal((await held(bed, two)).length, 2)
  await t.rejects(bed.ask(readErasures, { act: done.act, limit: 8 }, 'other'), { code: 'object.unknown' })
  await bed.stop()
})

t.test('D8: a server that is down is asked until it has destroyed its replica, also after a crash', async (t) => {
  const { bed, member, kept } = await site(3, 1)
  const [object] = kept as [Uint8Array]
  const [down] = await held(bed, object)
  bed.servers.get(down!)!.unreachable = true
  const { act } = await bed.wish(member, { kind: 'erase', objects: [object] })
  await bed.run(60_000, async () => (await openRows(bed)) === 1)
  t.match(await asked(bed, act), { open: 1, erasures: [{ waiting: [down] }] })
  bed.crash()
  await bed.boot()
  await bed.run(1_800_000)
  t.match(await asked(bed, act), { open: 1, erasures: [{ waiting: [down] }] }, 'nothing is signed too early')
  t.same(await held(bed, object), [down])
  bed.servers.get(down!)!.unreachable = false
  const [receipt] = await erased(bed, act)
  t.ok(receipt!.places.every(({ outcome }) => outcome === 'destroyed'))
  t.same(await held(bed, object), [])
  await bed.stop()
})

t.test(
  'D8: what lay on a server that is gone for good is named as lost, and destroyed should it come back',
  async (t) => {
    const { bed, member, kept } = await site(4, 1)
    const [object] = kept as [Uint8Array]
    const [lost] = await held(bed, object)
    bed.servers.get(lost!)!.unreachable = true
    const { act } = await bed.wish(member, { kind: 'erase', objects: [object] })
    await bed.run(60_000, async () => (await openRows(bed)) === 1)
    await bed.placement.changeServer(lost!, 'lost')
    const [receipt] = await erased(bed, act)
    t.match(
      receipt!.places.find(({ server }) => server === lost),
      { outcome: 'lost' },
    )
    bed.servers.get(lost!)!.unreachable = false
    await bed.placement.changeServer(lost!, 'open')
    await bed.run(25 * 3_600_000)
    t.same(await held(bed, object), [])
    await bed.stop()
  },
)

t.test('D8: erased during a save and during a move, at any moment, nothing is left', async (t) => {
  for (let seed = 10; seed < 22; seed++) {
    const { bed, member, kept } = await site(seed, 4)
    const [moving] = kept as [Uint8Array]
    const [from] = await standing(bed, moving)
    bed.risks.announce('storm', [from!.server], 0.9, bed.clock.now() + 36 * 3_600_000)
    const saving = await bed.offer(member, bed.random.bytes(70_000))
    // Anywhere between the choice of places and long after.
    let calls = 0
    const until = 1 + (seed % 12) * 3
    bed.onCall = () => void calls++
    await bed.run(30_000, () => calls >= until)
    const { act, problem } = await bed.wish(member, { kind: 'erase', objects: [moving, saving] })
    t.equal(problem, undefined)
    if (seed % 3 === 0) {
      bed.crash()
      await bed.boot()
    }
    await erased(bed, act)
    await bed.run(3_600_000)
    t.same([await held(bed, moving), await held(bed, saving)], [[], []], `seed ${seed}`)
    t.equal(await bed.stateOf(saving), undefined)
    await bed.stop()
  }
})

t.test(
  'D8: an account that is closed leaves nothing but receipts; a rebuilt placement does not bring it back',
  async (t) => {
    const { bed, member, kept } = await site(5, 13)
    const other = await bed.addMember(1, 'JP-27')
    const stays = await bed.keep(other, bed.random.bytes(100))
    const { sql } = bed.medium
    await bed.run(600_000, async () => !!(await sql.get('SELECT 1 FROM catalogues WHERE record IS NOT NULL')))
    const before = await sql.all<{ object: Uint8Array }>(
      'SELECT DISTINCT object FROM saves WHERE member = ?',
      member.id,
    )
    t.equal(before.length, 14, 'the catalogue is one of them')
    const { act, reply, signed } = await bed.wish(member, { kind: 'close' })
    t.match(reply, { objects: 14 })
    t.match(await bed.wish(member, { kind: 'consent', location: true, abroad: true }), { problem: 'member.suspended' })
    await bed.run(3_600_000, async () => !(await members.byId(sql, member.id)))
    t.equal(await members.byId(sql, member.id), undefined, 'the key that opened everything is gone')
    for (const { object } of before) t.same(await held(bed, object), [])
    t.equal((await held(bed, stays)).length, 2)
    const { closing } = await asked(bed, act)
    const receipt = checkClosing(decode(verify1(closing!, () => publicOf(bed.keys.signing), closingDomain).payload))
    t.equal(receipt.objects, 14)
    const receipts = createHash('sha256')
    for (let after: Uint8Array | undefined; ; ) {
      const { erasures } = await bed.ask<Erasures>(readErasures, { act, limit: 8, ...(after ? { after } : {}) })
      for (const one of erasures) receipts.update(one.receipt!)
      after = erasures.at(-1)?.object
      if (!after) break
    }
    t.equal(hex(receipt.receipts), receipts.digest('hex'), 'and the receipts that it vouches for are those')
    t.match(await bed.say(signed), { problem: 'cose.unknown-key' }, 'its card says nothing any more')

    await bed.settle(bed.placement.worker.journal.push())
    const medium = new DatabaseMedium()
    const rebuilt = await bed.settle(
      rebuildPlacement({
        database: medium.open(new Life('rebuilt'), () => {}),
        recoverySecret: parseRecoverySecret(bed.recoverySecret),
        servers: [...bed.servers.values()].map(({ place: { id }, identity }) => ({
          ...{ id, url: `sim:${id}`, key: coseKey(publicOf(identity)) },
        })),
        dataServers: { of: ({ id }) => bed.servers.get(id)!.server! },
        ...{ clock: bed.clock, random: bed.random, log: bed.log },
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
    await bed.stop()
  },
)

t.test('D8: retention: what was kept longer than its member wants is erased, and only that', async (t) => {
  const { bed, member, kept } = await site(6, 1)
  const [old] = kept as [Uint8Array]
  await bed.wish(member, { kind: 'retention', days: 1 })
  await bed.run(20 * 3_600_000)
  const young = await bed.keep(member, bed.random.bytes(100))
  t.equal((await held(bed, old)).length, 2, 'not before its time')
  await bed.run(6 * 3_600_000)
  t.same(await held(bed, old), [])
  t.equal((await held(bed, young)).length, 2)
  t.match(await bed.medium.sql.get('SELECT cause FROM erasures WHERE object = ?', old), { cause: 'retention' })
  await bed.wish(member, { kind: 'retention', days: 0 })
  await bed.run(22 * 3_600_000)
  t.equal((await held(bed, young)).length, 2, 'for ever again')
  await bed.stop()
})

t.test('D8, S9: without consent to storage abroad data comes home, and new data stays there', async (t) => {
  const { bed, member } = await site(7, 12)
  const regionsOf = async () =>
    (
      await bed.medium.sql.all<{ region: string }>(
        'SELECT DISTINCT s.region FROM replicas AS r JOIN servers AS s ON s.id = r.server',
      )
    ).map(({ region }) => region)
  t.ok(
    (await regionsOf()).some((region) => !region.startsWith('JP')),
    'some of it lies abroad',
  )
  await bed.wish(member, { kind: 'consent', location: false, abroad: false })
  await bed.rest()
  t.ok(
    (await regionsOf()).every((region) => region.startsWith('JP')),
    'all of it has come home',
  )
  const fresh = await bed.keep(member, bed.random.bytes(100), 'US-CA')
  t.ok((await standing(bed, fresh)).every(({ server }) => bed.servers.get(server)!.place.region.startsWith('JP')))
  t.match(
    await bed.medium.sql.get('SELECT asking FROM saves WHERE object = ?', fresh),
    { asking: 'JP-13' },
    'and where the device stands is not looked at',
  )
  await bed.stop()
})
