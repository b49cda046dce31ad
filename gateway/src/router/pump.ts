/**
 * Carries events from services to devices (ARCHITECTURE §5): passing ones if the device is there, kept ones again and
 * again until the device has acknowledged them: at its birth, and after a time without answer.
 */
import { hex } from '@azukari/protocol/bytes'
import type { Clock, Log, Timer } from '@azukari/protocol/ports'
import type { QueuedEvent, Service } from '../service/service.ts'

export interface PumpOptions {
  services: readonly Service[]
  clock: Clock
  log: Log
  connected: (device: string) => boolean
  send: (event: QueuedEvent) => void
}

/** Events that one device may have unacknowledged from one service. */
const windowEvents = 32
/** Time without acknowledgement after which an event is sent again, and how often that is looked at. */
const resendMs = 10_000
const tickMs = 2_500
/**
 * How often a device's events are looked through from the first: where transactions run at once (PostgreSQL), one with a
 * lower place may come to light after one with a higher was sent.
 */
const sweepMs = 60_000

/** What one device has of one service. */
interface Flow {
  service: Service
  /** The place of the last event sent; 0 to look through all of them. */
  sentTo: number
  /** When they were last looked through from the first, ms of the monotonic clock. */
  sweptMs: number
  unacknowledged: Map<string, { event: QueuedEvent; sentMs: number }>
  pulling: boolean
  again: boolean
  /** The service could not be asked, and that was told. */
  isAway: boolean
}

export class Pump {
  readonly #options: PumpOptions
  readonly #flows = new Map<string, Flow[]>()
  #stops: (() => void)[] = []
  #timer: Timer | undefined

  constructor(options: PumpOptions) {
    this.#options = options
  }

  start(): void {
    this.#stops = this.#options.services.map((service) =>
      service.onEvents((passing, keptFor) => {
        for (const event of passing) if (this.#options.connected(event.device)) this.#options.send(event)
        for (const device of keptFor) this.#pullFor(device, service)
      }),
    )
    this.#tick()
  }

  stop(): void {
    this.#timer?.cancel()
    for (const stop of this.#stops) stop()
    this.#stops = []
    this.#flows.clear()
  }

  /** A device has greeted: everything that it has not acknowledged goes out. */
  born(device: string): void {
    this.#flows.set(
      device,
      this.#options.services.map((service) => ({
        service,
        sentTo: 0,
        sweptMs: this.#options.clock.monotonicMs(),
        unacknowledged: new Map(),
        pulling: false,
        again: false,
        isAway: false,
      })),
    )
    for (const service of this.#options.services) this.#pullFor(device, service)
  }

  gone(device: string): void {
    this.#flows.delete(device)
  }

  /** The device has kept these. Resolves when no restart can send them again. */
  async acknowledged(device: string, ids: readonly Uint8Array[]): Promise<void> {
    const flows = this.#flows.get(device) ?? []
    const rest = new Set(ids)
    const work: Promise<void>[] = []
    for (const flow of flows) {
      const mine = ids.filter((id) => flow.unacknowledged.has(hex(id)))
      for (const id of mine) rest.delete(id)
      if (mine.length > 0) work.push(this.#done(device, flow, mine))
    }
    // Sent before a restart: whose they are is not known any more.
    if (rest.size > 0) for (const service of this.#options.services) work.push(service.eventsDone(device, [...rest]))
    await Promise.all(work)
    for (const flow of flows) if (flow.again) this.#pullFor(device, flow.service)
  }

  /** While the service cannot be reached the event stays, and is sent and acknowledged again. */
  async #done(device: string, flow: Flow, ids: readonly Uint8Array[]): Promise<void> {
    await flow.service.eventsDone(device, ids)
    for (const id of ids) flow.unacknowledged.delete(hex(id))
  }

  #pullFor(device: string, service: Service): void {
    const flow = this.#flows.get(device)?.find((candidate) => candidate.service === service)
    if (flow) void this.#pull(device, flow)
  }

  async #pull(device: string, flow: Flow): Promise<void> {
    flow.again = true
    if (flow.pulling) return
    flow.pulling = true
    try {
      while (flow.again && this.#isCurrent(device, flow)) {
        const room = windowEvents - flow.unacknowledged.size
        // Full: acknowledgements come back to `again`.
        if (room <= 0) return
        flow.again = false
        // Those under way come again when it looks through all.
        const limit = flow.sentTo === 0 ? windowEvents : room
        const events = await flow.service.takeEvents(flow.sentTo, limit, device)
        flow.isAway = false
        if (!this.#isCurrent(device, flow)) return
        for (const event of events) {
          flow.sentTo = Math.max(flow.sentTo, event.at)
          // A service that does not heed whose events were asked for must not fill this device's window.
          if (event.device !== device || flow.unacknowledged.has(hex(event.id))) continue
          flow.unacknowledged.set(hex(event.id), { event, sentMs: this.#options.clock.monotonicMs() })
          this.#options.send(event)
        }
        if (events.length === limit) flow.again = true
      }
    } catch (error) {
      // The next tick asks again.
      flow.again = true
      if (!flow.isAway)
        this.#options.log.warn('events could not be taken', { service: flow.service.name, error: String(error) })
      flow.isAway = true
    } finally {
      flow.pulling = false
    }
  }

  #isCurrent(device: string, flow: Flow): boolean {
    return this.#options.connected(device) && (this.#flows.get(device)?.includes(flow) ?? false)
  }

  #tick(): void {
    const nowMs = this.#options.clock.monotonicMs()
    for (const [device, flows] of this.#flows) {
      if (!this.#options.connected(device)) continue
      for (const flow of flows) {
        for (const waiting of flow.unacknowledged.values()) {
          if (nowMs - waiting.sentMs < resendMs) continue
          waiting.sentMs = nowMs
          this.#options.send(waiting.event)
        }
        if (nowMs - flow.sweptMs >= sweepMs && flow.unacknowledged.size < windowEvents) {
          flow.sweptMs = nowMs
          flow.sentTo = 0
          flow.again = true
        }
        // A service that could not be asked before.
        if (flow.again && !flow.pulling) void this.#pull(device, flow)
      }
    }
    this.#timer = this.#options.clock.timer(tickMs, () => this.#tick())
  }
}
