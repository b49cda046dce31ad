/**
 * Acts for other services (ARCHITECTURE §5): written in the caller's transaction, delivered one at a time and in order to
 * each service's inbox, and gone from here when the answer has come.
 */
import { decode, encode } from '@azukari/protocol/codec'
import type { ServiceName } from '@azukari/protocol/contract'
import type { Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Sql } from '../storage/database.ts'
import { queries } from '../storage/query.ts'
import type { HostTables } from './tables.ts'

export interface WaitingAct {
  stream: Uint8Array
  seq: number
  act: Uint8Array
  contract: string
  atMs: number
  trace: Uint8Array
  body: unknown
}

const query = queries<HostTables>()
const streamOf = query<{ service: string }>()((db, p) =>
  db.selectFrom('outbox_streams').select(['stream', 'next_seq']).where('service', '=', p.service),
)
const begin = query<{ service: string; stream: Uint8Array }>()((db, p) =>
  db
    .insertInto('outbox_streams')
    .values({ service: p.service, stream: p.stream, next_seq: 1 })
    .onConflict((c) => c.doNothing()),
)
const advance = query<{ service: string }>()((db, p) =>
  db
    .updateTable('outbox_streams')
    .set((row) => ({ next_seq: row('next_seq', '+', 1) }))
    .where('service', '=', p.service),
)
const replace = query<{ service: string; stream: Uint8Array; next_seq: number; before: Uint8Array }>()((db, p) =>
  db
    .updateTable('outbox_streams')
    .set({ stream: p.stream, next_seq: p.next_seq })
    .where('service', '=', p.service)
    .where('stream', '=', p.before),
)
const insert = query<HostTables['outbox']>()((db, p) =>
  db.insertInto('outbox').values({
    service: p.service,
    seq: p.seq,
    act: p.act,
    contract: p.contract,
    at_ms: p.at_ms,
    trace: p.trace,
    body: p.body,
  }),
)
const firstOf = query<{ service: string }>()((db, p) =>
  db.selectFrom('outbox').selectAll().where('service', '=', p.service).orderBy('seq').limit(1),
)
const firstSeq = query<{ service: string }>()((db, p) =>
  db.selectFrom('outbox').select('seq').where('service', '=', p.service).orderBy('seq').limit(1),
)
const all = query<{ service: string }>()((db, p) =>
  db.selectFrom('outbox').selectAll().where('service', '=', p.service).orderBy('seq'),
)
const removeAct = query<{ service: string; act: Uint8Array; seq: number }>()((db, p) =>
  db.deleteFrom('outbox').where('service', '=', p.service).where('seq', '=', p.seq).where('act', '=', p.act),
)
const clear = query<{ service: string }>()((db, p) => db.deleteFrom('outbox').where('service', '=', p.service))
const receivers = query<Record<never, never>>()((db) => db.selectFrom('outbox').select('service').distinct())

/** Longest body that is sent, bytes. */
const bodyMaxBytes = 512 << 10

export class Outbox {
  readonly #random: Random
  readonly #maxRows: number

  /** @param maxRows acts that may wait for one service */
  constructor(random: Random, maxRows: number) {
    this.#random = random
    this.#maxRows = maxRows
  }

  /** @throws {Problem} `service.busy`, `message.too-large` */
  async add(sql: Sql, service: ServiceName, act: Omit<WaitingAct, 'stream' | 'seq' | 'act'>): Promise<void> {
    const body = encode(act.body)
    if (body.length > bodyMaxBytes) throw new Problem('message.too-large', `${act.contract}: ${body.length} bytes`)
    await begin.run(sql, { service, stream: this.#random.bytes(16) })
    // Numbers are consecutive, so the first one and the next one tell how many wait.
    const next = (await streamOf.get(sql, { service }))!.next_seq
    const rows = next - ((await firstSeq.get(sql, { service }))?.seq ?? next)
    if (rows >= this.#maxRows) throw new Problem('service.busy', `${rows} acts wait for ${service}`)
    // Before it is read again: on PostgreSQL this locks the row, so that two transactions never take one number.
    await advance.run(sql, { service })
    const seq = (await streamOf.get(sql, { service }))!.next_seq - 1
    await insert.run(sql, {
      service,
      seq,
      act: this.#random.bytes(16),
      contract: act.contract,
      at_ms: act.atMs,
      trace: act.trace,
      body,
    })
  }

  /** The act whose turn it is. */
  async first(sql: Sql, service: string): Promise<WaitingAct | undefined> {
    const row = await firstOf.get(sql, { service })
    const at = row && (await streamOf.get(sql, { service }))
    if (!row || !at) return undefined
    return {
      stream: at.stream,
      seq: row.seq,
      act: row.act,
      contract: row.contract,
      atMs: row.at_ms,
      trace: row.trace,
      body: decode(row.body, { maxBytes: bodyMaxBytes }),
    }
  }

  /** Whether it was still there: another process of this service may have been sooner. */
  async remove(sql: Sql, service: string, { act, seq }: WaitingAct): Promise<boolean> {
    return (await removeAct.run(sql, { service, act, seq })).changes > 0
  }

  /** What waits keeps its order and its act ids, and goes under a new stream from 1 on. @param before the old stream */
  async restart(sql: Sql, service: string, before: Uint8Array): Promise<void> {
    const rows = await all.all(sql, { service })
    const next = { service, stream: this.#random.bytes(16), next_seq: rows.length + 1, before }
    if ((await replace.run(sql, next)).changes === 0) return
    await clear.run(sql, { service })
    for (const [i, row] of rows.entries()) await insert.run(sql, { ...row, seq: i + 1 })
  }

  /** Services for which acts wait. */
  async waiting(sql: Sql): Promise<string[]> {
    return (await receivers.all(sql, {})).map(({ service }) => service)
  }
}
