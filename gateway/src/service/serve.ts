/** What a service of its own process answers to the gateway (D4): requests, events, and that events are done. */
import { eventsDone, handleRequest, takeEvents } from '@azukari/protocol/contracts/internal'
import type { Clock } from '@azukari/protocol/ports'
import { answers, type CallHandler, gatewayName } from '../transport/server.ts'
import type { QueuedEvent, Service, ServiceRequest } from './service.ts'

/** Passing events held for the gateway's next question. They are worth nothing later, so the oldest go. */
const passingAtMost = 1_024

/** The rows that a service process adds to its call server. */
export function serviceHandlers(service: Service, clock: Clock): CallHandler[] {
  let passing: QueuedEvent[] = []
  let news = Promise.withResolvers<void>()
  service.onEvents((events) => {
    passing = [...passing, ...events].slice(-passingAtMost)
    news.resolve()
    news = Promise.withResolvers()
  })
  const callers = [gatewayName]
  return [
    answers(handleRequest, callers, async ({ caller, contract, id, atMs, stream, seq, trace, body }) => {
      const request: ServiceRequest = { caller, contract, id, atMs, body }
      if (stream !== undefined && seq !== undefined) request.act = { stream, seq }
      if (trace !== undefined) request.trace = trace
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
  ]
}
