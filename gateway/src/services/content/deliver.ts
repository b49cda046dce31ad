/**
 * A member's request, from being asked to being delivered (C2, C3, C7): the nearest data server accepts and charges it, then it is
 * offered to the device. What fails after its charge is reversed by a second record; what was never charged just fails.
 */
import { hex, sameBytes } from '@azukari/protocol/bytes'
import { decode, encode } from '@azukari/protocol/codec'
import type { ReplyOf, RequestOf } from '@azukari/protocol/contract'
import { checker } from '@azukari/protocol/contract'
import type { getContent } from '@azukari/protocol/contracts/content'
import { Offer } from '@azukari/protocol/contracts/download'
import type { DirectSigner } from '@azukari/protocol/cose'
import { type ObjectSource, openRecord, signDeliveryOrder, signReversal } from '@azukari/protocol/delivery'
import { parseCoseKey } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import { InternalError, isProblem, Problem } from '@azukari/protocol/problem'
import type { Delivered } from '../../data-server/object-port.ts'
import type { MemberContext, OwnContext, ServiceStore } from '../../service/service.ts'
import type { ServerEntry } from '../../site-folder.ts'
import type { DataServers } from './data-servers.ts'
import { type MadeCopies, noteVoid } from './made-copies.ts'
import { type ContentRow, contents, type DeliveryRow, deliveries, holders, type VersionRow } from './store.ts'

type Asked = RequestOf<typeof getContent>
type Reply = ReplyOf<typeof getContent>
/** What a data server accepted; an offer only for a board. */
type Accepted = Omit<Reply, 'offer'> & { offer?: Offer }

/** How long a data server may accept a request, ms; after that it is known that it will not. */
const acceptMs = 300_000
/** How long a device may take to fetch what it asked for, ms: a film is watched with pauses. */
const offerLifeMs = 6 * 3_600_000
const holderLeaseMs = 300_000
/** A source that had it not, or lied, is not asked for it so long, ms. */
const avoidMs = { absent: 300_000, lying: 24 * 3_600_000 } as const
const sourcesMax = 8
const overdueAtOnce = 64

/** Kind of what is offered to devices. */
export const offerKind = 'content'

const checkOffer = checker(Offer, 'kept offer')

export interface DeliverOptions {
  store: ServiceStore
  servers: DataServers
  signer: DirectSigner
  /** Makes what each buyer gets of their own. */
  made: MadeCopies
  /** C8: what a request costs. */
  serviceMinor: number
  log: Log
}

export class Deliver {
  readonly #o: DeliverOptions
  /** Requests that are under way, so that one that comes twice at once is one. */
  readonly #underWay = new Map<string, Promise<Reply>>()
  readonly #opening = new Map<string, Promise<DeliveryRow>>()

  constructor(options: DeliverOptions) {
    this.#o = options
  }

  /** @throws {Problem} those of `content.get` */
  get(asked: Asked, context: MemberContext): Promise<Reply> {
    const name = `${context.caller.device}/${hex(asked.delivery)}`
    const known = this.#underWay.get(name)
    if (known) return known
    const answered = this.#get(asked, context).finally(() => this.#underWay.delete(name))
    this.#underWay.set(name, answered)
    return answered
  }

  async #get(asked: Asked, { caller, member, nowMs }: MemberContext): Promise<Reply> {
    const { store, servers } = this.#o
    const known = await deliveries.byId(store.sql, asked.delivery)
    if (known) return this.#again(known, asked, caller.device)
    const { row, version } = await this.agreed(asked)
    const [server] = await servers.nearestTo(caller.region)
    if (!server) throw new Problem('object.unavailable', 'the site has no data server')
    const delivery: DeliveryRow = {
      id: asked.delivery,
      content: row.id,
      version: row.version,
      root: version.root,
      device: caller.device,
      client: member.card,
      server: server.id,
      state: 'asked',
      service_minor: asked.serviceMinor,
      content_minor: asked.contentMinor,
      currency: row.currency,
      at: nowMs,
      until: nowMs + acceptMs,
      seq: null,
      fee: null,
      source: null,
      offer: null,
      problem: null,
      served: 0,
      link_until: null,
      blocks_left: null,
    }
    await store.transaction(({ sql }) => deliveries.add(sql, delivery))
    return offered(await this.#ask(delivery, { row, version, server }))
  }

  /**
   * A delivery whose bytes are to be read by a link: accepted and charged at its first use, and only then (C7).
   * @throws {Problem} `object.unknown`, `transfer.expired`, and those of `content.get`
   */
  opened(id: Uint8Array): Promise<DeliveryRow> {
    const name = hex(id)
    const known = this.#opening.get(name)
    if (known) return known
    const opened = this.#open(id).finally(() => this.#opening.delete(name))
    this.#opening.set(name, opened)
    return opened
  }

  async #open(id: Uint8Array): Promise<DeliveryRow> {
    const { store, servers } = this.#o
    const known = await linkedDelivery(store.sql, id)
    if (known.state === 'offered' || known.state === 'done') return known
    if (known.state === 'linked') {
      await this.agreed(agreementOf(known))
      const [server] = await servers.nearestToServer(known.server)
      if (!server) throw new Problem('object.unavailable', 'the site has no data server')
      await store.transaction(({ sql, nowMs }) =>
        deliveries.opened(sql, { id, server: server.id, at: nowMs, until: nowMs + acceptMs }),
      )
    } else if (known.state !== 'asked') throw new Problem('transfer.expired', `the delivery is ${known.state}`)
    const asked = await linkedDelivery(store.sql, id)
    await this.#askAgain(asked)
    return linkedDelivery(store.sql, id)
  }

  /** The same request once more. @throws {Problem} `act.conflict` when it is another one */
  async #again(known: DeliveryRow, asked: Asked, device: string): Promise<Reply> {
    const isSame = known.device === device && sameBytes(known.content, asked.content) && known.version === asked.version
    if (!isSame) throw new Problem('act.conflict', 'another request has this id')
    if (known.state === 'offered' && known.offer) return replyOf(known, known.offer)
    if (known.state !== 'asked') throw new Problem('transfer.expired', `the delivery is ${known.state}`)
    return offered(await this.#askAgain(known))
  }

  /** Asks the server that was asked before: it may have charged it. */
  async #askAgain(known: DeliveryRow): Promise<Accepted> {
    const { store, servers } = this.#o
    const row = await contents.byId(store.sql, known.content)
    const version = await contents.version(store.sql, known.content, known.version)
    if (!row || !version) throw new Problem('content.unknown')
    return this.#ask(known, { row, version, server: await servers.entry(known.server) })
  }

  /** What is offered now, as it was agreed to. @throws {Problem} `content.unknown`, `content.withdrawn`, `content.price-changed` */
  async agreed(asked: Agreement): Promise<{ row: ContentRow; version: VersionRow }> {
    const { sql } = this.#o.store
    const row = await contents.byId(sql, asked.content)
    if (!row) throw new Problem('content.unknown')
    if (row.state === 'withdrawn') throw new Problem('content.withdrawn')
    const isSame =
      row.version === asked.version &&
      row.price === asked.contentMinor &&
      row.currency === asked.currency &&
      this.#o.serviceMinor === asked.serviceMinor
    const version = await contents.version(sql, row.id, row.version)
    if (!isSame || !version) throw new Problem('content.price-changed')
    return { row, version }
  }

  /** Of what is made for each buyer the copy is made first: nothing is charged before it is there. */
  async #ask(asked: DeliveryRow, of: Asking): Promise<Accepted> {
    const { made_of } = of.row
    if (made_of === null) return this.#askFor(asked, of)
    const { root, size, leaves } = await this.#o.made.keptFor(asked, made_of, of.server)
    const own = { root: new Uint8Array(root), size, leaves }
    return this.#askFor({ ...asked, root: own.root }, { ...of, version: { ...of.version, ...own } })
  }

  async #askFor(delivery: DeliveryRow, of: Asking): Promise<Accepted> {
    const { servers, store } = this.#o
    const { row, version, server } = of
    try {
      const order = this.#order(delivery, row.provider, version.size)
      const sources = await this.#sources(delivery.root, server.id)
      const delivered = await servers.of(server).deliver({ order, sources })
      return await this.#accepted(delivery, of, delivered)
    } catch (error) {
      if (!isProblem(error)) throw error
      const failed = (error.data?.['failed'] ?? []) as Delivered['failed']
      await store.transaction(async (context) => {
        await this.#noteFailed(context, delivery.root, failed)
        // It said itself that it accepted nothing; of one that did not answer that is not known.
        if (refusals.has(error.code)) await this.#refused(context, delivery, error.code)
      })
      if (!refusals.has(error.code)) servers.noteAway(server.id)
      throw error
    }
  }

  async #refused(context: OwnContext, delivery: DeliveryRow, problem: string): Promise<void> {
    const { sql } = context
    const { id, link_until } = delivery
    if (link_until !== null) return void (await deliveries.refusedLink(sql, id, problem))
    await deliveries.move(sql, id, 'asked', 'failed', problem)
    await noteVoid(context, delivery, problem)
  }

  #order(delivery: DeliveryRow, provider: string, sizeBytes: number): Uint8Array {
    const { id, server, content, version, root, client, service_minor, content_minor, currency, until } = delivery
    return signDeliveryOrder(
      {
        delivery: id,
        server,
        content,
        version,
        root,
        sizeBytes,
        client,
        provider,
        serviceMinor: service_minor,
        contentMinor: content_minor,
        currency,
        expiresMs: until,
      },
      this.#o.signer,
    )
  }

  /** Holders from the nearest to this server on; those that had it not, or lied, not now. */
  async #sources(root: Uint8Array, server: string): Promise<ObjectSource[]> {
    const { store, servers } = this.#o
    const nowMs = await store.transaction(({ nowMs }) => nowMs)
    const shunned = new Set(
      (await holders.avoided(store.sql, root)).filter(({ until }) => until > nowMs).map((row) => row.server),
    )
    const has = new Set(
      (await holders.of(store.sql, root))
        .filter(({ until, pinned }) => pinned === 1 || until > nowMs)
        .map((row) => row.server),
    )
    const near = await servers.nearestToServer(server)
    return near
      .filter(({ id }) => id !== server && has.has(id) && !shunned.has(id))
      .slice(0, sourcesMax)
      .map(({ id, url }) => ({ server: id, url, grant: servers.grant('read', root, id, server) }))
  }

  /** The data server has charged it: the list of holders, and the offer to the device, in one transaction. */
  async #accepted(
    delivery: DeliveryRow,
    { row, version, server }: Asking,
    { record: signed, seq, failed }: Delivered,
  ): Promise<Accepted> {
    const key = parseCoseKey(new Uint8Array(Buffer.from(server.key, 'hex')))
    const record = openRecord(signed, key, { server: server.id, seq })
    if (record.kind !== 'charge' || !sameBytes(record.delivery, delivery.id))
      throw new Problem('server.refused', 'the record is of another delivery')
    return this.#o.store.transaction(async (context) => {
      const { sql, nowMs, offerAsked } = context
      await this.#noteFailed(context, delivery.root, failed)
      const before = (await holders.of(sql, delivery.root)).find((holder) => holder.server === server.id)
      const until = nowMs + holderLeaseMs
      await holders.put(sql, { root: delivery.root, server: server.id, pinned: before?.pinned ?? 0, until })
      const current = await deliveries.byId(sql, delivery.id)
      if (current?.state === 'offered' && current.offer) return replyOf(current, current.offer)
      const told = { fee: record.fee, server: server.id, from: record.from }
      if (current?.state === 'offered') return told
      if (current?.state !== 'asked') throw new Problem('transfer.expired', 'it was given up meanwhile')
      const charged = { seq, fee: record.fee, source: record.from }
      if (delivery.link_until !== null) {
        await deliveries.offered(sql, delivery.id, { ...charged, offer: null, until: delivery.link_until })
        return told
      }
      const offer = await offerAsked(delivery.device, {
        kind: offerKind,
        name: row.title.slice(0, 128),
        mediaType: row.media,
        reference: delivery.id,
        hashes: { sizeBytes: version.size, root: version.root, leaves: new Uint8Array(version.leaves) },
        lifeMs: offerLifeMs,
      })
      await deliveries.offered(sql, delivery.id, { ...charged, offer: encode(offer), until: offer.expiresMs })
      return { ...told, offer }
    })
  }

  /** A source that has it not is no holder; one that lies is avoided for longer. Both are counted. */
  async #noteFailed({ sql, nowMs }: OwnContext, root: Uint8Array, failed: Delivered['failed']): Promise<void> {
    for (const { server, why } of failed) {
      await holders.avoid(sql, { root, server, why, until: nowMs + avoidMs[why] })
      const before = (await holders.of(sql, root)).find((holder) => holder.server === server)
      // An origin stays one: its provider's bytes are nowhere else by right.
      if (before && before.pinned === 0) await holders.remove(sql, root, server)
    }
  }

  /**
   * The device has it, or does not take it; in the transaction in which its offer goes. Of what has left whole, every block checked, its
   * word changes nothing (C7): else whoever does not want to pay would say so.
   */
  async ended({ sql }: OwnContext, id: Uint8Array, problem: string | undefined): Promise<void> {
    const isServed = (await deliveries.byId(sql, id))?.served === 1
    if (problem === undefined || isServed) await deliveries.move(sql, id, 'offered', 'done', problem ?? null)
    else await deliveries.move(sql, id, 'offered', 'reversing', problem)
  }

  /** Brings what failed to its end. @returns how many there were */
  async settle(nowMs: number): Promise<number> {
    const { store, log } = this.#o
    const open = await deliveries.overdue(store.sql, nowMs, overdueAtOnce)
    let ended = 0
    for (const row of open)
      try {
        // It has left whole, and the device never said so.
        if (row.state === 'offered' && row.served === 1)
          await store.transaction(({ sql }) => deliveries.move(sql, row.id, 'offered', 'done'))
        // Nobody used the link, so nobody was asked for anything.
        else if (row.state === 'linked')
          await store.transaction(({ sql }) => deliveries.move(sql, row.id, 'linked', 'failed', 'url.expired'))
        else await this.#reverse(row)
        ended++
      } catch (error) {
        if (!isProblem(error)) throw error
        log.info('a failed delivery waits for its reversal', { server: row.server, code: error.code })
      }
    return ended
  }

  async #reverse(row: DeliveryRow): Promise<void> {
    const { servers, signer, store } = this.#o
    const reason = row.problem ?? 'transfer.expired'
    // From here on no device's word ends it another way, and the ledgers know that the reversal was ordered.
    await store.transaction(({ sql }) => deliveries.move(sql, row.id, row.state, 'reversing', reason))
    const order = signReversal({ delivery: row.id, server: row.server, reason }, signer)
    let to: 'reversed' | 'failed' = 'reversed'
    try {
      await servers.of(await servers.entry(row.server)).reverse(order)
    } catch (error) {
      // It was never charged there, and its order has expired.
      if (!isProblem(error, 'object.unknown')) throw error
      to = 'failed'
    }
    await store.transaction(async (context) => {
      await deliveries.move(context.sql, row.id, 'reversing', to)
      await noteVoid(context, row, reason)
    })
  }
}

/** What a data server is asked for. */
interface Asking {
  row: ContentRow
  version: VersionRow
  server: ServerEntry
}

/** What a member agreed to. */
export type Agreement = Pick<Asked, 'content' | 'version' | 'serviceMinor' | 'contentMinor' | 'currency'>

function agreementOf({ content, version, service_minor, content_minor, currency }: DeliveryRow): Agreement {
  return { content, version, serviceMinor: service_minor, contentMinor: content_minor, currency }
}

/** @throws {Problem} `object.unknown` */
async function linkedDelivery(sql: ServiceStore['sql'], id: Uint8Array): Promise<DeliveryRow> {
  const row = await deliveries.byId(sql, id)
  if (!row || row.link_until === null) throw new Problem('object.unknown', 'no such delivery')
  return row
}

function offered({ offer, ...told }: Accepted): Reply {
  if (!offer) throw new InternalError('a board was offered nothing')
  return { ...told, offer }
}

/** What a data server says when it has charged nothing. */
const refusals: ReadonlySet<string> = new Set([
  'object.unavailable',
  'server.refused',
  'storage.full',
  'message.expired',
  'cose.unknown-key',
])

function replyOf({ fee, server, source }: DeliveryRow, offer: Uint8Array): Reply {
  return { offer: checkOffer(decode(new Uint8Array(offer))), fee: fee ?? 'purchase', server, from: source ?? server }
}
