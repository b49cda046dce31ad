/**
 * What happens when something is answered with a problem that its contract does not list (ARCHITECTURE §3): whoever
 * reads the contract does not expect it, so it is a fault of ours. Tests fail by it; production logs and counts it, and
 * the answer goes out as it is, for a problem that nobody listed still says more than `internal`.
 */
import { mayAnswer } from '@azukari/protocol/common-problems'
import type { Contract } from '@azukari/protocol/contract'
import type { Log } from '@azukari/protocol/ports'
import { InternalError, type ProblemWire } from '@azukari/protocol/problem'

/** Hears of a problem that the contract does not list. */
export type Unlisted = (contract: Contract, problem: ProblemWire) => void

/** Tells `unlisted` of the problem when the contract does not list it. */
export function checkListed(contract: Contract, problem: ProblemWire, unlisted: Unlisted): void {
  if (!mayAnswer(contract, problem.code)) unlisted(contract, problem)
}

/** For production: each contract and code is logged once and counted always, so that a flood of them is one line. */
export function logUnlisted(log: Log, counts: Record<string, number> = {}): Unlisted {
  return ({ id }, { code, detail }) => {
    const answer = `${id} ${code}`
    counts[answer] = (counts[answer] ?? 0) + 1
    if (counts[answer] === 1) log.error('a contract does not list its problem', { contract: id, code, detail })
  }
}

/**
 * For tests: fails whichever runs. Thrown outside the handler's own way, where a host that turns every failure into an
 * answer would hide it.
 */
export const throwUnlisted: Unlisted = ({ id }, { code, detail }) => {
  const error = new InternalError(`${id} does not list the problem ${code} (${detail ?? 'no detail'})`)
  queueMicrotask(() => {
    throw error
  })
}
