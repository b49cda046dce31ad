import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom as random } from '@azukari/protocol/adapters/random'
import { signerOf } from '@azukari/protocol/cose'
import { openIdentification } from '@azukari/protocol/identify'
import { generateKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import { type Manifest, openReplicaReceipt, rootToFollow, signManifest } from '@azukari/protocol/manifest'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { openReading } from '@azukari/protocol/read-client'
import { openScrubReport } from '@azukari/protocol/scrub'
import t from 'tap'
import { createAuthority, issue } from '../pki/authority.ts'
import { Keyring } from '../pki/keyring.ts'
import { isDue } from '../pki/validity.ts'
import { CallClient } from '../transport/client.ts'
import { remoteDataServer } from './client.ts'
import { runDataServer } from './main.ts'
import { from, makeReplica, problemOf } from './test-replica.ts'
import { fixedTrust } from './trust.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }
const clock = systemClock

const files = systemFiles()

/** A site with one data server, on real files and a real port. */
async function makeSite(t: { testdir(): string; teardown(work: () => unknown): unknown }) {
  const folder = t.testdir()
  const keyring = new Keyring({ folder: `${folder}/pki`, site: 'test', files, clock, random })
  const identity = generateKey('ed25519', random)
  const placement = generateKey('ed25519', random)
  const card = generateKey('ed25519', random)
  const running = await runDataServer({
    id: 'ds-1',
    port: 0,
    disks: [{ path: `${folder}/disk`, capacityBytes: 1 << 30 }],
    identity,
    trust: fixedTrust([publicOf(placement)]),
    tls: await keyring.identity('ds-1', 'data-server'),
    log: silent,
  })
  t.teardown(() => running.stop())
  const clients: CallClient[] = []
  const clientAs = (tls: { ca: string | string[]; cert: string; key: string }, server = 'ds-1', limits = {}) => {
    const client = new CallClient({ url: running.url, tls, server, clock, limits })
    clients.push(client)
    return remoteDataServer(client)
  }
  t.teardown(() => Promise.all(clients.map((client) => client.close())))
  const replica = (plainBytes: number) => makeReplica(random, { identity, placement, card }, plainBytes, { slot: 2 })
  return { folder, keyring, identity, placement, card, running, clientAs, replica }
}

t.test('S7: a service keeps and reads replicas over HTTP/2 with mutual TLS', async (t) => {
  const site = await makeSite(t)
  const port = site.clientAs(await site.keyring.identity('placement', 'service'))
  const nonce = random.bytes(32)
  const verifier = thumbprint(site.placement)
  openIdentification(await port.identify(nonce, verifier), publicOf(site.identity), { nonce, verifier, server: 'ds-1' })
  for (const bytes of [0, 5, 70_000, 12_000_000]) {
    const made = await site.replica(bytes)
    const receipt = await port.put(made.signed, random.bytes(60), from(made.segments))
    openReplicaReceipt(receipt, publicOf(site.identity), made.manifest)
    t.same(await port.put(made.signed, random.bytes(60), from(made.segments)), receipt, 'the same again')
    const hash = createHash('sha256')
    for await (const segment of port.readSegments(made.name, 0, made.manifest.segments)) hash.update(segment)
    t.equal(
      hash.digest('hex'),
      createHash('sha256').update(Buffer.concat(made.segments)).digest('hex'),
      `${bytes} bytes`,
    )
  }
  const made = await site.replica(200_000)
  const missing = await problemOf(port.put(made.signed, new Uint8Array(0), from(made.segments.slice(0, 2))))
  t.equal(missing.code, 'message.invalid', missing.message)
  t.equal(
    (await problemOf(port.put(made.signed, new Uint8Array(0), from([...made.segments, ...made.segments])))).code,
    'message.too-large',
  )
  t.equal((await problemOf(port.manifest(made.name))).code, 'replica.missing')
  const abort = new AbortController()
  async function* stalls() {
    yield made.segments[0]!
    abort.abort(new Problem('link.timeout', 'test'))
    await new Promise(() => {})
  }
  t.equal((await problemOf(port.put(made.signed, new Uint8Array(0), stalls(), abort.signal))).code, 'link.timeout')
  t.equal((await port.list(undefined, 32, true)).length, 4)
  t.equal(await port.journalAppend(random.bytes(16), 1, random.bytes(10)), 2)
  t.equal(openScrubReport(await port.scrub(1 << 30), publicOf(site.identity)).replicas, 4)
})

t.test('S7: a replica that is sealed while it is sent: announced first, its root comes last', async (t) => {
  const site = await makeSite(t)
  const port = site.clientAs(await site.keyring.identity('placement', 'service'))
  const sign = (manifest: Manifest) => signManifest(manifest, signerOf(site.placement))
  const put = (announced: Manifest, ...parts: Uint8Array[]) => port.put(sign(announced), random.bytes(60), from(parts))
  for (const bytes of [0, 65_536, 200_000, 3_000_000]) {
    const { manifest, segments, signed, name } = await site.replica(bytes)
    const announced = { ...manifest, root: rootToFollow }
    const code = async (...parts: Uint8Array[]) => (await problemOf(put(announced, ...parts))).code
    t.equal(await code(...segments), 'transfer.bad-root', 'no root, no receipt')
    t.equal(await code(...segments, sign({ ...manifest, epoch: 2 })), 'transfer.bad-root', 'another manifest')
    t.equal(await code(...segments, sign({ ...manifest, root: random.bytes(32) })), 'transfer.bad-root', 'another root')
    t.equal(await code(...segments, sign(announced)), 'transfer.bad-root')
    t.match(await code(...segments, random.bytes(500)), /^(cose|cbor)\./)
    t.equal(await code(...segments, signed, random.bytes(5_000)), 'message.too-large')
    t.equal((await problemOf(port.manifest(name))).code, 'replica.missing', 'nothing of it stands')
    const receipt = await put(announced, ...segments, signed)
    openReplicaReceipt(receipt, publicOf(site.identity), manifest)
    t.same(await port.manifest(name), signed)
    t.equal(
      await code(...segments, signed),
      'replica.conflict',
      'whether it is the same cannot be told from an announcement',
    )
    t.same(await port.put(signed, random.bytes(60), from(segments)), receipt, 'and can be with the root')
  }
})

t.test('S10: the gateway carries a card’s frames, and may do nothing else', async (t) => {
  const site = await makeSite(t)
  const service = site.clientAs(await site.keyring.identity('placement', 'service'))
  const gateway = site.clientAs(await site.keyring.identity('gateway', 'gateway'))
  const made = await site.replica(150_000)
  await service.put(made.signed, new Uint8Array(0), from(made.segments))
  t.equal((await problemOf(gateway.manifest(made.name))).code, 'message.unauthorised')
  const target = { object: made.name.object, device: 'printer', serverKey: thumbprint(site.identity) }
  const reading = await openReading(target, {
    carry: (frame) => gateway.frame(frame),
    card: signerOf(site.card),
    random,
  })
  const parts: Uint8Array[] = []
  for await (const segment of reading.segments()) parts.push(segment)
  t.ok(Buffer.concat(parts).equals(Buffer.concat(made.segments)))
})

t.test('S7: foreign certificates, impostors and silent servers are refused', async (t) => {
  const site = await makeSite(t)
  const own = await site.keyring.identity('placement', 'service')
  const foreign = await createAuthority('elsewhere', { nowMs: clock.now(), days: 1 }, random)
  const stranger = await issue(foreign, { id: 'placement', role: 'service' }, { nowMs: clock.now(), days: 1 }, random)
  t.equal(
    (await problemOf(site.clientAs({ ca: own.ca, ...stranger }).status())).code,
    'server.unreachable',
    'a foreign caller',
  )
  t.match((await problemOf(site.clientAs({ ...own, ca: foreign.cert }).status())).code, /^server\./, 'a foreign server')
  t.equal(
    (await problemOf(site.clientAs(own, 'ds-2').status())).code,
    'server.impostor',
    'another server at that address',
  )
  const authority = await site.keyring.authority()
  const expired = await issue(
    authority,
    { id: 'placement', role: 'service' },
    { nowMs: clock.now() - 10 * 86_400_000, days: 1 },
    random,
  )
  t.equal(
    (await problemOf(site.clientAs({ ca: own.ca, ...expired }).status())).code,
    'server.unreachable',
    'an expired certificate',
  )
  t.ok(isDue(expired.cert, clock.now()))

  const silentServer = createServer()
  await new Promise<void>((resolve) => silentServer.listen(0, '127.0.0.1', resolve))
  t.teardown(() => silentServer.close())
  const address = silentServer.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const client = new CallClient({
    url: `https://127.0.0.1:${address.port}`,
    tls: own,
    server: 'ds-1',
    clock,
    limits: { connectMs: 50 },
  })
  t.equal((await problemOf(remoteDataServer(client).status())).code, 'server.unreachable', 'one that does not speak')

  await new Promise<void>((resolve) => {
    const plain = connect(site.running.calls.port, '127.0.0.1', () => plain.write('GET / HTTP/1.1\r\n\r\n'))
      .on('error', () => {})
      .on('close', () => resolve())
  })
  t.equal((await site.clientAs(own).status()).server, 'ds-1', 'and it goes on serving')
})

t.test('D6: certificates are renewed without a restart, and keys are for the owner alone', async (t) => {
  const folder = t.testdir()
  let nowMs = clock.now()
  const later = { ...clock, now: () => nowMs }
  const keyring = new Keyring({
    folder,
    site: 'test',
    files,
    clock: later,
    random,
    authorityDays: 300,
    certificateDays: 90,
  })
  const first = await keyring.identity('ds-1', 'data-server')
  t.same(await keyring.identity('ds-1', 'data-server'), first, 'kept')
  t.equal((await stat(`${folder}/ds-1.key`)).mode & 0o777, 0o600)
  t.equal((await stat(`${folder}/authority.key`)).mode & 0o777, 0o600)
  nowMs += 70 * 86_400_000
  const second = await keyring.identity('ds-1', 'data-server')
  t.not(second.cert, first.cert)
  t.same(second.ca, first.ca)
  nowMs += 200 * 86_400_000
  const third = await keyring.identity('ds-1', 'data-server')
  t.equal(third.ca.length, 2, 'the old authority is still trusted')
  t.not(third.ca[0], first.ca[0])
})
