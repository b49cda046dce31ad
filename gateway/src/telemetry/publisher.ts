/**
 * Publishes telemetry on the site's broker, when it is asked for (D3, D6): Home Assistant's discovery and states,
 * retained and only when they changed; SenML every period. Work is cut into slices, so that ten thousand devices do not
 * hold up the router.
 */
import { createHash } from 'node:crypto'
import type { Clock, Log, Timer } from '@azukari/protocol/ports'
import type { Bus } from '../broker/bus.ts'
import type { FleetFacts } from './facts.ts'
import {
  componentsOf,
  type Discovery,
  deviceDiscovery,
  deviceState,
  siteDiscovery,
  siteState,
  withoutComponents,
} from './home-assistant.ts'
import { deviceMeasures, siteMeasures } from './measures.ts'
import { type SenmlRecord, senmlCbor, senmlJson } from './senml.ts'
import { telemetryTopics } from './topics.ts'

export interface TelemetrySettings {
  homeAssistant: boolean
  /** Discovery prefix of Home Assistant. */
  prefix: string
  senml: 'none' | 'json' | 'cbor' | 'both'
  everyMs: number
}

export interface PublisherOptions {
  site: string
  settings: TelemetrySettings
  bus: Pick<Bus, 'publish'>
  facts: () => Promise<FleetFacts>
  clock: Clock
  log: Log
}

/** Devices that are told of; of a larger fleet the first by id, and the log says so. */
export const maxDevices = 10_000
/** Devices per turn of the event loop. */
const slice = 128
/** How long changes gather before they are told. */
const gatherMs = 500
/** While much changes, telling takes at most one part in so many of the time. */
const restFactor = 10

const utf8 = new TextEncoder()

export class TelemetryPublisher {
  readonly #options: PublisherOptions
  readonly #topics: ReturnType<typeof telemetryTopics>
  /** Hashes of what stands retained, by topic. */
  readonly #retained = new Map<string, string>()
  /** Components as they were last told, by topic. */
  readonly #components = new Map<string, string>()
  #timer: Timer | undefined
  #dueMs = Number.POSITIVE_INFINITY
  #measuredMs = Number.NEGATIVE_INFINITY
  #restUntilMs = 0
  #running = false
  #publishing = false

  /** @throws {Problem} `config.invalid` for a discovery prefix that cannot be used */
  constructor(options: PublisherOptions) {
    this.#options = options
    this.#topics = telemetryTopics(options.site, options.settings.prefix)
  }

  /** The broker can be reached, and may know nothing any more: all is told anew. */
  busUp(): void {
    this.#running = true
    this.#retained.clear()
    this.changed()
  }

  /** A device came, went, or was shut out: told soon, not at the next period. */
  changed(): void {
    this.#by(Math.max(this.#options.clock.monotonicMs() + gatherMs, this.#restUntilMs))
  }

  stop(): void {
    if (!this.#running) return
    this.#running = false
    this.#timer?.cancel()
    if (this.#options.settings.homeAssistant) this.#retain(this.#topics.gatewayOnline, 'offline')
  }

  /** Sees to it that all is told by then. */
  #by(dueMs: number): void {
    if (!this.#running || dueMs >= this.#dueMs) return
    this.#dueMs = dueMs
    if (!this.#publishing) this.#wait()
  }

  #wait(): void {
    const { clock, log } = this.#options
    this.#timer?.cancel()
    this.#timer = clock.timer(Math.max(0, this.#dueMs - clock.monotonicMs()), () => {
      this.#publish().catch((error) => log.error('telemetry failed', { error: String(error) }))
    })
  }

  async #publish(): Promise<void> {
    const { settings, clock } = this.#options
    const startMs = clock.monotonicMs()
    const measuring = settings.senml !== 'none' && startMs >= this.#measuredMs + settings.everyMs
    if (measuring) this.#measuredMs = startMs
    this.#publishing = true
    // What changes from now on is told by the next round.
    this.#dueMs = startMs + settings.everyMs
    try {
      await this.#tellAll(measuring)
    } finally {
      this.#publishing = false
      this.#restUntilMs = clock.monotonicMs() + restFactor * (clock.monotonicMs() - startMs)
      if (this.#running) this.#wait()
    }
  }

  async #tellAll(measuring: boolean): Promise<void> {
    const { settings, clock, log, facts } = this.#options
    const { site, devices, revoked } = await facts()
    if (devices.length > maxDevices)
      log.warn('telemetry tells of some devices only', { known: devices.length, told: maxDevices })
    if (settings.homeAssistant) {
      for (const device of revoked) this.#takeBack(device)
      this.#discover(this.#topics.discovery(), siteDiscovery(site, this.#topics))
      this.#retain(this.#topics.siteState, JSON.stringify(siteState(site)))
      this.#retain(this.#topics.gatewayOnline, 'online')
    }
    if (measuring) this.#measure(siteMeasures(site, this.#everySeconds))
    const told = devices.slice(0, maxDevices)
    for (let at = 0; at < told.length && this.#running; at += slice) {
      if (at > 0) await clock.sleep(0)
      for (const device of told.slice(at, at + slice)) {
        if (settings.homeAssistant) {
          this.#discover(this.#topics.discovery(device.id), deviceDiscovery(site, device, this.#topics))
          this.#retain(this.#topics.deviceState(device.id), JSON.stringify(deviceState(device)))
        }
        if (measuring) this.#measure(deviceMeasures(site, device, this.#everySeconds), device.id)
      }
    }
  }

  get #everySeconds(): number {
    return Math.ceil(this.#options.settings.everyMs / 1000)
  }

  #discover(topic: string, discovery: Discovery): void {
    const before = this.#components.get(topic)
    const now = componentsOf(discovery)
    if (before !== undefined && before !== now) {
      const between = withoutComponents(JSON.parse(before), discovery)
      if (between) this.#retain(topic, JSON.stringify(between))
    }
    this.#retain(topic, JSON.stringify(discovery))
    this.#components.set(topic, now)
  }

  /** An empty retained payload removes the device from Home Assistant, and its state from the broker. */
  #takeBack(device: string): void {
    const discovery = this.#topics.discovery(device)
    this.#retain(discovery, '')
    this.#retain(this.#topics.deviceState(device), '')
    this.#components.delete(discovery)
  }

  #retain(topic: string, payload: string): void {
    const hash = createHash('sha256').update(payload).digest('base64')
    if (this.#retained.get(topic) === hash) return
    this.#options.bus.publish(topic, utf8.encode(payload), { retain: true, qos: 1 })
    this.#retained.set(topic, hash)
  }

  /** Not retained: a measurement from before is no measurement. */
  #measure(pack: readonly SenmlRecord[], device?: string): void {
    const { bus, settings } = this.#options
    if (settings.senml !== 'cbor')
      bus.publish(this.#topics.senml('json', device), utf8.encode(senmlJson(pack)), { qos: 0 })
    if (settings.senml !== 'json') bus.publish(this.#topics.senml('cbor', device), senmlCbor(pack), { qos: 0 })
  }
}
