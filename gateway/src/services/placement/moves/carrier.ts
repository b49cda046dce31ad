/**
 * One move carried out (S9): whether it is still due and how is decided again as it begins (`turn.ts`), then it is copied or
 * sealed anew. What fails waits, longer each time, and a target that failed a few times is left out for that move.
 */
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Registry } from '../members/registry.ts'
import type { Candidate } from '../saves/choose.ts'
import { buckets, noteStrays } from './buckets.ts'
import { copy } from './copy.ts'
import type { BucketReason, DecideRules } from './decide.ts'
import { cancelMaking, ReplaceFailure, type ReplaceOrder, type ReplacePorts, standingOf } from './making.ts'
import { moves } from './queue.ts'
import { reseal } from './reseal.ts'
import { making } from './store.ts'
import type { MoveCause, MovesTable } from './tables.ts'
import { type Turn, turnOf } from './turn.ts'

export interface CarrierPorts extends ReplacePorts {
  registry: Pick<Registry, 'candidates'>
  rules: DecideRules
}

/** Of moves; all since the start. */
export interface CarrierCounts {
  moved: number
  movedBytes: number
  resealed: number
  cancelled: number
  failures: number
}

/** Longest wait of a move that could not be made, ms. */
const waitAtMostMs = 300_000
/** How often a target is tried before another one is looked for. */
const triesOfTarget = 3
const nowhereApartMs = 600_000

export class Carrier {
  readonly #o: CarrierPorts
  readonly #counts: CarrierCounts
  readonly #signal: AbortSignal
  /** Targets that failed, by move: how often. */
  readonly #failed = new Map<string, Map<string, number>>()
  #nowhereMs = Number.NEGATIVE_INFINITY

  /** @param counts where it counts what it did */
  constructor(ports: CarrierPorts, counts: CarrierCounts, signal: AbortSignal) {
    this.#o = ports
    this.#counts = counts
    this.#signal = signal
  }

  /** Carries a move out, if it is still due; what fails is tried again later. Never rejects for a problem of the move's own. */
  async take(move: MovesTable, candidates: readonly Candidate[]): Promise<void> {
    const { store, log } = this.#o
    const name = `${keyOf(move.object)}.${move.version}.${move.slot}`
    try {
      const turn = await this.#turn(move, candidates, name)
      if (turn.do === 'nothing') {
        if (!(await cancelMaking(store, move))) return
        this.#counts.cancelled++
        this.#failed.delete(name)
        await store.transaction(({ sql }) => moves.drop(sql, move))
        return
      }
      if (turn.do === 'wait') return this.#postpone(move, 5_000, null)
      if (turn.do === 'stay') {
        // Targets that failed may be well again by the next turn.
        this.#failed.delete(name)
        throw new Problem('placement.no-server', `slot ${move.slot} stays on ${move.source}`)
      }
      await this.#carryOut(move, turn)
      this.#failed.delete(name)
    } catch (error) {
      if (this.#signal.aborted) return
      this.#counts.failures++
      const problem = error instanceof ReplaceFailure ? error.problem : error
      if (error instanceof ReplaceFailure && error.at === 'target') this.#penalise(name, error.server)
      if (isProblem(problem, 'object.unknown')) {
        await cancelMaking(store, move)
        await store.transaction(({ sql }) => moves.drop(sql, move))
        return
      }
      if (!isProblem(problem))
        log.error('a move failed', { move: name, error: String((problem as Error)?.stack ?? problem) })
      else if (isProblem(problem, 'placement.no-server')) this.#sayNowhere(move)
      const code = isProblem(problem) ? problem.code : 'internal'
      await this.#postpone(move, Math.min(waitAtMostMs, 1_000 * 2 ** Math.min(9, move.tries)), code)
    }
  }

  /** Once for many. */
  #sayNowhere({ source, cause }: MovesTable): void {
    const nowMs = this.#o.clock.monotonicMs()
    if (nowMs - this.#nowhereMs < nowhereApartMs) return
    this.#nowhereMs = nowMs
    this.#o.log.error('data has nowhere to go', { code: 'placement.no-server', server: source, cause })
  }

  async #postpone(move: MovesTable, ms: number, problem: string | null): Promise<void> {
    const { store, clock } = this.#o
    await store.transaction(({ sql }) =>
      moves.postpone(sql, move, clock.now() + ms, move.tries + (problem ? 1 : 0), problem),
    )
  }

  /** A target that failed a few times is left out for this move. */
  #penalise(name: string, server: string): void {
    const failed = this.#failed.get(name) ?? new Map<string, number>()
    failed.set(server, (failed.get(server) ?? 0) + 1)
    this.#failed.set(name, failed)
    // Bounded: what is forgotten is only tried a little more often.
    if (this.#failed.size > 1_000) this.#failed.delete(this.#failed.keys().next().value!)
  }

  async #turn(move: MovesTable, candidates: readonly Candidate[], name: string): Promise<Turn> {
    const { store, rules } = this.#o
    const { sql } = store
    const { row, old, other } = await standingOf(sql, move)
    const bucket = row.class === 0 ? undefined : await buckets.at(sql, row.class, row.place)
    const of = bucket && (await buckets.classOf(sql, bucket.class))
    const under = await making.of(sql, move)
    if (!bucket || !of) return { do: 'wait' }
    const failed = this.#failed.get(name) ?? new Map<string, number>()
    const avoid = new Set([...failed].filter(([, times]) => times >= triesOfTarget).map(([server]) => server))
    const { one, two } = bucket
    const leaves = JSON.parse(bucket.leaves) as string[]
    return turnOf({ move, own: old, other, class: of, one, two, leaves, making: under, candidates, avoid, rules })
  }

  async #carryOut(move: MovesTable, turn: Turn & { do: 'copy' | 'reseal' }): Promise<void> {
    const ports = this.#o
    const order: ReplaceOrder = {
      object: move.object,
      version: move.version,
      slot: move.slot,
      to: turn.to,
      cause: move.cause,
      reason: await this.#reasonOf(move, turn.to),
    }
    let resealed = turn.do === 'reseal'
    try {
      await (resealed ? reseal : copy)(ports, order, this.#signal)
    } catch (error) {
      // What cannot be copied is made anew from the other slot.
      if (!(error instanceof ReplaceFailure && error.at === 'source' && turn.otherwise)) throw error
      resealed = true
      await reseal(ports, order, this.#signal)
    }
    this.#counts.moved++
    this.#counts.movedBytes += move.sealed
    if (resealed) this.#counts.resealed++
    await this.#noteElsewhere(move, turn.to)
  }

  /** What ended elsewhere than assigned is watched there. */
  async #noteElsewhere(move: MovesTable, to: string): Promise<void> {
    const { store } = this.#o
    await store.transaction(async ({ sql }) => {
      const { row, old, other } = await standingOf(sql, move)
      const bucket = row.class === 0 ? undefined : await buckets.at(sql, row.class, row.place)
      if (bucket && to !== (move.slot === 1 ? bucket.one : bucket.two)) await noteStrays(sql, bucket, [old, other])
    })
  }

  /** For the member: why it was moved, and what is better now. */
  async #reasonOf(move: MovesTable, to: string): Promise<string> {
    const candidate = (await this.#o.registry.candidates()).find(({ server }) => server === to)
    const { from, ...rest } = JSON.parse(move.reason || '{}') as Partial<BucketReason>
    return JSON.stringify({
      cause: move.cause satisfies MoveCause,
      risk: candidate?.risk.value,
      ...(rest.jointLoss !== undefined && { jointLoss: rest.jointLoss, apartKm: rest.apartKm }),
      from: from?.find(({ server }) => server === move.source) ?? { server: move.source },
      atMs: this.#o.clock.now(),
    })
  }
}

/** An object's key in maps. */
export function keyOf(object: Uint8Array): string {
  return Buffer.from(object.buffer, object.byteOffset, object.byteLength).toString('hex')
}
