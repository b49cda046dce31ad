/**
 * Carries downloads to devices (ARCHITECTURE §6): reads blocks from the service that offers them and sends as many as the
 * device says it can take. Nothing is kept here: after any break the device says what it has. One that does not take what
 * it is sent holds a few blocks, and no other device waits for it.
 */
import { hex } from '@azukari/protocol/bytes'
import type { RequestOf } from '@azukari/protocol/contract'
import type { endDownload, takeBlocks } from '@azukari/protocol/contracts/download'
import type { Clock, Log, Timer } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { blockBytes, SendWindow } from '@azukari/protocol/transfer'
import type { Budgets } from '../budgets/budgets.ts'
import { type Pool, Reservation } from '../budgets/pool.ts'
import type { Downloads } from '../service/service.ts'

export interface CarrierLimits {
  /** Downloads under way at once, of all devices and of one. */
  downloads: number
  deviceDownloads: number
  /** Bytes that were sent and that the device has not said it has, of all devices and of one. */
  memoryBytes: number
  deviceMemoryBytes: number
  /** A download of which the device says nothing for so long is let go; it begins again when the device asks. */
  idleMs: number
}

export const carrierLimits: CarrierLimits = {
  downloads: 4_096,
  deviceDownloads: 8,
  memoryBytes: 64 * 2 ** 20,
  deviceMemoryBytes: 4 * 2 ** 20,
  idleMs: 60_000,
}

export interface CarrierOptions {
  /** What a service offers; undefined when it is none, or offers nothing. */
  downloadsOf: (service: string) => Downloads | undefined
  /** Sends a block to a device; never waits. */
  send: (device: string, transfer: string, index: number, payload: Uint8Array) => void
  clock: Clock
  log: Log
  budgets: Budgets
  limits?: Partial<CarrierLimits> | undefined
}

interface Flow {
  device: string
  transfer: Uint8Array
  name: string
  source: Downloads
  window: SendWindow
  place: Reservation
  /** Memory of blocks that are under way. */
  sent: Map<number, Reservation>
  isSending: boolean
  usedMs: number
}

/** Blocks that are read at once. */
const readAtOnce = 4

export class DownloadCarrier {
  readonly #o: CarrierOptions
  readonly #limits: CarrierLimits
  readonly #flows = new Map<string, Flow>()
  /** Flows for which there was no memory. */
  readonly #waiting = new Set<Flow>()
  readonly #places: Pool
  readonly #memory: Pool
  #sweep: Timer | undefined

  constructor(options: CarrierOptions) {
    this.#o = options
    this.#limits = { ...carrierLimits, ...options.limits }
    const { downloads, deviceDownloads, memoryBytes, deviceMemoryBytes } = this.#limits
    this.#places = options.budgets.pool('downloads', { device: { all: downloads, each: deviceDownloads } })
    this.#memory = options.budgets.pool('download_memory', { device: { all: memoryBytes, each: deviceMemoryBytes } })
  }

  /**
   * The device says what it has and how much may come.
   * @throws {Problem} `quota.exceeded`, `service.busy`, and what the service answers
   */
  async take(device: string, request: RequestOf<typeof takeBlocks>): Promise<void> {
    const { ranges, windowBlocks, bad, again, blocks } = request
    const flow = this.#flowOf(device, request)
    flow.usedMs = this.#o.clock.monotonicMs()
    if (again) flow.window = new SendWindow(blocks)
    flow.window.have(ranges, windowBlocks, bad)
    for (const [index, memory] of flow.sent)
      if (!flow.window.isUnderWay(index)) {
        flow.sent.delete(index)
        memory.release()
      }
    this.#resume(flow)
    await this.#send(flow)
  }

  /** The device has it, or does not take it. @throws {Problem} `transfer.unknown` for a service that offers nothing */
  async end(device: string, { transfer, from, problem }: RequestOf<typeof endDownload>): Promise<void> {
    const flow = this.#flows.get(keyOf(device, transfer))
    if (flow) this.#drop(flow)
    await this.#source(from).ended(device, transfer, problem)
  }

  /** The device's line is gone. */
  gone(device: string): void {
    for (const flow of this.#flows.values()) if (flow.device === device) this.#drop(flow)
  }

  stop(): void {
    this.#sweep?.cancel()
    for (const flow of this.#flows.values()) this.#drop(flow)
  }

  #flowOf(device: string, { transfer, from, blocks }: RequestOf<typeof takeBlocks>): Flow {
    const key = keyOf(device, transfer)
    const known = this.#flows.get(key)
    if (known) return known
    const source = this.#source(from)
    const full = () => new Problem('service.busy', 'too many downloads are under way')
    const place = this.#places.reserve('device', device, 1, full)
    if (place instanceof Problem) throw place
    const flow: Flow = {
      device,
      transfer,
      name: hex(transfer),
      source,
      window: new SendWindow(blocks),
      place,
      sent: new Map(),
      isSending: false,
      usedMs: this.#o.clock.monotonicMs(),
    }
    this.#flows.set(key, flow)
    this.#sweepLater()
    return flow
  }

  #source(service: string): Downloads {
    const source = this.#o.downloadsOf(service)
    if (!source) throw new Problem('transfer.unknown', 'this service offers nothing')
    return source
  }

  /** Sends what the window allows. @throws {Problem} what the service answers; the download is let go then */
  async #send(flow: Flow): Promise<void> {
    if (flow.isSending) return
    flow.isSending = true
    try {
      for (;;) {
        const [first, count] = this.#reserve(flow)
        if (first === undefined) return
        const blocks = await flow.source.read(flow.device, flow.transfer, first, count)
        if (!this.#isCurrent(flow)) return
        if (blocks.length < count) throw new Problem('message.invalid', 'there are not so many blocks')
        for (const [i, block] of blocks.entries()) this.#o.send(flow.device, flow.name, first + i, block)
      }
    } catch (error) {
      this.#drop(flow)
      throw error
    } finally {
      flow.isSending = false
    }
  }

  /** The next blocks, in one run, with memory for each. */
  #reserve(flow: Flow): [first: number | undefined, count: number] {
    const { device, window, sent } = flow
    let first: number | undefined
    for (let count = 0; ; count++) {
      if (count === readAtOnce || (first !== undefined && window.peek() !== first + count)) return [first, count]
      if (window.peek() === undefined) return [first, count]
      const memory = this.#memory.take('device', device, blockBytes)
      if (!(memory instanceof Reservation)) {
        this.#waiting.add(flow)
        return [first, count]
      }
      const index = window.next()!
      sent.get(index)?.release()
      sent.set(index, memory)
      first ??= index
    }
  }

  /** Memory was given back: whoever waits for it goes on. */
  #resume(except?: Flow): void {
    const waiting = [...this.#waiting].filter((flow) => flow !== except)
    this.#waiting.clear()
    for (const flow of waiting)
      this.#send(flow).catch((error) =>
        // The device asks again when it hears nothing, and is told then.
        this.#o.log.debug('a download waits', {
          device: flow.device,
          code: isProblem(error) ? error.code : String(error),
        }),
      )
  }

  #drop(flow: Flow): void {
    const key = keyOf(flow.device, flow.transfer)
    if (this.#flows.get(key) !== flow) return
    this.#flows.delete(key)
    this.#waiting.delete(flow)
    flow.place.release()
    for (const memory of flow.sent.values()) memory.release()
    flow.sent.clear()
    this.#resume()
  }

  #isCurrent(flow: Flow): boolean {
    return this.#flows.get(keyOf(flow.device, flow.transfer)) === flow
  }

  #sweepLater(): void {
    if (this.#sweep || this.#flows.size === 0) return
    this.#sweep = this.#o.clock.timer(this.#limits.idleMs, () => {
      this.#sweep = undefined
      const nowMs = this.#o.clock.monotonicMs()
      for (const flow of [...this.#flows.values()]) if (nowMs - flow.usedMs >= this.#limits.idleMs) this.#drop(flow)
      this.#sweepLater()
    })
  }
}

function keyOf(device: string, transfer: Uint8Array): string {
  return `${device}/${hex(transfer)}`
}
