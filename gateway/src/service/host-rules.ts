/** What a service host goes by: its limits, what it counts, and rules about acts that need no state. */
import { Problem, type ProblemWire } from '@azukari/protocol/problem'
import type { ActingHandler } from './judged.ts'
import { type Caller, callingService } from './service.ts'

export interface HostLimits {
  /** Acts that may wait; beyond it new ones are answered `service.busy`, beyond one device's `quota.exceeded`. */
  queuedActs: number
  deviceQueuedActs: number
  /** Acts in one commit. */
  actsPerCommit: number
  /** Calls under way at once; beyond it `service.busy`, beyond one device's `quota.exceeded`. */
  calls: number
  deviceCalls: number
  /** Acts that may wait for one other service; beyond it `send` throws `service.busy`. */
  outboxRows: number
}

export const hostLimits: HostLimits = {
  queuedActs: 4_096,
  deviceQueuedActs: 1_024,
  actsPerCommit: 512,
  calls: 512,
  deviceCalls: 128,
  outboxRows: 10_000,
}

export interface HostCounts {
  acts: number
  refused: number
  duplicates: number
  commits: number
  failedCommits: number
  calls: number
  /** Answers with a problem that their contract does not list. */
  unlisted: number
}

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
