/** A service in a process of its own, as the gateway sees it (D4, ARCHITECTURE §12): the same interface, over HTTP/2. */
import type { Contract, RequestOf, ServiceName } from '@azukari/protocol/contract'
import {
  downloadBlocksAtOnce,
  downloadEnded,
  eventsDone,
  handleRequest,
  readDownload,
  takeEvents,
} from '@azukari/protocol/contracts/internal'
import type { Clock, Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Caller } from '../transport/spread-client.ts'
import type { Downloads, EventListener, QueuedEvent, Service, ServiceReply, ServiceRequest } from './service.ts'

export interface RemoteServiceOptions {
  name: ServiceName
  /** Asks whichever of its processes answers, for one device always the same. */
  client: Caller
  /** Each of its processes, where there are several: what is not kept is known only where it arose. */
  each?: readonly Pick<Caller, 'call'>[]
  clock: Clock
  log: Log
}

const pollMs = 20_000
const pollLimit = 256
const retryMs = 1_000
/** Longer than anything that a handler may take. */
const handleIdleMs = 60_000

export function remoteService(options: RemoteServiceOptions): Service {
  return new RemoteService(options)
}

class RemoteService implements Service {
  readonly name: ServiceName
  readonly #options: RemoteServiceOptions
  readonly #listeners = new Set<EventListener>()
  readonly #stop = new AbortController()
  #polling: Promise<unknown> | undefined
  #underWay = 0
  #idle: (() => void)[] = []

  constructor(options: RemoteServiceOptions) {
    this.name = options.name
    this.#options = options
  }

  async start(): Promise<void> {
    const { client, each = [client] } = this.#options
    this.#polling = Promise.all(each.map((one) => this.#poll(one)))
  }

  async stop(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
    this.#stop.abort(new Problem('service.unavailable', 'the gateway stops'))
    await this.#polling
    await this.#options.client.close()
  }

  async handle({ act, ...request }: ServiceRequest): Promise<ServiceReply> {
    this.#underWay++
    try {
      const { caller, ...rest } = request
      return (await this.#options.client.call(
        handleRequest,
        { ...rest, caller: { ...caller, roles: [...caller.roles] }, ...(act && { stream: act.stream, seq: act.seq }) },
        { idleMs: handleIdleMs, key: caller.device },
      )) as ServiceReply
    } catch (error) {
      return { problem: this.#unavailable(error).toWire() }
    } finally {
      if (--this.#underWay === 0) for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  async takeEvents(after: number, limit: number, device?: string): Promise<QueuedEvent[]> {
    const request = { after, limit: Math.min(limit, pollLimit), waitMs: 0, ...(device !== undefined && { device }) }
    return (await this.#ask(this.#options.client.call(takeEvents, request))).events
  }

  async eventsDone(device: string, ids: readonly Uint8Array[]): Promise<void> {
    await this.#ask(this.#options.client.call(eventsDone, { device, ids: [...ids] }))
  }

  readonly downloads: Downloads = {
    read: async (device, transfer, from, count) => {
      const wanted = Math.min(count, downloadBlocksAtOnce)
      const asked = this.#options.client.call(readDownload, { device, transfer, from, count: wanted })
      return (await this.#ask(asked, readDownload)).blocks
    },
    ended: async (device, transfer, problem) => {
      const body: RequestOf<typeof downloadEnded> = { device, transfer }
      if (problem !== undefined) body.problem = problem
      await this.#ask(this.#options.client.call(downloadEnded, body), downloadEnded)
    },
  }

  onEvents(listener: EventListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Asks again and again what is new; what is old a device gets at its birth. */
  async #poll(client: Pick<Caller, 'call'>): Promise<void> {
    const { clock, log } = this.#options
    const { signal } = this.#stop
    let after = 0
    let told = false
    while (!signal.aborted) {
      try {
        const { events } = await client.call(
          takeEvents,
          { after, limit: pollLimit, waitMs: pollMs },
          { signal, idleMs: pollMs + 10_000 },
        )
        if (told) log.info('the service answers again', { service: this.name })
        told = false
        const kept = events.filter((event) => event.keep)
        after = kept.reduce((most, event) => Math.max(most, event.at), after)
        const keptFor = [...new Set(kept.map((event) => event.device))]
        for (const listener of this.#listeners)
          listener(
            events.filter((event) => !event.keep),
            keptFor,
          )
      } catch (error) {
        if (signal.aborted) return
        const isFollower = isProblem(error, 'centre.not-leader')
        if (!told && !isFollower) log.warn('the service does not answer', { service: this.name, error: String(error) })
        told = !isFollower
        // A service that lost its database counts from the start again.
        after = 0
        await clock.sleep(retryMs, signal).catch(() => undefined)
      }
    }
  }

  /** What fails between two processes is no answer that a device's contract lists; what the service itself refuses may be. */
  #ask<T>(answer: Promise<T>, contract?: Contract): Promise<T> {
    return answer.catch((error) => {
      const listed: readonly string[] = contract?.problems ?? []
      throw isProblem(error) && listed.includes(error.code) ? error : this.#unavailable(error)
    })
  }

  /** Whatever went wrong on the way, it can be tried again: nobody knows whether it was done. */
  #unavailable(error: unknown): Problem {
    const detail = isProblem(error) ? error.code : 'internal'
    if (!isProblem(error))
      this.#options.log.error('a service could not be asked', { service: this.name, error: String(error) })
    return new Problem('service.unavailable', `${this.name}: ${detail}`)
  }
}
