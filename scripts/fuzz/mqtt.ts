/**
 * MQTT at the embedded broker, damaged and cut in pieces: the broker goes on, passes nothing on that its sender may not
 * say, lets nobody in who is not admitted, and holds nothing when the connection is gone.
 */

import { type Duplex, duplexPair } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { EmbeddedBus } from '@azukari/gateway/broker/embedded'
import { PacketCap } from '@azukari/gateway/broker/packet-cap'
import { Budgets } from '@azukari/gateway/budgets/budgets'
import { silent } from '@azukari/gateway/test-contracts'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { enrol } from '@azukari/protocol/contracts/fleet'
import { Problem } from '@azukari/protocol/problem'
import { deviceSubscriptions, deviceTopic } from '@azukari/protocol/topics'
import fc from 'fast-check'
import mqtt, { type Packet } from 'mqtt-packet'
import { campaign, damaged, damages, type FuzzReport, pieces } from './damage.ts'

export const name = 'mqtt'

const site = 'tokyo'
const password = 'right'
const packetBytes = 4_096

const device = fc.oneof(
  { weight: 9, arbitrary: fc.constant('device-1') },
  { weight: 1, arbitrary: fc.constant('device-2') },
)
/** One topic that nobody may use ends a connection, so most are such as a device uses. */
const usual = device.chain((id) =>
  fc.constantFrom(
    deviceTopic(site, id, 'birth'),
    deviceTopic(site, id, 'death'),
    deviceTopic(site, id, 'call', 'test.note'),
    deviceTopic(site, id, 'call', enrol.name),
    deviceTopic(site, id, 'up', '0'.repeat(32), 7),
  ),
)
const forbidden = fc.constantFrom(
  '$SYS/x',
  '#',
  '',
  'v1/tokyo/site',
  'homeassistant/status',
  'a'.repeat(300),
  deviceTopic(site, 'device-1', 'reply'),
)
const topic = fc.oneof({ weight: 19, arbitrary: usual }, { weight: 1, arbitrary: forbidden })
const qos = fc.constantFrom<0 | 1 | 2>(0, 1, 2)
const messageId = fc.integer({ min: 1, max: 65_535 })
const connect = fc
  .record({
    clientId: device,
    username: fc.constantFrom('device', 'device', 'claim', 'home'),
    wrong: fc.nat(9),
    will: device,
  })
  .map(
    ({ clientId, username, wrong, will }): Packet => ({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clean: true,
      clientId,
      keepalive: 30,
      username,
      password: Buffer.from(wrong === 0 ? 'wrong' : password),
      will: { topic: deviceTopic(site, will, 'death'), payload: Buffer.of(1), qos: 1, retain: false },
    }),
  )
const later: fc.Arbitrary<Packet> = fc.oneof(
  fc
    .record({ topic, qos, messageId, payload: fc.uint8Array({ maxLength: 600 }), retain: fc.boolean() })
    .map(({ payload, ...rest }): Packet => ({ cmd: 'publish', dup: false, ...rest, payload: Buffer.from(payload) })),
  fc
    .record({
      messageId,
      filters: fc.array(
        fc.oneof(
          topic,
          device.map((id) => deviceSubscriptions(site, id)[1]!),
        ),
      ),
    })
    .filter(({ filters }) => filters.length > 0)
    .map(
      ({ messageId, filters }): Packet => ({
        cmd: 'subscribe',
        messageId,
        subscriptions: filters.map((topic) => ({ topic, qos: 1 })),
      }),
    ),
  fc
    .record({ messageId, topic })
    .map(({ messageId, topic }): Packet => ({ cmd: 'unsubscribe', messageId, unsubscriptions: [topic] })),
  fc
    .record({ cmd: fc.constantFrom('puback', 'pubrec', 'pubrel', 'pubcomp'), messageId })
    .map((packet) => packet as Packet),
  fc.constantFrom<Packet>({ cmd: 'pingreq' }, { cmd: 'disconnect' }),
)
const session = fc
  .tuple(
    fc.oneof({ weight: 9, arbitrary: connect }, { weight: 1, arbitrary: later }),
    fc.array(later, { maxLength: 8 }),
  )
  .map(([first, rest]) => Buffer.concat([first, ...rest].map((packet) => encoded(packet))))
const input = fc.record({ session, list: damages, cuts: fc.array(fc.nat(), { maxLength: 5 }), patience: fc.nat(20) })

/** The library refuses to write some of what others send; that is left out. */
function encoded(packet: Packet): Buffer {
  try {
    return mqtt.generate(packet)
  } catch {
    return Buffer.alloc(0)
  }
}

/** A header over the limit never passes, and how the bytes are cut changes nothing. */
function checkCap(bytes: Uint8Array, parts: readonly Uint8Array[]): void {
  const seen: number[] = []
  const rules = { subscribeMaxBytes: 256, allow: (type: number) => seen.push(type) < 1_000 }
  const whole = new PacketCap(packetBytes, rules).pass(bytes)
  const types = seen.splice(0)
  const cap = new PacketCap(packetBytes, rules)
  if (parts.every((part) => cap.pass(part)) !== whole) throw new Error('the cap depends on how bytes are cut')
  if (whole && types.join() !== seen.join()) throw new Error('the cap sees other packets when bytes are cut')
}

export async function run(seed: number, seconds: number): Promise<FuzzReport> {
  const budgets = new Budgets()
  let failure: unknown
  const onError = (error: unknown) => {
    failure ??= error
  }
  process.on('uncaughtException', onError)
  process.on('unhandledRejection', onError)
  /** Who was let in over the connection that is being tried. */
  let admitted: string[] = []
  let tokens = 0
  const bus = new EmbeddedBus({
    site,
    listeners: [],
    budgets,
    clock: systemClock,
    log: silent,
    limits: { packetBytes, subscribeBytes: 1_024, subscriptions: 4, drainMs: 200, connectMs: 200 },
    admit: async ({ clientId, username, password: given }) => {
      if (Buffer.from(given).toString() !== password) throw new Problem('message.unauthorised')
      admitted.push(clientId)
      return {
        standing: username === 'claim' ? 'claim' : username === 'device' ? 'device' : 'reader',
        issuedMs: ++tokens,
      }
    },
  })
  let heard: string[] = []
  await bus.start({
    message: (topic) => {
      heard.push(topic.device)
      return undefined
    },
    up: () => undefined,
    gone: () => undefined,
  })
  const healthy = await connected(bus, 'healthy')
  const held = () => budgets.report().reduce((sum, line) => sum + line.held, 0)
  const heldBefore = held()
  try {
    return await campaign(
      input,
      async ({ session, list, cuts, patience }, count) => {
        const bytes = damaged(session, list)
        const parts = pieces(bytes, cuts)
        checkCap(bytes, parts)
        admitted = []
        heard = []
        const [near, far] = duplexPair()
        near.on('error', () => undefined)
        near.resume()
        bus.accept(far)
        for (const part of parts) {
          near.write(part)
          await turn()
        }
        // Time to work on it, mostly: a line may break at any moment.
        for (let turns = 0; turns < patience; turns++) await turn()
        near.end()
        await closed(far, near)
        if (failure) throw failure
        if (heard.some((device) => !admitted.includes(device))) throw new Error('heard of who was not admitted')
        if (admitted.length > 0) count('admitted')
        if (heard.length > 0) count('heard')
        const payload = Buffer.from(`still here ${Math.random()}`)
        const arrived = received(healthy, payload)
        bus.publish(deviceTopic(site, 'healthy', 'reply'), payload, { qos: 0 })
        await arrived
        if (held() !== heldBefore) throw new Error(`${JSON.stringify(budgets.report().filter(({ held }) => held > 0))}`)
      },
      seed,
      seconds,
    )
  } finally {
    process.off('uncaughtException', onError)
    process.off('unhandledRejection', onError)
    healthy.destroy()
    await bus.stop()
  }
}

async function connected(bus: EmbeddedBus, clientId: string): Promise<Duplex> {
  const [near, far] = duplexPair()
  bus.accept(far)
  const answer = new Promise((resolve) => near.once('data', resolve))
  const login = { clientId, username: 'device', password: Buffer.from(password), keepalive: 600, clean: true }
  near.write(mqtt.generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, ...login } as Packet))
  await answer
  return near
}

function received(stream: Duplex, payload: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const look = (chunk: Buffer) => {
      if (!chunk.includes(payload)) return
      stream.off('data', look)
      resolve()
    }
    stream.on('data', look)
  })
}

/** The broker has let go of the connection. */
async function closed(far: Duplex, near: Duplex): Promise<void> {
  const gone = new Promise<void>((resolve) => far.once('close', () => resolve()))
  if (!far.closed) {
    near.destroy()
    far.destroy()
    await gone
  }
  for (let turns = 0; turns < 3; turns++) await turn()
}
