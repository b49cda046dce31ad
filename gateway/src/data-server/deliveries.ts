/**
 * The list of what this server holds for which client, and the charging records (C2, C7): one journal, since a list entry is
 * the record of the request that made it. It is durable before a request counts as accepted; each delivery has one charge
 * and at most one reversal, whoever asks again.
 */
import { hex } from '@azukari/protocol/bytes'
import type { DirectSigner } from '@azukari/protocol/cose'
import { type DeliveryOrder, type DeliveryRecord, peekRecord, signRecord } from '@azukari/protocol/delivery'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Journals } from './journal.ts'
import { KeyedMutex } from './keyed-mutex.ts'

export interface DeliveriesOptions {
  server: string
  signer: DirectSigner
  clock: Clock
  journals: Journals
}

/** The journal's name. Those of placement are random: none has this one. */
const stream = new TextEncoder().encode('azukari/deliveries/1')
const readAtOnce = 256

interface Written {
  charge: number
  reversal?: number
}

export class Deliveries {
  readonly #o: DeliveriesOptions
  readonly #mutex = new KeyedMutex()
  /** Clients for which each object is held, by root. */
  readonly #list = new Map<string, Set<string>>()
  readonly #written = new Map<string, Written>()
  #next = 1

  constructor(options: DeliveriesOptions) {
    this.#o = options
  }

  /** Reads the list from the journal. @throws {Problem} `storage.failed` */
  async start(): Promise<void> {
    for (;;) {
      const { entries } = await this.#o.journals.read(stream, this.#next, readAtOnce)
      if (entries.length === 0) return
      for (const entry of entries) this.#take(peekRecord(entry))
    }
  }

  /** Whether the object is on the list for this client: then the request is a reference, else a purchase (C8). */
  isHeldFor(root: Uint8Array, client: Uint8Array): boolean {
    return this.#list.get(hex(root))?.has(hex(client)) ?? false
  }

  /** The charge of a delivery, if it was accepted. */
  async find(delivery: Uint8Array): Promise<{ record: Uint8Array; seq: number } | undefined> {
    const seq = this.#written.get(hex(delivery))?.charge
    return seq === undefined ? undefined : { seq, record: await this.#at(seq) }
  }

  /** Accepts a request: list entry and charge in one record. The same delivery again is the same record. @throws {Problem} `storage.*` */
  charge(order: DeliveryOrder, from: string): Promise<{ record: Uint8Array; seq: number }> {
    return this.#mutex.take('journal', async () => {
      const known = await this.find(order.delivery)
      if (known) return known
      const { delivery, content, version, root, client, provider, serviceMinor, contentMinor, currency } = order
      return this.#append({
        server: this.#o.server,
        seq: this.#next,
        kind: 'charge',
        delivery,
        content,
        version,
        root,
        client,
        provider,
        atMs: this.#o.clock.now(),
        // What was evicted meanwhile is not held, whatever the list remembers.
        fee: from === this.#o.server && this.isHeldFor(root, client) ? 'reference' : 'purchase',
        from,
        serviceMinor,
        contentMinor,
        currency,
      })
    })
  }

  /** The second record. @throws {Problem} `object.unknown` for a delivery that was never charged here, `storage.*` */
  reverse(delivery: Uint8Array, reason: string): Promise<{ record: Uint8Array; seq: number }> {
    return this.#mutex.take('journal', async () => {
      const written = this.#written.get(hex(delivery))
      if (!written) throw new Problem('object.unknown', 'no such delivery')
      if (written.reversal !== undefined) return { seq: written.reversal, record: await this.#at(written.reversal) }
      const charged = peekRecord(await this.#at(written.charge))
      return this.#append({
        ...charged,
        seq: this.#next,
        kind: 'reversal',
        atMs: this.#o.clock.now(),
        reverses: written.charge,
        reason,
      })
    })
  }

  async records(from: number, count: number): Promise<Uint8Array[]> {
    return (await this.#o.journals.read(stream, from, count)).entries
  }

  async #append(record: DeliveryRecord): Promise<{ record: Uint8Array; seq: number }> {
    const signed = signRecord(record, this.#o.signer)
    await this.#o.journals.append(stream, record.seq, [signed])
    this.#take(record)
    return { record: signed, seq: record.seq }
  }

  async #at(seq: number): Promise<Uint8Array> {
    const [record] = await this.records(seq, 1)
    if (!record) throw new Problem('storage.failed', `record ${seq} is lost`)
    return record
  }

  #take({ seq, kind, delivery, root, client, fee }: DeliveryRecord): void {
    this.#next = seq + 1
    const name = hex(delivery)
    if (kind === 'reversal') {
      const written = this.#written.get(name)
      if (written) written.reversal = seq
      // What was never delivered is not held for the client; what was held before stays so.
      if (fee === 'purchase') this.#list.get(hex(root))?.delete(hex(client))
      return
    }
    this.#written.set(name, { charge: seq })
    const clients = this.#list.get(hex(root)) ?? new Set()
    clients.add(hex(client))
    this.#list.set(hex(root), clients)
  }
}
