/** Events that wait until a device has them (ARCHITECTURE §5): written with the effect that causes them. */
import { decode, encode } from '@azukari/protocol/codec'
import type { Sql } from '../storage/database.ts'
import { queries } from '../storage/query.ts'
import type { QueuedEvent } from './service.ts'
import type { HostTables } from './tables.ts'

const query = queries<HostTables>()
const insert = query<{ device: string; id: Uint8Array; contract: string; at_ms: number; body: Uint8Array }>()((db, p) =>
  db
    .insertInto('events')
    .values({ device: p.device, id: p.id, contract: p.contract, at_ms: p.at_ms, body: p.body } as HostTables['events']),
)
const after = query<{ at: number; limit: number }>()((db, p) =>
  db.selectFrom('events').selectAll().where('at', '>', p.at).orderBy('at').limit(p.limit),
)
const afterOf = query<{ at: number; limit: number; device: string }>()((db, p) =>
  db
    .selectFrom('events')
    .selectAll()
    .where('device', '=', p.device)
    .where('at', '>', p.at)
    .orderBy('at')
    .limit(p.limit),
)
const done = query<{ device: string; id: Uint8Array }>()((db, p) =>
  db.deleteFrom('events').where('id', '=', p.id).where('device', '=', p.device),
)
const countOf = query<{ device: string }>()((db, p) =>
  db
    .selectFrom('events')
    .select((row) => row.fn.countAll<number>().as('n'))
    .where('device', '=', p.device),
)
const dropOldest = query<{ device: string; n: number }>()((db, p) =>
  db
    .deleteFrom('events')
    .where('at', 'in', (inner) =>
      inner.selectFrom('events').select('at').where('device', '=', p.device).orderBy('at').limit(p.n),
    ),
)

/** Events kept per device. What they tell can also be asked for, so beyond this the oldest go. */
const keptEventsPerDevice = 4096
/** Where other processes of the service may write too, they are counted again after so many. */
const countAgainEvery = 64

export class EventQueue {
  readonly #sql: Sql
  /** Upper bounds of what each device has waiting; corrected when they reach the limit. */
  readonly #counts = new Map<string, number>()

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** Returns how many old events of this device had to go. */
  async add(sql: Sql, event: Omit<QueuedEvent, 'at' | 'keep'>): Promise<number> {
    await insert.run(sql, {
      device: event.device,
      id: event.id,
      contract: event.contract,
      at_ms: event.atMs,
      body: encode(event.body),
    })
    let count = (this.#counts.get(event.device) ?? (await this.#count(sql, event.device)) - 1) + 1
    let dropped = 0
    if (count > keptEventsPerDevice || (sql.engine === 'postgres' && count % countAgainEvery === 0)) {
      count = await this.#count(sql, event.device)
      if (count > keptEventsPerDevice) {
        dropped = (await dropOldest.run(sql, { device: event.device, n: count - keptEventsPerDevice })).changes
        count -= dropped
      }
    }
    this.#counts.set(event.device, count)
    return dropped
  }

  async take(at: number, limit: number, device?: string): Promise<QueuedEvent[]> {
    const rows =
      device === undefined
        ? await after.all(this.#sql, { at, limit })
        : await afterOf.all(this.#sql, { at, limit, device })
    return rows.map((row) => ({
      at: row.at,
      device: row.device,
      id: row.id,
      contract: row.contract,
      atMs: row.at_ms,
      body: decode(row.body, { maxBytes: 1 << 20 }),
      keep: true,
    }))
  }

  async done(sql: Sql, device: string, ids: readonly Uint8Array[]): Promise<void> {
    for (const id of ids) await done.run(sql, { device, id })
    this.#counts.delete(device)
  }

  async #count(sql: Sql, device: string): Promise<number> {
    return (await countOf.get(sql, { device }))?.n ?? 0
  }
}
