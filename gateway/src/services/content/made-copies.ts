/**
 * Content of which each buyer gets a copy of their own (R3): whose work it is has the copy made when a member asks for it, and the data server
 * that is to deliver keeps it until the delivery has ended.
 */
import { createHash } from 'node:crypto'
import type { ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { type buyCopy, offerMade, voidPurchase } from '@azukari/protocol/contracts/rights-copies'
import { objectMaxBytes } from '@azukari/protocol/delivery'
import { hashBytes } from '@azukari/protocol/download'
import type { Currency } from '@azukari/protocol/money'
import type { Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { type OwnContext, type ServiceStore, sends } from '../../service/service.ts'
import type { ServerEntry } from '../../site-folder.ts'
import type { Sql } from '../../storage/database.ts'
import { insertRow } from '../../storage/insert.ts'
import { answers, type CallHandler, gatewayName } from '../../transport/server.ts'
import type { DataServers } from './data-servers.ts'
import { blocksOf } from './register.ts'
import { searchText } from './search-words.ts'
import {
  type ContentRow,
  contents,
  type DeliveryRow,
  deliveries,
  holders,
  type MadeCopyRow,
  madeCopies,
} from './store.ts'

/** Copies that one round lets data servers forget. */
const dropAtOnce = 64

export type BuyCopy = (asked: RequestOf<typeof buyCopy>) => Promise<ReplyOf<typeof buyCopy>>

export interface MadeCopiesOptions {
  store: ServiceStore
  servers: DataServers
  buy: BuyCopy
  log: Log
}

export class MadeCopies {
  readonly #o: MadeCopiesOptions

  constructor(options: MadeCopiesOptions) {
    this.#o = options
  }

  /**
   * The copy of a delivery, made and kept at its data server; the same again when it was.
   * @throws {Problem} `object.unavailable` when it cannot be made, and what the data server says
   */
  async keptFor(delivery: DeliveryRow, work: string, server: ServerEntry): Promise<MadeCopyRow> {
    const { store, servers } = this.#o
    const known = await madeCopies.of(store.sql, delivery.id)
    if (known) return known
    const bytes = await this.#made(delivery, work)
    const { root, leaves } = hashBytes(bytes)
    const grant = servers.grant('keep', root, server.id)
    await servers.of(server).keep({ grant, sizeBytes: bytes.length, leaves }, blocksOf(bytes))
    const copy: MadeCopyRow = { delivery: delivery.id, server: server.id, root, size: bytes.length, leaves, dropped: 0 }
    await store.transaction(async ({ sql }) => {
      if ((await insertRow(sql, 'made_copies', copy, 'ON CONFLICT DO NOTHING')) === 0) return
      await deliveries.made(sql, delivery.id, root)
    })
    return copy
  }

  async #made({ id, content, client, content_minor, currency }: DeliveryRow, work: string): Promise<Uint8Array> {
    const asked = { delivery: id, work, content, card: client, priceMinor: content_minor, currency }
    const pieces: Uint8Array[] = []
    try {
      for (let from = 0, sizeBytes = 1; from < sizeBytes; ) {
        const reply = await this.#o.buy({ ...asked, from })
        if (reply.piece.length === 0 || reply.sizeBytes > objectMaxBytes)
          throw new Problem('object.unavailable', `a copy of ${reply.sizeBytes} bytes`)
        pieces.push(reply.piece)
        from += reply.piece.length
        sizeBytes = reply.sizeBytes
      }
    } catch (cause) {
      if (!isProblem(cause)) throw cause
      // The member is told in content's words; why stands in the log, and the delivery fails when its order expires.
      this.#o.log.warn('a copy was not made', { work, code: cause.code })
      throw new Problem('object.unavailable', `its copy was not made: ${cause.code}`, { cause })
    }
    return new Uint8Array(Buffer.concat(pieces))
  }

  /** Has data servers forget the copies of deliveries that have ended. */
  async forget(): Promise<void> {
    const { store, servers, log } = this.#o
    for (const { delivery, root, server } of await madeCopies.ended(store.sql, dropAtOnce))
      try {
        const kept = new Uint8Array(root)
        await servers.of(await servers.entry(server)).drop(servers.grant('drop', kept, server))
        await store.transaction(async ({ sql }) => {
          await holders.remove(sql, kept, server)
          await madeCopies.dropped(sql, delivery)
        })
      } catch (error) {
        if (!isProblem(error)) throw error
        log.info('a copy waits to be forgotten', { server, code: error.code })
      }
  }
}

/** What content sends to whom it has copies made by. */
export const sentOfPurchases = [sends(voidPurchase, {})]

/** In the transaction in which a delivery fails or is reversed: nobody has bought that copy. */
export async function noteVoid({ sql, send }: OwnContext, delivery: DeliveryRow, reason: string): Promise<void> {
  const row = await contents.byId(sql, delivery.content)
  if (row?.made_of != null) await send(voidPurchase, { delivery: delivery.id, reason })
}

/** The bytes of one delivery: of the buyer's own copy, or of the version that all get. */
export async function bytesOf(
  sql: Sql,
  { id, content, version }: Pick<DeliveryRow, 'id' | 'content' | 'version'>,
): Promise<{ size: number } | undefined> {
  return (await madeCopies.of(sql, id)) ?? contents.version(sql, content, version)
}

/** Services that offer what is made for each buyer, and the gateway, inside which they may run. */
const offeringPeers = ['rights', gatewayName] as const

export function offerHandlers(store: ServiceStore, currency: Currency): CallHandler[] {
  return [
    answers(offerMade, offeringPeers, async (asked) => {
      if (asked.currency !== currency)
        throw new Problem('content.unsuitable', `its price is in ${asked.currency}, the site takes ${currency}`)
      return { reply: await store.transaction((context) => offer(context, asked)) }
    }),
  ]
}

async function offer(
  { sql, nowMs }: OwnContext,
  asked: RequestOf<typeof offerMade>,
): Promise<ReplyOf<typeof offerMade>> {
  const id = idOfWork(asked.work)
  const before = await contents.byId(sql, id)
  if (before?.state === 'withdrawn') throw new Problem('content.withdrawn', asked.work)
  const row: ContentRow = {
    id,
    provider: asked.provider,
    title: asked.title,
    search: searchText(asked.title),
    media: asked.mediaType,
    terms: asked.terms,
    state: 'offered',
    version: before?.version ?? 1,
    price: asked.priceMinor,
    currency: asked.currency,
    origin: '',
    at: nowMs,
    made_of: asked.work,
  }
  if (before) {
    // What the ledgers take of deliveries under way names who was paid then.
    if (before.provider !== row.provider) throw new Problem('content.unsuitable', `${before.provider} is paid for it`)
    await contents.replace(sql, row)
    await contents.setPicture(sql, id, asked.picture, 'image/jpeg')
    return { content: id, version: row.version }
  }
  await contents.add(sql, { ...row, picture: asked.picture, picture_media: 'image/jpeg' })
  // No bytes of its own: what a member gets is made for them. Its size is what the list shows.
  const none = { root: rootOfWork(asked.work), size: asked.sizeBytes, leaves: new Uint8Array(0), name: asked.work }
  await contents.addVersion(sql, { ...none, content: id, version: row.version, at: nowMs })
  return { content: id, version: row.version }
}

const rootOfWork = (work: string) => new Uint8Array(createHash('sha256').update(`made-of/${work}`).digest())

/** The same work is the same content. */
function idOfWork(work: string): Uint8Array {
  return rootOfWork(work).slice(0, 16)
}
