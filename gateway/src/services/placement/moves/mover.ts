/**
 * The mover (S9, S16): decides where buckets belong when something has changed, queues just the moves that follow, and
 * has them carried out (`carrier.ts`) at a bounded rate, most exposed first. All it knows is in the database, so a crash at
 * any step costs nothing but time.
 */
import { mapInOrder } from '@azukari/protocol/in-order'
import { PeriodicWorker } from '../../../service/periodic-worker.ts'
import type { Registry } from '../members/registry.ts'
import { facts, members, type SaveRow, saves } from '../store.ts'
import { buckets, enterBucket, leaveBucket, noteStrays } from './buckets.ts'
import { Carrier, type CarrierCounts, keyOf } from './carrier.ts'
import { type Bucket, type DecideRules, decide } from './decide.ts'
import { type ReplaceOrder, type ReplacePorts, standingOf } from './making.ts'
import { type Cursor, feed, moves } from './queue.ts'
import { retireDue } from './retire.ts'
import { making } from './store.ts'
import { watchServers } from './watch.ts'

export interface MoverLimits {
  /** Moves under way at once; memory is a few segments for each. */
  atOnce: number
  /** Sealed bytes per second over all moves. */
  bytesPerSecond: number
  /** Moves in the queue; what is beyond waits in its bucket. */
  queueMax: number
  /** How often everything is decided anew when nothing has happened, ms. */
  decideMs: number
  /** How often servers are asked whether they are there, ms. */
  watchMs: number
  /** How long a server may be away before it counts as lost, ms. */
  lostAfterMs: number
  /** A bucket of more sealed bytes is cut in two. */
  splitBytes: number
}

const defaultMoverLimits: MoverLimits = {
  atOnce: 4,
  bytesPerSecond: 32 * 1024 * 1024,
  queueMax: 50_000,
  decideMs: 600_000,
  watchMs: 60_000,
  lostAfterMs: 7_200_000,
  splitBytes: 64 * 1024 ** 3,
}

export interface MoverOptions extends ReplacePorts {
  registry: Pick<Registry, 'candidates'>
  rules: DecideRules
  /** Brings a page of members' levels up to date (`ageMembers`). */
  age?: (after: string, limit: number) => Promise<string | undefined>
  limits?: Partial<MoverLimits>
}

/** What the operator sees of it; all since the start unless said otherwise. */
export interface MoverCounts extends CarrierCounts {
  retired: number
  decisions: number
  /** Of the last decision. */
  decideMs: number
  /** Buckets that must leave a place and have nowhere to go, now. */
  stuck: number
}

/** As it is now, with the counts. */
export interface MoverStatus extends MoverCounts {
  paused: boolean
  running: number
  queued: number
  queuedBytes: number
}

const classifyAtOnce = 256
const pageObjects = 2_000
const idleMs = 10_000
const asideMs = 1_000
const dayMs = 86_400_000
const membersAtOnce = 200
/** Decisions follow each other no faster: what changes many times at once is decided on once. */
const decideApartMs = 1_000
const pausedFact = 'moves.paused'
const splitsAtOnce = 8

export class Mover {
  readonly #o: MoverOptions
  readonly #limits: MoverLimits
  readonly #worker: PeriodicWorker
  readonly #carrier: Carrier
  readonly #busy = new Map<string, Promise<unknown>>()
  readonly #cursors = new Map<string, Cursor>()
  #budget: { bytes: number; atMs: number } | undefined
  #decideDue: string | undefined = 'start'
  #decidedMs = Number.NEGATIVE_INFINITY
  #watchedMs = Number.NEGATIVE_INFINITY
  #agedMs = Number.NEGATIVE_INFINITY
  #ageAfter: string | undefined
  #asideMs = Number.NEGATIVE_INFINITY
  #side: Promise<void> | undefined
  #watching: Promise<void> | undefined
  readonly counts: MoverCounts = {
    moved: 0,
    movedBytes: 0,
    resealed: 0,
    cancelled: 0,
    retired: 0,
    failures: 0,
    decisions: 0,
    decideMs: 0,
    stuck: 0,
  }

  constructor(options: MoverOptions) {
    this.#o = options
    this.#limits = { ...defaultMoverLimits, ...options.limits }
    const { clock, log } = options
    this.#worker = new PeriodicWorker({ name: 'the mover', clock, log, idleMs, round: () => this.#round() })
    this.#carrier = new Carrier(options, this.counts, this.#worker.signal)
  }

  async start(): Promise<void> {
    await this.#adopt()
    this.#worker.start()
  }

  /** Finishes what cannot be left; the rest goes on at the next start. */
  async stop(): Promise<void> {
    await this.#worker.stop()
    await Promise.allSettled([...this.#busy.values(), this.#side, this.#watching])
  }

  /** There may be something to do. */
  wake(): void {
    this.#worker.wake()
  }

  /** Something has changed that decides where data belongs: risks, levels, regions, servers, room. */
  changed(reason: string): void {
    this.#decideDue ??= reason
    this.wake()
  }

  /** No move begins from now on; what is being made is finished. Kept over restarts. */
  async pause(paused: boolean): Promise<void> {
    await this.#o.store.transaction(({ sql }) => facts.set(sql, pausedFact, Uint8Array.of(paused ? 1 : 0)))
    this.wake()
  }

  async paused(): Promise<boolean> {
    return (await facts.get(this.#o.store.sql, pausedFact))?.[0] === 1
  }

  get running(): number {
    return this.#busy.size
  }

  async status(): Promise<MoverStatus> {
    const { n: queued, bytes: queuedBytes } = await moves.size(this.#o.store.sql)
    return { ...this.counts, paused: await this.paused(), running: this.running, queued, queuedBytes }
  }

  /** What waits, by cause and problem. */
  async queue(): Promise<ReturnType<typeof moves.summary>> {
    return moves.summary(this.#o.store.sql)
  }

  /** Runs work on an object while no move touches it. */
  async exclusive<T>(object: Uint8Array, work: () => Promise<T>): Promise<T> {
    const key = keyOf(object)
    for (let under = this.#busy.get(key); under; under = this.#busy.get(key)) await under.catch(() => undefined)
    const running = work()
    this.#hold(key, running)
    return running
  }

  /** S11: a slot whose replica is no good is made anew: where it is when the medium was to blame, elsewhere otherwise. */
  async remake(
    slot: Pick<ReplaceOrder, 'object' | 'version' | 'slot'>,
    cause: 'damaged' | 'tampering' | 'unexplained' | 'rollback',
    reason: object,
  ): Promise<void> {
    const { store, clock } = this.#o
    await store.transaction(async ({ sql }) => {
      const { old, row } = await standingOf(sql, slot)
      await moves.add(sql, {
        object: slot.object,
        version: slot.version,
        slot: slot.slot,
        member: row.member,
        source: old.server,
        cause,
        urgency: urgencyOfRemaking,
        sealed: old.sealed,
        at: clock.now(),
        tries: 0,
        waits: 0,
        not_before: 0,
        problem: null,
        reason: JSON.stringify({ cause, ...reason }),
      })
    })
    this.wake()
  }

  /** What was being made when the process ended, and is in no queue, goes back into it. */
  async #adopt(): Promise<void> {
    const { store, clock } = this.#o
    await store.transaction(async ({ sql }) => {
      for (const row of await making.orphans(sql)) {
        const save = await saves.get(sql, row.object, row.version)
        if (!save) continue
        await moves.add(sql, {
          object: row.object,
          version: row.version,
          slot: row.slot,
          member: save.member,
          source: '',
          cause: row.cause,
          urgency: urgencyOfRemaking,
          sealed: row.sealed,
          at: clock.now(),
          tries: 0,
          waits: 0,
          not_before: 0,
          problem: null,
          reason: row.reason,
        })
      }
    })
  }

  /** One look around. @returns when to look again at the latest, ms */
  async #round(): Promise<number> {
    const { store, clock } = this.#o
    const nowMs = clock.monotonicMs()
    await this.#age(nowMs)
    if (nowMs - this.#watchedMs >= this.#limits.watchMs) this.#watch(nowMs)
    const classified = await this.#classify()
    if (classified > 0) this.#decideDue ??= 'classes'
    if (classified < classifyAtOnce && (this.#decideDue || nowMs - this.#decidedMs >= this.#limits.decideMs))
      await this.#decide()
    if ((await moves.wake(store.sql, clock.now())) > 0) this.wake()
    const fed = await this.#feed()
    if (nowMs - this.#asideMs >= asideMs) {
      this.#asideMs = nowMs
      this.#side ??= this.#aside()
    }
    const laterMs = this.#decideDue ? decideApartMs : idleMs
    if (await this.paused()) return fed ? 1 : laterMs
    const beginMs = Math.min(laterMs, await this.#begin(nowMs))
    return classified === classifyAtOnce || fed ? 1 : beginMs
  }

  /** Once a day: years of membership. */
  async #age(nowMs: number): Promise<void> {
    if (this.#ageAfter === undefined && nowMs - this.#agedMs < dayMs) return
    this.#agedMs = nowMs
    this.#ageAfter = await this.#o.age?.(this.#ageAfter ?? '', membersAtOnce)
    if (this.#ageAfter !== undefined) this.wake()
  }

  /** Resolves when no round and no look at the servers is under way. */
  async idle(): Promise<void> {
    await this.#worker.idle()
    await this.#watching
  }

  #watch(nowMs: number): void {
    this.#watchedMs = nowMs
    this.#watching ??= watchServers(this.#o, this.#limits.lostAfterMs, this.#worker.signal)
      .then((changed) => {
        if (changed.length > 0) this.changed(`servers ${changed.join(', ')}`)
      })
      .catch((error) => this.#o.log.error('data servers could not be watched', { error: String(error) }))
      .finally(() => {
        this.#watching = undefined
      })
  }

  /** Objects that are in no class yet: of a rebuilt placement, or of members whose level or home has changed. */
  async #classify(): Promise<number> {
    const { store } = this.#o
    const rows = await store.sql.all<SaveRow>(
      `SELECT * FROM saves WHERE class = 0 AND state IN ('sealed', 'kept') LIMIT ?`,
      classifyAtOnce,
    )
    if (rows.length === 0) return 0
    await store.transaction(async ({ sql }) => {
      for (const row of rows) {
        const standing = await sql.all<{ slot: 1 | 2; server: string; sealed: number }>(
          'SELECT slot, server, sealed FROM replicas WHERE object = ? AND version = ? ORDER BY slot',
          row.object,
          row.version,
        )
        const member = (await members.byId(sql, row.member))!
        const { class: of, place } = await enterBucket(sql, row, member, standing[0]?.sealed ?? 0)
        await noteStrays(sql, (await buckets.at(sql, of, place))!, standing)
      }
    })
    return rows.length
  }

  async #decide(): Promise<void> {
    const { store, registry, rules, clock, log } = this.#o
    const reason = this.#decideDue
    this.#decideDue = undefined
    this.#decidedMs = clock.monotonicMs()
    const split = await this.#split()
    const decided = decide(
      await registry.candidates(),
      await buckets.classes(store.sql),
      await buckets.all(store.sql),
      rules,
      clock.now(),
    )
    await store.transaction(async ({ sql }) => {
      for (const change of decided.changes) {
        await buckets.change(sql, change)
        this.#cursors.delete(nameOf(change.bucket))
      }
      if (decided.stuck.length > 0 || this.counts.stuck > 0)
        await buckets.stick(
          sql,
          decided.stuck.map(({ bucket }) => bucket),
        )
    })
    if (decided.stuck.length > 0 && this.counts.stuck !== decided.stuck.length)
      log.error('data has nowhere better to go', {
        code: 'placement.no-server',
        buckets: decided.stuck.length,
        servers: [...new Set(decided.stuck.map(({ server }) => server))].slice(0, 16),
      })
    this.counts.decisions++
    this.counts.stuck = decided.stuck.length
    this.counts.decideMs = clock.monotonicMs() - this.#decidedMs
    if (decided.changes.length > 0)
      log.info('buckets have other places', { buckets: decided.changes.length, reason, ms: this.counts.decideMs })
    if (split) this.#decideDue ??= 'split'
  }

  async #split(): Promise<boolean> {
    const { store } = this.#o
    const big = await store.sql.all<Bucket>(
      'SELECT * FROM buckets WHERE bytes > ? AND span > 1 ORDER BY bytes DESC LIMIT ?',
      this.#limits.splitBytes,
      splitsAtOnce,
    )
    if (big.length === 0) return false
    return store.transaction(async ({ sql }) =>
      (await mapInOrder(big, (bucket) => buckets.split(sql, bucket))).some(Boolean),
    )
  }

  /** Fills the queue from the most urgent bucket. @returns whether there may be more */
  async #feed(): Promise<boolean> {
    const { store, clock } = this.#o
    const [bucket] = await buckets.pending(store.sql, 1)
    if (!bucket) return false
    const room = this.#limits.queueMax - (await moves.size(store.sql)).n
    if (room <= 0) return false
    const name = nameOf(bucket)
    await store.transaction(async ({ sql }) => {
      const { cursor } = await feed(sql, bucket, this.#cursors.get(name), Math.min(pageObjects, room), clock.now())
      if (cursor) this.#cursors.set(name, cursor)
      else {
        this.#cursors.delete(name)
        await buckets.fed(sql, bucket)
      }
    })
    return true
  }

  /** Begins what may begin now. @returns when to look again */
  async #begin(nowMs: number): Promise<number> {
    const { store, clock } = this.#o
    if (this.#busy.size >= this.#limits.atOnce) return idleMs
    const waiting = await moves.next(store.sql, this.#limits.atOnce * 8)
    if (waiting.length === 0) {
      const at = await moves.soonest(store.sql)
      return at === undefined ? idleMs : Math.min(idleMs, Math.max(1, at - clock.now()))
    }
    const candidates = await this.#o.registry.candidates()
    for (const move of waiting) {
      if (this.#busy.size >= this.#limits.atOnce) break
      const key = keyOf(move.object)
      if (this.#busy.has(key)) continue
      const lateMs = this.#afford(move.sealed, nowMs)
      if (lateMs > 0) return Math.min(idleMs, lateMs)
      const carried = this.#carrier.take(move, candidates).catch((error) => this.#rest(key, error))
      this.#hold(key, carried)
    }
    return idleMs
  }

  /** What went wrong could not be written down either, as on a full disk: it is told, and the move is left alone for a while. */
  async #rest(key: string, error: unknown): Promise<void> {
    const { clock, log } = this.#o
    if (this.#worker.signal.aborted) return
    log.error('a move’s failure could not be kept', { move: key, error: String(error) })
    await clock.sleep(idleMs, this.#worker.signal).catch(() => undefined)
  }

  #hold(key: string, work: Promise<unknown>): void {
    const held = work
      .catch(() => undefined)
      .finally(() => {
        if (this.#busy.get(key) === held) this.#busy.delete(key)
        this.wake()
      })
    this.#busy.set(key, held)
  }

  /** The rate: what was moved is paid back over time. @returns how long to wait, ms; 0: it is paid */
  #afford(bytes: number, nowMs: number): number {
    const perMs = this.#limits.bytesPerSecond / 1000
    const most = this.#limits.bytesPerSecond
    const had = this.#budget ?? { bytes: most, atMs: nowMs }
    const has = Math.min(most, had.bytes + (nowMs - had.atMs) * perMs)
    this.#budget = { bytes: has, atMs: nowMs }
    // An object larger than a second's worth goes when there is a full second, and the debt is paid after it.
    if (has < Math.min(bytes, most)) return (Math.min(bytes, most) - has) / perMs
    this.#budget.bytes = has - bytes
    return 0
  }

  /** What nobody waits for: old replicas, and buckets that have been emptied. */
  async #aside(): Promise<void> {
    const { store, log } = this.#o
    try {
      for (const bucket of await buckets.leaving(store.sql, 64))
        if (!(await buckets.isQueued(store.sql, bucket)))
          await store.transaction(({ sql }) => buckets.settled(sql, bucket))
      this.counts.retired += await retireDue(this.#o, this.#worker.signal)
    } catch (error) {
      if (!this.#worker.signal.aborted) log.error('old replicas', { error: String(error) })
    } finally {
      this.#side = undefined
    }
  }
}

/** A replica that is no good leaves one: about as urgent as a lost server. */
const urgencyOfRemaking = 5

/** A member's objects belong to other classes from now on: the mover finds them. */
export async function reclassify(sql: ReplacePorts['store']['sql'], member: Uint8Array): Promise<void> {
  const rows = await sql.all<Pick<SaveRow, 'object' | 'version' | 'class' | 'place'> & { sealed: number }>(
    `SELECT s.object, s.version, s.class, s.place, r.sealed FROM saves AS s
     JOIN replicas AS r ON r.object = s.object AND r.version = s.version AND r.slot = 1
     WHERE s.member = ? AND s.class <> 0`,
    member,
  )
  for (const row of rows) await leaveBucket(sql, row, row.sealed)
}

function nameOf({ class: of, place }: { class: number; place: number }): string {
  return `${of}.${place}`
}
