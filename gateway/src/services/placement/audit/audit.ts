/**
 * Care for what is kept (S11, S12): audits in three tiers under a budget, verdicts, repairs. What to look at next is decided
 * in `schedule.ts`; all it knows is in the database, so that a crash costs nothing but time.
 */
import { filterInOrder } from '@azukari/protocol/in-order'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { VerdictKind } from '@azukari/protocol/verdict'
import { PeriodicWorker } from '../../../service/periodic-worker.ts'
import type { Sql } from '../../../storage/database.ts'
import { standingOf } from '../moves/making.ts'
import type { Mover } from '../moves/mover.ts'
import { identify } from '../replicas/identify.ts'
import { facts, type ServerRow, servers } from '../store.ts'
import { contain } from './contain.ts'
import { memberChecks, type Unopened } from './member-checks.ts'
import { type Found, leavesLeft, listPageOf, lookAtLeaves, planLeaves, scan, takeLeaves } from './probes.ts'
import { metBy, openBoth } from './read.ts'
import { type TreatPorts, treat } from './remediate.ts'
import { sampleSize } from './sample.ts'
import { type AuditLimits, type AuditState, defaultAuditLimits, nextProbes, type Probe } from './schedule.ts'
import { audits, suspects, verdicts } from './store.ts'
import type { AuditTable, SuspectTable } from './tables.ts'
import { refusalsMax } from './verdict.ts'

export interface AuditorOptions extends TreatPorts {
  mover: Pick<Mover, 'remake' | 'exclusive'>
  limits?: Partial<AuditLimits>
}

/** Since the start. */
export interface AuditCounts {
  listed: number
  leaves: number
  scans: number
  scannedBytes: number
  opened: number
  examined: number
  /** Bytes that looks brought over the line. */
  bytes: number
  /** Replicas on servers that no record knows. */
  extra: number
  failures: number
}

export interface AuditStatus extends AuditCounts {
  suspects: number
  running: number
  /** Objects that have not been opened within their maximum age. */
  overdue: number
  verdicts: Record<string, number>
}

const idleMs = 30_000
/** What could not be looked at is left alone for this long at first, and at most, ms. */
const againMs = 30_000
const againMostMs = 3_600_000
/** Refusals count when so far apart: an upgrade is no refusal, ms. */
const refusedApartMs = 600_000
const oldestAtOnce = 16
/** From when on every object counts as not opened: an operator wants everything looked at now. */
const openFromFact = 'care.open-from'

export class Auditor {
  readonly #o: AuditorOptions
  readonly #limits: AuditLimits
  readonly #worker: PeriodicWorker
  readonly #busy = new Map<string, Promise<void>>()
  /** Objects that could not be opened: when to try again. */
  readonly #notBefore = new Map<string, number>()
  #budget: { bytes: number; atMs: number } | undefined
  readonly counts: AuditCounts = {
    listed: 0,
    leaves: 0,
    scans: 0,
    scannedBytes: 0,
    opened: 0,
    examined: 0,
    bytes: 0,
    extra: 0,
    failures: 0,
  }

  constructor(options: AuditorOptions) {
    this.#o = options
    this.#limits = { ...defaultAuditLimits, ...options.limits }
    const { clock, log } = options
    this.#worker = new PeriodicWorker({ name: 'audits', clock, log, idleMs, round: () => this.#round() })
  }

  start(): void {
    this.#worker.start()
  }

  async stop(): Promise<void> {
    await this.#worker.stop()
    await Promise.allSettled(this.#busy.values())
  }

  /** Resolves when no round and no look is under way, and none follows at once. */
  async idle(): Promise<void> {
    do {
      await this.#worker.idle()
      await Promise.allSettled(this.#busy.values())
    } while (this.#busy.size > 0)
  }

  /** There may be something to do. */
  wake(): void {
    this.#worker.wake()
  }

  /** A replica is to be examined soon. */
  async suspect(found: Found): Promise<void> {
    await this.#suspect([found])
    this.wake()
  }

  async status(): Promise<AuditStatus> {
    const { sql } = this.#o.store
    const nowMs = this.#o.clock.now()
    const counts: Partial<Record<VerdictKind, number>> = {}
    for (const { kind, count } of await verdicts.counts(sql)) counts[kind] = count
    const overdue = (await sql.get<{ n: number }>(
      `SELECT count(*) AS n FROM saves WHERE state = 'kept' AND max(opened, coalesce(kept, 0)) < ?`,
      nowMs - this.#limits.openedAgeMs,
    ))!.n
    return { ...this.counts, suspects: await suspects.count(sql), running: this.#busy.size, overdue, verdicts: counts }
  }

  /** One look around. @returns when to look again at the latest, ms */
  async #round(): Promise<number> {
    const { store, clock } = this.#o
    const nowMs = clock.now()
    if (await verdicts.open(store.sql)) await store.transaction(({ sql }) => verdicts.settle(sql, nowMs))
    const room = this.#limits.atOnce - this.#busy.size
    if (room <= 0) return idleMs
    const budgetBytes = this.#refill()
    const due = await this.#due(nowMs)
    for (const look of nextProbes({ ...due.state, budgetBytes, room }, this.#limits)) {
      this.#budget!.bytes -= look.bytes
      this.#begin(look, due)
    }
    // A debt is paid back before the next look that costs.
    const owedMs = (-this.#budget!.bytes * 1000) / this.#limits.bytesPerSecond
    return Math.max(1, Math.min(idleMs, Math.ceil(owedMs > 0 ? owedMs : idleMs)))
  }

  #refill(): number {
    const nowMs = this.#o.clock.monotonicMs()
    const most = this.#limits.bytesPerSecond
    const had = this.#budget ?? { bytes: most, atMs: nowMs }
    this.#budget = { bytes: Math.min(most, had.bytes + ((nowMs - had.atMs) * most) / 1000), atMs: nowMs }
    return this.#budget.bytes
  }

  async #due(nowMs: number) {
    const { sql } = this.#o.store
    const registered = await servers.all(sql)
    const known = new Map((await audits.all(sql)).map((row) => [row.server, row]))
    if (registered.some(({ id }) => !known.has(id)))
      await this.#o.store.transaction(async (context) => {
        for (const { id } of registered) await audits.add(context.sql, id, nowMs)
      })
    const waiting = (await suspects.due(sql, nowMs, this.#limits.atOnce * 4)).filter(
      (row) => !this.#busy.has(nameOf(row)),
    )
    const oldest = await this.#oldest(nowMs)
    const state: Omit<AuditState, 'budgetBytes' | 'room'> = {
      nowMs,
      servers: registered.flatMap((row) => {
        const audit = known.get(row.id)
        return audit ? [this.#careOf(row, audit, nowMs)] : []
      }),
      suspects: waiting.map((row) => ({ name: nameOf(row), bytes: row.bytes })),
      oldest: oldest.map((row) => ({ name: nameOf(row), openedMs: row.opened, bytes: row.bytes })),
    }
    return { state, waiting, oldest }
  }

  #careOf(row: ServerRow, audit: AuditTable, nowMs: number): AuditState['servers'][number] {
    return {
      server: row.id,
      closed: row.state === 'lost' || row.state === 'contained' || row.away !== null,
      listedMs: audit.listed,
      listing: audit.list_after !== null,
      leavesMs: audit.leaves,
      leavesLeft: leavesLeft(audit.plan),
      scannedMs: audit.scanned,
      scanning: audit.scanning === 1,
      suspicion: audit.suspicion,
      busy: this.#busy.has(row.id) || audit.not_before > nowMs,
    }
  }

  /** Kept objects with both replicas in reach that were not opened for longest. */
  async #oldest(nowMs: number): Promise<Unopened[]> {
    const { sql } = this.#o.store
    const from = Number(new TextDecoder().decode((await facts.get(sql, openFromFact)) ?? new Uint8Array()) || 0)
    const rows = await sql.all<Unopened>(
      `SELECT object, version, 1 AS slot, max(opened, coalesce(kept, 0)) AS opened,
       (SELECT sum(sealed) FROM replicas AS r WHERE r.object = saves.object AND r.version = saves.version) AS bytes
       FROM saves WHERE state = 'kept' AND max(opened, coalesce(kept, 0)) <= ? AND NOT EXISTS
       (SELECT 1 FROM replicas AS r JOIN servers AS v ON v.id = r.server WHERE r.object = saves.object
        AND r.version = saves.version AND (v.away IS NOT NULL OR v.state IN ('lost', 'contained')))
       ORDER BY max(opened, coalesce(kept, 0)) LIMIT ?`,
      Math.max(from, nowMs - this.#limits.openedAgeMs / 2),
      oldestAtOnce + this.#notBefore.size,
    )
    // What a statement waits for is as urgent as what an operator wants.
    const wanted = await memberChecks.next(sql, oldestAtOnce + this.#notBefore.size)
    const urgent = new Map(wanted.map((row) => [nameOf(row), { ...row, opened: 0 }]))
    const byAge = rows.filter((row) => !urgent.has(nameOf(row)))
    return [...urgent.values(), ...byAge.map((row) => ({ ...row, opened: row.opened < from ? 0 : row.opened }))]
      .filter((row) => !this.#busy.has(nameOf(row)) && (this.#notBefore.get(nameOf(row)) ?? 0) <= nowMs)
      .slice(0, oldestAtOnce)
  }

  #begin(look: Probe, { waiting, oldest }: { waiting: SuspectTable[]; oldest: Unopened[] }): void {
    if (look.do === 'examine') {
      const suspect = waiting[look.suspect]!
      this.#hold(nameOf(suspect), () => this.#examine(suspect))
    } else if (look.do === 'open') {
      const object = oldest[look.oldest]!
      this.#hold(nameOf(object), () => this.#open(object))
    } else this.#hold(look.server, () => this.#look(look.do, look.server))
  }

  #hold(key: string, work: () => Promise<void>): void {
    const { log } = this.#o
    const running = work()
      .catch((error) => {
        if (this.#worker.signal.aborted) return
        this.counts.failures++
        log.error('an audit failed', { error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
      })
      .finally(() => {
        this.#busy.delete(key)
        this.wake()
      })
    this.#busy.set(key, running)
  }

  async #examine(suspect: SuspectTable): Promise<void> {
    const { store, clock, mover } = this.#o
    let refused = false
    try {
      const treated = await mover.exclusive(suspect.object, () => treat(this.#o, suspect, this.#worker.signal))
      this.counts.examined++
      if (treated.done) return
      refused = treated.refused
    } catch (error) {
      if (this.#worker.signal.aborted) return
      if (!isProblem(error)) throw error
      this.counts.failures++
    }
    const waitMs = refused ? refusedApartMs : Math.min(againMostMs, againMs * 2 ** Math.min(8, suspect.tries))
    await store.transaction(({ sql }) =>
      suspects.postpone(sql, { ...suspect, tries: suspect.tries + 1 }, clock.now() + waitMs),
    )
  }

  /** Tier three. */
  async #open(object: Unopened): Promise<void> {
    const { store, clock, mover, dataServers, signer, random } = this.#o
    const signal = this.#worker.signal
    const name = nameOf(object)
    const opened = await mover
      .exclusive(object.object, async () => {
        const standing = await standingOf(store.sql, object)
        for (const { server } of [standing.old, standing.other]) {
          const row = await servers.byId(store.sql, server)
          if (!row) throw new Problem('server.unreachable', server)
          await this.#genuine(row, () => identify(dataServers.of(row), row, signer.kid, random, signal))
        }
        return openBoth(this.#o, standing, signal)
      })
      .catch((error) => {
        signal.throwIfAborted()
        // An old catalogue whose replicas are gone: there is nothing to open.
        if (isProblem(error, 'object.unknown')) return { bytes: 0, faults: [], silent: false }
        if (isProblem(error)) return undefined
        throw error
      })
    if (opened) {
      this.counts.bytes += opened.bytes
      await this.#suspect(opened.faults.map(({ slot, met }) => ({ ref: { ...object, slot }, met })))
    }
    if (!opened || opened.silent) {
      this.#notBefore.set(name, clock.now() + againMs * 4)
      // Bounded: what is forgotten is only tried a little sooner.
      if (this.#notBefore.size > 1_000) this.#notBefore.delete(this.#notBefore.keys().next().value!)
      return
    }
    this.counts.opened++
    this.#notBefore.delete(name)
    await store.transaction(({ sql }) =>
      sql.run(
        'UPDATE saves SET opened = ? WHERE object = ? AND version = ?',
        clock.now(),
        object.object,
        object.version,
      ),
    )
  }

  /** Tiers one and two, of one server. */
  async #look(what: 'list' | 'leaves' | 'scan', id: string): Promise<void> {
    const { store, clock } = this.#o
    const server = await servers.byId(store.sql, id)
    const audit = await audits.of(store.sql, id)
    if (!server || !audit) return
    try {
      await this.#genuine(server, async () => {
        if (what === 'list') await this.#list(server, audit)
        else if (what === 'leaves') await this.#leaves(server, audit)
        else await this.#scan(server)
      })
      if (audit.refusals > 0) await store.transaction(({ sql }) => audits.set(sql, id, { refusals: 0 }))
    } catch (error) {
      if (this.#worker.signal.aborted) return
      if (!isProblem(error)) throw error
      this.counts.failures++
      const refusals = metBy(error) === 'refused' ? audit.refusals + 1 : audit.refusals
      const waitMs = refusals > audit.refusals ? refusedApartMs : againMs * 2
      await store.transaction(({ sql }) => audits.set(sql, id, { refusals, not_before: clock.now() + waitMs }))
      if (refusals >= refusalsMax)
        await contain(this.#o, id, 'contained', `it proves its key and refuses to be audited: ${error.code}`)
    }
  }

  /** S12: whoever does not prove its key is shut off at once. */
  async #genuine<T>(server: ServerRow, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (isProblem(error, 'server.impostor'))
        await contain(this.#o, server.id, 'impostor', 'it did not prove its key when it was audited')
      throw error
    }
  }

  async #list(server: ServerRow, audit: AuditTable): Promise<void> {
    const { store, clock } = this.#o
    const page = await listPageOf(this.#o, server, audit.list_after, this.#worker.signal)
    this.counts.extra += Math.max(0, page.extra)
    await this.#suspect(page.found, server.id)
    const ended = page.after === null
    await store.transaction(async ({ sql }) => {
      await audits.set(sql, server.id, { list_after: page.after, ...(ended && { listed: clock.now() }) })
      if (ended) await audits.relax(sql, server.id)
    })
    if (ended) this.counts.listed++
  }

  async #leaves(server: ServerRow, audit: AuditTable): Promise<void> {
    const { store, clock, mover, dataServers, signer, random } = this.#o
    const signal = this.#worker.signal
    if (audit.plan === null) {
      await identify(dataServers.of(server), server, signer.kid, random, signal)
      const size = sampleSize(this.#limits.share, this.#limits.certainty)
      const plan = await planLeaves(this.#o, server.id, size, signal)
      await store.transaction(({ sql }) => audits.set(sql, server.id, { plan }))
      return
    }
    const taken = takeLeaves(audit.plan)
    if (taken) {
      const { next } = taken
      let met: Found['met'] | undefined
      try {
        const looked = await mover.exclusive(next.object, () => lookAtLeaves(this.#o, server, next, signal))
        this.counts.bytes += looked.bytes
        this.counts.leaves += next.indexes.length
        met = looked.met
      } catch (error) {
        signal.throwIfAborted()
        // What is refused of one replica is that replica's matter: another may stand there, of another size.
        met = isProblem(error) ? metBy(error) : undefined
        if (!met) throw error
      }
      if (met) await this.#suspect([{ ref: next, met }], server.id)
    }
    const done = !taken || leavesLeft(taken.rest) === 0
    await store.transaction(async ({ sql }) => {
      await audits.set(sql, server.id, done ? { plan: null, leaves: clock.now() } : { plan: taken.rest })
      if (done) await audits.relax(sql, server.id)
    })
  }

  async #scan(server: ServerRow): Promise<void> {
    const { store, clock } = this.#o
    const { report, found } = await scan(this.#o, server, this.#limits.scanBytes, this.#worker.signal)
    this.counts.scans++
    this.counts.scannedBytes += report.readBytes
    // What was judged a moment ago may have been read, or mended, before that: the next round says whether there is more to it.
    const nowMs = clock.now()
    const sinceOf = ({ atMs = nowMs }: Found) => Math.max(atMs, nowMs - toldLateMs) - judgedForMs
    await this.#suspect(
      await filterInOrder(found, async (one) => !(await verdicts.judgedSince(store.sql, one.ref, sinceOf(one)))),
      server.id,
    )
    const { complete } = report
    await store.transaction(async ({ sql }) => {
      await audits.set(sql, server.id, {
        scanning: complete ? 0 : 1,
        ...(complete ? { scanned: clock.now() } : { not_before: clock.now() + scanApartMs }),
      })
    })
  }

  /** @param server where it was found: what stands elsewhere by now is not meant */
  async #suspect(found: readonly Found[], server?: string): Promise<void> {
    if (found.length === 0) return
    const { store, clock } = this.#o
    await store.transaction(async ({ sql }) => {
      for (const { ref, met } of found) {
        const row = await sql.get<{ server: string; sealed: number }>(
          'SELECT server, sealed FROM replicas WHERE object = ? AND version = ? AND slot = ?',
          ref.object,
          ref.version,
          ref.slot,
        )
        if (!row || (server !== undefined && row.server !== server)) continue
        const { object, version, slot } = ref
        await suspects.add(sql, {
          object,
          version,
          slot,
          server: row.server,
          met,
          since: clock.now(),
          bytes: row.sealed,
        })
      }
    })
  }
}

/** Between two calls to scan on, so that a server has time for its members, ms. */
const scanApartMs = 4_000
/** How long a scan is not believed about what was judged meanwhile, ms. */
const judgedForMs = 3_600_000
/** How long ago a server may say that it mended something, ms. */
const toldLateMs = 86_400_000

/** Everything is to be opened and compared anew, and every round begins now: an operator's word. */
export async function auditNow(sql: Sql, nowMs: number, whole: boolean, server?: string): Promise<void> {
  await sql.run(
    `UPDATE audits SET listed = 0, leaves = 0, scanned = 0, not_before = 0${server === undefined ? '' : ' WHERE server = ?'}`,
    ...(server === undefined ? [] : [server]),
  )
  if (whole) await facts.set(sql, openFromFact, new TextEncoder().encode(String(nowMs)))
}

function nameOf({ object, version, slot }: { object: Uint8Array; version: number; slot: number }): string {
  return `${Buffer.from(object).toString('hex')}.${version}.${slot}`
}
