/** What a service of its own process answers to the gateway (D4): requests, events, and that events are done. */
import type { ServiceName } from '@azukari/protocol/contract'
import {
  downloadEnded,
  eventsDone,
  handleRequest,
  readDownload,
  takeEvents,
} from '@azukari/protocol/contracts/internal'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { answers, type CallHandler, gatewayName } from '../transport/server.ts'
import { callingService, type QueuedEvent, type Service, type ServiceRequest } from './service.ts'

/** Passing events held for the gateway's next question. They are worth nothing later, so the oldest go. */
const maxPassing = 1_024

/**
 * The rows that a service process adds to its call server.
 * @param senders peers that send acts of their own, and the service for which each speaks
 */
export function serviceHandlers(
  service: Service,
  clock: Clock,
  senders: Readonly<Record<string, ServiceName>> = {},
): CallHandler[] {
  let passing: QueuedEvent[] = []
  let news = Promise.withResolvers<void>()
  service.onEvents((events) => {
    passing = [...passing, ...events].slice(-maxPassing)
    news.resolve()
    news = Promise.withResolvers()
  })
  const callers = [gatewayName]
  return [
    answers(handleRequest, [...callers, ...Object.keys(senders)], async (asked, { peer }) => {
      const { caller, contract, id, atMs, stream, seq, trace, token, https, body } = asked
      if (!mayBe(callingService(caller), peer.id, senders))
        throw new Problem('message.unauthorised', `${peer.id} may not call as ${caller.device}`)
      const request: ServiceRequest = { caller, contract, id, atMs, body }
      if (stream !== undefined && seq !== undefined) request.act = { stream, seq }
      if (trace !== undefined) request.trace = trace
      if (token !== undefined) request.token = token
      if (https !== undefined) request.https = https
      return { reply: await service.handle(request) }
    }),
    answers(takeEvents, callers, async ({ after, limit, waitMs, device }, { signal }) => {
      const heard = news.promise
      const events = await service.takeEvents(after, limit, device)
      if (device !== undefined || waitMs === 0) return { reply: { events } }
      if (events.length === 0 && passing.length === 0) {
        const limitReached = Promise.withResolvers<void>()
        using _limit = clock.timer(waitMs, limitReached.resolve)
        signal.addEventListener('abort', () => limitReached.resolve(), { once: true })
        await Promise.race([heard, limitReached.promise])
        events.push(...(await service.takeEvents(after, limit)))
      }
      return { reply: { events: [...events, ...passing.splice(0, limit - events.length)] } }
    }),
    answers(eventsDone, callers, async ({ device, ids }) => {
      await service.eventsDone(device, ids)
      return { reply: {} }
    }),
    answers(readDownload, callers, async ({ device, transfer, from, count }) => {
      if (!service.downloads) throw new Problem('transfer.unknown')
      return { reply: { blocks: await service.downloads.read(device, transfer, from, count) } }
    }),
    answers(downloadEnded, callers, async ({ device, transfer, problem }) => {
      await service.downloads?.ended(device, transfer, problem)
      return { reply: {} }
    }),
  ]
}

/**
 * Whether this peer may name that caller: a service speaks for itself alone, and the gateway for devices and for the
 * services that run inside it.
 */
function mayBe(service: string | undefined, peer: string, senders: Readonly<Record<string, ServiceName>>): boolean {
  if (peer === gatewayName) return service === undefined || Object.values<string>(senders).includes(service)
  return service !== undefined && senders[peer] === service
}
