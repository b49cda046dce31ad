/** Carries acts from the outbox to other services: one loop for each of them, so that none waits for another. */
import type { ServiceName } from '@azukari/protocol/contract'
import type { Clock, Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Duty } from '../storage/database.ts'
import { judgeReply, pauseMs } from './delivery.ts'
import type { Outbox, WaitingAct } from './outbox.ts'
import { PeriodicWorker } from './periodic-worker.ts'
import { type OutgoingAct, type Service, type ServiceReply, type ServiceStore, serviceCaller } from './service.ts'

/** Where another service is reached, in process or apart; undefined while it is not. */
export type Peers = (service: string) => Pick<Service, 'handle'> | undefined

export interface DelivererOptions {
  name: ServiceName
  outbox: Outbox
  /** Of slow work. */
  store: ServiceStore
  duty: Duty
  declared: ReadonlyMap<string, OutgoingAct>
  peers: Peers
  clock: Clock
  log: Log
  /** What is committed may be lost until then. */
  confirmed: () => Promise<void>
}

/** When an empty outbox is looked at again, though nothing woke its loop: another process may have written. */
const idleMs = 20_000

export class Deliverer {
  readonly #o: DelivererOptions
  readonly #loops = new Map<string, PeriodicWorker>()
  /** Deliveries that failed in a row. */
  readonly #failures = new Map<string, number>()
  #stopped = false

  constructor(options: DelivererOptions) {
    this.#o = options
  }

  /** Goes on with what waits. */
  async start(): Promise<void> {
    const { declared, outbox, store } = this.#o
    const services = [...declared.values()].map(({ contract }) => contract.service as string)
    for (const service of new Set([...services, ...(await outbox.waiting(store.sql))])) this.#loop(service)
  }

  /** What is under way stays in the outbox. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all([...this.#loops.values()].map((loop) => loop.stop()))
  }

  /** Something was committed for this service. */
  wake(service: string): void {
    if (!this.#stopped) this.#loops.get(service)?.wake()
  }

  #loop(service: string): void {
    const { name, clock, log, duty } = this.#o
    const loop: PeriodicWorker = new PeriodicWorker({
      name: `${name} delivers to ${service}`,
      clock,
      log,
      idleMs: pauseMs(1),
      duty,
      round: () => this.#round(service, loop.signal),
    })
    this.#loops.set(service, loop)
    loop.start()
  }

  /** Delivers until nothing waits or something has to be waited for. @returns when to look again, ms */
  async #round(service: string, signal: AbortSignal): Promise<number> {
    const { outbox, store, confirmed, log, name } = this.#o
    while (!signal.aborted) {
      const next = await outbox.first(store.sql, service)
      if (!next) return idleMs
      await untilAborted(confirmed(), signal)
      const reply = await untilAborted(this.#ask(service, next), signal)
      const delivery = judgeReply(reply)
      if (delivery.is === 'done') {
        await this.#done(service, next, delivery.body)
        this.#failures.delete(service)
      } else if (delivery.is === 'refused') {
        const { problem } = delivery
        log.warn('another service refused an act', {
          service: name,
          to: service,
          contract: next.contract,
          ...of(problem),
        })
        await this.#refused(service, next, problem)
        this.#failures.delete(service)
      } else {
        const failures = (this.#failures.get(service) ?? 0) + 1
        this.#failures.set(service, failures)
        if (delivery.is === 'new-stream') {
          log.warn('acts for another service go under a new stream', {
            service: name,
            to: service,
            ...of(delivery.problem),
          })
          await store.commit(({ sql }) => outbox.restart(sql, service, next.stream))
          // At once, unless the new stream meets the same.
          if (failures === 1) continue
        } else if (failures === 1)
          log.warn('acts for another service wait', { service: name, to: service, ...of(delivery.problem) })
        return this.#pause(pauseMs(failures), signal)
      }
    }
    return idleMs
  }

  /** Not to be cut short by what is written meanwhile. */
  async #pause(ms: number, signal: AbortSignal): Promise<number> {
    await this.#o.clock.sleep(ms, signal).catch(() => undefined)
    return 1
  }

  async #ask(service: string, { stream, seq, act, contract, atMs, trace, body }: WaitingAct): Promise<ServiceReply> {
    const { peers, name, log } = this.#o
    const peer = peers(service)
    if (!peer) return { problem: new Problem('service.unavailable', service).toWire() }
    try {
      const key = { stream, seq }
      return await peer.handle({ caller: serviceCaller(name), contract, id: act, atMs, act: key, trace, body })
    } catch (error) {
      log.error('another service could not be asked', { service: name, to: service, error: String(error) })
      return { problem: new Problem('service.unavailable', service).toWire() }
    }
  }

  #done(service: string, sent: WaitingAct, body: unknown): Promise<void> {
    const { outbox, store, declared } = this.#o
    const outgoing = declared.get(sent.contract)
    const reply = outgoing ? outgoing.contract.checkReply(body ?? {}) : body
    return store.commit(async (context) => {
      if (await outbox.remove(context.sql, service, sent)) await outgoing?.onReply?.(reply, context, sent.body)
    })
  }

  #refused(service: string, sent: WaitingAct, problem: Problem): Promise<void> {
    const { outbox, store, declared } = this.#o
    return store.commit(async (context) => {
      if (await outbox.remove(context.sql, service, sent))
        await declared.get(sent.contract)?.onRefused?.(problem, context, sent.body)
    })
  }
}

function of({ code, detail }: Problem): Record<string, unknown> {
  return { code, ...(detail !== undefined && { detail }) }
}

/** @throws {Problem} the signal's, when it is aborted first: the loop ends, and the act stays */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
