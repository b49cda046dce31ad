/**
 * Runs a service: dispatches its calls, and does its acts once, in order, in grouped commits (ARCHITECTURE §5, D4, D5).
 *
 * Acts wait in a bounded queue. Everything that queued up while the last commit was written is done next, one act at a
 * time under its own savepoint, and committed together: effect, inbox row, reply and events, with one fsync. Only then
 * are the replies given.
 */
import { hex } from '@azukari/protocol/bytes'
import { decode, encode } from '@azukari/protocol/codec'
import { mayAnswer } from '@azukari/protocol/common-problems'
import type { Contract, ServiceName } from '@azukari/protocol/contract'
import type { Timer } from '@azukari/protocol/ports'
import { InternalError, isProblem, Problem, type ProblemWire } from '@azukari/protocol/problem'
import { Budgets } from '../budgets/budgets.ts'
import type { Pool, Reservation } from '../budgets/pool.ts'
import { DatabaseProblem, type Transaction } from '../storage/database.ts'
import { soleDuty } from '../storage/duty.ts'
import { CommitGroup } from '../storage/group.ts'
import { migrate } from '../storage/migrate.ts'
import type { Checked } from './checks.ts'
import { Deliverer } from './deliverer.ts'
import { declared } from './delivery.ts'
import { type Effects, effectContext, noEffects } from './effects.ts'
import { EventQueue } from './events.ts'
import { type HostCounts, type HostLimits, hostLimits } from './host-limits.ts'
import type { ServiceHostOptions, SlowWork } from './host-options.ts'
import { checkSender, isTransient } from './host-rules.ts'
import { actHash, forgetExpiredActs, Inbox } from './inbox.ts'
import {
  type ActingHandler,
  answerCall,
  type CallingHandler,
  isActing,
  performAct,
  requireAuthority,
} from './judged.ts'
import { Offers } from './offers.ts'
import { Outbox } from './outbox.ts'
import { forgetReplies, isOutside, Outsiders } from './outsiders.ts'
import type {
  ActContext,
  Context,
  EventListener,
  Handler,
  OutgoingAct,
  OwnContext,
  QueuedEvent,
  Service,
  ServiceReply,
  ServiceRequest,
  ServiceStore,
} from './service.ts'
import { checkAhead } from './signed.ts'
import { hostMigrations } from './tables.ts'
import { onDuty } from './work-store.ts'

export type { ServiceHostOptions } from './host-options.ts'

/** How often signed acts that have expired are forgotten: every one is a row. */
const forgetMs = 3_600_000

/** Turns of the event loop for which a group may go on growing. */
const gatherTurns = 4

/** A running service and its own transactions. */
export interface ServiceHost extends Service {
  readonly store: ServiceStore
  /** Since the start: acts done, acts refused, commits. */
  readonly counts: Readonly<HostCounts>
}

/** Migrates the database and makes the service; nothing runs before `start`. @throws {Problem} `database.newer`, `storage.*` */
export async function createServiceHost(options: ServiceHostOptions): Promise<ServiceHost> {
  await migrate(
    options.database,
    [hostMigrations, { set: options.name, migrations: options.migrations }],
    options.clock.now(),
  )
  await options.database.share?.()
  return new Host(options)
}

interface WaitingAct {
  request: ServiceRequest
  handler: ActingHandler
  place: Reservation
  /** What its turn waits for is done. */
  ready: boolean
  /** What another thread found out about its signature. */
  found?: Checked | undefined
  resolve(reply: ServiceReply): void
}

type ActCounts = Pick<HostCounts, 'acts' | 'refused' | 'duplicates'>

/** A step of the service itself, inside a transaction. */
type OwnWork<T> = (context: OwnContext) => Promise<T> | T

class Host implements ServiceHost {
  readonly name: ServiceName
  readonly store: ServiceStore
  readonly counts: HostCounts = {
    acts: 0,
    refused: 0,
    duplicates: 0,
    commits: 0,
    failedCommits: 0,
    calls: 0,
    unlisted: 0,
  }
  readonly #options: ServiceHostOptions
  readonly #limits: HostLimits
  readonly #handlers: ReadonlyMap<string, Handler>
  readonly #inbox: Inbox
  readonly #events: EventQueue
  readonly #commits: CommitGroup
  readonly #listeners = new Set<EventListener>()
  readonly #defer: (work: () => void) => void
  readonly #places: Pool
  readonly #calls: Pool
  readonly #outbox: Outbox
  readonly #outgoing: ReadonlyMap<string, OutgoingAct>
  readonly #deliverer: Deliverer
  readonly #outsiders: Outsiders
  readonly downloads: Offers | undefined
  #queue: WaitingAct[] = []
  #drainAsked = false
  /** A group is being done: the next one follows it. */
  #draining = false
  /** Groups that are committed and not confirmed yet. */
  #confirming = 0
  #state: 'new' | 'running' | 'stopping' | 'stopped' = 'new'
  #idle: (() => void)[] = []
  #forgetting: Timer | undefined

  constructor(options: ServiceHostOptions) {
    this.#options = options
    this.name = options.name
    this.#limits = { ...hostLimits, ...options.limits }
    const budgets = options.budgets ?? new Budgets()
    const { queuedActs, deviceQueuedActs, calls, deviceCalls } = this.#limits
    this.#places = budgets.pool(`${options.name}_queued_acts`, { device: { all: queuedActs, each: deviceQueuedActs } })
    this.#calls = budgets.pool(`${options.name}_calls`, { device: { all: calls, each: deviceCalls } })
    this.#inbox = new Inbox()
    this.#events = new EventQueue(options.database)
    this.#defer = options.defer ?? ((work) => void options.clock.timer(0, work))
    this.#commits = new CommitGroup(options.database, this.#defer)
    this.store = {
      sql: options.database,
      transaction: (work) => this.#ownTransaction(work),
      commit: (work) => this.#ownCommit(work),
    }
    const duty = options.database.duty ?? soleDuty
    const work: SlowWork = { store: onDuty(this.store, duty), duty }
    this.#outbox = new Outbox(options.random, this.#limits.outboxRows)
    this.downloads =
      options.downloads &&
      new Offers({
        name: options.name,
        content: options.downloads,
        onEnded: options.downloadEnded,
        store: this.store,
        clock: options.clock,
        random: options.random,
        log: options.log,
      })
    this.#outgoing = declared(options.name, options.calls ?? [])
    this.#deliverer = new Deliverer({
      name: options.name,
      outbox: this.#outbox,
      ...work,
      declared: this.#outgoing,
      peers: options.peers ?? (() => undefined),
      clock: options.clock,
      log: options.log,
      confirmed: options.confirmed ?? (async () => undefined),
    })
    const handlers = typeof options.handlers === 'function' ? options.handlers(this.store, work) : options.handlers
    this.#handlers = new Map(handlers.map((handler) => [handler.contract.id, handler]))
    requireAuthority(handlers, options)
    this.#outsiders = new Outsiders({
      handlers: this.#handlers,
      store: this.store,
      links: options.links,
      context: (request) => this.#context(request),
      problemOf: (...of) => this.#problemOf(...of),
      confirmed: options.confirmed ?? (async () => {}),
    })
  }

  async start(): Promise<void> {
    if (this.#state !== 'new') throw new InternalError(`service ${this.name} was started twice`)
    this.#state = 'running'
    await this.#forget()
    await this.#options.onStart?.()
    await this.#deliverer.start()
  }

  async stop(): Promise<void> {
    if (this.#state === 'stopped' || this.#state === 'stopping') return
    this.#state = 'stopping'
    this.#forgetting?.cancel()
    await this.#deliverer.stop()
    await this.#options.onStop?.()
    if (this.#busy) await new Promise<void>((resolve) => this.#idle.push(resolve))
    await this.#commits.flush()
    this.#state = 'stopped'
  }

  handle(request: ServiceRequest): Promise<ServiceReply> {
    if (this.#state !== 'running') return refusal(new Problem('service.unavailable', `${this.name} is ${this.#state}`))
    if (Outsiders.asksAdmission(request)) return this.#call(() => this.#outsiders.admit(request), '')
    const handler = this.#handlers.get(request.contract)
    if (!handler) return refusal(new Problem('message.unknown-contract', request.contract.slice(0, 64)))
    if (isOutside(handler)) return this.#call(() => this.#outsiders.answer(handler, request), '')
    if (!isActing(handler)) return this.#call(() => this.#answer(handler, request), request.caller.device)
    if (!request.act)
      return refusal(new Problem('message.invalid', `${request.contract} is an act and needs its place in a stream`))
    const full = () => new Problem('service.busy', 'too many acts wait')
    const place = this.#places.reserve('device', request.caller.device, 1, full)
    if (place instanceof Problem) return refusal(place)
    let ahead: Promise<Checked | undefined> | undefined
    try {
      ahead = checkAhead(handler.contract, request.body, this.#options.signers)
    } catch (error) {
      place.release()
      return refusal(isProblem(error) ? error : new Problem('internal'))
    }
    return new Promise((resolve) => {
      const waiting: WaitingAct = { request, handler, place, ready: !ahead, resolve }
      this.#queue.push(waiting)
      if (!ahead) return this.#askDrain()
      void ahead.then((found) => {
        waiting.found = found
        waiting.ready = true
        this.#askDrain()
      })
    })
  }

  async takeEvents(after: number, limit: number, device?: string): Promise<QueuedEvent[]> {
    return this.#events.take(after, limit, device)
  }

  eventsDone(device: string, ids: readonly Uint8Array[]): Promise<void> {
    return this.#commits.run((sql) => this.#events.done(sql, device, ids))
  }

  onEvents(listener: EventListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** @param who by whom it is counted; '' for those outside the site, whom the listener counts */
  async #call(work: () => Promise<ServiceReply>, who: string): Promise<ServiceReply> {
    const full = () => new Problem('service.busy', 'too many calls under way')
    const place = this.#calls.reserve('device', who, 1, full)
    if (place instanceof Problem) return refusal(place)
    this.counts.calls++
    try {
      return await work()
    } finally {
      place.release()
      this.#tellIdle()
    }
  }

  async #answer(handler: CallingHandler, request: ServiceRequest): Promise<ServiceReply> {
    try {
      return { body: await answerCall(handler, request, this.#context(request), this.#options) }
    } catch (error) {
      return { problem: this.#problemOf(error, request, handler.contract) }
    }
  }

  /**
   * Commits when nothing more comes in at once: what has reached this machine during the last commit takes some turns
   * of the event loop to get here, and one more act in a group costs far less than one more fsync.
   */
  #askDrain(): void {
    if (this.#drainAsked || this.#draining) return
    this.#drainAsked = true
    let before = this.#queue.length
    let turns = 0
    const turn = () => {
      if (this.#queue.length > before && this.#queue.length < this.#limits.actsPerCommit && ++turns < gatherTurns) {
        before = this.#queue.length
        this.#defer(turn)
        return
      }
      this.#drainAsked = false
      this.#draining = true
      void this.#drain().finally(() => {
        this.#draining = false
        if (this.#queue[0]?.ready) this.#askDrain()
        this.#tellIdle()
      })
    }
    this.#defer(turn)
  }

  /** One group: everything that waits and is ready, up to the limit, in one commit. Nothing overtakes what is not ready. */
  async #drain(): Promise<void> {
    const unready = this.#queue.findIndex(({ ready }) => !ready)
    const length = Math.min(this.#limits.actsPerCommit, unready < 0 ? this.#queue.length : unready)
    const group = this.#queue.slice(0, length)
    this.#queue = this.#queue.slice(length)
    for (const { place } of group) place.release()
    if (group.length === 0) return
    let done: { replies: ServiceReply[]; effects: Effects; counts: ActCounts }
    try {
      done = await this.#options.database.transaction((sql) => this.#group(sql, group))
      this.#inbox.settled(true)
      this.counts.acts += done.counts.acts
      this.counts.refused += done.counts.refused
      this.counts.duplicates += done.counts.duplicates
      this.counts.commits++
    } catch (error) {
      // Nothing of the group remains. Every act stays in its device's outbox and comes again.
      this.#inbox.settled(false)
      this.counts.failedCommits++
      this.#fail(group, error)
      return
    }
    this.#whenConfirmed(
      () => {
        for (const [i, { resolve }] of group.entries()) resolve(done.replies[i]!)
        this.#perform(done.effects)
        this.#tellIdle()
      },
      // It may be lost with this centre or not: the inbox knows when it comes again.
      (error) => this.#fail(group, error),
    )
  }

  #fail(group: readonly WaitingAct[], error: unknown): void {
    const problem: ProblemWire = { ...this.#problemOf(error), retry: 'later' }
    for (const { resolve } of group) resolve({ problem })
    this.#tellIdle()
  }

  #whenConfirmed(done: () => void, failed: (error: unknown) => void): void {
    const { confirmed } = this.#options
    if (!confirmed) return done()
    this.#confirming++
    void confirmed()
      .then(
        () => done,
        (error: unknown) => () => failed(error),
      )
      .then((tell) => {
        this.#confirming--
        tell()
      })
  }

  get #busy(): boolean {
    return this.#queue.length > 0 || this.#draining || this.#calls.held('device') > 0 || this.#confirming > 0
  }

  /** The acts of one commit, one after the other. It may be done again, so what it counts and causes is its own. */
  async #group(sql: Transaction, group: readonly WaitingAct[]) {
    this.#inbox.settled(false)
    const effects: Effects = noEffects()
    const counts: ActCounts = { acts: 0, refused: 0, duplicates: 0 }
    const replies: ServiceReply[] = []
    for (const waiting of group) replies.push(await this.#act(sql, waiting, effects, counts))
    return { replies, effects, counts }
  }

  async #act(
    sql: Transaction,
    { request, handler, found }: WaitingAct,
    effects: Effects,
    counts: ActCounts,
  ): Promise<ServiceReply> {
    const { clock } = this.#options
    const device = request.caller.device
    const key = request.act!
    const hash = actHash(request.contract, request.id, request.body)
    const verdict = await this.#inbox.judge(sql, device, key, request.id, hash)
    if (verdict.is === 'gap') return { want: verdict.want, problem: new Problem('act.gap').toWire() }
    if (verdict.is === 'conflict') {
      counts.refused++
      return { problem: new Problem('act.conflict', `act ${key.seq}`).toWire() }
    }
    if (verdict.is === 'duplicate') {
      counts.duplicates++
      return decode(verdict.reply, storedReply) as ServiceReply
    }
    const nowMs = clock.now()
    if (verdict.is === 'moved') {
      counts.duplicates++
      await this.#inbox.record(sql, device, key, request.id, hash, nowMs, verdict.reply)
      return decode(verdict.reply, storedReply) as ServiceReply
    }
    const own: Effects = noEffects()
    let reply: ServiceReply
    try {
      checkSender(handler, request.caller)
      const body = handler.contract.checkRequest(request.body)
      const context = this.#actContext(sql, request, nowMs, own)
      reply = await sql.savepoint(async () => ({
        body: await performAct(handler, body, context, this.#options, found),
      }))
      effects.passing.push(...own.passing)
      effects.afterCommit.push(...own.afterCommit)
      for (const device of own.keptFor) effects.keptFor.add(device)
      for (const service of own.sentTo) effects.sentTo.add(service)
      counts.acts++
    } catch (error) {
      if (error instanceof DatabaseProblem) throw error
      const problem = this.#problemOf(error, request, handler.contract)
      if (isTransient(problem)) return { problem }
      // A refusal is final and advances the stream, or one bad act would hold up all later ones.
      reply = { problem: { ...problem, retry: problem.retry === 'later' ? 'no' : problem.retry } }
      counts.refused++
    }
    await this.#inbox.record(sql, device, key, request.id, hash, nowMs, encode(reply))
    return reply
  }

  async #ownTransaction<T>(work: OwnWork<T>): Promise<T> {
    this.#requireOpen()
    const { result, effects } = await this.#options.database.transaction((sql) => this.#own(sql, work))
    this.counts.commits++
    this.#performConfirmed(effects)
    return result
  }

  async #ownCommit<T>(work: OwnWork<T>): Promise<T> {
    this.#requireOpen()
    const { result, effects } = await this.#commits.run((sql) => this.#own(sql, work))
    this.#performConfirmed(effects)
    return result
  }

  /** Forgets signed acts and offers that have expired, now and again and again. */
  async #forget(): Promise<void> {
    const { database, clock, log } = this.#options
    // First, so that a full disk today does not end it for ever.
    this.#forgetting = clock.timer(forgetMs, () => {
      this.#forget().catch((error) => log.error('old acts could not be forgotten', { error: String(error) }))
    })
    await forgetExpiredActs(database, clock.now())
    await forgetReplies(database, clock.now())
    await this.downloads?.forgetExpired(clock.now())
  }

  #requireOpen(): void {
    if (this.#state === 'stopped') throw new Problem('service.unavailable', `${this.name} is stopped`)
  }

  async #own<T>(sql: Transaction, work: OwnWork<T>): Promise<{ result: T; effects: Effects }> {
    const { clock, random } = this.#options
    const effects: Effects = noEffects()
    return { result: await work(this.#effectContext(sql, clock.now(), hex(random.bytes(16)), effects)), effects }
  }

  #performConfirmed(effects: Effects): void {
    this.#whenConfirmed(
      () => this.#perform(effects),
      (error) => this.#options.log.warn('a commit is not confirmed', { service: this.name, error: String(error) }),
    )
  }

  #perform({ passing, keptFor, sentTo, afterCommit }: Effects): void {
    if (passing.length > 0 || keptFor.size > 0)
      for (const listener of this.#listeners) this.#guard(() => listener(passing, [...keptFor]))
    for (const service of sentTo) this.#deliverer.wake(service)
    for (const work of afterCommit) this.#guard(work)
  }

  /** Work that follows a commit: its failure must not undo what is already durable. */
  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#options.log.error('work after a commit failed', { service: this.name, error: String(error) })
    }
  }

  #context(request: ServiceRequest): Context {
    return {
      caller: request.caller,
      requestId: request.id,
      nowMs: this.#options.clock.now(),
      traceId: hex(request.trace ? request.trace.subarray(0, 16) : request.id),
    }
  }

  #actContext(sql: Transaction, request: ServiceRequest, nowMs: number, effects: Effects): ActContext {
    const traceId = hex(request.trace ? request.trace.subarray(0, 16) : request.id)
    return { ...this.#effectContext(sql, nowMs, traceId, effects), caller: request.caller, requestId: request.id }
  }

  #effectContext(sql: Transaction, nowMs: number, traceId: string, effects: Effects): OwnContext {
    const { random, log } = this.#options
    const own = { name: this.name, events: this.#events, outbox: this.#outbox, outgoing: this.#outgoing }
    return effectContext({ ...own, random, log, offers: this.downloads }, { sql, nowMs, traceId }, effects)
  }

  #problemOf(error: unknown, request?: ServiceRequest, contract?: Contract): ProblemWire {
    if (isProblem(error)) {
      const problem = error.toWire()
      if (contract && !mayAnswer(contract, problem.code)) {
        this.counts.unlisted++
        this.#options.unlisted(contract, problem)
      }
      return problem
    }
    this.#options.log.error('a handler failed', {
      service: this.name,
      contract: request?.contract,
      device: request?.caller.device,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
    return new Problem('internal').toWire()
  }

  #tellIdle(): void {
    if (this.#busy) return
    const idle = this.#idle
    this.#idle = []
    for (const resolve of idle) resolve()
  }
}

/** Stored replies were checked when they were made; only their size is bounded again. */
const storedReply = { maxBytes: 1 << 20 }

async function refusal(problem: Problem): Promise<ServiceReply> {
  return { problem: problem.toWire() }
}
