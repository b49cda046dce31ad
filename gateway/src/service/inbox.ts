/**
 * The inbox: which acts of which stream were done, and what was answered (ARCHITECTURE §5, D5). Its row commits in the
 * same transaction as the act's effect, so an act is done once whatever crashes.
 */
import { hash } from 'node:crypto'
import { encodeDeterministic } from '@azukari/protocol/codec'
import type { ActKey } from '@azukari/protocol/envelope'
import { Problem } from '@azukari/protocol/problem'
import type { Sql } from '../storage/database.ts'
import { queries } from '../storage/query.ts'
import type { HostTables } from './tables.ts'

/** Replies kept per stream: a device has at most this many acts under way, and later ones acknowledge earlier ones. */
const keptReplies = 256
/** Streams kept per device and service. One is in use; others are from before a restored SD image. */
const keptStreams = 8
/** How many acts of a stream pass between prunings. */
const pruneEvery = 64
/** Streams whose place is held in memory; the rest are read again. */
const cachedStreams = 20_000

/** What the inbox says of an act that arrives. */
export type Verdict =
  | { is: 'new' }
  | { is: 'duplicate'; reply: Uint8Array }
  | { is: 'gap'; want: number }
  | { is: 'conflict' }
  /** Done before under another stream of this device, which was then replaced. */
  | { is: 'moved'; reply: Uint8Array }

const query = queries<HostTables>()
const lastOfStream = query<{ device: string; stream: Uint8Array }>()((db, p) =>
  db
    .selectFrom('inbox')
    .select('seq')
    .where('device', '=', p.device)
    .where('stream', '=', p.stream)
    .orderBy('seq', 'desc')
    .limit(1),
)
const rowOf = query<{ device: string; stream: Uint8Array; seq: number }>()((db, p) =>
  db
    .selectFrom('inbox')
    .select(['hash', 'reply'])
    .where('device', '=', p.device)
    .where('stream', '=', p.stream)
    .where('seq', '=', p.seq),
)
const insert = query<HostTables['inbox']>()((db, p) =>
  db
    .insertInto('inbox')
    .values({ device: p.device, stream: p.stream, seq: p.seq, act: p.act, hash: p.hash, at: p.at, reply: p.reply }),
)
const prune = query<{ device: string; stream: Uint8Array; seq: number }>()((db, p) =>
  db.deleteFrom('inbox').where('device', '=', p.device).where('stream', '=', p.stream).where('seq', '<=', p.seq),
)
const streamsOf = query<{ device: string }>()((db, p) =>
  db
    .selectFrom('inbox')
    .select(['stream', (row) => row.fn.max('at').as('at')])
    .where('device', '=', p.device)
    .groupBy('stream')
    .orderBy('at', 'desc'),
)
const forget = query<{ device: string; stream: Uint8Array }>()((db, p) =>
  db.deleteFrom('inbox').where('device', '=', p.device).where('stream', '=', p.stream),
)
const sameAct = query<{ device: string; act: Uint8Array }>()((db, p) =>
  db.selectFrom('inbox').select(['hash', 'reply']).where('device', '=', p.device).where('act', '=', p.act),
)

/** What identifies an act's content: SHA-256 over contract, act id and body, deterministically encoded. */
export function actHash(contract: string, act: Uint8Array, body: unknown): Uint8Array {
  return hash('sha256', encodeDeterministic([contract, act, body]), 'buffer')
}

interface Place {
  /** The last act done; 0 = none. */
  last: number
  /** The device has other streams, so an act may have been done under one of them. */
  hasOthers: boolean
}

export class Inbox {
  readonly #places = new Map<string, Place>()
  /** Places to read again if the transaction does not commit. */
  #touched: string[] = []

  async judge(sql: Sql, device: string, key: ActKey, act: Uint8Array, hash: Uint8Array): Promise<Verdict> {
    const place = await this.#place(sql, device, key.stream)
    if (key.seq > place.last + 1) return { is: 'gap', want: place.last + 1 }
    if (key.seq === place.last + 1) {
      if (place.hasOthers && key.seq <= keptReplies) {
        const row = (await sameAct.all(sql, { device, act })).find((before) => sameBytes(before.hash, hash))
        if (row) return { is: 'moved', reply: row.reply }
      }
      return { is: 'new' }
    }
    const row = await rowOf.get(sql, { device, stream: key.stream, seq: key.seq })
    // A row that was pruned is from long before an image was restored: whether this is the same act is not known any
    // more, so the device takes a new stream and signed acts are still unique by their own id.
    return row && sameBytes(row.hash, hash) ? { is: 'duplicate', reply: row.reply } : { is: 'conflict' }
  }

  /** Records that the next act of a stream was done or refused; inside the transaction of its effect. */
  async record(
    sql: Sql,
    device: string,
    key: ActKey,
    act: Uint8Array,
    hash: Uint8Array,
    at: number,
    reply: Uint8Array,
  ): Promise<void> {
    const name = placeName(device, key.stream)
    const place = await this.#place(sql, device, key.stream)
    this.#touched.push(name)
    if (place.last === 0) await this.#makeRoom(sql, device)
    await insert.run(sql, { device, stream: key.stream, seq: key.seq, act, hash, at, reply })
    place.last = key.seq
    if (key.seq > keptReplies && key.seq % pruneEvery === 0)
      await prune.run(sql, { device, stream: key.stream, seq: key.seq - keptReplies })
  }

  /** To be called after each transaction that recorded. */
  settled(committed: boolean): void {
    if (!committed) for (const name of this.#touched) this.#places.delete(name)
    this.#touched = []
  }

  async #place(sql: Sql, device: string, stream: Uint8Array): Promise<Place> {
    const name = placeName(device, stream)
    // On PostgreSQL another process of the service may have gone on with the stream: there only the rows count.
    let place = sql.engine === 'sqlite' ? this.#places.get(name) : undefined
    if (!place) {
      const last = (await lastOfStream.get(sql, { device, stream }))?.seq ?? 0
      const streams = await streamsOf.all(sql, { device })
      place = { last, hasOthers: streams.some((row) => !sameBytes(row.stream, stream)) }
      if (this.#places.size >= cachedStreams) this.#places.delete(this.#places.keys().next().value!)
      this.#places.set(name, place)
    }
    return place
  }

  /** A new stream begins: the device's least recently used ones go, so that no device fills the disk. */
  async #makeRoom(sql: Sql, device: string): Promise<void> {
    for (const { stream } of (await streamsOf.all(sql, { device })).slice(keptStreams - 1)) {
      this.#places.delete(placeName(device, stream))
      await forget.run(sql, { device, stream })
    }
  }
}

const claimSigned = query<HostTables['signed_acts']>()((db, p) =>
  db
    .insertInto('signed_acts')
    .values({ key: p.key, act: p.act, hash: p.hash, expires: p.expires })
    .onConflict((c) => c.doNothing()),
)
const findSigned = query<{ key: Uint8Array; act: Uint8Array }>()((db, p) =>
  db.selectFrom('signed_acts').select('hash').where('key', '=', p.key).where('act', '=', p.act),
)
const dropSigned = query<{ before: number }>()((db, p) => db.deleteFrom('signed_acts').where('expires', '<', p.before))

/**
 * Claims a signed act for this transaction: unique by (key id, act id) across devices and streams (ARCHITECTURE §5).
 * @param signed the signed bytes; @param expiresMs when they stop being valid: the handler must refuse them from then on
 * @throws {Problem} `act.replayed` for the same bytes again, `act.conflict` for others under the same id
 */
export async function claimSignedAct(
  sql: Sql,
  key: Uint8Array,
  act: Uint8Array,
  signed: Uint8Array,
  expiresMs: number,
): Promise<void> {
  const digest = hash('sha256', signed, 'buffer')
  if ((await claimSigned.run(sql, { key, act, hash: digest, expires: expiresMs })).changes > 0) return
  const before = await findSigned.get(sql, { key, act })
  throw new Problem(before && sameBytes(before.hash, digest) ? 'act.replayed' : 'act.conflict')
}

/** Forgets signed acts that would be refused as expired anyway. */
export async function forgetExpiredActs(sql: Sql, nowMs: number): Promise<void> {
  await dropSigned.run(sql, { before: nowMs - 86_400_000 })
}

function placeName(device: string, stream: Uint8Array): string {
  return device + Buffer.from(stream.buffer, stream.byteOffset, stream.byteLength).toString('latin1')
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
