/** Settlement as long as this centre leads (P9): it begins with a leadership and ends with it. What a reply says is confirmed. */
import { Problem } from '@azukari/protocol/problem'
import type {
  Downloads,
  EventListener,
  QueuedEvent,
  Service,
  ServiceReply,
  ServiceRequest,
} from '../../../service/service.ts'
import type { Settlement } from '../service.ts'

export class LedService implements Service {
  readonly name = 'settlement'
  readonly #confirmed: () => Promise<void>
  readonly #listeners = new Set<EventListener>()
  #settlement: Settlement | undefined
  #deaf: (() => void) | undefined

  /** @param confirmed resolves when everything committed so far is acknowledged; rejects when this centre does not lead */
  constructor(confirmed: () => Promise<void>) {
    this.#confirmed = confirmed
  }

  /** @throws {Problem} `centre.not-leader` */
  get settlement(): Settlement {
    if (!this.#settlement) throw new Problem('centre.not-leader')
    return this.#settlement
  }

  /** @throws {Problem} `centre.not-leader` */
  mustLead(): void {
    if (!this.#settlement) throw new Problem('centre.not-leader')
  }

  /** What a clerk's command left for those who ask others is looked at. */
  wake(): void {
    this.#settlement?.wake()
  }

  async begin(settlement: Settlement): Promise<void> {
    await settlement.start()
    this.#settlement = settlement
    this.#deaf = settlement.onEvents((events, devices) => {
      for (const listener of this.#listeners) listener(events, devices)
    })
  }

  async end(): Promise<void> {
    const settlement = this.#settlement
    this.#settlement = undefined
    this.#deaf?.()
    await settlement?.stop()
  }

  /** @throws {Problem} `centre.not-leader`, `centre.unconfirmed`: whoever asks turns to the other centre */
  async handle(request: ServiceRequest): Promise<ServiceReply> {
    const reply = await this.settlement.handle(request)
    await this.#confirmed()
    return reply
  }

  async takeEvents(after: number, limit: number, device?: string): Promise<QueuedEvent[]> {
    const events = await this.settlement.takeEvents(after, limit, device)
    await this.#confirmed()
    return events
  }

  eventsDone(device: string, ids: readonly Uint8Array[]): Promise<void> {
    return this.settlement.eventsDone(device, ids)
  }

  /** What is offered by the centre that leads now */
  get downloads(): Downloads | undefined {
    return this.#settlement?.downloads
  }

  onEvents(listener: EventListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async start(): Promise<void> {}

  stop(): Promise<void> {
    return this.end()
  }
}
