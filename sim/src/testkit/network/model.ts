/**
 * A model of the line between devices and the gateway: what MQTT promises and no more, with everything that goes wrong
 * (ARCHITECTURE §11). Messages take time; they are lost, doubled and overtaken; lines are cut; the gateway is away.
 */

import type { MqttConnectOptions, MqttSession, MqttTransport } from '@azukari/device/transport'
import type { Bus, BusHandlers, PublishOptions } from '@azukari/gateway/broker/bus'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { deviceSubscriptions, mayPublish, parseTopic } from '@azukari/protocol/topics'
import type { SeededRandom } from '../world/chance.ts'
import { calmLine, type LineFaults } from './faults.ts'
import type { SimNetwork } from './network.ts'

/** Judges who connects; throws to refuse. */
export type Admit = (credentials: { clientId: string; username: string; password: Uint8Array }) => Promise<unknown>

interface Line {
  device: string
  options: MqttConnectOptions
  subscribed: Set<string>
  open: boolean
  alive: () => boolean
  close(reason: string): void
  /** When the last message of each direction arrives: the next one comes after it. */
  upAtMs: number
  downAtMs: number
}

export class ModelNetwork implements SimNetwork {
  readonly #clock: Clock
  readonly #random: SeededRandom
  readonly #site: string
  readonly #lines = new Map<string, Line>()
  readonly #retained = new Map<string, Uint8Array>()
  readonly #cut = new Set<string>()
  #gateway: { handlers: BusHandlers; admit: Admit } | undefined
  faults: LineFaults = calmLine
  /** What the network did to messages, by kind. */
  readonly counts = { carried: 0, drop: 0, duplicate: 0, reorder: 0, cut: 0 }

  constructor(clock: Clock, random: SeededRandom, site: string) {
    this.#clock = clock
    this.#random = random
    this.#site = site
  }

  /** The gateway's end. A gateway that crashes is taken off with `lose`; what the dead say is not carried. */
  bus(admit: Admit, alive: () => boolean = () => true): Bus {
    let mine: BusHandlers | undefined
    return {
      start: async (handlers) => {
        if (!alive()) return
        mine = handlers
        this.#gateway = { handlers, admit }
        handlers.up()
      },
      publish: (topic, payload, options) => {
        if (alive() && mine && this.#gateway?.handlers === mine)
          this.#fromGateway(topic, Uint8Array.from(payload), options)
      },
      disconnect: (device) => this.#lines.get(device)?.close('disconnected by the gateway'),
      stop: async () => {
        if (mine && this.#gateway?.handlers === mine) this.lose()
      },
    }
  }

  /** The gateway is gone: every line with it. */
  lose(): void {
    this.#gateway = undefined
    this.#retained.clear()
    for (const line of [...this.#lines.values()]) line.close('the gateway is gone')
  }

  /** A device's connection ends; it may connect again. */
  hangUp(device: string, reason: string): void {
    this.#lines.get(device)?.close(reason)
  }

  /** Cuts one device's line, for good until `join`. */
  cut(device: string): void {
    this.#cut.add(device)
    this.#lines.get(device)?.close('the line is cut')
    this.counts.cut++
  }

  join(device: string): void {
    this.#cut.delete(device)
  }

  joinAll(): void {
    this.#cut.clear()
  }

  isCut(device: string): boolean {
    return this.#cut.has(device)
  }

  /** A device's end. `alive` turns false when the device loses power: nothing reaches it any more. */
  transport(alive: () => boolean): MqttTransport {
    return {
      connect: async (options, signal) => {
        await this.#clock.sleep(this.#delay(), signal)
        const gateway = this.#gateway
        if (!gateway || this.#cut.has(options.clientId) || !alive()) throw new Problem('link.offline', 'no answer')
        try {
          await gateway.admit({ clientId: options.clientId, username: options.username, password: options.password })
        } catch (cause) {
          throw new Problem('device.unknown', 'refused', { cause })
        }
        if (this.#gateway !== gateway || !alive()) throw new Problem('link.offline', 'no answer')
        this.#lines.get(options.clientId)?.close('taken over')
        return this.#open(options, alive)
      },
    }
  }

  #open(options: MqttConnectOptions, alive: () => boolean): MqttSession {
    const device = options.clientId
    const { promise: closed, resolve } = Promise.withResolvers<string>()
    const now = this.#clock.now()
    const line: Line = {
      device,
      options,
      subscribed: new Set(),
      open: true,
      alive,
      upAtMs: now,
      downAtMs: now,
      close: (reason) => {
        if (!line.open) return
        line.open = false
        if (this.#lines.get(device) === line) this.#lines.delete(device)
        this.#gateway?.handlers.gone(device)
        resolve(reason)
      },
    }
    this.#lines.set(device, line)
    return {
      closed,
      subscribe: async (filters) => {
        const allowed = new Set(deviceSubscriptions(this.#site, device))
        for (const filter of filters) {
          if (!allowed.has(filter)) throw new Problem('message.unauthorised', filter)
          line.subscribed.add(filter)
          const kept = this.#retained.get(filter)
          if (kept) this.#carry(line, 'down', () => options.onMessage({ topic: filter, payload: kept }))
        }
      },
      publish: async (topic, payload) => {
        if (!line.open || !alive()) throw new Problem('link.offline')
        if (!mayPublish(this.#site, device, topic)) throw new Problem('message.unauthorised', topic)
        const copy = Uint8Array.from(payload)
        const parsed = parseTopic(topic)
        this.#carry(line, 'up', () => void this.#gateway?.handlers.message({ ...parsed, device }, copy))
        // The acknowledgement: it says that the broker has it, and nothing of the gateway (FACTS).
        await this.#clock.sleep(this.#delay())
        if (!line.open) throw new Problem('link.offline')
      },
      close: async () => line.close('closed'),
    }
  }

  #fromGateway(topic: string, payload: Uint8Array, options?: PublishOptions): void {
    const parsed = parseTopic(topic)
    if (options?.retain) this.#retained.set(topic, payload)
    const lines = parsed.device === undefined ? [...this.#lines.values()] : [this.#lines.get(parsed.device)]
    for (const line of lines) {
      if (!line || ![...line.subscribed].some((filter) => matches(filter, topic))) continue
      this.#carry(line, 'down', () => line.options.onMessage({ topic, payload }))
    }
  }

  /** In order, each after the one before, unless chance has it otherwise. */
  #carry(line: Line, way: 'up' | 'down', arrive: () => void): void {
    const { drop, duplicate, reorder } = this.faults
    if (this.#random.chance(drop)) {
      this.counts.drop++
      return
    }
    const key = way === 'up' ? 'upAtMs' : 'downAtMs'
    const earliest = this.#clock.now() + this.#delay()
    let atMs = Math.max(earliest, line[key])
    if (this.#random.chance(reorder)) {
      this.counts.reorder++
      atMs += this.#random.between(10, 500)
    } else line[key] = atMs
    const times = this.#random.chance(duplicate) ? 2 : 1
    if (times === 2) this.counts.duplicate++
    for (let i = 0; i < times; i++) {
      this.counts.carried++
      this.#clock.timer(atMs - this.#clock.now() + i * this.#delay(), () => {
        if (line.open && (way === 'up' || line.alive())) arrive()
      })
    }
  }

  #delay(): number {
    const [low, high] = this.faults.delayMs
    return low + this.#random.float() * (high - low)
  }
}

function matches(filter: string, topic: string): boolean {
  if (filter === topic) return true
  const wanted = filter.split('/')
  const parts = topic.split('/')
  return wanted.length === parts.length && wanted.every((part, i) => part === '+' || part === parts[i])
}
