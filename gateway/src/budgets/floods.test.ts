/** What one device, or any stranger, could take from all others (D3, D6, S4): each flood is refused, and the others go on. */
import { randomBytes } from 'node:crypto'
import { connect as connectTcp, type Socket } from 'node:net'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { putCardResults, readState } from '@azukari/protocol/contracts/fleet'
import { haveTransfer, initTransfer } from '@azukari/protocol/contracts/transfer'
import { coseKey, publicOf } from '@azukari/protocol/keys'
import { leafHash, rootOfLeafHashes } from '@azukari/protocol/merkle'
import type { Files } from '@azukari/protocol/ports'
import mqtt from 'mqtt'
import t from 'tap'
import { openDatabase } from '../adapters/database.ts'
import { Devices } from '../registry/devices.ts'
import { TestDevice } from '../test-client.ts'
import { site, startTestSite, type TestSite, type TestSiteOptions } from '../test-site.ts'

interface Teardown {
  teardown(work: () => unknown): void
}

async function world(t: Teardown, options: TestSiteOptions = {}): Promise<TestSite> {
  const running = await startTestSite(options)
  t.teardown(() => running.stop())
  return running
}

async function enrolled(t: Teardown, at: TestSite, claim?: string): Promise<TestDevice> {
  const device = new TestDevice(site)
  await device.enrol(at.url, claim ?? (await at.newClaim()))
  await device.connect(at.url)
  await device.greet()
  t.teardown(() => device.close())
  return device
}

async function until(ready: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await ready())) await new Promise((resolve) => setImmediate(resolve))
}

/** Whether this device is still connected, with the channel that it had: nothing else is answered. */
async function goesOn(device: TestDevice): Promise<boolean> {
  const { client } = device
  if (!client.connected) return false
  const { promise: cut, resolve } = Promise.withResolvers<false>()
  const onClose = () => resolve(false)
  client.once('close', onClose)
  void device.hint().then(onClose)
  const on = await Promise.race([device.call(readState, {}).then(() => true), cut])
  client.off('close', onClose)
  return on
}

/** A disk with room for everything that is announced. */
const largeDisk: Files = { ...systemFiles(), freeBytes: async () => 2 ** 50 }

function announcement(sizeBytes: number) {
  const blockBytes = 131_072
  const blocks = Math.ceil(sizeBytes / blockBytes)
  const transfer = new Uint8Array(randomBytes(16))
  const expiresMs = Date.now() + 14 * 86_400_000
  return { transfer, to: 'placement', sizeBytes, blockBytes, blocks, root: new Uint8Array(32), expiresMs }
}

const accepted = async (attempts: Promise<unknown>[]) =>
  (await Promise.allSettled(attempts)).filter(({ status }) => status === 'fulfilled').length

t.test('S4: announcements in one burst count each other, and a revoked device holds nothing', async (t) => {
  const directory = t.testdir()
  const at = await world(t, { files: largeDisk, directory })
  const thief = await enrolled(t, at)
  const burst = Array.from({ length: 30 }, () => thief.call(initTransfer, announcement(16e9)))
  t.equal(await accepted(burst), 1, '16 GB of one device')
  t.equal(at.gateway.status().buffer.bytes, 16e9)
  const other = await enrolled(t, at)
  await t.resolves(other.call(initTransfer, announcement(1e9)), 'the others save')
  await at.gateway.revoke(thief.id)
  await until(() => at.gateway.status().buffer.transfers === 1)
  t.equal(at.gateway.status().buffer.bytes, 1e9)
  // Also one that another process revoked while it was not connected.
  await other.close()
  await until(() => !at.gateway.isUp(other.id))
  const registry = openDatabase(`${directory}/gateway.db`)
  await new Devices(registry).revoke(other.id, Date.now())
  await registry.close()
  await until(() => at.gateway.status().buffer.transfers === 0)
  t.equal(at.gateway.status().buffer.bytes, 0)
})

t.test('S4: however many devices conspire, there is room for one more', async (t) => {
  const at = await world(t, { files: largeDisk })
  for (let n = 0; n < 5; n++) {
    const thief = await enrolled(t, at)
    await accepted([16e9, 8e9, 4e9, 2e9, 1e9].map((bytes) => thief.call(initTransfer, announcement(bytes))))
  }
  const other = await enrolled(t, at)
  await t.resolves(other.call(initTransfer, announcement(5e8)))
})

t.test('S4: a disk is promised once only', async (t) => {
  const files: Files = { ...systemFiles(), freeBytes: async () => 2e9 }
  const at = await world(t, { files })
  const device = await enrolled(t, at)
  t.equal(await accepted(Array.from({ length: 8 }, () => device.call(initTransfer, announcement(6e8)))), 3)
  await t.rejects(device.call(initTransfer, announcement(6e8)), { code: 'storage.full' })
})

t.test('S4: an announcement that nothing follows is given back; a transfer that was begun stays', async (t) => {
  const at = await world(t, { limits: { buffer: { unsentMs: 0 } } })
  const device = await enrolled(t, at)
  const empty = announcement(1_000)
  await device.call(initTransfer, empty)
  const blocks = [randomBytes(1_024), randomBytes(1_024)]
  const leaves = blocks.map(leafHash)
  const begun = { ...announcement(2_048), blockBytes: 1_024, blocks: 2, leaves, root: rootOfLeafHashes(leaves) }
  await device.call(initTransfer, begun)
  const told = new Promise<void>((resolve) => {
    device.onEvent = () => resolve()
  })
  const name = Buffer.from(begun.transfer).toString('hex')
  await device.client.publishAsync(device.topic('up', name, 0), blocks[0]!, { qos: 1 })
  await told
  await at.gateway.sweep()
  await t.rejects(device.call(haveTransfer, { transfer: empty.transfer }), { code: 'transfer.unknown' })
  t.match(await device.call(haveTransfer, { transfer: begun.transfer }), { ranges: [[0, 0]] })
})

t.test(
  'D3: one connection has a bounded number of subscriptions, and a packet a bounded number of filters',
  async (t) => {
    const at = await world(t)
    const [device, other] = [await enrolled(t, at), await enrolled(t, at)]
    let granted = 0
    const filter = (n: number) => device.topic('reply').replace('reply', `down/${'0'.repeat(32)}/${n}`)
    for (let packet = 0; packet < 10; packet++) {
      const filters = Array.from({ length: 20 }, (_, n) => filter(packet * 20 + n))
      for (const { qos } of await subscribe(device, filters)) if (qos < 128) granted++
    }
    t.ok(granted <= 32, `${granted} of 200`)
    await device.client.unsubscribeAsync(filter(0))
    t.match(await subscribe(device, [filter(500)]), [{ qos: 1 }], 'what is given up is free again')
    const closed = new Promise<true>((resolve) => device.client.once('close', () => resolve(true)))
    const answered = subscribe(
      device,
      Array.from({ length: 200 }, (_, n) => filter(n)),
    ).then(
      () => false,
      () => true,
    )
    t.ok(await Promise.race([closed, answered]), 'a list of 200 ends the connection')
    t.ok(await goesOn(other))
    await until(() => at.budgets.report().find(({ budget }) => budget === 'subscriptions')!.held === 4)
  },
)

/** The reason codes that the broker gave, also those that are refusals. */
function subscribe(device: TestDevice, filters: string[]): Promise<{ qos: number }[]> {
  return new Promise((resolve, reject) => {
    const { client } = device
    const onClose = () => reject(new Error('closed'))
    client.once('close', onClose)
    const onPacket = (packet: { cmd: string; granted?: unknown }) => {
      if (packet.cmd !== 'suback') return
      client.off('packetreceive', onPacket)
      client.off('close', onClose)
      resolve((packet.granted as number[]).map((qos) => ({ qos })))
    }
    client.on('packetreceive', onPacket)
    client.subscribe(filters, { qos: 1 }, () => undefined)
  })
}

t.test('D3: packets that say nothing come in bounded number', async (t) => {
  const at = await world(t)
  const [device, other] = [await enrolled(t, at), await enrolled(t, at)]
  const closed = new Promise<void>((resolve) => device.client.once('close', () => resolve()))
  device.client.stream.write(Buffer.from('c000'.repeat(1_000), 'hex'))
  await closed
  t.ok(await goesOn(other), 'a thousand pings at once end their connection only')
})

t.test('D3 D6: neither silent strangers nor claimants shut devices out', async (t) => {
  const at = await world(t, { busLimits: { connections: 4, strangers: 6, claimants: 3 } })
  const device = await enrolled(t, at)
  await device.close()
  const port = Number(new URL(at.url).port)
  const sockets: Socket[] = []
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  const strangers = async (count: number) => {
    for (let n = 0; n < count; n++) {
      const socket = connectTcp(port, '127.0.0.1')
      socket.on('error', () => undefined)
      sockets.push(socket)
      await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
    }
  }
  for (let n = 0; n < 8; n++) {
    const claimant = new TestDevice(site)
    t.teardown(() => claimant.close())
    await claimant.connect(at.url, 'claim')
  }
  await strangers(20)
  await device.connect(at.url)
  await device.greet()
  t.ok(await goesOn(device))
  await strangers(20)
  t.ok(await goesOn(device), 'and nobody takes its place')
  const one = new TestDevice(site)
  await t.resolves(one.enrol(at.url, await at.newClaim()), 'a new device enrols')
  const report = at.budgets.report().filter(({ budget }) => budget === 'connections')
  t.ok(report.every(({ held, limit }) => held <= limit))
})

t.test('D6: strangers of one address do not take the places of another', async (t) => {
  const at = await world(t, { busLimits: { strangers: 100, strangersPerAddress: 5 } })
  const port = Number(new URL(at.url).port)
  let open = 0
  const sockets: Socket[] = []
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  const from = async (localAddress: string) => {
    const socket = connectTcp({ port, host: '127.0.0.1', localAddress })
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => open--)
    await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
    open++
  }
  await from('127.0.0.2')
  for (let n = 0; n < 20; n++) await from('127.0.0.3')
  await until(() => open === 6)
  t.notOk(sockets[0]!.destroyed, 'who waited longest at another address stays')
})

t.test(
  'D6: a claimant who does not enrol, and a device whose token is late and does not greet, do not stay',
  async (t) => {
    const at = await world(t, { busLimits: { claimMs: 50 } })
    const device = await enrolled(t, at)
    await device.close()
    const gone = (client: mqtt.MqttClient) => new Promise<true>((resolve) => client.once('close', () => resolve(true)))
    const claimant = new TestDevice(site)
    await claimant.connect(at.url, 'claim')
    t.ok(await gone(claimant.client))
    const late = await connect(at, device, device.token({}, Date.now() - 3_600_000))
    t.ok(await gone(late))
  },
)

const connect = (at: TestSite, { id: clientId }: TestDevice, password: Uint8Array, username = 'device') =>
  mqtt.connectAsync(at.url, { clientId, username, password: Buffer.from(password), reconnectPeriod: 0 })

t.test('D1 D6: a stolen token does not cut its device off', async (t) => {
  const at = await world(t)
  const claim = await at.newClaim()
  const device = await enrolled(t, at, claim)
  const confirmation = { 8: new Map([[1, coseKey(publicOf(device.key))]]) }
  const guests: mqtt.MqttClient[] = []
  t.teardown(() => Promise.all(guests.map((guest) => guest.endAsync(true))))
  for (let n = 0; n < 5; n++) {
    guests.push(await connect(at, device, device.token(confirmation), 'claim'))
    t.ok(await goesOn(device), 'a claimant stands beside the device')
  }
  const nextDay = Date.now() + 86_400_000
  guests.push(await connect(at, device, device.token(confirmation, nextDay), 'claim'))
  t.ok(await goesOn(device), 'whatever the time in its token')
  for (const [what, atMs] of [
    ['an older token', Date.now() - 60_000],
    ['a token from the future', nextDay],
    ['a token of last year', Date.now() - 365 * 86_400_000],
  ] as const) {
    await t.rejects(connect(at, device, device.token({}, atMs)), what)
    t.ok(await goesOn(device))
  }
  // The device itself comes again before its former connection has ended.
  const former = device.client
  const over = new Promise<void>((resolve) => former.once('close', () => resolve()))
  await device.connect(at.url, 'device', { password: Buffer.from(device.token({}, Date.now() + 60_000)) })
  await over
  await device.greet()
  t.ok(await goesOn(device))
})

t.test('D6: the same token takes the place of its own connection a few times only', async (t) => {
  const at = await world(t)
  const device = await enrolled(t, at)
  await device.close()
  await until(() => !at.gateway.isUp(device.id))
  const token = device.token()
  const clients: mqtt.MqttClient[] = []
  t.teardown(() => Promise.all(clients.map((client) => client.endAsync(true))))
  const attempts = async () => {
    for (let n = 0; n < 10; n++) clients.push(await connect(at, device, token))
  }
  await t.rejects(attempts(), /unavailable/i)
  t.equal(clients.length, 4, 'the first and three in its place')
})

t.test('D1 D6: an enrolment that is repeated, by whoever heard it, changes nothing', async (t) => {
  const at = await world(t)
  const [first, second] = [await at.newClaim(), await at.newClaim()]
  const device = await enrolled(t, at, first)
  const thief = new TestDevice(site, device.key)
  t.teardown(() => thief.close())
  await thief.connect(at.url, 'claim')
  for (let n = 0; n < 3; n++) {
    // Also with other roles: who has the claim's secret and the key could send that.
    await t.resolves(thief.claim(first, { roles: ['printer'] }), 'the answer may have been lost')
    t.ok(await goesOn(device))
  }
  t.same((await at.gateway.devices())[0]!.roles, ['camera'])
  await device.claim(second)
  await t.rejects(thief.claim(first), { code: 'claim.used' })
  await t.resolves(device.greet(), 'an enrolment anew wants a new greeting')
  await t.rejects(thief.claim(first), { code: 'claim.used' })
  t.ok(await goesOn(device))
})

t.test('D6: rows for cards come in bounded number: cards are what a device says they are', async (t) => {
  const at = await world(t)
  const [device, other] = [await enrolled(t, at), await enrolled(t, at)]
  const results = () =>
    Array.from({ length: 64 }, () => ({
      card: new Uint8Array(randomBytes(32)),
      number: 1,
      outcome: 'written' as const,
    }))
  let kept = 0
  let refused: unknown
  for (let n = 0; n < 32 && !refused; n++)
    await device.call(putCardResults, { results: results() }).then(
      () => kept++,
      (error: unknown) => {
        refused = error
      },
    )
  t.match(refused, { code: 'quota.exceeded' })
  t.equal(kept, 15, '960 of 1,000')
  await t.resolves(other.call(putCardResults, { results: results() }))
  t.equal((await at.database.all('SELECT * FROM card_data')).length, 16 * 64)
})

t.test('D6: enrolments under one name come in bounded number, and are told so', async (t) => {
  const at = await world(t)
  const claimant = new TestDevice(site)
  t.teardown(() => claimant.close())
  await claimant.connect(at.url, 'claim')
  const device = await enrolled(t, at)
  let told: unknown
  for (let n = 0; n < 64 && !told; n++)
    await device.claim(`absent.${'a'.repeat(32)}`).catch((error: { code: string }) => {
      if (error.code !== 'claim.unknown') told = error
    })
  t.match(told, { code: 'quota.exceeded' })
  await t.rejects(claimant.claim(`absent.${'a'.repeat(32)}`), { code: 'claim.unknown' }, 'others are heard')
})
