/**
 * The broker inside the gateway: aedes, kept to what this protocol needs (D3, ARCHITECTURE §4).
 *
 * Devices speak to the gateway only, so what they publish goes straight to the router and what the gateway publishes
 * straight to the one device it is for: no subscription tree, no retained births, no queue for absent devices. What must
 * last is in the outboxes of both sides.
 */

import type { Duplex } from 'node:stream'
import { enrol } from '@azukari/protocol/contracts/fleet'
import type { Clock, Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { deviceTopic, maySubscribe, parseTopic, slugPattern, type Topic, topicTable } from '@azukari/protocol/topics'
import { Aedes, type AedesOptions, type AuthenticateError, type Client, type PublishPacket } from 'aedes'
import { Budgets } from '../budgets/budgets.ts'
import { discoveryPrefix, mayRead, statusTopic } from '../telemetry/topics.ts'
import type { Admission, Credentials } from './admission.ts'
import type { Bus, BusHandlers, PublishOptions } from './bus.ts'
import { BusBudgets } from './bus-budgets.ts'
import { type BusLimits, busLimits, toAllBytes } from './bus-limits.ts'
import type { Connection } from './connection.ts'
import { OneByOne } from './one-by-one.ts'
import { capped } from './packet-cap.ts'

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
  admit: (credentials: Credentials) => Promise<Admission>
  clock: Clock
  log: Log
  /** Where this bus shows what is in use. */
  budgets?: Budgets
  /** Discovery prefix of Home Assistant, which readers may read beside the site's telemetry. */
  discoveryPrefix?: string
  limits?: Partial<BusLimits>
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
  readonly #budgets: BusBudgets
  readonly #broker: Broker
  readonly #connections = new WeakMap<object, Connection>()
  readonly #clients = new Map<string, Client>()
  /** Claimants that are connected, by the device that they claim to be. */
  readonly #claimants = new Map<string, Set<Client>>()
  /** Names of the readers that are connected, by client id. */
  readonly #readers = new Map<string, string>()
  readonly #prefix: string
  readonly #toAll: OneByOne
  #guestNumber = 0
  #handlers: BusHandlers | undefined
  #open = 0

  constructor(options: EmbeddedBusOptions) {
    this.#options = options
    this.#limits = { ...busLimits, ...options.limits }
    this.#budgets = new BusBudgets(options.budgets ?? new Budgets(), this.#limits, options.clock)
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
      const asked = packet.clientId
      const will = packet.will
      const willFits = !will || (will.topic === deviceTopic(options.site, asked, 'death') && will.payload.length <= 256)
      // Any other user name is a reader's. Client ids of readers and claimants are set apart: they must never take over
      // the connection of a device, and anybody can make, or steal, what a claimant shows. Their wills (Home Assistant
      // has one) would reach nobody.
      const reads = packet.username !== 'device' && packet.username !== 'claim'
      if (packet.username !== 'device') {
        packet.clientId = `${reads ? 'reader' : 'claim'}:${++this.#guestNumber}`
        delete packet.will
      }
      connection.credentials = {
        clientId: reads ? packet.clientId : asked,
        username: packet.username ?? '',
        password: new Uint8Array(packet.password ?? new Uint8Array()),
      }
      connection.proper = reads || (willFits && slugPattern.test(asked))
      done(null, true)
    }
    const authenticate = async (client: Client, done: Parameters<typeof broker.authenticate>[3]) => {
      const connection = this.#connections.get(client.conn)!
      try {
        if (!connection.proper) throw new Problem('message.unauthorised', 'a client id or a will that no device has')
        await this.#admit(connection, connection.credentials!)
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
    broker.authenticate = (client, _username, _password, done) => void authenticate(client, done)
    broker.authorizePublish = (client, packet, done) =>
      done(client && this.#mayPublish(client, packet) ? null : new Error('not a topic of this device'))
    broker.authorizeSubscribe = (client, subscription, done) =>
      done(null, this.#maySubscribe(client, subscription.topic) ? subscription : null)
    broker.on('unsubscribe', (filters, client) => {
      const connection = client && this.#connections.get(client.conn)
      for (const filter of connection ? filters : []) this.#budgets.unsubscribe(connection!, filter)
    })
    broker.on('clientReady', (client) => {
      const connection = this.#connections.get(client.conn)
      if (connection?.standing !== 'claim') return void this.#clients.set(client.id, client)
      const claimants = this.#claimants.get(connection.device) ?? new Set()
      this.#claimants.set(connection.device, claimants.add(client))
    })
    broker.on('clientDisconnect', (client) => {
      const { device = '' } = this.#connections.get(client.conn) ?? {}
      const claimants = this.#claimants.get(device)
      claimants?.delete(client)
      if (claimants?.size === 0) this.#claimants.delete(device)
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
    stream.on('error', () => undefined)
    if (!this.#handlers || stream.destroyed) return void stream.destroy()
    const connection = this.#budgets.enter(stream)
    this.#open++
    stream.once('close', () => {
      this.#open--
      this.#readers.delete(connection.device)
      this.#budgets.leave(connection)
    })
    this.#connections.set(stream, connection)
    this.#broker.handle(
      capped(stream, connection.cap, () =>
        this.#options.log.warn('a connection sent too much', {
          device: connection.device,
          limitBytes: connection.cap.maxBytes,
        }),
      ),
    )
  }

  publish(topic: string, payload: Uint8Array, { retain = false, qos = 1, toClaimants }: PublishOptions = {}): void {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    const [version, , , device] = topic.split('/', 4)
    if (version !== 'v1' || device === undefined) {
      this.#toAll.push({ cmd: 'publish', topic, payload: bytes, qos, retain, dup: false })
      return
    }
    const packet = { cmd: 'publish' as const, topic, payload: bytes, qos, retain: false, dup: false }
    if (toClaimants)
      for (const claimant of this.#claimants.get(device) ?? []) claimant.publish({ ...packet }, () => undefined)
    const client = this.#clients.get(device)
    const connection = client && this.#connections.get(client.conn)
    if (!connection) return
    if (!this.#budgets.mayWait(connection, () => this.#connected())) {
      const waitingBytes = connection.stream.writableLength
      this.#options.log.warn('a device does not read; it is cut off', { device, waitingBytes })
      connection.stream.destroy()
      return
    }
    client.publish(packet, () => undefined)
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
        !(topic.kind === 'call' && topic.name === enrol.name) &&
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
    return connection !== undefined && this.#isTheirs(connection, filter) && this.#budgets.subscribe(connection, filter)
  }

  #isTheirs({ standing, device }: Connection, filter: string): boolean {
    if (standing === 'claim') return filter === deviceTopic(this.#options.site, device, 'reply')
    if (standing === 'reader') return mayRead(this.#options.site, this.#prefix, filter)
    if (standing !== 'device' && standing !== 'late') return false
    return maySubscribe(this.#options.site, device, filter)
  }

  /** Judges who has said who they are, and gives them their place. @throws {Problem} */
  async #admit(connection: Connection, credentials: Credentials): Promise<void> {
    const { standing, issuedMs = 0 } = await this.#options.admit(credentials)
    const { clientId, username } = credentials
    const before = this.#clients.get(clientId)
    const present = before && this.#connections.get(before.conn)
    if (present && !present.stream.destroyed) {
      // An old token may be a stolen one: it must not push the device itself off the line.
      if (standing === 'late') throw new Problem('cose.expired', 'the device is connected')
      if (standing === 'device' && present.standing === 'device') this.#budgets.takeOver(present, issuedMs)
    }
    this.#budgets.settle(connection, standing, standing === 'reader' ? username : clientId)
    connection.device = clientId
    connection.issuedMs = issuedMs
    if (standing === 'reader') this.#readers.set(clientId, username)
  }

  *#connected(): Generator<Connection> {
    for (const client of this.#clients.values()) {
      const connection = this.#connections.get(client.conn)
      if (connection) yield connection
    }
  }

  /** A packet that was authorised: to the router, not faster than this device may. */
  #take(packet: PublishPacket, client: Client, done: Done): void {
    const topic = topics.get(packet)
    const connection = this.#connections.get(client.conn)
    const nowMs = this.#options.clock.monotonicMs()
    if (!topic || connection?.standing !== 'device') {
      // Who is no device yet is not waited for: what comes too fast is lost, and asked for again.
      const early = connection?.messages?.take(nowMs) !== 0
      if (!early && (topic?.kind === 'call' || topic?.kind === 'birth'))
        void this.#handlers?.message(topic, packet.payload as Buffer)
      if (early) this.#options.clock.timer(longestDelayMs, () => done())
      else done()
      return
    }
    const waiting = this.#handlers?.message(topic, packet.payload as Buffer)
    const delayMs = Math.min(longestDelayMs, connection.messages?.spend(nowMs) ?? 0)
    if (delayMs > 0) this.#options.clock.timer(delayMs, () => done())
    else if (waiting)
      waiting.then(
        () => done(),
        () => done(),
      )
    else done()
  }
}

/** How long one packet may hold up those that follow it, ms. */
const longestDelayMs = 1_000

const deviceKinds: ReadonlySet<string> = new Set(topicTable.filter((row) => row.by === 'device').map((row) => row.kind))

function codeOf(error: unknown): string {
  return isProblem(error) ? error.code : new Problem('internal').code
}

/** Whether a client is told that it is not authorised: else the server is not available, and it comes again. */
function isRefusal(error: unknown): boolean {
  return isProblem(error) && !passing.has(error.code)
}

const passing: ReadonlySet<string> = new Set(['service.unavailable', 'service.busy', 'quota.exceeded'])
