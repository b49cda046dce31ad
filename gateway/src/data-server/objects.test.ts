/** Content at data servers, on simulated disks: objects, grants, deliveries, and what goes wrong with them. */
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom as random } from '@azukari/protocol/adapters/random'
import { hex } from '@azukari/protocol/bytes'
import { signerOf } from '@azukari/protocol/cose'
import { openRecord, signDeliveryOrder, signGrant, signReversal } from '@azukari/protocol/delivery'
import { hashBytes } from '@azukari/protocol/download'
import { generateKey, publicOf } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import type { SourcePort } from './object-server.ts'
import { createDataServer, type DataServer, type DataServerOptions } from './server.ts'
import { from, makeReplica } from './test-replica.ts'
import { fixedTrust } from './trust.ts'

const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
const blockBytes = 65_536
const issuer = generateKey('ed25519', random)
const signer = signerOf(issuer)
const placement = generateKey('ed25519', random)

interface Site {
  servers: Map<string, DataServer>
  identities: Map<string, ReturnType<typeof generateKey>>
  /** Blocks that each server was asked for by others. */
  asked: Map<string, number>
  /** What a source does in place of answering as it should. */
  faults: Map<string, (blocks: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>>
  open(id: string, limits?: DataServerOptions['limits']): Promise<DataServer>
}

function makeSite(t: Test): Site {
  const folder = t.testdir()
  const site: Site = {
    servers: new Map(),
    identities: new Map(),
    asked: new Map(),
    faults: new Map(),
    open: async (id, limits = {}) => {
      const identity = site.identities.get(id) ?? generateKey('ed25519', random)
      site.identities.set(id, identity)
      const server = await createDataServer({
        id,
        identity,
        clock: systemClock,
        random,
        files: systemFiles(),
        disks: [{ path: `${folder}/${id}`, capacityBytes: 64 * blockBytes }],
        trust: fixedTrust([publicOf(placement)], [publicOf(issuer)]),
        log,
        limits: { ...limits, objects: { stallMs: 500, quotaBytes: 20 * blockBytes, ...limits.objects } },
        peer: (other) => sourceOf(site, other.id, id),
      })
      site.servers.set(id, server)
      return server
    },
  }
  t.teardown(() => Promise.all([...site.servers.values()].map((server) => server.stop())))
  return site
}

/** A server as another one reaches it, counting what is asked. */
function sourceOf(site: Site, id: string, peer: string): SourcePort {
  return {
    fetch: async (grant, first, count) => {
      const server = site.servers.get(id)
      if (!server) throw new Problem('server.unreachable', id)
      const { sizeBytes, leaves } = server.objects.describe(grant, peer)
      const counted = async function* () {
        for await (const block of server.objects.read(grant, first, count, peer)) {
          site.asked.set(id, (site.asked.get(id) ?? 0) + 1)
          yield block
        }
      }
      return { sizeBytes, leaves, blocks: site.faults.get(id)?.(counted()) ?? counted() }
    },
  }
}

const inTenMinutes = () => systemClock.now() + 600_000

function grant(use: 'read' | 'keep' | 'drop', root: Uint8Array, server: string, peer: string, by = signer): Uint8Array {
  return signGrant({ root, use, peer, server, expiresMs: inTenMinutes() }, by)
}

function cut(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  const blocks: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += blockBytes) blocks.push(bytes.subarray(at, at + blockBytes))
  return from(blocks)
}

async function keep(server: DataServer, id: string, bytes: Uint8Array): Promise<Uint8Array> {
  const { root, leaves } = hashBytes(bytes)
  await server.objects.keep({ grant: grant('keep', root, id, 'x'), sizeBytes: bytes.length, leaves }, cut(bytes))
  return root
}

interface Wanted {
  server: string
  bytes: Uint8Array
  sources?: readonly string[]
  delivery?: Uint8Array
  client?: Uint8Array
}

const someone = random.bytes(32)

function request({ server, bytes, sources = [], delivery = random.bytes(16), client = someone }: Wanted) {
  const { root } = hashBytes(bytes)
  const price = { serviceMinor: 1, contentMinor: 300, currency: 'JPY' as const }
  const of = { content: root.slice(0, 16), version: 1, root, sizeBytes: bytes.length, provider: '12345678901234' }
  const order = signDeliveryOrder({ delivery, server, client, ...of, ...price, expiresMs: inTenMinutes() }, signer)
  return {
    order,
    sources: sources.map((id) => ({ server: id, url: `https://${id}`, grant: grant('read', root, id, server) })),
  }
}

t.test(
  'C2 C3 C7: a miss, a hit, and the same request again: one record each, in order, across a restart',
  async (t) => {
    const site = makeSite(t)
    const film = random.bytes(3 * blockBytes + 5)
    const origin = await site.open('origin')
    const root = await keep(origin, 'origin', film)
    const near = await site.open('near')
    const miss = request({ server: 'near', bytes: film, sources: ['origin'] })
    const first = await near.objects.deliver(miss)
    t.match(first, { seq: 1, failed: [] })
    const read: Uint8Array[] = []
    for await (const block of near.objects.read(grant('read', root, 'near', 'x'), 0, 10)) read.push(block)
    t.ok(Buffer.concat(read).equals(film))
    const key = publicOf(site.identities.get('near')!)
    t.match(openRecord(first.record, key, { server: 'near', seq: 1 }), {
      kind: 'charge',
      fee: 'purchase',
      from: 'origin',
    })
    await t.rejects(async () => openRecord(first.record, key, { server: 'near', seq: 2 }), { code: 'server.refused' })
    t.equal(hex((await near.objects.deliver(miss)).record), hex(first.record), 'the same request again')
    const hit = await near.objects.deliver(request({ server: 'near', bytes: film }))
    t.match(openRecord(hit.record, key, { server: 'near', seq: 2 }), { fee: 'reference', from: 'near' })
    await near.stop()
    const again = await site.open('near')
    t.equal(hex((await again.objects.deliver(miss)).record), hex(first.record), 'after a restart, too')
    const other = await again.objects.deliver(request({ server: 'near', bytes: film, client: random.bytes(32) }))
    t.match(
      openRecord(other.record, key, { server: 'near', seq: 3 }),
      { fee: 'purchase' },
      'not held for that client yet',
    )
    t.equal((await again.objects.records(1, 10)).length, 3)
  },
)

t.test('C7: a reversal is one second record, whoever asks again, and never of what was not charged', async (t) => {
  const site = makeSite(t)
  const song = random.bytes(1000)
  const server = await site.open('one')
  await keep(server, 'one', song)
  const delivery = random.bytes(16)
  await server.objects.deliver(request({ server: 'one', bytes: song, delivery }))
  const order = (of: Uint8Array, at = 'one') =>
    signReversal({ delivery: of, server: at, reason: 'photo.corrupt' }, signer)
  const reversed = await server.objects.reverse(order(delivery))
  const key = publicOf(site.identities.get('one')!)
  const expected = { kind: 'reversal', reverses: 1, reason: 'photo.corrupt', contentMinor: 300 }
  t.match(openRecord(reversed.record, key, { server: 'one', seq: 2 }), expected)
  t.equal((await server.objects.reverse(order(delivery))).seq, 2)
  await t.rejects(server.objects.reverse(order(random.bytes(16))), { code: 'object.unknown' })
  await t.rejects(server.objects.reverse(order(delivery, 'two')), { code: 'server.refused' })
  const next = await server.objects.deliver(request({ server: 'one', bytes: song }))
  t.match(
    openRecord(next.record, key, { server: 'one', seq: 3 }),
    { fee: 'purchase' },
    'what was not delivered is not held',
  )
})

t.test('C3: a thousand misses at once make one fetch of each block', async (t) => {
  const site = makeSite(t)
  const film = random.bytes(4 * blockBytes)
  await keep(await site.open('origin'), 'origin', film)
  const near = await site.open('near')
  const asks = Array.from({ length: 1_000 }, () =>
    near.objects.deliver(request({ server: 'near', bytes: film, sources: ['origin'], client: random.bytes(32) })),
  )
  const seqs = (await Promise.all(asks)).map(({ seq }) => seq).sort((a, b) => a - b)
  t.same(
    seqs,
    Array.from({ length: 1_000 }, (_, i) => i + 1),
    'a record for each',
  )
  t.equal(site.asked.get('origin'), 4)
})

t.test('C3 C4: holders that lie, hang, break off or are gone are told of, and the next one goes on', async (t) => {
  const site = makeSite(t)
  // Limits on waits keep no process alive, and here nothing listens.
  const awake = setInterval(() => {}, 60_000)
  t.teardown(() => clearInterval(awake))
  const film = random.bytes(4 * blockBytes)
  for (const id of ['liar', 'hangs', 'breaks', 'good']) await keep(await site.open(id), id, film)
  site.faults.set('liar', async function* (blocks) {
    for await (const block of blocks) yield block.map((byte) => byte ^ 1)
  })
  site.faults.set('hangs', async function* (blocks) {
    for await (const block of blocks) {
      yield block
      await new Promise(() => {})
    }
  })
  site.faults.set('breaks', async function* (blocks) {
    for await (const block of blocks) {
      yield block
      return
    }
  })
  const near = await site.open('near')
  const sources = ['gone', 'liar', 'hangs', 'breaks', 'good']
  const delivered = await near.objects.deliver(request({ server: 'near', bytes: film, sources }))
  const absent = ['gone', 'hangs', 'breaks'].map((server) => ({ server, why: 'absent' }))
  t.same(delivered.failed, [absent[0], { server: 'liar', why: 'lying' }, ...absent.slice(1)])
  t.equal(site.asked.get('good'), 2, 'only what was still missing')
  const nobody = request({ server: 'near', bytes: random.bytes(9), sources: ['good'] })
  await t.rejects(near.objects.deliver(nobody), { code: 'object.unavailable' })
  t.equal((await near.objects.records(1, 10)).length, 1, 'what could not be had is not charged')
})

t.test('C2: without the right grant or order nothing is read, kept, delivered or dropped', async (t) => {
  const site = makeSite(t)
  const song = random.bytes(1000)
  const { objects } = await site.open('one')
  const root = await keep(site.servers.get('one')!, 'one', song)
  const stranger = signerOf(generateKey('ed25519', random))
  const read = (signed: Uint8Array, peer?: string) => async () => objects.describe(signed, peer)
  t.ok(objects.describe(grant('read', root, 'one', 'two'), 'two'))
  for (const [code, attempt] of Object.entries({
    'cose.unknown-key': read(grant('read', root, 'one', 'two', stranger), 'two'),
    'server.refused': read(grant('read', root, 'one', 'two'), 'three'),
    'message.expired': read(signGrant({ root, use: 'read', peer: 'two', server: 'one', expiresMs: 1 }, signer), 'two'),
    'object.unknown': read(grant('read', random.bytes(32), 'one', 'two'), 'two'),
  }))
    await t.rejects(attempt, { code }, code)
  await t.rejects(read(grant('read', root, 'other', 'two'), 'two'), { code: 'server.refused' }, 'for another server')
  await t.rejects(objects.drop(grant('read', root, 'one', 'x')), { code: 'server.refused' }, 'for another use')
  await t.rejects(objects.deliver(request({ server: 'two', bytes: song })), { code: 'server.refused' })
  t.equal((await objects.list(undefined)).length, 1)
  await objects.drop(grant('drop', root, 'one', 'x'))
  t.same(await objects.list(undefined), [])
})

t.test(
  'C2 S7: a full quota evicts the longest unused down to the low mark, and neither replicas nor what is kept',
  async (t) => {
    const site = makeSite(t)
    const origin = await site.open('origin', { putsMax: 32, reading: {}, objects: { quotaBytes: 60 * blockBytes } })
    const near = await site.open('near', { objects: { quotaBytes: 10 * blockBytes, lowBytes: 6 * blockBytes } })
    const identity = site.identities.get('near')!
    const card = generateKey('ed25519', random)
    const made = await makeReplica(random, { identity, placement, card }, 3 * blockBytes, { slot: 1, server: 'near' })
    await near.put(made.signed, new Uint8Array(8), from(made.segments))
    const pinned = await keep(near, 'near', random.bytes(2 * blockBytes - 200))
    const films = Array.from({ length: 6 }, () => random.bytes(2 * blockBytes - 200))
    for (const film of films) {
      await keep(origin, 'origin', film)
      await near.objects.deliver(request({ server: 'near', bytes: film, sources: ['origin'] }))
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    const held = new Set((await near.objects.list(undefined)).map(({ root }) => hex(root)))
    t.ok(held.has(hex(pinned)), 'what a provider keeps stays')
    t.notOk(held.has(hex(hashBytes(films[0]!).root)), 'the longest unused went')
    t.ok(held.has(hex(hashBytes(films[5]!).root)))
    t.ok(held.size >= 3 && held.size <= 5, `${held.size} are left: not more than fit, not fewer than the low mark`)
    t.equal((await near.status()).replicas, 1)
    for await (const segment of near.readSegments(made.manifest, 0, 9)) t.ok(segment.length > 0, 'the replica is whole')
    const huge = random.bytes(11 * blockBytes)
    await keep(origin, 'origin', huge)
    const tooMuch = request({ server: 'near', bytes: huge, sources: ['origin'] })
    await t.rejects(near.objects.deliver(tooMuch), { code: 'storage.full' })
  },
)
