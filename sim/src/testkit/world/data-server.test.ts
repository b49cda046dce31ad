import { createDataServer, type DataServer } from '@azukari/gateway/data-server/server'
import { from, makeReplica, problemOf } from '@azukari/gateway/data-server/test-replica'
import { fixedTrust } from '@azukari/gateway/data-server/trust'
import { ReplicaWriter } from '@azukari/gateway/data-server/writer'
import { sameBytes } from '@azukari/protocol/bytes'
import { signerOf } from '@azukari/protocol/cose'
import { openExamination } from '@azukari/protocol/examination'
import { openIdentification } from '@azukari/protocol/identify'
import { generateKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import {
  type Manifest,
  openRemovalReceipt,
  openReplicaReceipt,
  signManifest,
  signRemoval,
} from '@azukari/protocol/manifest'
import { leafHash as hashOfLeaf, verifyProof } from '@azukari/protocol/merkle'
import type { Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { openReading } from '@azukari/protocol/read-client'
import { openScrubReport } from '@azukari/protocol/scrub'
import { Unsealer, unsealStream } from '@azukari/protocol/sealed'
import t from 'tap'
import { SeededRandom } from './chance.ts'
import { SimClock } from './clock.ts'
import { SimFiles } from './files.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }

/** A world of one data server, one placement and one member. */
function makeWorld(seed: number, disks = 1) {
  const random: Random = new SeededRandom(seed)
  const identity = generateKey('ed25519', random)
  const placement = generateKey('ed25519', random)
  const card = generateKey('ed25519', random)
  const files = new SimFiles({ random })
  const clock = new SimClock()
  const start = (limits = {}) =>
    createDataServer({
      id: 'ds-1',
      identity,
      clock,
      random,
      files,
      disks: Array.from({ length: disks }, (_, i) => ({ path: `/disk${i}`, capacityBytes: 1 << 30 })),
      trust: fixedTrust([publicOf(placement)]),
      log: silent,
      limits,
    })
  const replica = async (plainBytes: number, change: Partial<Manifest> = {}) => {
    const made = await makeReplica(random, { identity, placement, card }, plainBytes, change)
    const { name, key, manifest } = made
    const opened = async (source: AsyncIterable<Uint8Array>) => {
      const parts: Uint8Array[] = []
      for await (const part of unsealStream(new Unsealer(name, key, manifest.segments), manifest.segments, source))
        parts.push(part)
      return Buffer.concat(parts)
    }
    return { ...made, opened }
  }
  return { random, identity, placement, card, files, clock, start, replica }
}

type World = ReturnType<typeof makeWorld>
type Made = Awaited<ReturnType<World['replica']>>
const put = (server: DataServer, made: Made) => server.put(made.signed, made.notes, from(made.segments))
const readAll = (server: DataServer, made: Made) =>
  made.opened(server.readSegments(made.name, 0, made.manifest.segments))

t.test('S7: a replica is kept, signed for, read back and signed for again with the same receipt', async (t) => {
  const world = makeWorld(1)
  const server = await world.start()
  for (const bytes of [0, 1, 65_535, 65_536, 65_537, 1_048_576, 1_200_000]) {
    const made = await world.replica(bytes)
    const receipt = await put(server, made)
    t.equal(openReplicaReceipt(receipt, publicOf(world.identity), made.manifest).sealedBytes, made.manifest.sealedBytes)
    t.ok((await readAll(server, made)).equals(made.plain), `${bytes} bytes come back`)
    t.same(await put(server, made), receipt, 'the same again')
    t.same(await server.readNotes(made.name), made.notes)
  }
  const again = await world.start()
  t.equal((await again.status()).usedBytes, (await server.status()).usedBytes, 'a restart counts the same bytes')
  t.equal(world.files.usedBytes, (await server.status()).usedBytes, 'and they are the bytes on the disk')
})

t.test(
  'S7: what is not placement’s, not for this server, or not what was announced is refused and leaves nothing',
  async (t) => {
    const world = makeWorld(2)
    const server = await world.start()
    const made = await world.replica(200_000)
    const forged = signManifest(made.manifest, signerOf(generateKey('ed25519', world.random)))
    t.equal((await problemOf(server.put(forged, made.notes, from(made.segments)))).code, 'cose.unknown-key')
    const elsewhere = await world.replica(10, { server: 'ds-2' })
    t.equal((await problemOf(put(server, elsewhere))).code, 'server.refused')
    const swapped = [made.segments[1]!, made.segments[0]!, ...made.segments.slice(2)]
    t.equal((await problemOf(server.put(made.signed, made.notes, from(swapped)))).code, 'transfer.bad-root')
    t.equal(
      (await problemOf(server.put(made.signed, made.notes, from(made.segments.slice(1))))).code,
      'message.invalid',
    )
    t.equal(
      (await problemOf(server.put(made.signed, made.notes, from(made.segments.slice(0, 2))))).code,
      'message.invalid',
    )
    t.same(world.files.paths(), [], 'nothing is left')
    await put(server, made)
    const other = await world.replica(200_000, { object: made.manifest.object })
    t.equal((await problemOf(put(server, other))).code, 'replica.conflict')
    const newer = signManifest({ ...made.manifest, epoch: 3 }, signerOf(world.placement))
    await server.replaceManifest(newer)
    t.equal((await problemOf(put(server, made))).code, 'replica.superseded')
    t.same(await (await world.start()).manifest(made.name), newer, 'the newer manifest lasts')
  },
)

t.test(
  'S7: whatever the moment of a power cut, a receipt means a readable replica, and no receipt means all or nothing',
  async (t) => {
    let cuts = 0
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      for (let after = 0; ; after++) {
        const world = makeWorld(seed)
        const made = await world.replica(seed % 2 ? 150_000 : 1_300_000)
        const before = await world.replica(1000)
        const server = await world.start()
        await put(server, before)
        world.files.cutAfterChanges = world.files.changes + after
        const receipt = await put(server, made).catch((error: unknown) => {
          if (!isProblem(error)) throw error
        })
        const through = !world.files.powerIsOff
        world.files.powerLoss()
        const again = await world.start()
        t.ok((await readAll(again, before)).equals(before.plain), 'what was kept before stands')
        const shown = await readAll(again, made).catch((error: unknown) => {
          if (isProblem(error, 'replica.missing')) return undefined
          throw error
        })
        if (receipt) t.ok(shown?.equals(made.plain), `seed ${seed}: the receipt holds after change ${after}`)
        else if (shown) t.ok(shown.equals(made.plain), `seed ${seed}: whole or nothing after change ${after}`)
        t.equal(world.files.paths('/disk0/incoming').length, 0, 'leftovers are cleaned')
        await put(again, made)
        t.ok((await readAll(again, made)).equals(made.plain), 'sending it again works')
        cuts++
        if (through) break
      }
    }
    t.ok(cuts > 100, `${cuts} power cuts`)
  },
)

t.test('S11: rot is repaired on the fly, rewritten durably, and reported by the scrub', async (t) => {
  const world = makeWorld(3)
  const server = await world.start()
  const made = await world.replica(1_300_000)
  await put(server, made)
  const folder = world.files
    .paths()
    .find((path) => path.endsWith('/segments'))!
    .replace('/segments', '')
  world.files.rot(`${folder}/segments`, 3, { from: 70_000, to: 80_000 })
  world.files.rot(`${folder}/segments`, 1, { from: 900_000, to: 900_001 })
  world.files.rot(`${folder}/head`, 1, { from: 4096, to: 4700 })
  world.files.rot(`${folder}/head`, 1, { from: 0, to: 200 })
  world.files.rot(`${folder}/notes`, 1, { from: 4, to: 60 })
  t.ok((await readAll(server, made)).equals(made.plain), 'two lost shards in a stripe come back')
  world.files.powerLoss()
  const again = await world.start()
  const report = openScrubReport(await again.scrub(1 << 30), publicOf(world.identity))
  t.equal(report.complete, true)
  t.equal(report.replicas, 1)
  t.same([report.unrepairable, report.changed], [[], []])
  t.equal(report.repairedShards, 1, 'only the notes were left to repair')
  const clean = openScrubReport(await again.scrub(1 << 30), publicOf(world.identity))
  t.equal(clean.repairedShards, 0)
  t.ok(clean.readBytes > made.manifest.sealedBytes * 1.1, 'data and parity were read')
  // Rot in what nobody reads while all is well would leave the other copy alone in the world.
  world.files.rot(`${folder}/parity`, 1, { from: 4096, to: 4700 })
  const copied = openScrubReport(await again.scrub(1 << 30), publicOf(world.identity))
  t.equal(copied.repairedShards, 1, 'the second copy of the hashes is written anew')
  world.files.rot(`${folder}/head`, 1, { from: 4096, to: 4700 })
  t.ok((await readAll(again, made)).equals(made.plain), 'and serves when the first rots')

  for (const at of [1, 70_000, 140_000]) world.files.rot(`${folder}/segments`, 1, { from: at, to: at + 1 })
  const problem = await problemOf(readAll(again, made))
  t.equal(problem.code, 'replica.damaged')
  t.same(problem.data, { segments: [0, 1, 2] })
  const lost = openScrubReport(await again.scrub(1 << 30), publicOf(world.identity))
  t.same(
    lost.unrepairable.map((each) => each.segments),
    [[0, 1, 2]],
  )
  t.equal((await problemOf(again.restoreSegments(made.name, 0, [made.segments[1]!]))).code, 'replica.conflict')
  await again.restoreSegments(made.name, 0, made.segments.slice(0, 1))
  t.ok((await readAll(again, made)).equals(made.plain), 'one from the other replica, the rest from parity')
  const ordered = openScrubReport(await again.scrub(1 << 30), publicOf(world.identity))
  t.same(
    [ordered.repaired, ordered.repairedShards],
    [undefined, 0],
    'a repair that was ordered is not reported as found',
  )
})

t.test('S11: the scrub keeps to its budget, goes on where it ended, and tells change from rot', async (t) => {
  const world = makeWorld(4)
  const server = await world.start()
  const all: Made[] = []
  for (let i = 0; i < 3; i++) {
    const made = await world.replica(2_200_000)
    all.push(made)
    await put(server, made)
  }
  let replicas = 0
  let calls = 0
  for (let complete = false; !complete; calls++) {
    const report = openScrubReport(await server.scrub(1_500_000), publicOf(world.identity))
    t.ok(report.readBytes < 4_000_000, 'a budget and one stripe')
    replicas += report.replicas
    complete = report.complete
  }
  t.equal(replicas, 3)
  t.ok(calls >= 4)

  // Whoever changes bytes, hashes and parity so that they agree leaves a root that is not the manifest's.
  const [, changed] = all
  const folder = world.files
    .paths()
    .find((path) => path.includes(Buffer.from(changed!.name.object).toString('hex')))!
    .replace(/\/[^/]*$/, '')
  const writer = await ReplicaWriter.open(world.files, folder, changed!.manifest.sealedBytes)
  for (const [at, segment] of changed!.segments.entries())
    await writer.add(at === 20 ? segment.map((byte) => byte ^ 1) : segment)
  await writer.finish({ manifest: changed!.signed, atMs: 1 }, changed!.notes)
  await writer.close()
  const report = openScrubReport(await server.scrub(1 << 30), publicOf(world.identity))
  t.same(report.changed, [changed!.name], 'tampering is not mistaken for rot')
  t.same(report.unrepairable, [])
})

t.test('S11: an examination signs what stands on the medium: rot, loss, change and absence told apart', async (t) => {
  const world = makeWorld(14)
  const server = await world.start()
  const made = await world.replica(2_200_000)
  await put(server, made)
  const nonce = world.random.bytes(32)
  const ask = async () =>
    openExamination(await server.examine(made.name, nonce), publicOf(world.identity), {
      server: 'ds-1',
      replica: made.name,
      nonce,
    })
  const folder = world.files
    .paths()
    .find((path) => path.endsWith('/segments'))!
    .replace(/\/[^/]*$/, '')
  t.match(await ask(), { held: true, badParts: 0, lostSegments: 0, notesLost: false, root: made.manifest.root })
  for (const at of [1, 2]) world.files.rot(`${folder}/segments`, 3, { from: at * 65_552, to: (at + 1) * 65_552 })
  t.match(await ask(), { badParts: 2, repairedParts: 2, lostSegments: 0, root: made.manifest.root }, 'parity suffices')
  t.match(await ask(), { badParts: 0 }, 'and what it restored is durable')
  for (const at of [4, 5, 6]) world.files.rot(`${folder}/segments`, 3, { from: at * 65_552, to: (at + 1) * 65_552 })
  t.match(await ask(), { badParts: 3, repairedParts: 0, lost: [4, 5, 6], root: made.manifest.root })
  const proven = await server.proofs(made.name, [4, 5, 6])
  for (const { index, leafHash, proof } of proven)
    t.ok(
      sameBytes(leafHash, hashOfLeaf(made.segments[index]!)) &&
        verifyProof({ root: made.manifest.root, count: made.segments.length, index, leafHash, proof }),
      'what stood there is still proven',
    )
  await server.restoreSegments(made.name, 4, made.segments.slice(4, 7))
  t.match(await ask(), { badParts: 0, root: made.manifest.root })
  await t.rejects(
    (async () =>
      openExamination(await server.examine(made.name, world.random.bytes(32)), publicOf(world.identity), {
        server: 'ds-1',
        replica: made.name,
        nonce,
      }))(),
    { code: 'server.refused' },
    'an old answer is no answer',
  )
  const scrub = async () => openScrubReport(await server.scrub(0), publicOf(world.identity))
  t.equal((await scrub()).repaired, undefined, 'who asked was told')
  world.files.rot(`${folder}/segments`, 3, { from: 2 * 65_552, to: 3 * 65_552 })
  for await (const _ of server.readSegments(made.name, 0, made.segments.length));
  t.match((await scrub()).repaired, [{ ...made.name, parts: 1 }], 'what was repaired while reading is reported once')
  t.equal((await scrub()).repaired, undefined)
  const writer = await ReplicaWriter.open(world.files, folder, made.manifest.sealedBytes)
  for (const [at, segment] of made.segments.entries())
    await writer.add(at === 20 ? segment.map((byte) => byte ^ 1) : segment)
  await writer.finish({ manifest: made.signed, atMs: 1 }, made.notes)
  await writer.close()
  const changed = await ask()
  t.match(changed, { held: true, badParts: 0, lostSegments: 0 })
  t.notOk(sameBytes(changed.root!, made.manifest.root), 'every checksum agrees, and it is not what was signed')
  await world.files.remove(folder)
  t.match(await ask(), { held: false, badParts: 0 })
})

t.test('S7: one manifest that is none does not take its disk out of use', async (t) => {
  const world = makeWorld(15)
  const first = await world.start()
  const [good, bad] = [await world.replica(1_000), await world.replica(1_000)]
  for (const made of [good, bad]) await put(first, made)
  const folder = world.files
    .paths()
    .find((path) => path.includes(Buffer.from(bad.name.object).toString('hex')))!
    .replace(/\/[^/]*$/, '')
  const writer = await ReplicaWriter.open(world.files, folder, bad.manifest.sealedBytes)
  for (const segment of bad.segments) await writer.add(segment)
  await writer.finish({ manifest: world.random.bytes(300), atMs: 1 }, bad.notes)
  await writer.close()
  const again = await world.start()
  t.ok((await readAll(again, good)).equals(good.plain))
  t.equal((await problemOf(again.manifest(bad.name))).code, 'replica.damaged')
})

t.test('S7: disk full, the last space and a failed disk', async (t) => {
  const world = makeWorld(5, 2)
  const server = await world.start()
  const made = await world.replica(300_000)
  world.files.capacityBytes = 200_000
  t.equal((await problemOf(put(server, made))).code, 'storage.full')
  t.equal(world.files.usedBytes, 0, 'nothing is left of it')
  world.files.capacityBytes = 700_000
  const other = await world.replica(300_000)
  const both = await Promise.allSettled([put(server, made), put(server, other)])
  t.same(both.map((each) => each.status).sort(), ['fulfilled', 'rejected'], 'two puts cannot both take the last space')
  world.files.capacityBytes = Number.MAX_SAFE_INTEGER
  world.files.intercept = (operation, path) => {
    if (operation === 'write' && path.startsWith('/disk0')) throw new Problem('storage.failed', 'broken')
  }
  const outcomes: string[] = []
  for (let i = 0; i < 4; i++)
    outcomes.push(
      await put(server, await world.replica(100)).then(
        () => 'kept',
        (error: Problem) => error.code,
      ),
    )
  t.equal(outcomes.at(-1), 'kept', 'others go on')
  const status = await server.status()
  t.equal(status.disks.filter((disk) => disk.failed).length, outcomes.includes('storage.failed') ? 1 : 0)
  t.ok(outcomes.filter((outcome) => outcome !== 'kept').length <= 1)
})

t.test('S10: the card opens its replica without placement; another card, server or repetition does not', async (t) => {
  const world = makeWorld(6)
  const server = await world.start()
  const made = await world.replica(1_300_000)
  await put(server, made)
  const target = { object: made.name.object, device: 'printer-1', serverKey: thumbprint(world.identity) }
  const carry = (frame: Uint8Array) => server.frame(frame)
  const card = signerOf(world.card)
  const reading = await openReading(target, {
    carry,
    card,
    random: world.random,
    placementKey: publicOf(world.placement),
  })
  t.ok((await made.opened(reading.segments())).equals(made.plain))
  await reading.close()

  const lossy = async (frame: Uint8Array) => {
    await server.frame(frame)
    return server.frame(frame)
  }
  const repeated = await openReading(target, { carry: lossy, card, random: world.random })
  t.ok((await made.opened(repeated.segments())).equals(made.plain), 'a carrier may repeat frames')

  const stranger = signerOf(generateKey('ed25519', world.random))
  t.equal(
    (await problemOf(openReading(target, { carry, card: stranger, random: world.random }))).code,
    'replica.foreign',
  )
  const liar = { ...stranger, kid: card.kid }
  t.equal((await problemOf(openReading(target, { carry, card: liar, random: world.random }))).code, 'card.rejected')
  const impostor = { ...target, serverKey: thumbprint(generateKey('ed25519', world.random)) }
  t.equal((await problemOf(openReading(impostor, { carry, card, random: world.random }))).code, 'server.impostor')
  const absent = { ...target, object: world.random.bytes(16) }
  t.equal((await problemOf(openReading(absent, { carry, card, random: world.random }))).code, 'replica.missing')
  const changing = async (frame: Uint8Array) => {
    const answer = await server.frame(frame)
    answer[answer.length - 1]! ^= 1
    return answer
  }
  t.ok(
    ['server.impostor', 'cbor.malformed', 'message.invalid'].includes(
      (await problemOf(openReading(target, { carry: changing, card, random: world.random }))).code,
    ),
  )
})

t.test('S10: greetings without proof cannot keep members out, and idle sessions end', async (t) => {
  const world = makeWorld(7)
  const server = await world.start({ reading: { sessionsMax: 4 } })
  const made = await world.replica(10)
  await put(server, made)
  const target = { object: made.name.object, device: 'printer-1', serverKey: thumbprint(world.identity) }
  const carry = (frame: Uint8Array) => server.frame(frame)
  const card = signerOf(world.card)
  const { ReadClient } = await import('@azukari/protocol/read-client')
  for (let i = 0; i < 20; i++) await server.frame(new ReadClient(target, world.random).hello())
  t.equal((await server.status()).readers, 4)
  const readings = []
  for (let i = 0; i < 4; i++) readings.push(await openReading(target, { carry, card, random: world.random }))
  t.equal((await problemOf(openReading(target, { carry, card, random: world.random }))).code, 'service.busy')
  await world.clock.runUntil(world.clock.now() + 61_000)
  t.ok(await openReading(target, { carry, card, random: world.random }), 'idle ones made room')
  t.equal((await problemOf(made.opened(readings[0]!.segments()))).code, 'session.unknown')
})

t.test('S12: a server proves its key to who asks; S11: leaves are proven from the medium', async (t) => {
  const world = makeWorld(8)
  const server = await world.start()
  const asked = { nonce: world.random.bytes(32), verifier: thumbprint(world.placement), server: 'ds-1' }
  const said = await server.identify(asked.nonce, asked.verifier)
  t.equal(openIdentification(said, publicOf(world.identity), asked).server, 'ds-1')
  for (const wrong of [{ nonce: world.random.bytes(32) }, { verifier: world.random.bytes(32) }, { server: 'ds-2' }])
    t.throws(() => openIdentification(said, publicOf(world.identity), { ...asked, ...wrong }), {
      code: 'server.impostor',
    })
  t.throws(() => openIdentification(said, publicOf(world.placement), asked), { code: 'server.impostor' })

  const made = await world.replica(2_000_000)
  await put(server, made)
  for (const leaf of await server.challenge(made.name, [0, 7, 16, 30], true)) {
    t.ok(verifyProof({ ...leaf, root: made.manifest.root, count: made.manifest.segments }))
    t.same(leaf.segment, made.segments[leaf.index])
  }
})

t.test('S7: journals are appended once, in order, and outlive power cuts and rot', async (t) => {
  for (const seed of [1, 2, 3]) {
    for (let after = 0; after < 40; after++) {
      const world = makeWorld(seed)
      const server = await world.start()
      const stream = world.random.bytes(16)
      const entries = Array.from({ length: 6 }, (_, i) => world.random.bytes(50 + i))
      await server.journalAppend(stream, 1, entries[0]!)
      world.files.cutAfterChanges = world.files.changes + after
      let acknowledged = 1
      for (let seq = 2; seq <= 6; seq++) {
        const done = await server.journalAppend(stream, seq, entries[seq - 1]!).catch((error: unknown) => {
          if (!isProblem(error)) throw error
        })
        if (done === undefined) break
        acknowledged = seq
      }
      world.files.powerLoss()
      for (const path of world.files.paths('/disk0/journal').slice(0, 1)) world.files.rot(path, 2)
      const again = await world.start()
      const read = await again.journalRead(stream, 1, 100)
      t.ok(read.entries.length >= acknowledged, `seed ${seed}, cut after ${after}: ${acknowledged} stand`)
      t.same(read.entries, entries.slice(0, read.entries.length))
      t.equal((await problemOf(again.journalAppend(stream, 99, entries[0]!))).code, 'act.gap')
      t.equal(await again.journalAppend(stream, 1, entries[0]!), read.next, 'the same again is no error')
      t.equal((await problemOf(again.journalAppend(stream, 1, entries[1]!))).code, 'act.conflict')
    }
  }
})

t.test('D8: a replica is removed by placement’s signed order only', async (t) => {
  const world = makeWorld(9)
  const server = await world.start()
  const made = await world.replica(100_000)
  await put(server, made)
  const order = { ...made.name, epoch: 1, server: 'ds-1', issuedMs: 0, expiresMs: world.clock.now() + 1000 }
  t.equal((await problemOf(server.remove(signRemoval(order, signerOf(world.card))))).code, 'cose.unknown-key')
  t.equal(
    (await problemOf(server.remove(signRemoval({ ...order, server: 'ds-2' }, signerOf(world.placement))))).code,
    'server.refused',
  )
  t.equal(
    (await problemOf(server.remove(signRemoval({ ...order, epoch: 0 }, signerOf(world.placement))))).code,
    'replica.superseded',
  )
  const listed = await server.list(undefined, 10, true)
  t.same([listed.length, listed[0]!.manifest, listed[0]!.notes], [1, made.signed, made.notes])
  const receipt = openRemovalReceipt(
    await server.remove(signRemoval(order, signerOf(world.placement))),
    publicOf(world.identity),
  )
  t.equal(receipt.held, true)
  world.files.powerLoss()
  const again = await world.start()
  t.equal((await again.status()).usedBytes, 0)
  t.equal((await problemOf(readAll(again, made))).code, 'replica.missing')
})
