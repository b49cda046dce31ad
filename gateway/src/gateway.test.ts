import { connect as connectTcp } from 'node:net'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { encode } from '@azukari/protocol/codec'
import { contract, Nothing } from '@azukari/protocol/contract'
import { acknowledgeEvents, enrol, readState, reconcileState, reportState } from '@azukari/protocol/contracts/fleet'
import { readKeyDirectory } from '@azukari/protocol/contracts/keys'
import { carryFrame } from '@azukari/protocol/contracts/read'
import { openSession } from '@azukari/protocol/contracts/session'
import { encodeRequest } from '@azukari/protocol/envelope'
import { openKeyDirectory } from '@azukari/protocol/key-directory'
import { parseCoseKey } from '@azukari/protocol/keys'
import mqtt from 'mqtt'
import t from 'tap'
import { listenOn } from './adapters/listen.ts'
import { createAuthority, issue } from './pki/authority.ts'
import { TestDevice } from './test-client.ts'
import { note, noted, secret, slow } from './test-contracts.ts'
import { site, startTestSite } from './test-site.ts'

async function enrolled(world: Awaited<ReturnType<typeof startTestSite>>): Promise<TestDevice> {
  const device = new TestDevice(site)
  await device.enrol(world.url, await world.newClaim())
  await device.connect(world.url)
  await device.greet()
  return device
}

const stream = new Uint8Array(16).fill(5)
const numbered = (seq: number) => ({ act: { stream, seq }, id: new Uint8Array(16).fill(seq) })

/** Resolves when `ready` holds; looks again at each turn of the event loop. */
async function until(ready: () => boolean): Promise<void> {
  while (!ready()) await new Promise((resolve) => setImmediate(resolve))
}

t.test('D1 D3: a device enrols once with its claim, greets, asks and acts', async (t) => {
  const world = await startTestSite()
  t.teardown(() => world.stop())
  const device = new TestDevice(site)
  const claim = await world.newClaim()
  const trust = await device.enrol(world.url, claim)
  t.match(trust, { site, device: device.id, region: 'JP-13' })
  t.match(
    await device.enrol(world.url, claim),
    { device: device.id },
    'the same device may ask again: its reply may have been lost',
  )
  await device.connect(world.url)
  await device.greet()
  t.match(await device.call(readState, {}), { device: device.id, epoch: 1, region: 'JP-13', version: '2' })
  t.same(await device.call(note, { text: 'one' }, numbered(1)), { n: 1 })
  t.same(await device.call(note, { text: 'one' }, numbered(1)), { n: 1 }, 'a duplicate gets the stored reply')
  t.match(await device.ask(note, { text: 'three' }, numbered(3)), { want: 2 })
  t.match(await device.ask(note, { text: 'other' }, numbered(1)), { problem: { code: 'act.conflict' } })
  t.match(await device.ask(note, { text: 'refuse' }, numbered(2)), { problem: { code: 'member.suspended' } })
  t.same(await device.call(note, { text: 'three' }, numbered(3)), { n: 2 })
  t.same(await world.notes(), ['one', 'three'])
  t.same(await device.call(carryFrame, { server: 'osaka', frame: new Uint8Array([1, 2, 3]) }), {
    frame: new Uint8Array([3, 2, 1]),
  })
  await t.rejects(device.call(carryFrame, { server: 'nowhere', frame: new Uint8Array([1]) }), {
    code: 'server.unreachable',
  })
  await device.call(reportState, { parts: [{ part: 'camera', state: 'attached' }], outboxRows: 2, outboxBytes: 30 })
  t.match(world.gateway.reportOf(device.id), { outboxRows: 2 })
  t.ok(world.gateway.isUp(device.id))
  await device.close()
  await until(() => !world.gateway.isUp(device.id))
})

t.test('D1 D6: wrong claims are refused, counted and burned', async (t) => {
  const world = await startTestSite()
  t.teardown(() => world.stop())
  const device = new TestDevice(site)
  const claim = await world.newClaim()
  const [name] = claim.split('.')
  await device.connect(world.url, 'claim')
  await t.rejects(device.claim(`absent.${'a'.repeat(32)}`), { code: 'claim.unknown' })
  await t.rejects(device.claim(await world.newClaim({ lifeMs: -1 })), { code: 'claim.expired' })
  await t.rejects(
    device.claim(await world.newClaim({ roles: ['printer'] })),
    { code: 'message.unauthorised' },
    'a role that the claim does not allow',
  )
  for (let tries = 0; tries < 5; tries++)
    await t.rejects(device.claim(`${name}.${'b'.repeat(32)}`), { code: 'claim.wrong' })
  await t.rejects(device.claim(claim), { code: 'claim.expired' }, 'burned, even for the right secret')
  t.equal((await world.gateway.devices()).length, 0)
  const good = await world.newClaim()
  await device.claim(good)
  await device.close()
  const second = new TestDevice(site)
  await t.rejects(second.enrol(world.url, good), { code: 'claim.used' })
  // Neither a message for another's topic nor one that is signed by another key enrols.
  const thief = new TestDevice(site)
  await thief.connect(world.url, 'claim')
  const forged = await thief.openExchange(
    thief.topic('call', enrol.name),
    encode({ i: new Uint8Array(16), s: new Uint8Array(100) }),
    new Uint8Array(16),
  )
  t.match(forged, { p: { code: /^c(bor|ose)\./ } })
  await thief.close()
})

t.test('D1: strangers, wrong keys, wrong sites and tokens of others do not connect', async (t) => {
  const world = await startTestSite()
  t.teardown(() => world.stop())
  const device = await enrolled(world)
  await device.close()
  const stranger = new TestDevice(site)
  await t.rejects(stranger.connect(world.url), /not authori[sz]ed/i, 'an unknown device')
  const connect = (password: Uint8Array, clientId = device.id, username = 'device') =>
    mqtt.connectAsync(world.url, { clientId, username, password: Buffer.from(password), reconnectPeriod: 0 })
  await t.rejects(connect(stranger.token({ iss: device.id })), 'another key under its name')
  await t.rejects(connect(device.token({ aud: 'osaka' })), 'a token for another site')
  await t.rejects(connect(stranger.token({ iss: device.id }, Date.now() - 600_000)), 'another key’s token of before')
  await t.rejects(connect(device.token({ exp: Math.floor(Date.now() / 1000) + 86_400 })), 'a token that lives too long')
  await t.rejects(connect(device.token(), 'somebody-else'), 'another client id')
  await t.rejects(connect(device.token(), device.id, 'admin'), 'another user name')
  await t.rejects(connect(new Uint8Array([1, 2, 3])), 'no token')
  await t.rejects(
    mqtt.connectAsync(world.url, {
      clientId: device.id,
      username: 'device',
      password: Buffer.from(device.token()),
      reconnectPeriod: 0,
      will: { topic: 'v1/tokyo/d/other/death', payload: Buffer.of(0), qos: 1, retain: false },
    }),
    'a will in another name',
  )
  await t.rejects(
    mqtt.connectAsync(world.url, { clientId: device.id, reconnectPeriod: 0, keepalive: 0 }),
    'silence for ever',
  )
  const text = await mqtt.connectAsync(world.url, {
    clientId: device.id,
    username: 'device',
    password: Buffer.from(device.token()).toString('base64url'),
    reconnectPeriod: 0,
  })
  t.ok(text.connected, 'tools without byte strings send base64url')
  await text.endAsync()
  await world.gateway.revoke(device.id)
  await t.rejects(device.connect(world.url), 'a device that was shut out')
  const claim = await world.newClaim()
  await t.resolves(device.enrol(world.url, claim), 'a new claim lets it in again')
  await t.resolves(device.enrol(world.url, claim), 'also when the answer was lost')
  await world.gateway.revoke(device.id)
  await t.rejects(device.enrol(world.url, claim), { code: 'claim.used' }, 'but not once more after it was shut out')
})

t.test('D1: a device publishes and subscribes to its own topics only', async (t) => {
  const world = await startTestSite()
  t.teardown(() => world.stop())
  const device = await enrolled(world)
  const other = await enrolled(world)
  for (const filter of [other.topic('reply'), 'v1/+/d/+/reply', '#', '$SYS/#', `v1/${site}/d/${device.id}/birth`]) {
    const [granted] = await device.client
      .subscribeAsync(filter, { qos: 1 })
      .catch((error: { granted?: unknown }) => [error])
    t.ok(granted instanceof Error || (granted as { qos: number }).qos === 128, `no ${filter}`)
  }
  for (const topic of [
    other.topic('birth'),
    device.topic('reply'),
    `v1/${site}/site`,
    `v1/${site}/d/${device.id}/call/UPPER`,
  ]) {
    const intruder = new TestDevice(site, device.key)
    await intruder.connect(world.url)
    const closed = new Promise((resolve) => intruder.client.once('close', () => resolve(true)))
    intruder.client.publish(topic, 'x', { qos: 1 })
    t.ok(await closed, `cut off for ${topic}`)
  }
  const claimant = new TestDevice(site)
  await claimant.connect(world.url, 'claim')
  const closed = new Promise((resolve) => claimant.client.once('close', () => resolve(true)))
  claimant.client.publish(claimant.topic('birth'), 'x', { qos: 1 })
  t.ok(await closed, 'a claimant only enrols')
  await other.close()
})

t.test('D5: births must rise; a replayed one makes nothing and names the last epoch', async (t) => {
  const world = await startTestSite()
  t.teardown(() => world.stop())
  const device = await enrolled(world)
  await device.greet(7)
  await t.rejects(device.greet(7), { code: 'birth.stale', data: { epoch: 7 } })
  await t.rejects(device.greet(3), { code: 'birth.stale', data: { epoch: 7 } })
  await device.greet(8)
  t.match(await device.call(readState, {}), { epoch: 8 })
  await device.close()
})

t.test('D4: requests that make no sense are refused, each with its problem', async (t) => {
  const world = await startTestSite()
  t.teardown(() => world.stop())
  const device = await enrolled(world)
  const problem = async (...args: Parameters<TestDevice['ask']>) => (await device.ask(...args)).problem?.code
  t.equal(await problem({ id: 'test.note@9', name: 'test.note' }, {}), 'message.unknown-contract')
  t.equal(
    await problem({ id: secret.id, name: secret.name }, {}),
    'message.unknown-contract',
    'what services say to each other',
  )
  t.equal(await problem(noted, { text: 'x' }), 'message.unknown-contract', 'an event is not for devices to send')
  t.equal(
    await problem({ id: note.id, name: readState.name }, {}),
    'message.unknown-contract',
    'a topic that is not the contract’s',
  )
  t.equal(await problem(note, { text: 'x' }), 'message.invalid', 'an act without its number')
  t.equal(await problem(readState, {}, numbered(1)), 'message.invalid', 'a call with a number')
  t.equal(await problem(readState, {}, { expiresMs: 1 }), 'message.expired')
  t.equal(await problem(carryFrame, { server: 'x', frame: 'text' }), 'message.invalid')
  t.equal(
    await problem(openSession, { card: new Uint8Array(32), operation: 'look' }),
    'message.unknown-contract',
    'a service that does not know it',
  )
  const content = contract({
    name: 'test.content',
    kind: 'call',
    service: 'content',
    authority: 'device',
    title: 'x',
    serves: [],
    request: Nothing,
    reply: Nothing,
  })
  t.equal(await problem(content, {}), 'message.unknown-contract')
  t.ok(await device.call(readState, {}), 'and the device goes on')
  await device.close()
})

t.test(
  'D3: what does not open is answered with a hint, and malformed CBOR with silence; both leave the gateway well',
  async (t) => {
    const world = await startTestSite()
    t.teardown(() => world.stop())
    const device = await enrolled(world)
    const topic = device.topic('call', readState.name)
    device.client.publish(topic, Buffer.from([0xff, 0x00]), { qos: 1 })
    device.client.publish(topic, Buffer.alloc(0), { qos: 1 })
    device.client.publish(topic, Buffer.from(device.channel.seal(new Uint8Array([0x9f, 0x9f, 0x9f]), topic)), {
      qos: 1,
    })
    device.client.publish(topic, Buffer.from(device.channel.seal(new Uint8Array(60_000).fill(0x81), topic)), { qos: 1 })
    device.client.publish(device.topic('birth'), Buffer.from([1, 2, 3]), { qos: 1, retain: true })
    t.match(await device.call(readState, {}), { device: device.id })
    const old = device.channel
    await device.greet()
    const sealed = old.seal(encode({}), topic)
    device.client.publish(topic, Buffer.from(sealed), { qos: 1 })
    await device.hint()
    t.pass('a message under an old key')
    await device.close()
  },
)

t.test('D3: a PUBLISH of 256 MB is refused at its first bytes', async (t) => {
  const world = await startTestSite()
  t.teardown(() => world.stop())
  const device = await enrolled(world)
  await device.close()
  const socket = connectTcp(Number(new URL(world.url).port), '127.0.0.1')
  const token = Buffer.from(device.token())
  const field = (bytes: Buffer) => Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes])
  const variable = Buffer.concat([
    field(Buffer.from('MQTT')),
    Buffer.of(4, 0xc2, 0, 30),
    field(Buffer.from(device.id)),
    field(Buffer.from('device')),
    field(token),
  ])
  socket.write(Buffer.concat([Buffer.of(0x10, (variable.length & 127) | 128, variable.length >> 7), variable]))
  await new Promise((resolve) => socket.once('data', resolve))
  let written = 0
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.on('error', () => {})
  socket.write(Buffer.of(0x32, 0xff, 0xff, 0xff, 0x7f))
  const chunk = Buffer.alloc(65_536)
  const pour = () => {
    while (!socket.destroyed && written < 256 * 2 ** 20) {
      written += chunk.length
      if (!socket.write(chunk)) return void socket.once('drain', pour)
    }
  }
  pour()
  await closed
  t.ok(written < 8 * 2 ** 20, `cut off after ${written} bytes`)
  const healthy = await enrolled(world)
  t.ok(await healthy.call(readState, {}))
  await healthy.close()
})

t.test('D3: a device that stops reading is cut off and slows nobody', async (t) => {
  const world = await startTestSite({ busLimits: { waitingBytes: 262_144 } })
  t.teardown(() => world.stop())
  const stalled = await enrolled(world)
  const healthy = await enrolled(world)
  const closed = new Promise<number>((resolve) => stalled.client.once('close', () => resolve(Date.now())))
  stalled.client.stream.pause()
  const topic = stalled.topic('call', carryFrame.name)
  const started = Date.now()
  let slowest = 0
  for (let i = 0; i < 3_000; i++) {
    const frame = new Uint8Array(8_000)
    if (!stalled.client.connected) break
    stalled.client.publish(
      topic,
      Buffer.from(
        stalled.channel.seal(
          encodeRequest({
            contract: carryFrame.id,
            id: new Uint8Array(16),
            atMs: Date.now(),
            body: { server: 'osaka', frame },
          }),
          topic,
        ),
      ),
      { qos: 0 },
    )
    if (i % 10 === 0) {
      const asked = Date.now()
      await healthy.call(readState, {})
      slowest = Math.max(slowest, Date.now() - asked)
    }
  }
  stalled.client.stream.resume()
  t.ok((await closed) - started < 20_000, 'cut off')
  t.ok(slowest < 900, `the other one waited at most ${slowest} ms`)
  await healthy.close()
})

t.test('D5: kept events come until acknowledged, also after a birth; passing ones once', async (t) => {
  const world = await startTestSite()
  t.teardown(() => world.stop())
  const device = await enrolled(world)
  await device.call(note, { text: 'tell me' }, numbered(1))
  await device.call(note, { text: 'hum' }, numbered(2))
  await until(() => device.events.length === 2)
  t.same(
    device.events.map((event) => event.contract),
    ['test.noted@1', 'test.hum@1'],
  )
  await device.close()
  await device.connect(world.url)
  await device.greet()
  await until(() => device.events.length === 3)
  t.match(device.events[2], { contract: 'test.noted@1', body: { text: 'tell me' } })
  t.same(device.events[2]!.id, device.events[0]!.id, 'the same event')
  await device.call(acknowledgeEvents, { ids: [device.events[2]!.id] })
  await device.greet()
  for (let i = 0; i < 40; i++) await device.call(note, { text: `tell ${i}` }, numbered(i + 3))
  await until(() => device.events.length === 3 + 32)
  t.equal((await world.service.takeEvents(0, 100)).length, 40, 'the acknowledged one is gone')
  await device.call(acknowledgeEvents, { ids: device.events.slice(3).map((event) => event.id) })
  await until(() => device.events.length === 3 + 40)
  t.same(
    device.events.slice(3).map((event) => (event.body as { text: string }).text),
    Array.from({ length: 40 }, (_, i) => `tell ${i}`),
    'in order, a window at a time',
  )
  await device.close()
})

t.test('D4: a device has a bounded number of requests under way, and a stop finishes them', async (t) => {
  const world = await startTestSite({ limits: { router: { deviceRequests: 3 } } })
  const device = await enrolled(world)
  const waiting = [1, 2, 3].map(() => device.ask(slow, {}))
  await until(() => world.gateway.status().underWay === 3)
  t.match(await device.ask(slow, {}), { problem: { code: 'quota.exceeded', retry: 'later' } })
  world.letGo()
  for (const reply of await Promise.all(waiting)) t.same(reply.body, {})
  const last = device.ask(slow, {})
  await until(() => world.gateway.status().underWay === 1)
  const stopped = world.stop()
  t.match(await device.ask(readState, {}), { problem: { code: 'service.unavailable' } })
  world.letGo()
  t.same((await last).body, {}, 'what was begun is answered')
  await stopped
})

t.test('D5: nothing acknowledged is lost by a restart, and devices learn of it', async (t) => {
  const first = await startTestSite({ directory: t.testdir() })
  const device = await enrolled(first)
  await device.call(note, { text: 'before' }, numbered(1))
  await first.stop()
  const second = await startTestSite({ directory: first.directory })
  t.teardown(() => second.stop())
  await device.connect(second.url)
  const [topic, payload] = [
    device.topic('call', note.name),
    device.channel.seal(encode({}), device.topic('call', note.name)),
  ]
  device.client.publish(topic, Buffer.from(payload), { qos: 1 })
  await device.hint()
  await device.greet()
  t.same(await device.call(note, { text: 'before' }, numbered(1)), { n: 1 }, 'done once')
  t.same(await device.call(note, { text: 'after' }, numbered(2)), { n: 2 })
  t.same(await second.notes(), ['before', 'after'])
  t.not(first.gateway.status().boot, second.gateway.status().boot)
  await device.close()
})

t.test(
  'D3: beyond loopback the line must be TLS, unless an operator says otherwise; over TLS all works the same',
  async (t) => {
    t.throws(() => listenOn({ host: '0.0.0.0', port: 0 }), { code: 'config.invalid' })
    t.ok(listenOn({ host: '0.0.0.0', port: 0, insecure: true }))
    const validity = { nowMs: Date.now(), days: 1 }
    const authority = await createAuthority(site, validity, systemRandom)
    const tls = await issue(authority, { id: 'gateway', role: 'gateway' }, validity, systemRandom)
    const world = await startTestSite({ tls })
    t.teardown(() => world.stop())
    const device = new TestDevice(site)
    const trusting = { ca: authority.cert, servername: 'gateway.azukari.internal' } as never
    await device.connect(world.url, 'claim', trusting)
    await device.claim(await world.newClaim())
    await device.close()
    await device.connect(world.url, 'device', trusting)
    await device.greet()
    t.match(await device.call(readState, {}), { device: device.id })
    await t.rejects(
      new TestDevice(site, device.key).connect(world.url, 'device', { rejectUnauthorized: true }),
      'a device that does not trust it',
    )
    const open = connectTcp(Number(new URL(world.url).port), '127.0.0.1')
    const closed = new Promise((resolve) => open.once('close', () => resolve(true)))
    open.on('error', () => {})
    open.write(Buffer.alloc(64))
    t.ok(await closed, 'no MQTT without TLS')
    await device.close()
  },
)

t.test('D1 D6: a device gets the signed key directory when it enrols, and a newer one as desired state', async (t) => {
  const world = await startTestSite()
  t.teardown(() => world.stop())
  const device = await enrolled(world)
  const siteKey = parseCoseKey(device.trust!.gatewayKey)
  const directory = openKeyDirectory(device.trust!.directory!, { site, siteKey })
  t.same(
    directory.keys.map(({ holder, use }) => `${holder} ${use}`),
    ['gateway sign', 'placement agree', 'placement card', 'placement sign'],
  )
  const reported = { version: 1, applied: 0, values: {}, refused: [] }
  const { version } = directory
  t.same(await device.call(reconcileState, { have: 0, reported, keys: version }), { reported: 1 })
  const reply = await device.call(reconcileState, { have: 0, reported, keys: version - 1 })
  t.same(openKeyDirectory(reply.directory!, { site, siteKey }), directory)
  t.same(await device.call(reconcileState, { have: 0, reported }), { reported: 1 }, 'the release before asks for none')
  t.same(await device.call(readKeyDirectory, { have: version }), {})
  t.same((await device.call(readKeyDirectory, { have: 0 })).directory, world.gateway.directory.signed)
  await device.close()
})
