/**
 * Content at a data server (ARCHITECTURE §8): objects for whoever has a grant, requests of clients by signed orders, misses
 * fetched once however many ask, from the nearest holder that has what it says it has.
 */
import { hex } from '@azukari/protocol/bytes'
import type { RequestOf } from '@azukari/protocol/contract'
import type { deliverObject, HeldObject, keepObject } from '@azukari/protocol/contracts/delivery'
import {
  type DeliveryOrder,
  type ObjectGrant,
  openDeliveryOrder,
  openGrant,
  openReversal,
} from '@azukari/protocol/delivery'
import type { KeyFinder } from '@azukari/protocol/manifest'
import type { Clock, Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Deliveries } from './deliveries.ts'
import type { Delivered, FailedSource, ObjectServerPort } from './object-port.ts'
import type { ObjectStore, ObjectWriter, StoredObject } from './object-store.ts'

/** Another data server, as a source. */
export interface SourcePort {
  /** @throws {Problem} `object.unknown`, `server.*`, `link.timeout` */
  fetch(
    grant: Uint8Array,
    from: number,
    count: number,
    signal: AbortSignal,
  ): Promise<{ sizeBytes: number; leaves: Uint8Array; blocks: AsyncIterable<Uint8Array> }>
}

export interface ObjectServerOptions {
  id: string
  store: ObjectStore
  deliveries: Deliveries
  /** Keys that sign grants and orders. */
  issuers: KeyFinder
  /** Other data servers of the site. */
  peer(server: { id: string; url: string }): SourcePort
  clock: Clock
  log: Log
  limits?: Partial<ObjectServerLimits> | undefined
}

export interface ObjectServerLimits {
  /** A source that gives no block for so long is left for the next one. */
  stallMs: number
  /** Objects that are fetched at once; memory is one block of each. */
  fetchesMax: number
}

export class ObjectServer implements ObjectServerPort {
  readonly #o: ObjectServerOptions
  readonly #limits: ObjectServerLimits
  /** One fetch of each object, for all who wait for it. */
  readonly #flights = new Map<string, Promise<Fetched>>()
  /** Blocks that were asked of sources since the start: one per missing block, whoever waits. */
  fetchedBlocks = 0

  constructor(options: ObjectServerOptions) {
    this.#o = options
    this.#limits = { stallMs: 10_000, fetchesMax: 32, ...options.limits }
  }

  async keep(
    { grant, sizeBytes, leaves }: RequestOf<typeof keepObject>,
    blocks: AsyncIterable<Uint8Array>,
    peer?: string,
  ): Promise<void> {
    const { root } = this.#grant(grant, 'keep', peer)
    const { store } = this.#o
    if (store.find(root)) return store.pin(root)
    await using writer = await store.begin(root, sizeBytes, leaves)
    for await (const block of blocks)
      if (!(await writer.add(block))) throw new Problem('transfer.bad-root', `block ${writer.next}`)
    await writer.finish(true)
  }

  async *read(grant: Uint8Array, from: number, count: number, peer?: string): AsyncGenerator<Uint8Array> {
    const { root } = this.describe(grant, peer)
    yield* this.#o.store.read(root, from, count)
  }

  /** What a grant lets its peer read. @param peer who asks, by certificate; undefined in the same process @throws {Problem} `object.unknown`, `server.refused`, `message.expired`, `cose.*` */
  describe(signed: Uint8Array, peer: string | undefined): StoredObject {
    const { root } = this.#grant(signed, 'read', peer)
    const found = this.#o.store.find(root)
    if (!found) throw new Problem('object.unknown', hex(root).slice(0, 16))
    return found
  }

  async deliver({ order: signed, sources }: RequestOf<typeof deliverObject>): Promise<Delivered> {
    const { id, clock, store, deliveries, issuers } = this.#o
    const order = openDeliveryOrder(signed, issuers)
    if (order.server !== id) throw new Problem('server.refused', 'an order for another server')
    const known = await deliveries.find(order.delivery)
    if (known) return { ...known, failed: [] }
    if (clock.now() > order.expiresMs) throw new Problem('message.expired', 'delivery order')
    let from = id
    let failed: FailedSource[] = []
    if (!store.find(order.root)) ({ from, failed } = await this.#fetchOnce(order, sources))
    return { ...(await deliveries.charge(order, from)), failed }
  }

  async reverse(signed: Uint8Array): Promise<{ record: Uint8Array; seq: number }> {
    const { delivery, server, reason } = openReversal(signed, this.#o.issuers)
    if (server !== this.#o.id) throw new Problem('server.refused', 'an order for another server')
    return this.#o.deliveries.reverse(delivery, reason)
  }

  records(from: number, count: number): Promise<Uint8Array[]> {
    return this.#o.deliveries.records(from, count)
  }

  async list(after: Uint8Array | undefined): Promise<HeldObject[]> {
    return this.#o.store.list(after, 256).map(({ root, sizeBytes, isPinned }) => ({ root, sizeBytes, isPinned }))
  }

  async drop(signed: Uint8Array, peer?: string): Promise<void> {
    await this.#o.store.remove(this.#grant(signed, 'drop', peer).root)
  }

  /** @throws {Problem} `server.refused`, `message.expired`, `cose.*` */
  #grant(signed: Uint8Array, use: ObjectGrant['use'], peer: string | undefined): ObjectGrant {
    const { id, clock, issuers } = this.#o
    const grant = openGrant(signed, issuers)
    if (grant.server !== id || grant.use !== use)
      throw new Problem('server.refused', `a grant to ${grant.use} elsewhere`)
    if (peer !== undefined && grant.peer !== peer) throw new Problem('server.refused', 'somebody else’s grant')
    if (clock.now() > grant.expiresMs) throw new Problem('message.expired', 'grant')
    return grant
  }

  /** One fetch of an object at a time: who comes later waits for it. */
  async #fetchOnce(order: DeliveryOrder, sources: Sources): Promise<Fetched> {
    const name = hex(order.root)
    const underWay = this.#flights.get(name)
    // What was found out of the sources is told once.
    if (underWay) return { from: (await underWay).from, failed: [] }
    if (this.#flights.size >= this.#limits.fetchesMax) throw new Problem('service.busy', 'too many objects are fetched')
    const flight = this.#fetch(order, sources)
    this.#flights.set(name, flight)
    try {
      return await flight
    } finally {
      this.#flights.delete(name)
    }
  }

  /** From one source after the other, going on where the one before ended. @throws {Problem} `object.unavailable`, `storage.*` */
  async #fetch({ root, sizeBytes }: DeliveryOrder, sources: Sources): Promise<Fetched> {
    const failed: FailedSource[] = []
    await using writing = new ObjectWriting(this.#o.store, root, sizeBytes)
    for (const source of sources) {
      const why = await this.#fetchFrom(source, writing)
      if (why === undefined) {
        await writing.finish()
        return { from: source.server, failed }
      }
      failed.push({ server: source.server, why })
      this.#o.log.warn('a source does not have what it should', { source: source.server, why })
    }
    throw new Problem('object.unavailable', `${failed.length} sources failed`, { data: { failed } })
  }

  /** @returns why it is not this source's, undefined when the object is whole @throws {Problem} `storage.*` of this server */
  async #fetchFrom(source: Sources[number], writing: ObjectWriting): Promise<FailedSource['why'] | undefined> {
    const { clock, peer } = this.#o
    const coming = new ComingBlocks(clock, this.#limits.stallMs, peer({ id: source.server, url: source.url }))
    try {
      const leaves = await coming.begin(source.grant, writing.next)
      if (!leaves) return 'absent'
      if (!(await writing.begin(leaves))) return 'lying'
      for (;;) {
        const block = await coming.next()
        if (!block) return writing.isWhole ? undefined : 'absent'
        this.fetchedBlocks++
        if (!(await writing.add(block))) return 'lying'
      }
    } finally {
      await coming.end()
    }
  }
}

type Sources = RequestOf<typeof deliverObject>['sources']

interface Fetched {
  from: string
  failed: FailedSource[]
}

/** What one source gives; whatever goes wrong with it, it ends. */
class ComingBlocks {
  readonly #clock: Clock
  readonly #stallMs: number
  readonly #source: SourcePort
  readonly #stop = new AbortController()
  #blocks: AsyncIterator<Uint8Array> | undefined

  constructor(clock: Clock, stallMs: number, source: SourcePort) {
    this.#clock = clock
    this.#stallMs = stallMs
    this.#source = source
  }

  /** Leaf hashes that the source tells; undefined when it has nothing. */
  async begin(grant: Uint8Array, from: number): Promise<Uint8Array | undefined> {
    const reply = await this.#within(() => this.#source.fetch(grant, from, 1024, this.#stop.signal))
    this.#blocks = reply?.blocks[Symbol.asyncIterator]()
    return reply?.leaves
  }

  /** Undefined at the end, and when the source gave nothing for too long. */
  async next(): Promise<Uint8Array | undefined> {
    const next = await this.#within(async () => this.#blocks?.next())
    return next?.done ? undefined : next?.value
  }

  async end(): Promise<void> {
    this.#stop.abort(new Problem('link.timeout', 'not wanted any more'))
    // A source that hangs is not waited for.
    void this.#blocks?.return?.()?.catch(() => undefined)
  }

  async #within<T>(work: () => Promise<T>): Promise<T | undefined> {
    const { promise: stalled, resolve } = Promise.withResolvers<undefined>()
    using _limit = this.#clock.timer(this.#stallMs, () => resolve(undefined))
    const asked = work().catch((error: unknown) => {
      if (isProblem(error)) return undefined
      throw error
    })
    // Awaited here: the limit ends with this block.
    return await Promise.race([asked, stalled])
  }
}

/** An object that is written from several sources, one after the other. */
class ObjectWriting {
  readonly #store: ObjectStore
  readonly #root: Uint8Array
  readonly #sizeBytes: number
  #writer: ObjectWriter | undefined

  constructor(store: ObjectStore, root: Uint8Array, sizeBytes: number) {
    this.#store = store
    this.#root = root
    this.#sizeBytes = sizeBytes
  }

  get next(): number {
    return this.#writer?.next ?? 0
  }

  get isWhole(): boolean {
    return this.#writer !== undefined && this.#writer.next === this.#writer.blocks
  }

  /** False for leaves that are not the root's. @throws {Problem} `storage.*` */
  async begin(leaves: Uint8Array): Promise<boolean> {
    try {
      this.#writer ??= await this.#store.begin(this.#root, this.#sizeBytes, leaves)
      return true
    } catch (error) {
      if (isProblem(error, 'transfer.bad-root')) return false
      throw error
    }
  }

  async add(block: Uint8Array): Promise<boolean> {
    return (await this.#writer?.add(block)) ?? false
  }

  async finish(): Promise<void> {
    await this.#writer?.finish(false)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer?.[Symbol.asyncDispose]()
  }
}
