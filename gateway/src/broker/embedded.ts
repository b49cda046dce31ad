/**
 * The broker inside the gateway: aedes, kept to what this protocol needs (D3, ARCHITECTURE §4).
 *
 * Devices speak to the gateway only, so what they publish goes straight to the router and what the gateway publishes
 * straight to the one device it is for: no subscription tree, no retained births, no queue for absent devices. What must
 * last is in the outboxes of both sides.
 */
import type { Duplex } from 'node:stream'
import type { Clock, Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { deviceTopic, maySubscribe, parseTopic, slugPattern, type Topic, topicTable } from '@azukari/protocol/topics'
import { Aedes, type AedesOptions, type AuthenticateError, type Client, type PublishPacket } from 'aedes'
import { discoveryPrefix, mayRead, statusTopic } from '../telemetry/topics.ts'
import type { Bus, BusHandlers, PublishOptions } from './bus.ts'
import { OneByOne } from './one-by-one.ts'
import { capped, PacketCap } from './packet-cap.ts'

/**
 * What a connection may do: an enrolled device everything of its own, one whose token is late only greet, a claimant only
 * enrol, a reader only read telemetry.
 */
export type Standing = 'device' | 'late' | 'claim' | 'reader'

export interface Credentials {
  clientId: string
  username: string
  password: Uint8Array
}

/** Where connections come from: a TCP or TLS socket, or streams in memory. */
export interface Listener {
  start(accept: (stream: Duplex) => void): Promise<void>
  /** Takes no new connections. */
  stop(): Promise<void>
}

export interface EmbeddedBusOptions {
  site: string
  listeners: readonly Listener[]
  /** Judges a CONNECT. @throws {Problem} `device.unknown`, `device.revoked`, `cose.*` */
  admit: (credentials: Credentials) => Standing
  clock: Clock
  log: Log
  /** Discovery prefix of Home Assistant, which readers may read beside the site's telemetry. */
  discoveryPrefix?: string
  limits?: Partial<BusLimits>
}

export interface BusLimits {
  connections: number
  /** Connections of readers. */
  readers: number
  /** Connections that have not said who they are. */
  strangers: number
  /** Bytes of one packet. */
  packetBytes: number
  /** Messages per second of one device, on average; it may send twice as many at once. */
  messagesPerSecond: number
  /** Bytes that may wait for a device that reads slowly; beyond it, it is cut off. */
  waitingBytes: number
  /** How long a device that does not read at all is kept. */
  drainMs: number
  connectMs: number
  /** Longest silence that a device may ask for. */
  keepaliveMs: number
}

export const busLimits: BusLimits = {
  connections: 20_000,
  readers: 32,
  strangers: 2_000,
  packetBytes: 196_608,
  messagesPerSecond: 2_000,
  waitingBytes: 8 * 1024 * 1024,
  drainMs: 1_000,
  connectMs: 10_000,
  keepaliveMs: 600_000,
}

/** Bytes that may wait on their way to all who subscribed. */
const toAllBytes = 64 * 1024 * 1024

/** Bytes of a packet before CONNECT is accepted: a client id, a token and a will. */
const strangerPacketBytes = 8_192

interface Connection {
  cap: PacketCap
  credentials?: Credentials
  standing?: Standing
  /** Client id and will are such as a device may have. */
  proper: boolean
  device: string
  /** Messages that may come now, and when that was reckoned. */
  tokens: number
  atMs: number
}

/** Packets whose topic was read when they were authorised. */
const topics = new WeakMap<object, Topic & { device: string }>()

type Done = (error?: Error | null) => void

/** aedes with its routing replaced: a device's packet goes to `take`. */
class Broker extends Aedes {
  readonly #take: (packet: PublishPacket, client: Client, done: Done) => void

  constructor(options: AedesOptions, take: (packet: PublishPacket, client: Client, done: Done) => void) {
    super(options)
    this.#take = take
  }

  // aedes itself calls it with the client that published in the middle, which its types do not say.
  override publish(packet: PublishPacket, client: Client | ((error?: Error) => void) | null, done?: Done): void {
    if (client && typeof client === 'object') this.#take(packet, client, done!)
    else super.publish(packet, typeof client === 'function' ? client : (error) => done?.(error))
  }
}

export class EmbeddedBus implements Bus {
  readonly #options: EmbeddedBusOptions
  readonly #limits: BusLimits
  readonly #broker: Broker
  readonly #connections = new WeakMap<object, Connection>()
  readonly #clients = new Map<string, Client>()
  /** Names of the readers that are connected, by client id. */
  readonly #readers = new Map<string, string>()
  readonly #prefix: string
  readonly #toAll: OneByOne
  #readerNumber = 0
  #handlers: BusHandlers | undefined
  #open = 0
  #strangers = 0

  constructor(options: EmbeddedBusOptions) {
    this.#options = options
    this.#limits = { ...busLimits, ...options.limits }
    this.#prefix = options.discoveryPrefix ?? discoveryPrefix
    const broker = new Broker(
      {
        concurrency: 1_000,
        drainTimeout: this.#limits.drainMs,
        connectTimeout: this.#limits.connectMs,
        keepaliveLimit: Math.ceil(this.#limits.keepaliveMs / 1000),
        maxClientsIdLength: 32,
        maxTopicLevels: 8,
        maxInflightInbound: 16,
      },
      (packet, client, done) => this.#take(packet, client, done),
    )
    this.#broker = broker
    this.#toAll = new OneByOne(toAllBytes, (packet, done) => broker.publish(packet, () => done()), options.log)
    broker.preConnect = (client, packet, done) => {
      const connection = this.#connections.get(client.conn)
      if (!connection) return done(new Error('a connection of nobody'), false)
      // A session that outlives its connection would only repeat, in memory, what the outboxes keep.
      packet.clean = true
      // Any other user name is a reader's. Its client id is of its own choosing, so it is set apart: it must never take
      // over the connection of a device. Its will (Home Assistant has one) would reach nobody.
      const reads = packet.username !== 'device' && packet.username !== 'claim'
      if (reads) {
        packet.clientId = `reader:${++this.#readerNumber}`
        delete packet.will
      }
      const will = packet.will
      const password = packet.password ?? new Uint8Array()
      connection.credentials = {
        clientId: packet.clientId,
        username: packet.username ?? '',
        password: new Uint8Array(password),
      }
      const willFits =
        !will || (will.topic === deviceTopic(options.site, packet.clientId, 'death') && will.payload.length <= 256)
      connection.proper = willFits && (reads || slugPattern.test(packet.clientId))
      done(null, true)
    }
    broker.authenticate = (client, _username, _password, done) => {
      const connection = this.#connections.get(client.conn)!
      try {
        if (!connection.proper) throw new Problem('message.unauthorised', 'a client id or a will that no device has')
        const standing = options.admit(connection.credentials!)
        if (standing === 'reader' && this.#readers.size >= this.#limits.readers)
          throw new Problem('service.busy', 'too many readers')
        // An old token may be a stolen one: it must not push the device itself off the line.
        if (standing === 'late' && this.#clients.has(connection.credentials!.clientId))
          throw new Problem('cose.expired', 'the device is connected')
        connection.standing = standing
        connection.device = connection.credentials!.clientId
        if (standing === 'reader') this.#readers.set(connection.device, connection.credentials!.username)
        connection.cap.maxBytes = connection.standing === 'device' ? this.#limits.packetBytes : strangerPacketBytes
        this.#strangers--
        done(null, true)
      } catch (error) {
        options.log.info('a connection was refused', { device: connection.credentials!.clientId, code: codeOf(error) })
        done(
          Object.assign(new Error(codeOf(error)), { returnCode: isRefusal(error) ? 5 : 3 }) as AuthenticateError,
          false,
        )
      } finally {
        // The password is a token: it need not stay in memory.
        delete connection.credentials
      }
    }
    broker.authorizePublish = (client, packet, done) =>
      done(client && this.#mayPublish(client, packet) ? null : new Error('not a topic of this device'))
    broker.authorizeSubscribe = (client, subscription, done) =>
      done(null, this.#maySubscribe(client, subscription.topic) ? subscription : null)
    broker.on('clientReady', (client) => this.#clients.set(client.id, client))
    broker.on('clientDisconnect', (client) => {
      if (this.#clients.get(client.id) !== client) return
      this.#clients.delete(client.id)
      if (!client.id.startsWith('reader:')) this.#handlers?.gone(client.id)
    })
    broker.on('clientError', (client, error) =>
      options.log.debug('a connection ended', { device: client.id, error: error.message }),
    )
    broker.on('connectionError', (_client, error) =>
      options.log.debug('a connection ended early', { error: error.message }),
    )
  }

  get connections(): number {
    return this.#open
  }

  async start(handlers: BusHandlers): Promise<void> {
    this.#handlers = handlers
    await this.#broker.listen()
    handlers.up()
    for (const listener of this.#options.listeners) await listener.start((stream) => this.accept(stream))
  }

  /** Serves one connection. */
  accept(stream: Duplex): void {
    if (!this.#handlers || this.#open >= this.#limits.connections || this.#strangers >= this.#limits.strangers) {
      stream.on('error', () => undefined)
      stream.destroy()
      return
    }
    const connection: Connection = {
      cap: new PacketCap(strangerPacketBytes),
      proper: false,
      device: '',
      tokens: this.#limits.messagesPerSecond * 2,
      atMs: this.#options.clock.monotonicMs(),
    }
    this.#open++
    this.#strangers++
    stream.once('close', () => {
      this.#open--
      this.#readers.delete(connection.device)
      if (!connection.standing) this.#strangers--
    })
    this.#connections.set(stream, connection)
    this.#broker.handle(
      capped(stream, connection.cap, () =>
        this.#options.log.warn('a packet was too large', {
          device: connection.device,
          limitBytes: connection.cap.maxBytes,
        }),
      ),
    )
  }

  publish(topic: string, payload: Uint8Array, { retain = false, qos = 1 }: PublishOptions = {}): void {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    const [version, , , device] = topic.split('/', 4)
    if (version !== 'v1' || device === undefined) {
      this.#toAll.push({ cmd: 'publish', topic, payload: bytes, qos, retain, dup: false })
      return
    }
    const client = this.#clients.get(device)
    if (!client) return
    if (client.conn.writableLength > this.#limits.waitingBytes) {
      this.#options.log.warn('a device does not read; it is cut off', {
        device,
        waitingBytes: client.conn.writableLength,
      })
      client.conn.destroy()
      return
    }
    client.publish({ cmd: 'publish', topic, payload: bytes, qos, retain: false, dup: false }, () => undefined)
  }

  disconnect(device: string): void {
    this.#clients.get(device)?.conn.destroy()
  }

  /** Cuts off the readers that may no longer read. @param stays whether a reader of this name still may */
  dropReaders(stays: (name: string) => boolean): void {
    for (const [id, name] of this.#readers) if (!stays(name)) this.disconnect(id)
  }

  async stop(): Promise<void> {
    for (const listener of this.#options.listeners) await listener.stop()
    await new Promise<void>((resolve) => this.#broker.close(resolve))
    this.#handlers = undefined
  }

  #mayPublish(client: Client, packet: PublishPacket): boolean {
    const connection = this.#connections.get(client.conn)
    if (!connection?.standing) return false
    if (connection.standing === 'reader') return packet.topic === statusTopic(this.#prefix)
    try {
      const topic = parseTopic(packet.topic)
      if (topic.site !== this.#options.site || topic.device !== connection.device || !deviceKinds.has(topic.kind))
        return false
      if (
        connection.standing === 'claim' &&
        !(topic.kind === 'call' && topic.name === 'fleet.enrol') &&
        topic.kind !== 'death'
      )
        return false
      if (connection.standing === 'late' && topic.kind !== 'birth' && topic.kind !== 'death') return false
      topics.set(packet, topic as Topic & { device: string })
      return true
    } catch {
      return false
    }
  }

  #maySubscribe(client: Client, filter: string): boolean {
    const connection = this.#connections.get(client.conn)
    if (connection?.standing === 'claim') return filter === deviceTopic(this.#options.site, connection.device, 'reply')
    if (connection?.standing === 'reader') return mayRead(this.#options.site, this.#prefix, filter)
    if (connection?.standing !== 'device' && connection?.standing !== 'late') return false
    return maySubscribe(this.#options.site, connection.device, filter)
  }

  /** A packet that was authorised: to the router, not faster than this device may. */
  #take(packet: PublishPacket, client: Client, done: Done): void {
    const topic = topics.get(packet)
    const connection = this.#connections.get(client.conn)
    if (!topic || !connection || connection.standing !== 'device') {
      if (topic?.kind === 'call' || topic?.kind === 'birth')
        void this.#handlers?.message(topic, packet.payload as Buffer)
      return done()
    }
    const waiting = this.#handlers?.message(topic, packet.payload as Buffer)
    const delayMs = this.#spend(connection)
    if (delayMs > 0) this.#options.clock.timer(delayMs, () => done())
    else if (waiting)
      waiting.then(
        () => done(),
        () => done(),
      )
    else done()
  }

  /** Takes one token; returns how long the next packets must wait. */
  #spend(connection: Connection): number {
    const { messagesPerSecond } = this.#limits
    const nowMs = this.#options.clock.monotonicMs()
    connection.tokens =
      Math.min(messagesPerSecond * 2, connection.tokens + ((nowMs - connection.atMs) / 1000) * messagesPerSecond) - 1
    connection.atMs = nowMs
    return connection.tokens >= 0 ? 0 : Math.min(1_000, Math.ceil((-connection.tokens / messagesPerSecond) * 1000))
  }
}

const deviceKinds: ReadonlySet<string> = new Set(topicTable.filter((row) => row.by === 'device').map((row) => row.kind))

function codeOf(error: unknown): string {
  return isProblem(error) ? error.code : new Problem('internal').code
}

/** Whether a client is told that it is not authorised: else the server is not available, and it comes again. */
function isRefusal(error: unknown): boolean {
  return isProblem(error) && error.code !== 'service.unavailable'
}
