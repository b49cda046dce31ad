/**
 * The embedded broker's budgets: connections, subscriptions, packets, bytes that wait. Strangers, claimants, readers and
 * devices have places of their own, so that no number of the one shuts out the other (D3, D6).
 */

import type { Duplex } from 'node:stream'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { addressKey } from '../budgets/address.ts'
import type { Budgets } from '../budgets/budgets.ts'
import { Lobby } from '../budgets/lobby.ts'
import { type Kind, type Pool, quotaExceeded, Reservation } from '../budgets/pool.ts'
import type { Rate } from '../budgets/rate.ts'
import type { Standing } from './admission.ts'
import { type BusLimits, strangerPacketBytes } from './bus-limits.ts'
import type { Connection } from './connection.ts'
import { PacketCap, packetType } from './packet-cap.ts'

const kindOf: Record<Standing, Kind> = { device: 'device', late: 'device', claim: 'claimant', reader: 'reader' }

/** Packets that are neither messages nor acknowledgements: a device connects, subscribes once, then pings. */
const controlRate = { perSecond: 8, burst: 128 }
/** Messages of one claimant, who sends one enrolment, or some when a person mistypes a claim. */
const claimantRate = { perSecond: 2, burst: 32 }
const readerRate = { perSecond: 10, burst: 32 }
/** Connections by the same token in place of the one that stands. */
const takeoverRate = { perSecond: 1 / 60, burst: 3 }
/** How often bytes that wait are counted anew while there seem to be too many, ms. */
const recountMs = 100

export class BusBudgets {
  readonly #limits: BusLimits
  readonly #clock: Clock
  readonly #connections: Pool
  readonly #subscriptions: Pool
  readonly #waiting: Pool
  readonly #messages: Rate
  readonly #control: Rate
  readonly #acknowledgements: Rate
  readonly #takeovers: Rate
  readonly #strangers: Lobby<Connection>
  readonly #claimants: Lobby<Connection>
  #recountedMs = Number.NEGATIVE_INFINITY

  constructor(budgets: Budgets, limits: BusLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
    const { connections, readers, messagesPerSecond } = limits
    this.#connections = budgets.pool('connections', {
      // A device that comes again stands beside its former connection until that has ended.
      device: { all: connections, each: 2 },
      reader: { all: readers, each: Math.max(1, readers >> 1) },
      stranger: { all: limits.strangers, each: limits.strangersPerAddress },
      claimant: { all: limits.claimants, each: limits.claimantsPerAddress },
    })
    this.#subscriptions = budgets.pool('subscriptions', {
      device: { all: connections * 8, each: limits.subscriptions },
      claimant: { all: limits.claimants * 4, each: 4 },
      reader: { all: readers * limits.subscriptions, each: limits.subscriptions },
    })
    this.#waiting = budgets.pool('waiting_bytes', {
      device: { all: limits.allWaitingBytes, each: limits.waitingBytes },
    })
    this.#messages = budgets.rate('messages', {
      device: { perSecond: messagesPerSecond, burst: messagesPerSecond * 2 },
      claimant: claimantRate,
      reader: readerRate,
    })
    this.#control = budgets.rate('control_packets', { device: controlRate })
    this.#acknowledgements = budgets.rate('acknowledgements', {
      device: { perSecond: messagesPerSecond * 4, burst: messagesPerSecond * 8 },
    })
    this.#takeovers = budgets.rate('takeovers', { device: takeoverRate })
    this.#strangers = new Lobby(this.#connections, 'stranger', ({ stream }) => void stream.destroy())
    this.#claimants = new Lobby(this.#connections, 'claimant', ({ stream }) => void stream.destroy())
  }

  /** A connection that has said nothing yet; one more of them than may wait sends the oldest away. */
  enter(stream: Duplex & { remoteAddress?: string | undefined }): Connection {
    const nowMs = this.#clock.monotonicMs()
    const control = this.#control.bucket('device', nowMs)
    const acknowledgements = this.#acknowledgements.bucket('device', nowMs)
    const allow = (type: number) => {
      if (type === packetType.publish) return true
      const bucket = type >= packetType.puback && type <= packetType.pubcomp ? acknowledgements : control
      return bucket?.take(this.#clock.monotonicMs()) === 0
    }
    const connection: Connection = {
      stream,
      address: addressKey(stream.remoteAddress),
      cap: new PacketCap(strangerPacketBytes, { subscribeMaxBytes: this.#limits.subscribeBytes, allow }),
      proper: false,
      device: '',
      issuedMs: 0,
      subscriptions: new Map(),
    }
    this.#strangers.enter(connection, connection.address)
    return connection
  }

  /**
   * Gives a connection its place among its like, and takes it from the strangers.
   * @throws {Problem} `quota.exceeded`, `service.busy`
   */
  settle(connection: Connection, standing: Standing, name: string): void {
    // What it held was given back already, so it must not take anything.
    if (connection.stream.destroyed) throw new Problem('service.unavailable', 'the connection is gone')
    const kind = kindOf[standing]
    if (kind === 'claimant') {
      this.#claimants.enter(connection, connection.address)
    } else {
      const full = () => new Problem('service.busy', `too many connections (${kind})`)
      const place = this.#connections.reserve(kind, name, 1, full)
      if (place instanceof Problem) throw place
      connection.place = place
    }
    this.#strangers.leave(connection)
    connection.standing = standing
    connection.messages = this.#messages.bucket(standing === 'late' ? 'claimant' : kind, this.#clock.monotonicMs())
    connection.cap.maxBytes = standing === 'device' ? this.#limits.packetBytes : strangerPacketBytes
    if (standing === 'claim' || standing === 'late')
      connection.limit = this.#clock.timer(this.#limits.claimMs, () => void connection.stream.destroy())
  }

  /** Gives back all that a connection had. */
  leave(connection: Connection): void {
    this.#strangers.leave(connection)
    this.#claimants.leave(connection)
    connection.limit?.cancel()
    connection.place?.release()
    connection.waiting?.release()
    for (const subscription of connection.subscriptions.values()) subscription.release()
    connection.subscriptions.clear()
  }

  /** Whether this connection may have one more filter. */
  subscribe(connection: Connection, filter: string): boolean {
    if (!connection.standing || connection.stream.destroyed) return false
    if (connection.subscriptions.has(filter)) return true
    const taken = this.#subscriptions.take(kindOf[connection.standing], connection.device, 1)
    if (!(taken instanceof Reservation)) return false
    connection.subscriptions.set(filter, taken)
    return true
  }

  unsubscribe(connection: Connection, filter: string): void {
    connection.subscriptions.get(filter)?.release()
    connection.subscriptions.delete(filter)
  }

  /**
   * Whether a connection by a token of this time may end the one that stands. An older one may be stolen; the same one
   * may come again, but not again and again.
   * @throws {Problem} `service.unavailable`, `quota.exceeded`
   */
  takeOver(present: Connection, issuedMs: number): void {
    if (issuedMs < present.issuedMs)
      throw new Problem('service.unavailable', 'the device is connected by a newer token')
    if (issuedMs > present.issuedMs) return
    if (this.#takeovers.take('device', present.device, this.#clock.monotonicMs()) > 0)
      throw quotaExceeded('takeovers', { held: takeoverRate.burst, limit: takeoverRate.burst })
  }

  /** Whether what waits for this connection is within bounds. @param all connections, to count anew */
  mayWait(connection: Connection, all: () => Iterable<Connection>): boolean {
    if (this.#wait(connection)) return true
    const nowMs = this.#clock.monotonicMs()
    if (connection.stream.writableLength > this.#limits.waitingBytes || nowMs - this.#recountedMs < recountMs)
      return false
    // What was read meanwhile is still on the books of those to whom nothing was sent since.
    this.#recountedMs = nowMs
    for (const other of all()) this.#wait(other)
    return this.#wait(connection)
  }

  #wait(connection: Connection): boolean {
    connection.waiting?.release()
    connection.waiting = undefined
    const bytes = connection.stream.writableLength
    if (bytes === 0 || connection.stream.destroyed) return true
    const taken = this.#waiting.take('device', connection.device, bytes)
    if (!(taken instanceof Reservation)) return false
    connection.waiting = taken
    return true
  }
}
