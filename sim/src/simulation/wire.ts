/**
 * The second level of the simulation: the real MQTT.js client and the real embedded broker, on streams in memory under
 * the seeded clock. The same sites, people, faults and checks as on the model line; lines are slow and are cut, for TCP
 * neither loses nor doubles nor reorders.
 */
import { Duplex } from 'node:stream'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import type { MqttTransport } from '@azukari/device/transport'
import type { Admission, Credentials } from '@azukari/gateway/broker/admission'
import type { Bus } from '@azukari/gateway/broker/bus'
import { EmbeddedBus } from '@azukari/gateway/broker/embedded'
import type { Clock, Log } from '@azukari/protocol/ports'
import { calmLine, type LineFaults } from '../testkit/network/faults.ts'
import type { SimNetwork } from '../testkit/network/network.ts'
import type { SeededRandom } from '../testkit/world/chance.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }

/** A piece of the stream breaks the line with this share of the probability with which the model loses a message. */
const breakShare = 0.1

interface Wire {
  device: string
  ends: readonly [End, End]
}

export class WireNetwork implements SimNetwork {
  readonly #clock: Clock
  readonly #random: SeededRandom
  readonly #site: string
  readonly #wires = new Set<Wire>()
  readonly #cut = new Set<string>()
  #gateway: { accept: (stream: Duplex) => void } | undefined
  faults: LineFaults = calmLine
  readonly counts = { pieces: 0, bytes: 0, break: 0, cut: 0, connect: 0 }

  constructor(clock: Clock, random: SeededRandom, site: string) {
    this.#clock = clock
    this.#random = random
    this.#site = site
  }

  bus(admit: (credentials: Credentials) => Promise<Admission>, alive: () => boolean): Bus {
    const embedded = new EmbeddedBus({ site: this.#site, listeners: [], admit, clock: this.#clock, log: silent })
    const gateway = { accept: (stream: Duplex) => embedded.accept(stream) }
    return {
      start: async (handlers) => {
        if (!alive()) return
        await embedded.start({
          message: async (topic, payload) => (alive() ? await handlers.message(topic, payload) : undefined),
          up: () => handlers.up(),
          gone: (device) => {
            if (alive()) handlers.gone(device)
          },
        })
        this.#gateway = gateway
      },
      publish: (topic, payload, options) => {
        if (alive()) embedded.publish(topic, Uint8Array.from(payload), options)
      },
      disconnect: (device) => embedded.disconnect(device),
      stop: async () => {
        if (this.#gateway === gateway) this.#gateway = undefined
        await embedded.stop()
      },
    }
  }

  transport(alive: () => boolean): MqttTransport {
    return {
      connect: (options, signal) =>
        mqttTransport({ url: 'mqtt://simulated', stream: () => this.#dial(options.clientId, alive) }).connect(
          options,
          signal,
        ),
    }
  }

  lose(): void {
    this.#gateway = undefined
    for (const wire of [...this.#wires]) this.#break(wire)
  }

  hangUp(device: string): void {
    for (const wire of [...this.#wires]) if (wire.device === device) this.#break(wire)
  }

  cut(device: string): void {
    this.counts.cut++
    this.#cut.add(device)
    this.hangUp(device)
  }

  join(device: string): void {
    this.#cut.delete(device)
  }

  joinAll(): void {
    this.#cut.clear()
  }

  #dial(device: string, alive: () => boolean): Duplex {
    this.counts.connect++
    const wire = {} as Wire
    const near = new End((piece, taken) => this.#carry(wire, 0, piece, taken, alive))
    const far = new End((piece, taken) => this.#carry(wire, 1, piece, taken, () => true))
    Object.assign(wire, { device, ends: [near, far] })
    this.#wires.add(wire)
    for (const end of wire.ends) end.once('close', () => this.#break(wire))
    this.#clock.timer(this.#delay(), () => {
      if (!alive()) return
      if (this.#gateway && !this.#cut.has(device) && !far.destroyed) this.#gateway.accept(far)
      else this.#break(wire)
    })
    return near
  }

  /** One piece, after its time; the writer may go on when it has arrived, so pieces keep their order. */
  #carry(wire: Wire, from: 0 | 1, piece: Uint8Array, taken: () => void, alive: () => boolean): void {
    this.#clock.timer(this.#delay(), () => {
      if (!alive()) return
      taken()
      if (!this.#wires.has(wire)) return
      if (this.#random.chance(this.faults.drop * breakShare)) {
        this.counts.break++
        this.#break(wire)
        return
      }
      this.counts.pieces++
      this.counts.bytes += piece.length
      wire.ends[1 - from]!.push(Uint8Array.from(piece))
    })
  }

  #break(wire: Wire): void {
    if (!this.#wires.delete(wire)) return
    for (const end of wire.ends) end.destroy()
  }

  #delay(): number {
    const [low, high] = this.faults.delayMs
    return low + this.#random.float() * (high - low)
  }
}

/** One end of a line in memory. */
class End extends Duplex {
  readonly #send: (piece: Uint8Array, taken: () => void) => void

  constructor(send: (piece: Uint8Array, taken: () => void) => void) {
    super({ writableHighWaterMark: 1 << 20 })
    this.#send = send
    // A line that breaks is no error of anybody's.
    this.on('error', () => undefined)
  }

  override _read(): void {}

  override _write(piece: Uint8Array, _encoding: string, done: () => void): void {
    this.#send(Uint8Array.from(piece), done)
  }

  override _writev(pieces: { chunk: Uint8Array }[], done: () => void): void {
    this.#send(new Uint8Array(Buffer.concat(pieces.map(({ chunk }) => chunk))), done)
  }

  override _final(done: () => void): void {
    done()
    this.destroy()
  }
}
