/**
 * How often something may happen: token buckets, one per identity. Time is a value here, so that the same rule runs in
 * tests and in the simulation.
 */
import type { BudgetReport, Kind } from './pool.ts'

export interface RateLimit {
  perSecond: number
  /** What may come at once after a pause. */
  burst: number
}

export type RateLimits = Partial<Record<Kind, RateLimit>>

/** One bucket. */
export class Bucket {
  readonly #limit: RateLimit
  readonly #refused: () => void
  #tokens: number
  #atMs: number

  /** @param refused told of each that comes too early */
  constructor(limit: RateLimit, nowMs: number, refused: () => void = () => undefined) {
    this.#limit = limit
    this.#refused = refused
    this.#tokens = limit.burst
    this.#atMs = nowMs
  }

  /** Takes tokens, or says in how many ms there will be enough and takes none. More than a burst never come at once. */
  take(nowMs: number, amount = 1): number {
    this.#fill(nowMs)
    const waitMs = this.waitMs(nowMs, amount)
    if (waitMs > 0) this.#refused()
    else this.#tokens -= amount
    return waitMs
  }

  /** In how many ms there will be enough, taking none. */
  waitMs(nowMs: number, amount = 1): number {
    this.#fill(nowMs)
    return this.#tokens >= amount
      ? 0
      : Math.max(1, Math.ceil(((amount - this.#tokens) / this.#limit.perSecond) * 1_000))
  }

  /** Takes a token in any case; returns how long whoever took it must wait before the next, ms. */
  spend(nowMs: number): number {
    this.#fill(nowMs)
    this.#tokens--
    if (this.#tokens >= 0) return 0
    this.#refused()
    return Math.ceil((-this.#tokens / this.#limit.perSecond) * 1_000)
  }

  /** Whether it is as good as new, so that it may be forgotten. */
  isFull(nowMs: number): boolean {
    this.#fill(nowMs)
    return this.#tokens >= this.#limit.burst
  }

  #fill(nowMs: number): void {
    const { perSecond, burst } = this.#limit
    this.#tokens = Math.min(burst, this.#tokens + (Math.max(0, nowMs - this.#atMs) / 1_000) * perSecond)
    this.#atMs = nowMs
  }
}

interface KindState {
  limit: RateLimit
  refused: number
  by: Map<string, Bucket>
  /** For those whose name finds no place: they share one bucket, so that many names buy nothing. */
  rest: Bucket | undefined
  sweptMs: number
}

/** Names that are remembered per kind. */
const namesMax = 20_000
const sweepMs = 1_000

/** Buckets by identity. A kind without a limit is not limited. */
export class Rate {
  readonly name: string
  readonly #namesMax: number
  readonly #kinds = new Map<Kind, KindState>()

  constructor(name: string, limits: RateLimits, names = namesMax) {
    this.name = name
    this.#namesMax = names
    for (const [kind, limit] of Object.entries(limits))
      this.#kinds.set(kind as Kind, {
        limit,
        refused: 0,
        by: new Map(),
        rest: undefined,
        sweptMs: Number.NEGATIVE_INFINITY,
      })
  }

  /** Counts so many more; 0 when it may happen, else in how many ms it may. */
  take(kind: Kind, who: string, nowMs: number, amount = 1): number {
    const state = this.#kinds.get(kind)
    return state ? this.#bucketOf(state, who, nowMs).take(nowMs, amount) : 0
  }

  /** In how many ms one more may happen; 0 = now. Counts nothing. */
  waitMs(kind: Kind, who: string, nowMs: number): number {
    return this.#kinds.get(kind)?.by.get(who)?.waitMs(nowMs) ?? 0
  }

  /** A bucket that its holder keeps, for what is counted very often; undefined for a kind without a limit. */
  bucket(kind: Kind, nowMs: number): Bucket | undefined {
    const state = this.#kinds.get(kind)
    return state && new Bucket(state.limit, nowMs, () => state.refused++)
  }

  report(): BudgetReport[] {
    return [...this.#kinds].map(([kind, { limit, by, refused }]) => ({
      budget: this.name,
      kind,
      held: 0,
      limit: limit.perSecond,
      holders: by.size,
      refused,
    }))
  }

  #bucketOf(state: KindState, who: string, nowMs: number): Bucket {
    const known = state.by.get(who)
    if (known) return known
    // Not at every call, or a flood of names would make each of them dear.
    if (state.by.size >= this.#namesMax && nowMs - state.sweptMs >= sweepMs) {
      state.sweptMs = nowMs
      for (const [name, bucket] of state.by) if (bucket.isFull(nowMs)) state.by.delete(name)
    }
    const bucket = new Bucket(state.limit, nowMs, () => state.refused++)
    if (state.by.size < this.#namesMax) state.by.set(who, bucket)
    else state.rest ??= bucket
    return state.by.get(who) ?? state.rest ?? bucket
  }
}
