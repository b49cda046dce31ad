/**
 * The door for players (C14): a signed link to one delivery. Whoever has it reads all of it or ranges, as often as they like until it
 * ends; it is charged once, when the first bytes are asked for.
 */
import { hex, sameBytes } from '@azukari/protocol/bytes'
import type { Contract } from '@azukari/protocol/contract'
import { playContent } from '@azukari/protocol/contracts/content'
import type { FilePiece } from '@azukari/protocol/contracts/https'
import type { DirectSigner } from '@azukari/protocol/cose'
import type { ReadContent } from '@azukari/protocol/download'
import { leafHash } from '@azukari/protocol/merkle'
import type { Clock, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { blockPlainBytes } from '@azukari/protocol/transfer'
import { signLink } from '../../service/links.ts'
import { type Handler, linkCall, type ServiceStore } from '../../service/service.ts'
import type { DataServers } from './data-servers.ts'
import type { Deliver } from './deliver.ts'
import { aheadReader } from './reading.ts'
import { contents, type DeliveryRow, deliveries, type VersionRow } from './store.ts'

export interface ContentLinksOptions {
  store: ServiceStore
  servers: DataServers
  deliver: Deliver
  signer: DirectSigner
  serviceMinor: number
  clock: Clock
  random: Random
}

export interface LinkWanted {
  content: Uint8Array
  /** The member's, who pays. */
  card: Uint8Array
  /** Where the player is; else the content's origin is taken for near. */
  region: string | undefined
  lifeMs: number
}

/** Readers that are kept: each holds a mebibyte that was read ahead. */
const readersMax = 16

export class ContentLinks {
  readonly #o: ContentLinksOptions
  readonly #readers = new Map<string, ReadContent>()

  constructor(options: ContentLinksOptions) {
    this.#o = options
  }

  /** Nothing is charged yet. @returns path and query. @throws {Problem} `content.unknown`, `content.withdrawn`, `content.unsuitable`, `object.unavailable` */
  async make({ content, card, region, lifeMs }: LinkWanted): Promise<string> {
    const { store, servers, deliver, serviceMinor, clock, random } = this.#o
    const known = await contents.byId(store.sql, content)
    if (!known) throw new Problem('content.unknown')
    if (known.made_of !== null)
      throw new Problem('content.unsuitable', 'it is made for each buyer, who gets it at a board')
    const { version: number, price: contentMinor, currency, origin } = known
    const { row, version } = await deliver.agreed({ content, version: number, serviceMinor, contentMinor, currency })
    const [server] = region === undefined ? [{ id: origin }] : await servers.nearestTo(region)
    if (!server) throw new Problem('object.unavailable', 'the site has no data server')
    const nowMs = clock.now()
    const until = nowMs + lifeMs
    const delivery: DeliveryRow = {
      id: random.bytes(16),
      content: row.id,
      version: row.version,
      root: version.root,
      device: '',
      client: card,
      server: server.id,
      state: 'linked',
      service_minor: serviceMinor,
      content_minor: row.price,
      currency: row.currency,
      at: nowMs,
      until,
      seq: null,
      fee: null,
      source: null,
      offer: null,
      problem: null,
      served: 0,
      link_until: until,
      blocks_left: null,
    }
    await store.transaction(({ sql }) => deliveries.add(sql, delivery))
    const contract: Contract = playContent
    return signLink(contract, { fields: { delivery: hex(delivery.id) }, subject: hex(card), lifeMs }, nowMs, this.#o)
  }

  handlers(): Handler[] {
    return [
      linkCall(playContent, ({ delivery, from, count }) =>
        this.#piece(new Uint8Array(Buffer.from(delivery, 'hex')), from, count),
      ),
    ]
  }

  async #piece(id: Uint8Array, from: number, count: number): Promise<FilePiece> {
    const { store, deliver } = this.#o
    const known = await deliveries.byId(store.sql, id)
    const version = known && (await contents.version(store.sql, known.content, known.version))
    const row = known && (await contents.byId(store.sql, known.content))
    if (!row || !version) throw new Problem('object.unknown', 'no such delivery')
    const file = {
      sizeBytes: version.size,
      mediaType: row.media,
      name: version.name.slice(0, 128),
      version: hex(new Uint8Array(version.root)),
    }
    // How long it is costs nothing.
    if (count === 0 || from >= version.size) return { ...file, bytes: new Uint8Array(0) }
    const delivery = await deliver.opened(id)
    const bytes = await this.#read(delivery, version, from, Math.min(count, version.size - from))
    // From the first bytes on it was delivered: a part that was asked for is a delivery, too.
    if (delivery.state === 'offered') await store.transaction(({ sql }) => deliveries.move(sql, id, 'offered', 'done'))
    return { ...file, bytes }
  }

  async #read(delivery: DeliveryRow, version: VersionRow, from: number, count: number): Promise<Uint8Array> {
    const read = this.#reader(delivery)
    const bytes = new Uint8Array(count)
    for (let at = from; at < from + count; ) {
      const index = Math.floor(at / blockPlainBytes)
      const start = index * blockPlainBytes
      const block = await read(start, Math.min(blockPlainBytes, version.size - start))
      const leaf = new Uint8Array(version.leaves).subarray(index * 32, index * 32 + 32)
      if (!sameBytes(leafHash(block), leaf)) throw new Problem('transfer.bad-root', `block ${index}`)
      const part = block.subarray(at - start, from + count - start)
      bytes.set(part, at - from)
      at += part.length
    }
    return bytes
  }

  #reader(delivery: DeliveryRow): ReadContent {
    const name = hex(delivery.id)
    const reader = this.#readers.get(name) ?? aheadReader(this.#o.store.sql, this.#o.servers, delivery)
    this.#readers.delete(name)
    this.#readers.set(name, reader)
    if (this.#readers.size > readersMax) this.#readers.delete(this.#readers.keys().next().value ?? '')
    return reader
  }
}
