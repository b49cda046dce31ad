/** What a service host goes by: its limits, what it counts, and rules about acts that need no state. */
import { InternalError, Problem, type ProblemWire } from '@azukari/protocol/problem'
import type { MemberCheck } from './member-tokens.ts'
import { type Caller, callingService, type Handler } from './service.ts'

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
export function checkSender({ contract, senders = [] }: Handler & { kind: 'act' }, caller: Caller): void {
  const service = callingService(caller)
  if (contract.authority === 'service' ? !senders.some((name) => name === service) : service !== undefined)
    throw new Problem('message.unauthorised', `${caller.device} may not send ${contract.id}`)
}

/**
 * That each handler is of the kind that its contract's authority asks for, so that none runs unjudged.
 * @throws {InternalError} where one is not, or members' tokens cannot be judged here
 */
export function requireAuthority(handlers: readonly Handler[], members: MemberCheck | undefined): MemberCheck {
  for (const { contract, kind } of handlers) {
    if ((contract.authority === 'member') !== (kind === 'member-call'))
      throw new InternalError(`${contract.id} needs a handler for the authority ${contract.authority}`)
    if (kind === 'member-call' && !members) throw new InternalError(`${contract.id}: members’ tokens cannot be judged`)
  }
  return members ?? (() => Promise.reject(new InternalError('members’ tokens cannot be judged')))
}

/** The envelope's trace: 16 bytes of trace id, and no parent. */
export function traceOf(traceId: string): Uint8Array {
  const trace = new Uint8Array(24)
  trace.set(Buffer.from(traceId, 'hex'))
  return trace
}
