/**
 * What may be held at once: bytes, connections, calls, reservations. Each kind of identity has a pool of its own, so that
 * strangers can never use up what enrolled devices need, and within it nobody holds more than a share.
 *
 * A reservation is made before anything is waited for. Checking first and counting after an `await` lets everybody
 * through who asks in the meantime.
 */
import { Problem } from '@azukari/protocol/problem'

/** Whose use is counted. */
export type Kind = 'device' | 'claimant' | 'stranger' | 'reader' | 'operator' | 'service' | 'shop' | 'link'

export interface Share {
  /** What all of one kind may hold together. */
  all: number
  /** What one of them may hold; not applied to a holder without a name (''). */
  each: number
  /**
   * Nobody may hold more than is then left for the others: one may have half of the pool, two a third each. However
   * many conspire, there is always room for one more.
   */
  fair?: boolean
}

export type Shares = Partial<Record<Kind, Share>>

/** Why nothing was taken: the holder's own share is used up, or everybody's. */
export interface Refusal {
  refused: 'each' | 'all'
  held: number
  limit: number
}

/** One line of the metrics. */
export interface BudgetReport {
  budget: string
  kind: Kind
  held: number
  limit: number
  /** Names that hold something. */
  holders: number
  /** Since the start. */
  refused: number
}

interface KindState {
  share: Share
  held: number
  refused: number
  by: Map<string, number>
}

/** Something that is held until it is given back; giving it back twice changes nothing. */
export class Reservation {
  readonly amount: number
  #giveBack: (() => void) | undefined

  constructor(amount: number, giveBack: () => void) {
    this.amount = amount
    this.#giveBack = giveBack
  }

  release(): void {
    const giveBack = this.#giveBack
    this.#giveBack = undefined
    giveBack?.()
  }

  [Symbol.dispose](): void {
    this.release()
  }
}

export class Pool {
  readonly name: string
  readonly #kinds = new Map<Kind, KindState>()

  constructor(name: string, shares: Shares) {
    this.name = name
    for (const [kind, share] of Object.entries(shares))
      this.#kinds.set(kind as Kind, { share, held: 0, refused: 0, by: new Map() })
  }

  /** Takes at once or says why not. A kind without a share holds nothing. */
  take(kind: Kind, who: string, amount = 1): Reservation | Refusal {
    const state = this.#kinds.get(kind)
    if (!state) return { refused: 'all', held: 0, limit: 0 }
    const refusal = judge(state.share, state.held, who === '' ? undefined : (state.by.get(who) ?? 0), amount)
    if (refusal) {
      state.refused++
      return refusal
    }
    return this.#hold(state, who, amount)
  }

  /** Takes, or says what to tell who asked: `quota.exceeded` for the holder's own share, else what `full` makes. */
  reserve(kind: Kind, who: string, amount: number, full: () => Problem): Reservation | Problem {
    const taken = this.take(kind, who, amount)
    if (taken instanceof Reservation) return taken
    return taken.refused === 'each' ? quotaExceeded(this.name, taken) : full()
  }

  /** Counts what is held already, such as what a disk held at the start, whatever the limits say now. */
  adopt(kind: Kind, who: string, amount: number): Reservation {
    const state = this.#kinds.get(kind)
    return state ? this.#hold(state, who, amount) : new Reservation(amount, () => undefined)
  }

  held(kind: Kind, who?: string): number {
    const state = this.#kinds.get(kind)
    return (who === undefined ? state?.held : state?.by.get(who)) ?? 0
  }

  report(): BudgetReport[] {
    return [...this.#kinds].map(([kind, { share, held, by, refused }]) => ({
      budget: this.name,
      kind,
      held,
      limit: share.all,
      holders: by.size,
      refused,
    }))
  }

  #hold(state: KindState, who: string, amount: number): Reservation {
    state.held += amount
    state.by.set(who, (state.by.get(who) ?? 0) + amount)
    return new Reservation(amount, () => {
      state.held -= amount
      const rest = (state.by.get(who) ?? 0) - amount
      // Names of holders come from outside: one that holds nothing leaves nothing behind.
      if (rest > 0) state.by.set(who, rest)
      else state.by.delete(who)
    })
  }
}

/** Whether `amount` more fits. @param own what this holder has; undefined for one without a name */
export function judge(share: Share, held: number, own: number | undefined, amount: number): Refusal | undefined {
  const left = share.all - held - amount
  if (own !== undefined && own + amount > share.each) return { refused: 'each', held: own, limit: share.each }
  if (left < 0) return { refused: 'all', held, limit: share.all }
  if (share.fair && own !== undefined && own + amount > left)
    return { refused: 'each', held: own, limit: left + amount }
  return undefined
}

export function quotaExceeded(budget: string, { held, limit }: Pick<Refusal, 'held' | 'limit'>): Problem {
  return new Problem('quota.exceeded', `${budget}: ${held} of ${limit} in use`)
}
