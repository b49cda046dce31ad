/** What a service host goes by: its limits, what it counts, and rules about acts that need no state. */
import { Problem, type ProblemWire } from '@azukari/protocol/problem'
import type { ActingHandler } from './judged.ts'
import { type Caller, callingService } from './service.ts'

/**
 * Whether an act stays in its outbox and comes again by itself. A member's session that is gone does not come back,
 * though calls about it may be repeated, so for an act it is a refusal.
 */
export function isTransient(problem: ProblemWire): boolean {
  return problem.retry === 'later' && problem.code !== 'session.unknown'
}

/** @throws {Problem} `message.unauthorised` for an act of services that a device sends, or a service that may not */
export function checkSender(handler: ActingHandler, caller: Caller): void {
  const { contract } = handler
  const senders = handler.kind === 'act' ? (handler.senders ?? []) : []
  const service = callingService(caller)
  if (contract.authority === 'service' ? !senders.some((name) => name === service) : service !== undefined)
    throw new Problem('message.unauthorised', `${caller.device} may not send ${contract.id}`)
}

/** The envelope's trace: 16 bytes of trace id, and no parent. */
export function traceOf(traceId: string): Uint8Array {
  const trace = new Uint8Array(24)
  trace.set(Buffer.from(traceId, 'hex'))
  return trace
}
