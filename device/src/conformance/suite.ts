/**
 * Conformance suites: what every driver of a contract must do, run on the simulated part and on real ones alike. A suite
 * gets a factory and, as far as the part can be worked from outside, stimuli; what cannot be provoked is left out.
 */
import type { Clock } from '@azukari/protocol/ports'
import { isProblem, Problem, type ProblemCode } from '@azukari/protocol/problem'
import { type PartKind, partProblemCodes } from '../drivers.ts'
import { PushedClock } from './pushed-clock.ts'

/** What the suites check with: tap's `t` as it is, that of `node:test` through `nodeChecks`. */
export interface Checks {
  test(title: string, options: object, work: (t: Checks) => Promise<void>): PromiseLike<unknown>
  ok(value: unknown, ...message: [] | [string]): unknown
  equal(found: unknown, wanted: unknown, ...message: [] | [string]): unknown
  same(found: unknown, wanted: unknown, ...message: [] | [string]): unknown
  teardown(undo: () => unknown): unknown
}

/**
 * Makes a driver whose part never answers, on the clock that it is given; undefined where the part cannot be made to: only
 * a real part before a person, and a part that works on nothing but this machine's own files or memory.
 */
export type Stalled<Part> = ((clock: Clock) => Promise<Part>) | undefined

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

/** In real time: a driver that has not ended by then will not. */
const endMs = 5_000
/** The longest that any driver may wait for its part, on its clock. */
const longestLimitMs = 3_600_000
const pushMs = 10_000

/** S17: what waits for a part ends at once when the person leaves, and by itself when the part never answers. */
export async function stalledEnds<P extends { close(): Promise<void> }>(
  t: Checks,
  kind: PartKind,
  make: Stalled<P>,
  work: (part: P, signal: AbortSignal) => Promise<unknown>,
): Promise<void> {
  if (!make) return
  const never = Symbol('never')
  const within = (ended: Promise<unknown>): Promise<unknown> => {
    const { promise, resolve } = Promise.withResolvers<unknown>()
    const timeout = setTimeout(() => resolve(never), endMs)
    return Promise.race([ended, promise]).finally(() => clearTimeout(timeout))
  }
  await t.test(`S17: a ${kind} that never answers is left when the signal says so`, {}, async (t) => {
    const part = await make(new PushedClock())
    const leaving = new AbortController()
    const ended = caught(work(part, leaving.signal))
    // Whatever the driver does first, it is in the middle of it.
    await new Promise((resolve) => setTimeout(resolve, 100))
    const reason = new Error('the person left')
    leaving.abort(reason)
    const error = await within(ended)
    t.ok(error !== never, 'it heeds its AbortSignal while it waits')
    if (error !== never) t.equal(error, reason, 'it throws the signal’s own reason')
    await part.close()
  })
  await t.test(`S17: a ${kind} that never answers is given up after a time`, {}, async (t) => {
    const clock = new PushedClock()
    const part = await make(clock)
    let isEnded = false
    const ended = caught(work(part, new AbortController().signal)).finally(() => {
      isEnded = true
    })
    for (let passedMs = 0; passedMs < longestLimitMs && !isEnded; passedMs += pushMs) {
      clock.push(pushMs)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    const error = await within(ended)
    t.ok(error !== never, 'it has a time limit of its own, on the clock that it is given')
    if (error !== never) await fails(t, kind, Promise.reject(error))
    await part.close()
  })
}
