/** What follows from another service's answer to an act (ARCHITECTURE §5): decisions alone. */
import { InternalError, Problem, type ProblemWire } from '@azukari/protocol/problem'
import type { OutgoingAct, ServiceReply } from './service.ts'

export type Delivery =
  /** Done; the act leaves the outbox. */
  | { is: 'done'; body: unknown }
  /** The other service's final word; the act leaves the outbox. */
  | { is: 'refused'; problem: Problem }
  /** It stays the first, and goes again later. */
  | { is: 'later'; problem: Problem }
  /** One of the two databases is older than the other remembers: what waits goes under a new stream. */
  | { is: 'new-stream'; problem: Problem }

export function judgeReply({ problem, body }: ServiceReply): Delivery {
  if (!problem) return { is: 'done', body }
  const read = readProblem(problem)
  const code: string = read.code
  if (code === 'act.gap' || code === 'act.conflict') return { is: 'new-stream', problem: read }
  // An older release that does not know the contract yet has not counted the act.
  if (read.retry === 'later' || code === 'message.unknown-contract') return { is: 'later', problem: read }
  return { is: 'refused', problem: read }
}

/** What crossed the wire as unknown. */
function readProblem(wire: Partial<ProblemWire>): Problem {
  if (typeof wire.code !== 'string') return new Problem('internal', 'an answer without a code')
  return Problem.fromWire({
    code: wire.code,
    retry: typeof wire.retry === 'string' ? wire.retry : 'later',
    ...(typeof wire.detail === 'string' && { detail: wire.detail }),
  })
}

const firstPauseMs = 1_000
const maxPauseMs = 60_000

/** How long to wait after so many failures in a row, the first of which is 1. */
export function pauseMs(failures: number): number {
  return Math.min(maxPauseMs, firstPauseMs * 2 ** Math.min(failures - 1, 16))
}

/** What a service declares, by contract. @throws {InternalError} */
export function declared(own: string, acts: readonly OutgoingAct[]): ReadonlyMap<string, OutgoingAct> {
  for (const { contract } of acts) {
    if (contract.kind !== 'act') throw new InternalError(`${own} sends ${contract.id}, which is no act`)
    if (contract.service === own) throw new InternalError(`${own} sends ${contract.id} to itself`)
  }
  return new Map(acts.map((act) => [act.contract.id, act]))
}
