import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { freePort } from '@azukari/protocol/adapters/free-port'
import { acknowledgeEvents, readState } from '@azukari/protocol/contracts/fleet'
import { finishTransfer, initTransfer, transferProgress } from '@azukari/protocol/contracts/transfer'
import { leafHash, rootOfLeafHashes } from '@azukari/protocol/merkle'
import mqtt from 'mqtt'
import t from 'tap'
import { openDatabase } from '../adapters/database.ts'
import { MqttBus } from '../adapters/mqtt.ts'
import { Devices } from '../registry/devices.ts'
import { telemetryTopics } from '../telemetry/topics.ts'
import { TestDevice } from '../test-client.ts'
import { note, silent } from '../test-contracts.ts'
import { site, startTestSite } from '../test-site.ts'
import { mosquittoAcl } from './acl.ts'

const mosquitto = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto'].find((path) => existsSync(path))

/** Starts Mosquitto and resolves when it runs. */
async function startMosquitto(directory: string, port: number, readers: string[] = []): Promise<ChildProcess> {
  const telemetry = { prefix: 'homeassistant', readers }
  writeFileSync(join(directory, 'acl'), mosquittoAcl(site, 'azukari-gateway', telemetry))
  const passwords = join(directory, 'passwords')
  spawnSync('mosquitto_passwd', ['-b', '-c', passwords, 'azukari-gateway', 'secret'])
  for (const reader of readers) spawnSync('mosquitto_passwd', ['-b', passwords, reader, 'secret'])
  // Devices come without a password that Mosquitto could check: what they say is sealed or signed.
  writeFileSync(
    join(directory, 'mosquitto.conf'),
    [
      `listener ${port} 127.0.0.1`,
      `acl_file ${directory}/acl`,
      ...(existsSync(passwords) ? [`password_file ${passwords}`] : []),
      'allow_anonymous true',
      'max_queued_messages 0',
      'message_size_limit 262144',
      'persistence false',
      'user root',
    ].join('\n'),
  )
  const broker = spawn(mosquitto!, ['-c', join(directory, 'mosquitto.conf')], { stdio: ['ignore', 'ignore', 'pipe'] })
  await new Promise<void>((resolve, reject) => {
    let text = ''
    broker.stderr!.on('data', (chunk: Buffer) => {
      text += chunk
      if (/running/.test(text)) resolve()
    })
    broker.once('exit', () => reject(new Error(text)))
  })
  return broker
}

t.test(
  'D3: the same site runs on Mosquitto, with the access rules that we generate',
  { skip: mosquitto ? false : 'no mosquitto here' },
  async (t) => {
    const directory = t.testdir()
    const port = await freePort()
    const broker = await startMosquitto(directory, port)
    const url = `mqtt://127.0.0.1:${port}`
    const world = await startTestSite({
      bus: () =>
        new MqttBus({
          site,
          url,
          username: 'azukari-gateway',
          password: 'secret',
          clientId: 'gateway',
          clock: systemClock,
          log: silent,
        }),
    })
    t.teardown(async () => {
      await world.stop()
      broker.kill()
    })
    const device = new TestDevice(site)
    const anonymous = { username: undefined, password: undefined } as never
    await device.connect(url, 'claim', anonymous)
    await device.claim(await world.newClaim())
    await device.close()
    await device.connect(url, 'device', anonymous)
    await device.greet()
    t.match(await device.call(readState, {}), { device: device.id, epoch: 1 })
    const act = (seq: number) => ({ act: { stream: new Uint8Array(16), seq }, id: new Uint8Array(16).fill(seq) })
    const told = new Promise<Uint8Array>((resolve) => {
      device.onEvent = (event) => resolve(event.id)
    })
    t.same(await device.call(note, { text: 'tell me' }, act(1)), { n: 1 })
    await device.call(acknowledgeEvents, { ids: [await told] })

    const blocks = [new Uint8Array(65_552).fill(1), new Uint8Array(65_552).fill(2), new Uint8Array(77).fill(3)]
    const leaves = blocks.map(leafHash)
    const transfer = new Uint8Array(16).fill(9)
    const whole = new Promise<void>((resolve) => {
      device.onEvent = (event) => {
        if (event.contract === transferProgress.id && (event.body as { have: { complete: boolean } }).have.complete)
          resolve()
      }
    })
    await device.call(initTransfer, {
      transfer,
      to: 'placement',
      sizeBytes: 131_181,
      blockBytes: 65_552,
      blocks: 3,
      root: rootOfLeafHashes(leaves),
      leaves,
      expiresMs: Date.now() + 60_000,
    })
    for (const [index, block] of blocks.entries())
      await device.client.publishAsync(device.topic('up', '09'.repeat(16), index), Buffer.from(block), { qos: 1 })
    await whole
    t.match(await device.call(finishTransfer, { transfer }), { sizeBytes: 131_181 })

    // A stranger may publish to its own topics only, and hears nothing of others.
    const stranger = new TestDevice(site)
    await stranger.connect(url, 'device', anonymous)
    const [granted] = await stranger.client.subscribeAsync(device.topic('reply')).catch(() => [{ qos: 128 }])
    stranger.client.publish(device.topic('birth'), 'forged', { qos: 1, retain: true })
    let heard = 0
    stranger.client.on('message', (topic) => {
      if (topic === device.topic('reply')) heard++
    })
    t.match(await device.call(readState, {}), { epoch: 1 })
    t.ok(granted!.qos === 128 || heard === 0)
    await stranger.close()

    // The retained birth comes again when the gateway does; it makes nothing, and the new boot id is what counts.
    await world.gateway.stop()
    await device.close()
  },
)

t.test(
  'D6: on Mosquitto readers read what the gateway publishes, by our rules; a board that was revoked meanwhile is taken back',
  { skip: mosquitto ? false : 'no mosquitto here' },
  async (t) => {
    const directory = t.testdir({ broker: {}, site: {} })
    const port = await freePort()
    const broker = await startMosquitto(join(directory, 'broker'), port, ['home'])
    t.teardown(() => broker.kill())
    const url = `mqtt://127.0.0.1:${port}`
    const topics = telemetryTopics(site, 'homeassistant')
    const user = { username: 'azukari-gateway', password: 'secret' }
    const will = { topic: topics.gatewayOnline, payload: 'offline' }
    const start = () =>
      startTestSite({
        directory: join(directory, 'site'),
        bus: () => new MqttBus({ site, url, ...user, clientId: 'gateway', will, clock: systemClock, log: silent }),
        telemetry: {
          homeAssistant: true,
          prefix: 'homeassistant',
          senml: 'none',
          everyMs: 1_000,
          memoryBytes: () => 1,
        },
      })
    /** What stands retained for this user, once `enough` does. */
    const retained = async (
      as: { username?: string; password?: string },
      enough: (all: Map<string, string>) => boolean,
    ) => {
      const client = await mqtt.connectAsync(url, { ...as, protocolVersion: 4, reconnectPeriod: 0 })
      const all = new Map<string, string>()
      const limit = AbortSignal.timeout(60_000)
      const whole = new Promise<void>((resolve) => {
        limit.addEventListener('abort', () => resolve())
        client.on('message', (topic, payload) => {
          all.set(topic, payload.toString())
          if (enough(all)) resolve()
        })
      })
      await client
        .subscribeAsync(['homeassistant/#', 'azukari/#', `azukari/${site}/#`], { qos: 1 })
        .catch(() => undefined)
      await whole
      await client.endAsync(true)
      return all
    }
    const home = { username: 'home', password: 'secret' }
    const device = new TestDevice(site)
    const anonymous = { username: undefined, password: undefined } as never
    let world = await start()
    await device.connect(url, 'claim', anonymous)
    await device.claim(await world.newClaim())
    await device.close()
    const before = await retained(
      home,
      (all) => all.has(topics.deviceState(device.id)) && all.has(topics.gatewayOnline),
    )
    t.ok(before.has(topics.discovery(device.id)))
    t.equal(before.get(topics.gatewayOnline), 'online')
    // A board, or anybody, reads nothing of it: by the time that a message of its own is back, it would have come.
    const stranger = await mqtt.connectAsync(url, { clientId: device.id, protocolVersion: 4, reconnectPeriod: 0 })
    const heard: string[] = []
    const echo = new Promise<void>((resolve) =>
      stranger.on('message', (topic) => {
        heard.push(topic)
        if (topic === `v1/${site}/site`) resolve()
      }),
    )
    await stranger.subscribeAsync(['homeassistant/#', `azukari/${site}/#`], { qos: 1 }).catch(() => undefined)
    await stranger.subscribeAsync(`v1/${site}/site`, { qos: 1 })
    await echo
    t.same(heard, [`v1/${site}/site`])
    await stranger.endAsync(true)

    await world.stop()
    t.equal(
      (await retained(home, (all) => all.get(topics.gatewayOnline) === 'offline')).get(topics.gatewayOnline),
      'offline',
    )
    const database = openDatabase(join(directory, 'site', 'gateway.db'))
    await new Devices(database).revoke(device.id, Date.now())
    await database.close()
    world = await start()
    const gone = (all: Map<string, string>) =>
      all.get(topics.gatewayOnline) === 'online' &&
      !all.get(topics.discovery(device.id)) &&
      !all.get(topics.deviceState(device.id))
    t.ok(gone(await retained(home, gone)))
    await world.stop()
  },
)
