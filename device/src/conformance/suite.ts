/**
 * Conformance suites: what every driver of a contract must do, run on the simulated part and on real ones alike. A suite
 * gets a factory and, as far as the part can be worked from outside, stimuli; what cannot be provoked is left out.
 */
import { isProblem, Problem, type ProblemCode } from '@azukari/protocol/problem'
import type { Test } from 'tap'
import { type PartKind, partProblemCodes } from '../drivers.ts'

/** tap's `t`. */
export type Checks = Test

/** Longest that a conforming part may take in a suite. */
const suiteLimitMs = 30_000

export function limit(): AbortSignal {
  return AbortSignal.timeout(suiteLimitMs)
}

/** An aborted signal, and the reason it carries. */
export function aborted(): { signal: AbortSignal; reason: Error } {
  const reason = new Error('the person left')
  return { signal: AbortSignal.abort(reason), reason }
}

/** Checks that work fails with a problem that a part of this kind may have, and with that code when one is given. */
export async function fails(
  t: Checks,
  part: PartKind,
  work: Promise<unknown>,
  code?: ProblemCode,
  more: readonly ProblemCode[] = [],
): Promise<void> {
  const error = await caught(work)
  t.ok(error instanceof Problem, `fails with a problem, not ${String(error)}`)
  if (!isProblem(error)) return
  t.ok(
    partProblemCodes(part).has(error.code) || more.includes(error.code),
    `${error.code} is a problem that a ${part} may have`,
  )
  if (code) t.equal(error.code, code)
}

/** What work throws; undefined when it succeeds. */
export async function caught(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
    return undefined
  } catch (error) {
    return error ?? new Error('thrown without a reason')
  }
}
