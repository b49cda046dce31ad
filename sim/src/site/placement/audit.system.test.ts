import { encodeJpeg } from '@azukari/device/picture'
import { auditNow } from '@azukari/gateway/services/placement/audit/audit'
import { findingsFor, noteTold } from '@azukari/gateway/services/placement/audit/notify'
import {
  decodePicture,
  differingRegions,
  drawRegions,
  encodePng,
} from '@azukari/gateway/services/placement/audit/picture'
import { showDifference } from '@azukari/gateway/services/placement/audit/show'
import type { SuspectTable, VerdictTable } from '@azukari/gateway/services/placement/audit/tables'
import { answerAccount } from '@azukari/gateway/services/placement/members/account-facts'
import type { ReplicaRow } from '@azukari/gateway/services/placement/store'
import { hex } from '@azukari/protocol/bytes'
import { openExamination } from '@azukari/protocol/examination'
import { findingText } from '@azukari/protocol/finding-text'
import { flatMapInOrder } from '@azukari/protocol/in-order'
import { generateKey, publicOf } from '@azukari/protocol/keys'
import { openReplicaReceipt } from '@azukari/protocol/manifest'
import { Problem } from '@azukari/protocol/problem'
import { openVerdict } from '@azukari/protocol/verdict'
import pngjs from 'pngjs'
import t from 'tap'
import { drawScene } from '../../testkit/boards/scene.ts'
import { faultOf, standing } from '../../testkit/placement/check.ts'
import { folderOf, inflict } from '../../testkit/placement/faults.ts'
import { PlacementFixture } from '../../testkit/placement/fixture.ts'
import type { FixturePlace } from '../../testkit/placement/risks.ts'

const hourMs = 3_600_000
const places: FixturePlace[] = [
  { id: 'sapporo', region: 'JP-01', latitude: 43.06, longitude: 141.35, quake: 0.02 },
  { id: 'fukuoka', region: 'JP-40', latitude: 33.61, longitude: 130.42, quake: 0.02 },
  { id: 'singapore', region: 'SG', latitude: 1.35, longitude: 103.82, quake: 0.02 },
  { id: 'uusimaa', region: 'FI-18', latitude: 60.17, longitude: 24.94, quake: 0.02 },
]

async function bedOf(seed: number, contents: readonly Uint8Array[], options: object = {}) {
  const fixture = await PlacementFixture.make({ seed, places, ...options })
  const member = await fixture.addMember(3, 'JP-13')
  const kept: Uint8Array[] = []
  for (const content of contents) kept.push(await fixture.keep(member, content))
  await fixture.tellCards()
  const verdicts = () => fixture.medium.sql.all<VerdictTable>('SELECT * FROM verdicts ORDER BY id')
  const audit = async (whole = true) => {
    await fixture.placement.replace.store.transaction(({ sql }) => auditNow(sql, fixture.clock.now(), whole))
    fixture.placement.audits.wake()
  }
  const good = async () => {
    for (const object of kept)
      for (const replica of await standing(fixture, object)) {
        const fault = await faultOf(fixture, replica)
        if (fault) return `${hex(object)} slot ${replica.slot}: ${fault}`
      }
    return undefined
  }
  const settled = async () => {
    const { sql } = fixture.medium
    return !(await sql.get('SELECT 1 FROM suspects')) && !(await sql.get('SELECT 1 FROM verdicts WHERE done IS NULL'))
  }
  return { fixture, member, kept, verdicts, audit, good, settled }
}

const bytesOf = (count: number, seed: number) =>
  Uint8Array.from({ length: count }, (_, i) => (i * 31 + seed * 7 + (i >> 8)) & 0xff)

t.test(
  'S11: nobody has to ask: every tier comes round by itself and finds nothing wrong where nothing is',
  async (t) => {
    const { fixture, verdicts } = await bedOf(1, [bytesOf(200_000, 1), bytesOf(10, 2)], {
      placement: { audits: { openedAgeMs: 48 * hourMs } },
    })
    await fixture.run(60 * hourMs)
    const { counts } = fixture.placement.audits
    t.ok(counts.listed >= 8 && counts.leaves >= 20 && counts.opened >= 4, JSON.stringify(counts))
    t.same(await verdicts(), [])
    t.match(await fixture.placement.audits.status(), { suspects: 0, overdue: 0, verdicts: {} })
    await fixture.stop()
  },
)

t.test(
  'S11: tampering: a signed verdict that anybody can judge, a new place, key and epoch, and the member sees where',
  async (t) => {
    const raster = drawScene({ bytes: () => new Uint8Array(), float: () => 0.4 }, 320, 240)
    const changed = { ...raster, rgba: Uint8Array.from(raster.rgba) }
    for (let y = 64; y < 112; y++)
      for (let x = 160; x < 224; x++) changed.rgba.set([255, 0, 255, 255], (y * 320 + x) * 4)
    const picture = encodeJpeg(raster, 95)
    const forged = encodeJpeg(changed, 95)
    const { fixture, member, kept, verdicts, audit, good, settled } = await bedOf(2, [picture])
    const [, before] = await standing(fixture, kept[0]!)
    // As somebody with the keys would: the picture's own size, so that the manifest still fits it.
    const same = new Uint8Array(picture.length)
    same.set(forged.subarray(0, picture.length))
    fixture.originals.get(hex(kept[0]!))!.content = same
    await inflict(fixture, 'changed with keys', before!)
    fixture.originals.get(hex(kept[0]!))!.content = picture
    await audit()
    await fixture.run(2 * hourMs, async () => (await verdicts()).length > 0 && (await settled()))
    const [verdict, ...others] = await verdicts()
    t.same(others, [])
    t.match(verdict, { kind: 'tampering', server: before!.server, outcome: 'remade', epoch: before!.epoch })
    const opened = openVerdict(verdict!.signed, fixture.keys.own)
    const identity = publicOf(fixture.servers.get(before!.server)!.identity)
    const receipt = openReplicaReceipt(opened.evidence.receipt!, identity)
    const { object, version, slot } = before!
    const nonceOf = (signed: Uint8Array) => {
      // The nonce is in the examination itself: whoever judges later takes it from there.
      const at = Buffer.from(signed).indexOf(Buffer.from('nonce')) + 5
      return signed.subarray(at + 2, at + 34)
    }
    const examination = openExamination(opened.evidence.examination!, identity, {
      server: before!.server,
      replica: { object, version, slot },
      nonce: nonceOf(opened.evidence.examination!),
    })
    t.notSame(examination.root, receipt.root, 'the server has signed for one root and then for another')
    t.match(examination, { badParts: 0, lostSegments: 0 })
    const [, now] = await standing(fixture, kept[0]!)
    t.not(now!.server, before!.server, 'a new server')
    t.ok(now!.epoch > before!.epoch && !Buffer.from(now!.key_id).equals(before!.key_id), 'a new key and epoch')
    t.equal(await good(), undefined)

    const { sql } = fixture.medium
    const { findings, more } = await findingsFor(sql, member.id, 3)
    t.equal(more, false)
    t.match(findings, [{ kind: 'tampering', name: 'a.jpg', restored: true }])
    t.ok(findings[0]!.differs > 100 && findings[0]!.ranges.length > 0)
    t.match(
      findingText(findings[0]!, 'en'),
      /a\.jpg: one copy was changed by somebody \(\d+ bytes, first at \d+ to \d+\)/,
    )
    t.match(findingText(findings[0]!, 'ja'), /書き換えられました/)
    const other = await fixture.addMember(1, 'JP-13')
    t.same((await findingsFor(sql, other.id, 3)).findings, [], 'and nobody else is told')
    await noteTold(sql, other.id, [verdict!.id], 1)
    await noteTold(sql, member.id, [verdict!.id], 1)
    t.same((await findingsFor(sql, member.id, 3)).findings, [], 'told once')

    const shown = await fixture.settle(
      showDifference(fixture.placement.replace, verdict!.id, new AbortController().signal),
    )
    t.ok(Buffer.from(shown.good).equals(picture))
    const regions = differingRegions((await decodePicture(shown.good))!, (await decodePicture(shown.changed))!)
    t.ok(
      regions.some(({ x, y, toX, toY }) => x <= 176 && y <= 80 && toX >= 208 && toY >= 96),
      JSON.stringify(regions),
    )
    const png = encodePng(drawRegions((await decodePicture(shown.good))!, regions))
    const read = pngjs.PNG.sync.read(Buffer.from(png))
    t.match(read, { width: 320, height: 240 }, 'another reader opens what is drawn')
    await fixture.stop()
  },
)

t.test('S11: lost beyond parity: the segments come back from the other slot, and nothing else is moved', async (t) => {
  const { fixture, kept, verdicts, audit, good, settled } = await bedOf(3, [bytesOf(1_500_000, 3)])
  for (const slot of [1, 2] as const) {
    const before = (await standing(fixture, kept[0]!))[slot - 1]!
    const { files } = fixture.servers.get(before.server)!
    for (const at of [2, 3, 4, 5])
      files.rot(`${folderOf(before)}/segments`, 3, { from: at * 65_552, to: (at + 1) * 65_552 })
    await audit()
    await fixture.run(2 * hourMs, async () => (await verdicts()).length === slot && (await settled()))
    t.match((await verdicts()).at(-1), { kind: 'media', outcome: 'segments', slot })
    t.match((await standing(fixture, kept[0]!))[slot - 1], { server: before.server, epoch: before.epoch })
    t.equal(await good(), undefined)
  }
  await fixture.stop()
})

t.test('S11: both copies damaged in different places make each other whole', async (t) => {
  const { fixture, kept, verdicts, audit, good, settled } = await bedOf(4, [bytesOf(1_500_000, 4)])
  for (const [i, replica] of (await standing(fixture, kept[0]!)).entries()) {
    const { files } = fixture.servers.get(replica.server)!
    for (const at of [0, 1, 2, 3])
      files.rot(`${folderOf(replica)}/segments`, 3, { from: (at * 2 + i) * 65_552, to: (at * 2 + i + 1) * 65_552 })
  }
  await audit()
  await fixture.run(4 * hourMs, async () => (await verdicts()).length >= 2 && (await settled()))
  t.equal(await good(), undefined)
  t.ok((await verdicts()).every(({ kind }) => kind === 'media'))
  await fixture.stop()
})

t.test('S11: a crash at any step of an audit and its repair, and it goes on', async (t) => {
  const { fixture, kept, audit, good, verdicts, settled } = await bedOf(5, [
    bytesOf(300_000, 5),
    bytesOf(200_000, 6),
    bytesOf(100, 7),
  ])
  await inflict(fixture, 'changed without keys', (await standing(fixture, kept[0]!))[0]!)
  await inflict(fixture, 'rot beyond parity', (await standing(fixture, kept[1]!))[1]!)
  await inflict(fixture, 'deleted', (await standing(fixture, kept[2]!))[0]!)
  await audit()
  for (let life = 0; life < 25; life++) {
    let steps = fixture.random.between(3, 60)
    fixture.life.onStep = async () => {
      if (--steps === 0) fixture.crash()
    }
    await fixture.run(hourMs / 4, () => !fixture.life.alive)
    if (!fixture.life.alive) await fixture.boot()
  }
  fixture.life.onStep = () => {}
  await fixture.run(12 * hourMs, async () => (await verdicts()).length >= 3 && (await settled()))
  t.equal(await good(), undefined)
  t.same([...new Set((await verdicts()).map(({ kind }) => kind))].sort(), ['media', 'tampering', 'unexplained'])
  t.equal((await verdicts()).length, 3, 'and each is judged once')
  await fixture.stop()
})

t.test(
  'S12: an impostor met while saving: not a byte, shut off, the data goes elsewhere, and what it held is made anew',
  async (t) => {
    const { fixture, member, kept, verdicts, good } = await bedOf(6, [bytesOf(50_000, 8), bytesOf(60_000, 9)])
    const id = (await standing(fixture, kept[0]!))[0]!.server
    await fixture.bootServer(id, generateKey('ed25519', fixture.random))
    const calls: string[] = []
    fixture.onCall = (server, call) => {
      if (server === id) calls.push(call)
    }
    let object: Uint8Array
    do {
      const offered = await fixture.offer(member, bytesOf(70_000, 10))
      const isKept = async () => (await fixture.stateOf(offered)) === 'kept'
      await fixture.run(30_000, isKept)
      // Where the impostor was met it waits until the card has proved itself.
      await fixture.prove(member)
      await fixture.run(600_000, isKept)
      object = offered
    } while ((await fixture.placement.registry.servers()).find((row) => row.id === id)!.state !== 'contained')
    kept.push(object)
    t.notOk(calls.includes('put'), 'not a byte')
    t.match(await verdicts(), [{ kind: 'impostor', server: id, object: null, outcome: 'contained' }])
    await fixture.rest()
    t.equal(
      (await flatMapInOrder(kept, (one) => standing(fixture, one))).filter(({ server }) => server === id).length,
      0,
    )
    t.equal(await good(), undefined)
    calls.length = 0
    await fixture.run(48 * hourMs)
    t.same(calls, [], 'nothing is asked of it any more')
    fixture.crash()
    await fixture.boot()
    t.equal(
      (await fixture.placement.registry.servers()).find((row) => row.id === id)!.state,
      'contained',
      'kept over restarts',
    )
    await fixture.bootServer(id)
    await fixture.placement.releaseServer(id, 'examined')
    await fixture.run(hourMs)
    t.match(await verdicts(), [{ kind: 'impostor', outcome: 'released' }])
    t.match(
      (await fixture.placement.registry.servers()).find((row) => row.id === id),
      { state: 'open', demerits: 0, impostors: 0 },
    )
    t.ok(calls.length > 0)
    await fixture.stop()
  },
)

t.test('S12: an impostor met by an audit; from the third time on its members are told', async (t) => {
  const { fixture, member, kept, verdicts, audit } = await bedOf(7, [bytesOf(50_000, 11)])
  for (let time = 1; time <= 3; time++) {
    const id = (await standing(fixture, kept[0]!))[0]!.server
    for (const server of ['sapporo', 'fukuoka', 'singapore', 'uusimaa'])
      if (server !== id) await fixture.bootServer(server)
    await fixture.medium.sql.run(`UPDATE verdicts SET server = ? WHERE kind = 'impostor'`, id)
    await fixture.bootServer(id, generateKey('ed25519', fixture.random))
    await audit(false)
    await fixture.run(2 * hourMs, async () => (await verdicts()).length === time)
    t.match((await verdicts()).at(-1), { kind: 'impostor', server: id })
    t.equal((await findingsFor(fixture.medium.sql, member.id, 3)).findings.length, time < 3 ? 0 : 1)
    await fixture.rest()
    await fixture.bootServer(id)
    await fixture.placement.releaseServer(id, 'examined')
  }
  await fixture.stop()
})

t.test(
  'S12: where the site says so, an impostor is counted and ranks last, and is shut off from a set count on',
  async (t) => {
    const { fixture, kept, verdicts, audit } = await bedOf(7, [bytesOf(50_000, 11)], {
      placement: { impostors: { shutOff: 2 } },
    })
    const id = (await standing(fixture, kept[0]!))[0]!.server
    await fixture.bootServer(id, generateKey('ed25519', fixture.random))
    const server = async () => (await fixture.placement.registry.servers()).find((row) => row.id === id)!
    await audit(false)
    await fixture.run(2 * hourMs, async () => (await verdicts()).length > 0)
    t.match((await verdicts())[0], { kind: 'impostor', server: id, outcome: 'counted' })
    t.match(await server(), { state: 'open', demerits: 100, impostors: 1 })
    await fixture.run(48 * hourMs, async () => (await server()).state === 'contained')
    t.match(await server(), { state: 'contained', impostors: 2 })
    t.match((await verdicts()).at(-1), { kind: 'impostor', outcome: 'contained' })
    await fixture.stop()
  },
)

t.test('S12: a server that proves its key and refuses is shut off, one that is only away is not', async (t) => {
  const { fixture, kept, verdicts, audit } = await bedOf(8, [bytesOf(50_000, 12)])
  const [one, two] = await standing(fixture, kept[0]!)
  fixture.servers.get(two!.server)!.unreachable = true
  fixture.onCall = (server, call) => {
    if (server === one!.server && call !== 'identify') throw new Problem('server.refused', 'no')
  }
  await audit()
  await fixture.run(1.5 * hourMs)
  t.match(await verdicts(), [{ kind: 'contained', server: one!.server }])
  t.match(
    (await fixture.placement.registry.servers()).find(({ id }) => id === two!.server),
    { state: 'open' },
  )
  await fixture.stop()
})

t.test('S11: what was found stays: a suspect is not forgotten while its server is away', async (t) => {
  const { fixture, kept, verdicts, audit, settled, good } = await bedOf(9, [bytesOf(90_000, 13)])
  const replica: ReplicaRow = (await standing(fixture, kept[0]!))[1]!
  await inflict(fixture, 'changed without keys', replica)
  fixture.onCall = (server, call) => {
    if (server === replica.server && call === 'examine') throw new Problem('server.unreachable', 'the line broke')
  }
  await audit()
  await fixture.run(hourMs)
  t.match(await fixture.medium.sql.all<SuspectTable>('SELECT * FROM suspects'), [{ server: replica.server }])
  t.same(await verdicts(), [])
  fixture.onCall = () => {}
  await fixture.run(3 * hourMs, async () => (await verdicts()).length > 0 && (await settled()))
  t.match(await verdicts(), [{ kind: 'tampering' }])
  t.equal(await good(), undefined)
  await fixture.stop()
})

t.test(
  'S13: before a statement, data without recent evidence is opened, and what is bad is stored again',
  async (t) => {
    const { fixture, member, kept, verdicts, good, settled } = await bedOf(9, [bytesOf(90_000, 1), bytesOf(50_000, 2)])
    const [, before] = await standing(fixture, kept[0]!)
    await fixture.run(60_000)
    await inflict(fixture, 'changed with keys', before!)
    await fixture.run(600_000)
    t.same(await verdicts(), [], 'nobody has looked since')

    const { auth_kid: card } = (await fixture.medium.sql.get<{ auth_kid: Uint8Array }>(
      'SELECT auth_kid FROM members WHERE id = ?',
      member.id,
    ))!
    const nowMs = fixture.clock.now()
    const ask = (checkedSinceMs: number) => {
      const { store } = fixture.placement.replace
      const ports = { store, now: () => fixture.clock.now(), wake: () => fixture.placement.audits.wake() }
      return answerAccount(ports, { card, fromMs: 0, toMs: nowMs, checkedSinceMs })
    }
    const asked = () => fixture.medium.sql.all('SELECT * FROM member_checks')
    t.match((await ask(1)).check, { objects: 2, checked: 2, bad: 0, waiting: 0 }, 'evidence that is new enough counts')
    t.same(await asked(), [])
    t.match((await ask(nowMs)).check, { objects: 2, checked: 0, waiting: 2 })
    await fixture.run(600_000, async () => (await verdicts()).length > 0 && (await settled()))
    t.match(await verdicts(), [{ kind: 'tampering', server: before!.server, outcome: 'remade' }])
    await fixture.run(600_000, async () => (await ask(nowMs)).check.waiting === 0)
    t.match(await ask(nowMs), { tamperings: 0, check: { objects: 2, checked: 2, bad: 0, waiting: 0 } })
    t.same(await asked(), [], 'and is looked at no more')
    t.equal(await good(), undefined)
    await fixture.stop()
  },
)
