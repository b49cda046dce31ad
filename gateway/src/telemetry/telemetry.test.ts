import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { decode } from '@azukari/protocol/codec'
import { Type } from '@azukari/protocol/contract'
import { reportState } from '@azukari/protocol/contracts/fleet'
import t from 'tap'
import { Value } from 'typebox/value'
import { memoryDatabase, openDatabase } from '../adapters/database.ts'
import { migrate } from '../storage/migrate.ts'
import { TestDevice } from '../test-client.ts'
import { site, startTestSite, type TestSiteOptions } from '../test-site.ts'
import type { DeviceFacts, FleetFacts, SiteFacts } from './facts.ts'
import { deviceDiscovery, deviceState, siteDiscovery, siteState } from './home-assistant.ts'
import { LastSaves } from './last-saves.ts'
import { deviceMeasures, siteMeasures } from './measures.ts'
import { TelemetryPublisher } from './publisher.ts'
import { Readers } from './readers.ts'
import { type SenmlRecord, senmlCbor, senmlJson } from './senml.ts'
import { telemetryMigrations } from './tables.ts'
import { mayRead, telemetryTopics } from './topics.ts'

const atMs = 1_790_000_000_000
const siteFacts: SiteFacts = {
  site,
  version: '1.2.3',
  atMs,
  uptimeMs: 61_400,
  memoryBytes: 90_000_000,
  devicesKnown: 3,
  devicesUp: 1,
  requestsUnderWay: 2,
  buffer: { bytes: 1_000, transfers: 1, full: false },
  measures: [
    { name: 'waiting-saves', key: 'waiting_saves', label: 'Saves waiting', unit: 'count', value: 4 },
    { name: 'stuck', key: 'stuck', label: 'Placement', unit: 'count', value: 0, isFault: true },
    { name: 'server/osaka-1/risk', key: 'risk_osaka-1', label: 'Risk of Osaka', unit: '/', value: 0.01234 },
  ],
}
const camera: DeviceFacts = {
  id: 'abcdefabcdefabcdefabcdef',
  model: 'Pi 4 kiosk',
  version: '0.1.0',
  roles: ['camera'],
  region: 'JP-13',
  online: true,
  lastSaveMs: atMs - 90_000,
  report: {
    atMs: atMs - 30_000,
    outboxRows: 2,
    outboxBytes: 512,
    parts: [
      { part: 'camera', state: 'camera.offline' },
      { part: 'reader', state: 'attached' },
    ],
  },
}
const printer: DeviceFacts = {
  id: 'printerprinterprinterabc',
  model: 'PC',
  version: '0.1.0',
  roles: ['printer'],
  region: 'JP-27',
  online: false,
  report: { atMs, outboxRows: 0, outboxBytes: 0, parts: [{ part: 'printer', state: 'out-of-media' }] },
}
const topics = telemetryTopics(site, 'homeassistant')

// The examples of RFC 8428 §5.1.1–5.1.3 as written there; the CBOR of the second is §6.
const rfc: SenmlRecord[][] = [
  [{ n: 'urn:dev:ow:10e2073a01080063', u: 'Cel', v: 23.1 }],
  [
    { bn: 'urn:dev:ow:10e2073a0108006:', bt: 1.276020076001e9, bu: 'A', bver: 5, n: 'voltage', u: 'V', v: 120.1 },
    ...[1.2, 1.3, 1.4, 1.5, 1.6].map((v, i) => ({ n: 'current', t: i - 5, v })),
    { n: 'current', v: 1.7 },
  ],
  [
    { bn: 'urn:dev:ow:10e2073a01080063:', n: 'temp', u: 'Cel', v: 23.1 },
    { n: 'label', vs: 'Machine Room' },
    { n: 'open', vb: false },
    { n: 'nfc-reader', vd: new Uint8Array(Buffer.from('aGkgCg', 'base64url')) },
  ],
]
const rfcCbor =
  '87a721781b75726e3a6465763a6f773a3130653230373361303130383030363a22fb41d303a15b00106223614120050067766f6c746167650161' +
  '5602fb405e066666666666a3006763757272656e74062402fb3ff3333333333333a3006763757272656e74062302fb3ff4cccccccccccda300' +
  '6763757272656e74062202fb3ff6666666666666a3006763757272656e74062102f93e00a3006763757272656e74062002fb3ff999999999999a' +
  'a3006763757272656e74060002fb3ffb333333333333'

t.test('D3: SenML is RFC 8428’s, in JSON and in CBOR', async (t) => {
  t.same(JSON.parse(senmlJson(rfc[0]!)), [{ n: 'urn:dev:ow:10e2073a01080063', u: 'Cel', v: 23.1 }])
  t.same(JSON.parse(senmlJson(rfc[2]!))[3], { n: 'nfc-reader', vd: 'aGkgCg' }, 'bytes are base64url without padding')
  // The RFC's last record of §6 carries t = 0, which its JSON leaves out. Maps have no order, so values and length count.
  const voltage = [...rfc[1]!.slice(0, -1), { n: 'current', t: 0, v: 1.7 }]
  const ours = senmlCbor(voltage)
  const theirs = new Uint8Array(Buffer.from(rfcCbor, 'hex'))
  t.equal(ours.length, theirs.length)
  t.same(decode(ours), decode(theirs))
  t.same((decode(senmlCbor(rfc[2]!)) as Map<number, unknown>[])[3]!.get(8), new Uint8Array([0x68, 0x69, 0x20, 0x0a]))
  for (const [why, pack] of Object.entries({
    'no record': [],
    'a name that begins with a dot': [{ n: '.x', v: 1 }],
    'a name with a space': [{ bn: 'a b', v: 1 }],
    'no name': [{ v: 1 }],
    'two values': [{ n: 'x', v: 1, vb: true }],
    'no value': [{ n: 'x' }],
    'not a number': [{ n: 'x', v: Number.NaN }],
  } satisfies Record<string, SenmlRecord[]>)) {
    t.throws(() => senmlJson(pack), why)
    t.throws(() => senmlCbor(pack), why)
  }
})

t.test('D6: what the gateway measures of itself and of boards is SenML with registered units', async (t) => {
  // Of those of RFC 8428 §12.1 and RFC 8798 §2 that are used here.
  const units = new Set(['s', 'B', 'count', '/'])
  for (const pack of [
    siteMeasures(siteFacts, 60),
    deviceMeasures(siteFacts, camera, 60),
    deviceMeasures(siteFacts, printer, 60),
  ]) {
    const json = JSON.parse(senmlJson(pack)) as SenmlRecord[]
    t.ok(json.every(({ u }) => u === undefined || units.has(u)))
    t.equal(json[0]!.bt, atMs / 1000)
    t.equal(json[0]!.ut, 60)
    t.equal(new Set(json.map(({ n }) => n)).size, json.length, 'each name once')
    t.equal((decode(senmlCbor(pack)) as unknown[]).length, json.length)
  }
  const named = (pack: SenmlRecord[], name: string) => pack.find(({ n }) => n === name)
  t.same(named(siteMeasures(siteFacts, 60), 'server/osaka-1/risk'), { n: 'server/osaka-1/risk', u: '/', v: 0.01234 })
  t.same(named(deviceMeasures(siteFacts, camera, 60), 'since-save'), { n: 'since-save', u: 's', v: 90 })
  t.same(named(deviceMeasures(siteFacts, camera, 60), 'camera/fault'), { n: 'camera/fault', vb: true, t: -30 })
  t.same(named(deviceMeasures(siteFacts, printer, 60), 'printer/out-of-paper'), {
    n: 'printer/out-of-paper',
    vb: true,
    t: 0,
  })
  const { report: _, ...silentCamera } = camera
  t.notOk(named(deviceMeasures(siteFacts, silentCamera, 60), 'camera/fault'), 'nothing is made up of who has not said')
})

/**
 * Device discovery as documented at https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload: `device`
 * and `origin` (with `name`) are mandatory, a device needs `identifiers` or `connections`, each component a `platform`
 * and a `unique_id`, and both platforms that we use a `state_topic`, which may be shared.
 * Device classes: /integrations/sensor/#device-class, /integrations/binary_sensor/#device-class.
 */
const named = { name: Type.String({ minLength: 1 }), unique_id: Type.String({ pattern: '^[a-zA-Z0-9_-]+$' }) }
const optional = {
  value_template: Type.Optional(Type.String({ pattern: '^\\{\\{ .+ \\}\\}$' })),
  entity_category: Type.Optional(Type.Literal('diagnostic')),
}
const HomeAssistantDevice = Type.Object(
  {
    device: Type.Object(
      {
        identifiers: Type.Array(Type.String(), { minItems: 1 }),
        name: Type.String(),
        manufacturer: Type.String(),
        model: Type.String(),
        sw_version: Type.String(),
        serial_number: Type.Optional(Type.String()),
        via_device: Type.Optional(Type.String()),
      },
      { additionalProperties: false },
    ),
    origin: Type.Object(
      { name: Type.String(), sw_version: Type.Optional(Type.String()) },
      { additionalProperties: false },
    ),
    availability: Type.Array(Type.Object({ topic: Type.String() }), { minItems: 1 }),
    state_topic: Type.String(),
    qos: Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)]),
    components: Type.Record(
      Type.String({ pattern: '^[a-zA-Z0-9_-]+$' }),
      Type.Union([
        Type.Object(
          {
            platform: Type.Literal('sensor'),
            ...named,
            ...optional,
            device_class: Type.Optional(Type.Union([Type.Literal('timestamp'), Type.Literal('data_size')])),
            state_class: Type.Optional(Type.Literal('measurement')),
            unit_of_measurement: Type.Optional(Type.String()),
            suggested_display_precision: Type.Optional(Type.Integer()),
          },
          { additionalProperties: false },
        ),
        Type.Object(
          {
            platform: Type.Literal('binary_sensor'),
            ...named,
            ...optional,
            device_class: Type.Optional(Type.Union([Type.Literal('connectivity'), Type.Literal('problem')])),
          },
          { additionalProperties: false },
        ),
      ]),
    ),
  },
  { additionalProperties: false },
)

/** The value at the path of a template, as Home Assistant would read it. */
function read(template: unknown, state: unknown): unknown {
  const path = /value_json((?:\.[a-z_]+|\['[^']+'\])+)/.exec(String(template))![1]!
  return [...path.matchAll(/\.([a-z_]+)|\['([^']+)'\]/g)].reduce<unknown>((value, [, plain, quoted]) => {
    const key = (plain ?? quoted)!
    if (typeof value !== 'object' || value === null || !(key in value)) throw new Error(`${template}: no ${key}`)
    return (value as Record<string, unknown>)[key]
  }, state)
}

t.test(
  'D6: discovery has what Home Assistant’s documentation asks for, and every template finds its value',
  async (t) => {
    const all = [
      { discovery: siteDiscovery(siteFacts, topics), state: siteState(siteFacts) },
      ...[camera, printer].map((device) => ({
        discovery: deviceDiscovery(siteFacts, device, topics),
        state: deviceState(device),
      })),
    ]
    const ids = new Set<string>()
    for (const { discovery, state } of all) {
      t.same([...Value.Errors(HomeAssistantDevice, discovery)], [])
      for (const component of Object.values(discovery.components)) {
        t.doesNotThrow(() => read(component['value_template'], JSON.parse(JSON.stringify(state))))
        t.notOk(ids.has(String(component['unique_id'])), `${component['unique_id']} is unique`)
        ids.add(String(component['unique_id']))
      }
    }
    t.equal(all[1]!.discovery.device['via_device'], (all[0]!.discovery.device['identifiers'] as string[])[0])
    t.match(deviceState(camera), { online: true, outbox: 2, faults: { camera: true, reader: false } })
    t.equal(deviceState(camera)['last_save'], new Date(atMs - 90_000).toISOString())
    t.match(deviceState(printer), {
      online: false,
      last_save: null,
      faults: { printer: true, paper: true, reader: null },
    })
    t.match(siteState(siteFacts), { measures: { waiting_saves: 4, stuck: false, 'risk_osaka-1': 1.234 } })
    t.same(Value.Check(HomeAssistantDevice, { ...all[0]!.discovery, origin: {} }), false, 'the schema refuses')
  },
)

t.test(
  'D6: components that went are taken back in the two steps of the documentation, unchanged ones are not told',
  async (t) => {
    const sent: [topic: string, payload: string][] = []
    let facts: FleetFacts = { site: siteFacts, devices: [camera], revoked: [] }
    const due: (() => void)[] = []
    const publisher = new TelemetryPublisher({
      site,
      settings: { homeAssistant: true, prefix: 'homeassistant', senml: 'none', everyMs: 60_000 },
      bus: { publish: (topic, payload) => void sent.push([topic, new TextDecoder().decode(payload)]) },
      facts: async () => facts,
      clock: {
        now: () => atMs,
        monotonicMs: () => 0,
        sleep: async () => undefined,
        timer: (_ms, fire) => {
          due.push(fire)
          return { cancel: () => undefined, [Symbol.dispose]: () => undefined }
        },
      },
      log: {
        debug() {},
        info() {},
        warn() {},
        error: (message) => t.fail(message),
        child: (): never => t.fail() as never,
      },
    })
    const round = async () => {
      sent.length = 0
      due.pop()!()
      await new Promise((resolve) => setImmediate(resolve))
      return sent.map(([topic]) => topic)
    }
    publisher.busUp()
    t.equal((await round()).length, 5)
    t.same(await round(), [], 'nothing changed')
    facts = { ...facts, site: { ...siteFacts, measures: siteFacts.measures.slice(0, 2) } }
    t.same(await round(), [topics.discovery(), topics.discovery(), topics.siteState])
    t.same(JSON.parse(sent[0]![1]).components['risk_osaka-1'], { platform: 'sensor' })
    t.notOk('risk_osaka-1' in JSON.parse(sent[1]![1]).components)
    facts = { ...facts, devices: [], revoked: [camera.id] }
    await round()
    t.same(sent, [
      [topics.discovery(camera.id), ''],
      [topics.deviceState(camera.id), ''],
    ])
    publisher.stop()
    t.same(sent.at(-1), [topics.gatewayOnline, 'offline'])
  },
)

t.test('D6: readers: a password shown once, of one user, taken away', async (t) => {
  const database = memoryDatabase()
  t.teardown(() => database.close())
  await migrate(database, [telemetryMigrations], 1)
  const readers = new Readers(database)
  const ports = { clock: systemClock, random: systemRandom }
  const password = await readers.make('home', ports)
  t.match(password, /^[a-z2-7]{32}$/)
  const bytes = (text: string) => new TextEncoder().encode(text)
  await readers.check('home', bytes(password))
  await t.rejects(() => readers.check('home', bytes(`${password}x`)), { code: 'message.unauthorised' })
  await t.rejects(() => readers.check('home', bytes('')), { code: 'message.unauthorised' })
  await t.rejects(() => readers.check('other', bytes(password)), { code: 'message.unauthorised' })
  for (const name of ['home', 'device', 'claim', 'Home', ''])
    await t.rejects(() => readers.make(name, ports), { code: 'config.invalid' })
  await readers.remove('home')
  await t.rejects(() => readers.check('home', bytes(password)), { code: 'message.unauthorised' })
  await t.rejects(() => readers.remove('home'), { code: 'config.invalid' })
  for (const filter of [
    '#',
    '+/#',
    'v1/#',
    'v1/tokyo/d/+/birth',
    '$SYS/#',
    'azukari/osaka/#',
    'azukari/#',
    'homeassistants/#',
  ])
    t.notOk(mayRead(site, 'homeassistant', filter), filter)
  for (const filter of [
    'homeassistant/#',
    'homeassistant/+/+/config',
    `azukari/${site}/#`,
    `azukari/${site}/device/+/state`,
  ])
    t.ok(mayRead(site, 'homeassistant', filter), filter)
  for (const prefix of ['v1', 'azukari', 'a/b', '#', ''])
    t.throws(() => telemetryTopics(site, prefix), { code: 'config.invalid' })
})

t.test('D6: the last save of a device is known after a restart, and forgotten with the device', async (t) => {
  const database = memoryDatabase()
  t.teardown(() => database.close())
  await migrate(database, [telemetryMigrations], 1)
  const saves = await LastSaves.open(database)
  saves.note('one', 10)
  saves.note('one', 5)
  saves.note('two', 7)
  await saves.flush()
  t.equal((await LastSaves.open(database)).of('one'), 10)
  await saves.forget(['one', 'three'])
  t.equal((await LastSaves.open(database)).of('one'), undefined)
  t.equal((await LastSaves.open(database)).of('two'), 7)
})

const telemetry: NonNullable<TestSiteOptions['telemetry']> = {
  homeAssistant: true,
  prefix: 'homeassistant',
  senml: 'both',
  everyMs: 1_000,
  memoryBytes: () => 1_000,
  measures: async () => siteFacts.measures,
}

/** `mosquitto_sub` as any operator would use it; `-F` gives topic, retained flag and payload in hex. */
function subscribe(port: string, user: string[], ...filters: string[]) {
  const words = ['-h', '127.0.0.1', '-p', port, '-i', 'home', ...user, '-q', '1', '-F', '%t %r %x']
  const child = spawn('mosquitto_sub', [...words, ...filters.flatMap((filter) => ['-t', filter])])
  const got: { topic: string; retained: boolean; payload: Buffer }[] = []
  let rest = ''
  let errors = ''
  let woken = () => {}
  child.stdout.on('data', (chunk) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (const line of lines) {
      const [topic = '', retained, hex = ''] = line.split(' ')
      got.push({ topic, retained: retained === '1', payload: Buffer.from(hex, 'hex') })
    }
    woken()
  })
  child.stderr.on('data', (chunk) => {
    errors += chunk
    woken()
  })
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  void ended.then(() => woken())
  return {
    got,
    ended,
    errors: () => errors,
    async until<T>(find: () => T | undefined): Promise<T> {
      const limit = AbortSignal.timeout(60_000)
      for (;;) {
        const found = find()
        if (found !== undefined) return found
        if (limit.aborted || child.exitCode !== null) throw new Error(`never came: ${find} ${errors}`)
        await new Promise<void>((resolve) => {
          woken = resolve
          limit.addEventListener('abort', () => resolve(), { once: true })
        })
      }
    },
    async stop(): Promise<void> {
      child.kill()
      await ended
    },
  }
}

const skip = ['/usr/bin', '/usr/local/bin'].some((path) => existsSync(`${path}/mosquitto_sub`))
  ? false
  : 'no mosquitto_sub here'

t.test('D6: mosquitto_sub reads boards and site with a reader’s password, and nothing else', { skip }, async (t) => {
  const world = await startTestSite({ telemetry })
  t.teardown(() => world.stop())
  const port = new URL(world.url).port
  const readers = new Readers(world.database)
  const user = ['-u', 'home', '-P', await readers.make('home', { clock: systemClock, random: systemRandom })]
  const device = new TestDevice(site)
  await device.enrol(world.url, await world.newClaim())
  await device.connect(world.url)
  await device.greet()
  const parts = [
    { part: 'camera', state: 'absent' },
    { part: 'reader', state: 'attached' },
  ]
  await device.call(reportState, { parts, outboxRows: 3, outboxBytes: 99 })

  const home = subscribe(port, user, 'homeassistant/#', `azukari/${site}/#`)
  t.teardown(() => home.stop())
  const last = (topic: string) => home.got.findLast((message) => message.topic === topic)
  const json = (topic: string) => {
    const payload = last(topic)?.payload
    return payload && payload.length > 0 ? JSON.parse(payload.toString()) : undefined
  }
  t.same(
    [...Value.Errors(HomeAssistantDevice, await home.until(() => json(topics.discovery(device.id))))],
    [],
    'a board is discovered',
  )
  const state = await home.until(() =>
    json(topics.deviceState(device.id))?.outbox === 3 ? json(topics.deviceState(device.id)) : undefined,
  )
  t.match(state, { online: true, model: 'test', faults: { camera: true, reader: false }, last_save: null })
  t.match(await home.until(() => json(topics.siteState)), { devices: 1, devices_up: 1, measures: { waiting_saves: 4 } })
  t.equal((await home.until(() => last(topics.gatewayOnline))).payload.toString(), 'online')
  const pack = await home.until(() => json(topics.senml('json', device.id)))
  t.equal(pack[0].bn, `azukari/${site}/device/${device.id}/`)
  const cbor = await home.until(() => last(topics.senml('cbor')))
  t.notOk(cbor.retained, 'a measurement is not kept')
  t.equal((decode(cbor.payload) as Map<number, unknown>[])[0]!.get(-2), `azukari/${site}/gateway/`)

  // A reader whose client id is a device's does not push that device off the broker.
  const impostor = subscribe(port, [...user, '-i', device.id], 'homeassistant/#')
  await impostor.until(() => (impostor.got.length > 0 ? true : undefined))
  t.ok(device.client.connected)
  await impostor.stop()
  for (const filter of ['#', 'v1/#', `v1/${site}/d/+/birth`, 'azukari/osaka/#', '$SYS/#']) {
    const refused = subscribe(port, user, filter)
    await refused
      .until(() => (/denied|All subscription requests/i.test(refused.errors()) ? true : undefined))
      .catch(() => t.fail(filter))
    t.same(refused.got, [], `${filter} is refused`)
    await refused.stop()
  }
  for (const wrong of [[], ['-u', 'home'], ['-u', 'home', '-P', 'guess'], ['-u', 'other', '-P', user[3]!]])
    t.not(await subscribe(port, wrong, 'homeassistant/#').ended, 0, `${wrong.slice(0, 3).join(' ')} is refused`)
  // A device, whose own topics are others, does not read them.
  t.equal((await device.client.subscribeAsync(topics.siteState).catch(() => [{ qos: 128 }]))[0]!.qos, 128)
  // Home Assistant tells on this topic that it came up; elsewhere a reader that publishes is cut off.
  const publish = (topic: string) => {
    const child = spawn('mosquitto_pub', [
      '-h',
      '127.0.0.1',
      '-p',
      port,
      ...user,
      '-q',
      '1',
      '-t',
      topic,
      '-m',
      'online',
    ])
    return once(child, 'exit').then(([code]) => code as number)
  }
  t.equal(await publish('homeassistant/status'), 0)
  t.not(await publish(topics.siteState), 0)
  t.not(await publish(`v1/${site}/d/${device.id}/birth`), 0)
  t.match(json(topics.siteState), { devices: 1 })

  await world.gateway.revoke(device.id)
  await home.until(() => (last(topics.discovery(device.id))?.payload.length === 0 ? true : undefined))
  await home.until(() => (last(topics.deviceState(device.id))?.payload.length === 0 ? true : undefined))
  const late = subscribe(port, user, 'homeassistant/#')
  await late.until(() => late.got.find(({ topic }) => topic === topics.discovery()))
  t.notOk(
    late.got.some(({ topic }) => topic === topics.discovery(device.id)),
    'nothing of it is left retained',
  )
  await late.stop()

  // As `azukari-gateway reader remove` does it, from another process.
  const elsewhere = openDatabase(join(world.directory, 'gateway.db'))
  await new Readers(elsewhere).remove('home')
  await elsewhere.close()
  t.not(await home.ended, 0, 'who was removed is cut off, and is refused when it comes back')
})

t.test('D6: without telemetry nobody reads, whatever their password', { skip }, async (t) => {
  const world = await startTestSite()
  t.teardown(() => world.stop())
  const password = await new Readers(world.database).make('home', { clock: systemClock, random: systemRandom })
  const port = new URL(world.url).port
  t.not(await subscribe(port, ['-u', 'home', '-P', password], 'homeassistant/#').ended, 0)
})
