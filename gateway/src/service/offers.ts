/**
 * What a service offers to devices (ARCHITECTURE §6): rows beside its own, written in its transactions. The content stays
 * where the service keeps it and is read when the device asks, so nothing is copied and memory stays small.
 */
import { hex } from '@azukari/protocol/bytes'
import type { Offer } from '@azukari/protocol/contracts/download'
import { ContentBlocks, offerOf, type ReadContent } from '@azukari/protocol/download'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { InternalError, Problem } from '@azukari/protocol/problem'
import type { Sql } from '../storage/database.ts'
import { queries } from '../storage/query.ts'
import type { Downloads, OfferedContent, OwnContext, ServiceStore } from './service.ts'
import type { HostTables } from './tables.ts'

type Row = HostTables['downloads']

/** Content of a service, by the reference under which it was offered; undefined when it is not there any more. */
export type ContentSource = (kind: string, reference: Uint8Array) => Promise<ReadContent | undefined>

/** A device has taken an offer, or says why it does not; in the transaction in which the offer goes. */
export type OfferEnded = (
  of: { kind: string; reference: Uint8Array; problem: string | undefined },
  context: OwnContext,
) => Promise<void>

export interface OffersOptions {
  name: string
  content: ContentSource
  onEnded?: OfferEnded | undefined
  store: Pick<ServiceStore, 'sql' | 'commit'>
  clock: Clock
  random: Random
  log: Log
}

/** Offers that wait for one device. Beyond this the oldest go, as events do. */
const offersPerDevice = 64
/** Contents that are held open; the one that was used least recently goes. */
const openAtMost = 32

const query = queries<HostTables>()
const insert = query<Row>()((db, p) =>
  db.insertInto('downloads').values({
    id: p.id,
    device: p.device,
    kind: p.kind,
    reference: p.reference,
    size_bytes: p.size_bytes,
    root: p.root,
    leaves: p.leaves,
    key: p.key,
    at_ms: p.at_ms,
    expires_ms: p.expires_ms,
  }),
)
const byId = query<{ id: Uint8Array }>()((db, p) =>
  db
    .selectFrom('downloads')
    .select(['device', 'kind', 'reference', 'size_bytes', 'root', 'key', 'expires_ms'])
    .where('id', '=', p.id),
)
/** Apart, since they are many: read once while a device fetches. */
const leavesOf = query<{ id: Uint8Array }>()((db, p) =>
  db.selectFrom('downloads').select('leaves').where('id', '=', p.id),
)
const remove = query<{ id: Uint8Array }>()((db, p) => db.deleteFrom('downloads').where('id', '=', p.id))
const ofDevice = query<{ device: string }>()((db, p) =>
  db.selectFrom('downloads').select(['id', 'at_ms']).where('device', '=', p.device).orderBy('at_ms', 'desc'),
)
const expire = query<{ now: number }>()((db, p) => db.deleteFrom('downloads').where('expires_ms', '<=', p.now))

export class Offers implements Downloads {
  readonly #o: OffersOptions
  readonly #open = new Map<string, Promise<ContentBlocks>>()

  constructor(options: OffersOptions) {
    this.#o = options
  }

  /** Writes an offer down, in the caller's transaction, and says which old ones of the device had to go. */
  async add(
    sql: Sql,
    device: string,
    { kind, name, mediaType, reference, hashes, lifeMs }: OfferedContent,
    nowMs: number,
  ): Promise<{ offer: Offer; dropped: Uint8Array[] }> {
    if (reference.length > 64) throw new InternalError('a reference has at most 64 bytes')
    if (hashes.sizeBytes === 0) throw new InternalError('nothing is offered')
    const { random } = this.#o
    const waiting = await ofDevice.all(sql, { device })
    const dropped = waiting.slice(offersPerDevice - 1).map(({ id }) => id)
    for (const id of dropped) await remove.run(sql, { id })
    const offer = offerOf(hashes, {
      transfer: random.bytes(16),
      from: this.#o.name,
      kind,
      name,
      mediaType,
      key: random.bytes(32),
      expiresMs: nowMs + lifeMs,
    })
    await insert.run(sql, {
      id: offer.transfer,
      device,
      kind,
      reference,
      size_bytes: hashes.sizeBytes,
      root: hashes.root,
      leaves: hashes.leaves,
      key: offer.key,
      // In their order also within one millisecond: the oldest go first.
      at_ms: Math.max(nowMs, (waiting[0]?.at_ms ?? 0) + 1),
      expires_ms: offer.expiresMs,
    })
    return { offer, dropped }
  }

  /** Takes an offer back, in the caller's transaction. @returns whose it was */
  async remove(sql: Sql, transfer: Uint8Array): Promise<string | undefined> {
    const row = await byId.get(sql, { id: transfer })
    if (row) await remove.run(sql, { id: transfer })
    this.#open.delete(hex(transfer))
    return row?.device
  }

  async read(device: string, transfer: Uint8Array, from: number, count: number): Promise<Uint8Array[]> {
    // Read anew each time: another process of this service may have withdrawn it.
    const row = await byId.get(this.#o.store.sql, { id: transfer })
    if (!row || row.device !== device) throw new Problem('transfer.unknown')
    if (row.expires_ms <= this.#o.clock.now()) throw new Problem('transfer.expired')
    const content = await this.#opened(transfer, row)
    const blocks: Uint8Array[] = []
    for (let index = from; index < Math.min(content.count, from + count); index++)
      blocks.push(await content.sealed({ key: row.key, transfer }, index))
    return blocks
  }

  async ended(device: string, transfer: Uint8Array, problem: string | undefined): Promise<void> {
    const { store, log, name, onEnded } = this.#o
    const removed = await store.commit(async (context) => {
      const { sql } = context
      const row = await byId.get(sql, { id: transfer })
      if (!row || row.device !== device) return undefined
      await remove.run(sql, { id: transfer })
      await onEnded?.({ kind: row.kind, reference: row.reference, problem }, context)
      return row
    })
    this.#open.delete(hex(transfer))
    if (removed && problem !== undefined)
      log.warn('a device does not take what it was offered', { service: name, device, kind: removed.kind, problem })
  }

  /** Removes what no device fetched in time. */
  async forgetExpired(nowMs: number): Promise<void> {
    await expire.run(this.#o.store.sql, { now: nowMs })
  }

  #opened(transfer: Uint8Array, row: Omit<Row, 'id' | 'leaves' | 'at_ms'>): Promise<ContentBlocks> {
    const name = hex(transfer)
    const opened = this.#open.get(name) ?? this.#openContent(transfer, row)
    this.#open.delete(name)
    this.#open.set(name, opened)
    opened.catch(() => this.#open.delete(name))
    if (this.#open.size > openAtMost) this.#open.delete(this.#open.keys().next().value!)
    return opened
  }

  /** @throws {Problem} `transfer.unknown` when the service has the content no more */
  async #openContent(
    transfer: Uint8Array,
    { kind, reference, size_bytes, root }: Pick<Row, 'kind' | 'reference' | 'size_bytes' | 'root'>,
  ): Promise<ContentBlocks> {
    const read = await this.#o.content(kind, reference)
    const row = await leavesOf.get(this.#o.store.sql, { id: transfer })
    if (!read || !row) throw new Problem('transfer.unknown', 'the service has it no more')
    return new ContentBlocks({ sizeBytes: size_bytes, root, leaves: row.leaves }, read)
  }
}
