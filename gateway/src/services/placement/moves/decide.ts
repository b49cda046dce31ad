/**
 * Where each bucket belongs (S5, S9, S16; ARCHITECTURE §7 "Re-place"). Pure, and its cost knows nothing of objects: the
 * members of one level, home region and asking region form a class of 256 buckets, an object's id fixes its bucket, and
 * only buckets are decided on. Levels take their turn from the highest down, each against what those above it leave, so
 * that a lower level never stands in the way of a higher one: it is the lower one that moves.
 *
 * What stands stays as long as it is good enough: not much worse than the best (`keepRatio`), changed no sooner than
 * after `dwellMs`. Only a hazard that is on its way, a server that is gone and room that a higher level needs do not wait.
 */

import { distanceKm } from '../../../geography.ts'
import { jointLoss, type RiskTerm } from '../risk/risk.ts'
import { type Candidate, type ChooseRules, defaultRules, isAllowed, isApart, isSecond } from '../saves/choose.ts'
import { highest, mix, seedOf } from './rendezvous.ts'
import type { MoveCause } from './tables.ts'
import { type Leave, urgencyOf, worst, worstLive } from './urgency.ts'

/** Places of an object within its class: the first two bytes of its id. */
export const placesPerClass = 65_536
/** Buckets that a class begins with. */
export const bucketsPerClass = 256

export interface ClassFacts {
  id: number
  level: number
  home: string
  asking: string
  abroad: boolean
}

export interface Bucket {
  class: number
  place: number
  span: number
  /** Servers of slot 1 and 2; empty before its first object, whose places it takes over. */
  one: string
  two: string
  /** Sealed bytes of one slot. */
  bytes: number
  since: number
  /** Other servers on which some of its objects lie. */
  strays: readonly string[]
  /** Servers that its objects are to leave now. */
  leaves: readonly string[]
  /** Where it belonged before a hazard, while the move from there is under way. */
  before: { one: string; two: string } | undefined
  /** Of the last change. */
  cause: MoveCause
  urgency: number
}

export interface DecideRules extends ChooseRules {
  /** A place stays good while its risk is at most so many times the best one's. */
  keepRatio: number
  /** A better place is not looked for before this, ms. */
  dwellMs: number
  /** Room that a bucket wants in a new place, of what it holds. */
  growth: number
  /** Unanswered calls from which on a server takes no bucket. */
  demeritsMax: number
}

export const defaultDecideRules: DecideRules = {
  ...defaultRules,
  keepRatio: 1.6,
  dwellMs: 86_400_000,
  growth: 1.25,
  demeritsMax: 3,
}

/** What the member may read: `reasons.ts`. */
export interface BucketReason {
  cause: MoveCause
  risk: [number, number]
  jointLoss: number
  apartKm: number
  /** What was left, and its risk then. */
  from?: { server: string; risk: number; peril?: string; hazard?: string; arrivesMs?: number }[]
}

export interface BucketChange {
  bucket: Bucket
  one: string
  two: string
  leaves: string[]
  strays: string[]
  before: Bucket['before']
  since: number
  cause: MoveCause
  /** Probability of loss per hour. */
  urgency: number
  reason: BucketReason
}

export interface Decided {
  changes: BucketChange[]
  /** Buckets that must leave a place and have nowhere to go: `placement.no-server`. */
  stuck: { bucket: Bucket; class: ClassFacts; server: string; cause: MoveCause }[]
  /** Bytes assigned to each server by level, for the tables and for what still fits. */
  assigned: Map<string, number[]>
}

interface Place extends Candidate {
  /** By index into the lists of this decision. */
  at: number
  seed: number
  live: RiskTerm | undefined
}

const levels = [3, 2, 1, 0] as const
/** One copy is left: the hour is late, whatever the other one's risk. */
const urgencyOfLoss = 10
/** Somebody of a higher level waits for the room. */
const urgencyOfRoom = 0.5
/** How far an urgency must rise before what is queued is told. */
const urgencyStep = 1.5

/** Decides anew on every bucket. @param nowMs ms since the epoch */
export function decide(
  candidates: readonly Candidate[],
  classes: readonly ClassFacts[],
  buckets: readonly Bucket[],
  rules: DecideRules,
  nowMs: number,
): Decided {
  return new Decision(candidates, rules, nowMs).run(classes, buckets)
}

class Decision {
  readonly #rules: DecideRules
  readonly #nowMs: number
  /** Ascending by risk. */
  readonly #places: readonly Place[]
  readonly #byId = new Map<string, Place>()
  /** Bytes that levels from this one up have been given. */
  readonly #given: Float64Array
  readonly #byLevel: number[][]
  /** Bytes that all levels together have been given, for what fits at all. */
  readonly #joint = new Map<number, number>()
  readonly #seconds = new Map<string, readonly Place[]>()
  readonly #decided: Decided = { changes: [], stuck: [], assigned: new Map() }

  constructor(candidates: readonly Candidate[], rules: DecideRules, nowMs: number) {
    this.#rules = rules
    this.#nowMs = nowMs
    this.#places = [...candidates]
      .sort((a, b) => a.risk.value - b.risk.value || (a.server < b.server ? -1 : 1))
      .map((candidate, at) => ({
        ...candidate,
        at,
        seed: seedOf(candidate.server),
        live: worstLive(candidate.risk.terms, nowMs),
      }))
    for (const place of this.#places) this.#byId.set(place.server, place)
    this.#given = new Float64Array(this.#places.length)
    this.#byLevel = this.#places.map(() => [0, 0, 0, 0])
  }

  run(classes: readonly ClassFacts[], buckets: readonly Bucket[]): Decided {
    const byId = new Map(classes.map((row) => [row.id, row]))
    for (const level of levels) {
      // In a fixed order: first those that can stay, then those that cannot.
      const seeking: { bucket: Bucket; of: ClassFacts; leave: Map<string, Leave> }[] = []
      for (const bucket of buckets) {
        const of = byId.get(bucket.class)
        if (!of || bucket.one === '' || Math.min(3, Math.max(0, of.level)) !== level) continue
        if (this.#revert(bucket, of)) continue
        const leave = this.#leaves(bucket, of, level)
        if (leave.size === 0) this.#give(bucket.one, bucket.two, bucket.bytes, level)
        else seeking.push({ bucket, of, leave })
      }
      for (const { bucket, of, leave } of seeking) this.#seek(bucket, of, leave, level)
    }
    for (const [at, place] of this.#places.entries()) this.#decided.assigned.set(place.server, this.#byLevel[at]!)
    return this.#decided
  }

  /** The hazard has passed before all were away: those that are not yet stay where they are. */
  #revert(bucket: Bucket, of: ClassFacts): boolean {
    const { before } = bucket
    if (!before || bucket.leaves.length === 0) return false
    const one = this.#byId.get(before.one)
    const two = this.#byId.get(before.two)
    if (!one || !two || one.live || two.live || !this.#isPair(one, two, of)) return false
    const level = Math.min(3, Math.max(0, of.level))
    if (!this.#fits(one, bucket.bytes, level) || !this.#fits(two, bucket.bytes, level)) return false
    this.#give(one.server, two.server, bucket.bytes, level)
    const strays = new Set([...bucket.strays, bucket.one, bucket.two])
    for (const server of [before.one, before.two]) strays.delete(server)
    this.#decided.changes.push({
      bucket,
      ...before,
      leaves: [],
      strays: [...strays],
      before: undefined,
      since: this.#nowMs,
      cause: 'back',
      urgency: 0,
      reason: this.#reason('back', one, two, []),
    })
    return true
  }

  /** Which of its servers a bucket cannot or need not stay on, and how much that hurries. */
  #leaves(bucket: Bucket, of: ClassFacts, level: number): Map<string, Leave> {
    const leave = new Map<string, Leave>()
    const { one, two } = bucket
    const first = this.#byId.get(one)
    const second = this.#byId.get(two)
    for (const server of new Set([one, two, ...bucket.strays, ...bucket.leaves])) {
      const place = this.#byId.get(server)
      const why = this.#whyLeave(place, of, bucket)
      if (why) leave.set(server, why)
      else if (server !== one && server !== two && place && this.#isInTheWay(place, level))
        leave.set(server, { cause: 'rank', urgency: urgencyOfRoom })
    }
    // Where it is assigned also: the region's rules, and room beside the levels above.
    if (second && first && !leave.has(two) && !isSecond(second, first, of, this.#rules))
      leave.set(two, { cause: 'home', urgency: urgencyOf(second, this.#nowMs) })
    for (const place of [first, second]) {
      if (!place || leave.has(place.server) || this.#fits(place, bucket.bytes, level)) continue
      leave.set(place.server, {
        cause: this.#isWantedAbove(place, level) ? 'rank' : 'capacity',
        urgency: urgencyOfRoom,
      })
    }
    return leave
  }

  /** What a level may not fill is filled, and somebody above wants to be there: strays fill it, which are assigned elsewhere. */
  #isInTheWay(place: Place, level: number): boolean {
    return place.usedBytes > place.capacityBytes * (this.#rules.share[level] ?? 0) && this.#isWantedAbove(place, level)
  }

  #isWantedAbove(place: Place, level: number): boolean {
    return this.#byLevel[place.at]!.some((bytes, other) => other > level && bytes > 0)
  }

  #whyLeave(place: Place | undefined, of: ClassFacts, bucket: Bucket): Leave | undefined {
    if (!place || place.closed === 'lost') return { cause: 'lost', urgency: urgencyOfLoss }
    if (place.closed === 'contained') return { cause: 'contained', urgency: urgencyOfLoss }
    if (place.closed === 'draining') return { cause: 'draining', urgency: urgencyOf(place, this.#nowMs) }
    if (!isAllowed(place, of)) return { cause: 'home', urgency: urgencyOf(place, this.#nowMs) }
    // What found no room where its bucket belongs follows as soon as there is some.
    const dwells = place.server === bucket.one || place.server === bucket.two || bucket.cause === 'back'
    if (dwells && !place.live && this.#nowMs - bucket.since < this.#rules.dwellMs) return undefined
    const best = (place.server !== bucket.one && this.#bestSecond(bucket, of)) || this.#bestFirst(of)
    if (best && place.risk.value > best.risk.value * this.#rules.keepRatio)
      return { cause: 'risk', urgency: urgencyOf(place, this.#nowMs) }
    return undefined
  }

  #bestFirst(of: ClassFacts): Place | undefined {
    return this.#places.find((place) => this.#isOpen(place, of))
  }

  #bestSecond(bucket: Bucket, of: ClassFacts): Place | undefined {
    const first = this.#byId.get(bucket.one)
    return first && this.#secondsOf(first, of)[0]
  }

  #isOpen(place: Place, of: ClassFacts): boolean {
    return !place.closed && place.demerits < this.#rules.demeritsMax && isAllowed(place, of)
  }

  #isPair(one: Place, two: Place, of: ClassFacts): boolean {
    return this.#isOpen(one, of) && this.#isOpen(two, of) && isSecond(two, one, of, this.#rules)
  }

  /** Open servers that may be second to a first, ascending by risk. */
  #secondsOf(first: Place, of: ClassFacts): readonly Place[] {
    const key = `${first.at} ${of.level} ${of.home} ${of.asking} ${of.abroad}`
    let seconds = this.#seconds.get(key)
    if (!seconds) {
      seconds = this.#places.filter((place) => this.#isOpen(place, of) && isSecond(place, first, of, this.#rules))
      this.#seconds.set(key, seconds)
    }
    return seconds
  }

  /** New places for the slots that must change; the others stay in theirs. */
  #seek(bucket: Bucket, of: ClassFacts, leave: Map<string, Leave>, level: number): void {
    const wants = bucket.bytes * this.#rules.growth
    const seed = mix(Math.imul(of.id, 0x9e3779b1) ^ bucket.place)
    const stays = (server: string) => (!leave.has(server) ? this.#byId.get(server) : undefined)
    const live = [...leave].find(([server]) => this.#byId.get(server)?.live)
    let pair: [Place, Place] | undefined
    // A slot that would not gain by a move stays, and the other one is looked at alone.
    for (let again = true; again; ) {
      pair = this.#pair(bucket, of, level, wants, seed, stays(bucket.one), stays(bucket.two))
      again = pair !== undefined && this.#keepWorse(bucket, pair, leave)
    }
    // Where there is one safe place and not two, one copy goes there; the other one waits where it is least in danger.
    const half =
      !pair && leave.has(bucket.one) && leave.has(bucket.two)
        ? this.#halfMove(bucket, of, level, wants, seed, leave)
        : undefined
    pair ??= half?.pair
    const moving = new Map([...leave].filter(([server]) => server !== half?.kept))
    if (!pair || !this.#isBetter(bucket, pair, moving)) {
      // Nothing better is to be had: what stands stays, even where it should not (never fewer than two).
      this.#give(bucket.one, bucket.two, bucket.bytes, level)
      const must = [...leave].find(([, { cause }]) => cause !== 'risk') ?? live
      if (must) this.#tellStuck(bucket, of, leave, must[0])
      return
    }
    const urgent = worst(moving)
    const [one, two] = pair
    this.#give(one.server, two.server, bucket.bytes, level)
    if (half) this.#tellStuck(bucket, of, leave, half.kept)
    const leaves = [...moving.keys()].filter((server) => server !== one.server && server !== two.server)
    const strays = new Set([...bucket.strays, ...leaves])
    for (const server of [bucket.one, bucket.two]) strays.add(server)
    for (const server of [one.server, two.server]) strays.delete(server)
    const from = leaves.map((server) => this.#byId.get(server) ?? server)
    const changed = one.server !== bucket.one || two.server !== bucket.two
    const cause = urgent?.cause ?? 'risk'
    const hurries = (urgent?.urgency ?? 0) > bucket.urgency * urgencyStep
    if (!changed && leaves.every((server) => bucket.leaves.includes(server)) && !(hurries && leaves.length > 0)) return
    this.#decided.changes.push({
      bucket,
      one: one.server,
      two: two.server,
      leaves,
      strays: [...strays],
      before:
        changed && cause === 'risk' && leaves.some((server) => this.#byId.get(server)?.live)
          ? { one: bucket.one, two: bucket.two }
          : undefined,
      since: changed ? this.#nowMs : bucket.since,
      cause,
      urgency: urgent?.urgency ?? 0,
      reason: this.#reason(cause, one, two, from),
    })
  }

  /** A move of one slot out of two that should both leave, when there is no room for both: the pair with the least joint loss. */
  #halfMove(
    bucket: Bucket,
    of: ClassFacts,
    level: number,
    wants: number,
    seed: number,
    leave: ReadonlyMap<string, Leave>,
  ): { pair: [Place, Place]; kept: string } | undefined {
    const halves = [bucket.one, bucket.two].flatMap((kept) => {
      const place = this.#byId.get(kept)
      const cause = leave.get(kept)?.cause
      if (!place || cause === 'lost' || cause === 'contained') return []
      const [first, second] = kept === bucket.one ? [place, undefined] : [undefined, place]
      const pair = this.#pair(bucket, of, level, wants, seed, first, second)
      return pair ? [{ pair, kept, joint: this.#jointOf(...pair) }] : []
    })
    return halves.sort((a, b) => a.joint - b.joint)[0]
  }

  /** Told to the operator unless only a rate that always holds speaks against the place. */
  #tellStuck(bucket: Bucket, of: ClassFacts, leave: ReadonlyMap<string, Leave>, server: string): void {
    const cause = leave.get(server)!.cause
    if (cause === 'risk' && !this.#byId.get(server)?.live) return
    this.#decided.stuck.push({ bucket, class: of, server, cause })
  }

  /** Takes what leaves for its risk alone, and would not gain by it, off the list. @returns whether there was any */
  #keepWorse(bucket: Bucket, pair: readonly [Place, Place], leave: Map<string, Leave>): boolean {
    for (const [i, old] of [bucket.one, bucket.two].entries()) {
      const before = this.#byId.get(old)
      if (!before || old === pair[i]!.server || leave.get(old)?.cause !== 'risk') continue
      if (pair[i]!.risk.value * this.#rules.bandRatio < before.risk.value) continue
      leave.delete(old)
      return true
    }
    return false
  }

  /** Never to a worse place: where nothing forces it, both together must be safer than before. */
  #isBetter(bucket: Bucket, [one, two]: readonly [Place, Place], leave: Map<string, Leave>): boolean {
    const before = [this.#byId.get(bucket.one), this.#byId.get(bucket.two)] as const
    if (!before[0] || !before[1] || (before[0] === one && before[1] === two)) return true
    if ([...leave.values()].some(({ cause }) => cause !== 'risk')) return true
    return this.#jointOf(one, two) < this.#jointOf(before[0], before[1])
  }

  #pair(
    bucket: Bucket,
    of: ClassFacts,
    level: number,
    wants: number,
    seed: number,
    first: Place | undefined,
    second: Place | undefined,
  ): [Place, Place] | undefined {
    const free = (place: Place) =>
      place.server !== bucket.one && place.server !== bucket.two && this.#fits(place, wants, level)
    if (first && second) return [first, second]
    if (second) {
      const one = this.#pickFirst(
        this.#places.filter(
          (place) => this.#isOpen(place, of) && free(place) && isApart(place, second, of, this.#rules),
        ),
        seed,
      )
      return one && [one, second]
    }
    if (first) {
      const two = this.#pickSecond(first, of, free, seed)
      if (two) return [first, two]
    }
    const firsts = this.#places.filter((place) => this.#isOpen(place, of) && free(place))
    for (let left = firsts; left.length > 0; ) {
      const one = this.#pickFirst(left, seed)!
      const two = this.#pickSecond(one, of, free, seed)
      if (two) return [one, two]
      left = left.filter((place) => place !== one)
    }
    return undefined
  }

  /** In the lowest band, by rendezvous. @param sorted ascending by risk */
  #pickFirst(sorted: readonly Place[], seed: number): Place | undefined {
    const floor = sorted[0]?.risk.value
    if (floor === undefined) return undefined
    return highest(sorted, (place) => place.risk.value <= floor * this.#rules.bandRatio, seed)
  }

  /** In the lowest band and there with the least joint loss, by rendezvous. */
  #pickSecond(first: Place, of: ClassFacts, free: (place: Place) => boolean, seed: number): Place | undefined {
    const { bandRatio } = this.#rules
    let floor: number | undefined
    const band: Place[] = []
    let least = Number.POSITIVE_INFINITY
    for (const place of this.#secondsOf(first, of)) {
      if (floor !== undefined && place.risk.value > floor * bandRatio) break
      if (!free(place)) continue
      floor ??= place.risk.value
      band.push(place)
      least = Math.min(least, this.#jointOf(first, place))
    }
    return highest(band, (place) => this.#jointOf(first, place) <= least * bandRatio, seed)
  }

  #jointOf(a: Place, b: Place): number {
    const key = a.at * this.#places.length + b.at
    let joint = this.#joint.get(key)
    if (joint === undefined) {
      joint = jointLoss(a.risk, b.risk, distanceKm(a, b))
      this.#joint.set(key, joint)
    }
    return joint
  }

  /** Levels from this one up may fill this share (S16); what lower ones hold does not count. */
  #fits(place: Place, bytes: number, level: number): boolean {
    return this.#given[place.at]! + bytes <= place.capacityBytes * (this.#rules.share[level] ?? 0)
  }

  #give(one: string, two: string, bytes: number, level: number): void {
    for (const server of [one, two]) {
      const place = this.#byId.get(server)
      if (!place) continue
      this.#given[place.at]! += bytes
      this.#byLevel[place.at]![level]! += bytes
    }
  }

  #reason(cause: BucketReason['cause'], one: Place, two: Place, from: readonly (Place | string)[]): BucketReason {
    return {
      cause,
      risk: [one.risk.value, two.risk.value],
      jointLoss: this.#jointOf(one, two),
      apartKm: Math.round(distanceKm(one, two)),
      ...(from.length > 0 && {
        from: from.map((place) => {
          if (typeof place === 'string') return { server: place, risk: 1 }
          const { peril, hazard, arrivesMs } = place.live ?? {}
          return {
            server: place.server,
            risk: place.risk.value,
            ...(peril && { peril }),
            ...(hazard && { hazard }),
            ...(arrivesMs !== undefined && { arrivesMs }),
          }
        }),
      }),
    }
  }
}
