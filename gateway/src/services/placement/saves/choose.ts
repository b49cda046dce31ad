/**
 * Where an object's two replicas go (S5, S16). Pure: the same facts give the same choice, on any machine.
 *
 * Slot 1: the lowest risk band in which the member's level may use a server. Slot 2: the same outside the member's home
 * region and the asking device's region, far enough from slot 1 and in another failure domain, and there the least
 * joint loss with slot 1. Within a band, capacity decides by weighted rendezvous hashing, so that adding a server moves
 * only what it takes.
 */
import { createHash } from 'node:crypto'
import { Problem } from '@azukari/protocol/problem'
import { distanceKm, type Position, regions } from '../../../geography.ts'
import { jointLoss, type Risk } from '../risk/risk.ts'

export interface Candidate extends Position {
  server: string
  region: string
  /** What fails together with it: a site, a power feed, an operator. */
  domain: string
  risk: Risk
  capacityBytes: number
  usedBytes: number
  /** Impostors met there and unanswered calls lower a server's rank (S12). */
  demerits: number
  /** Takes nothing new: it is being emptied, does not answer, or is lost. What is there stays until it is moved. */
  closed?: 'away' | 'draining' | 'lost' | 'contained'
}

export interface Wish {
  object: Uint8Array
  /** 1 (basic) … 3 (highest). */
  level: number
  home: string
  /** Region of the device that asked. */
  asking: string
  sealedBytes: number
  /** False: neither place may lie outside the home region's country. */
  abroad?: boolean
}

export interface ChooseRules {
  /** Risks whose ratio is at most this count as equal. */
  bandRatio: number
  /** Least distance between the two replicas, by level. */
  apartKm: readonly number[]
  /** Least distance of slot 2 from the seat of the home region, by level: the next region may be 30 km away. */
  homeKm: readonly number[]
  /** Share of a server's capacity that members up to this level may fill: what is above is kept for higher levels (S16). */
  share: Readonly<Record<number, number>>
}

export const defaultRules: ChooseRules = {
  bandRatio: 1.25,
  apartKm: [300, 300, 300, 300],
  homeKm: [100, 100, 100, 100],
  share: { 0: 0.4, 1: 0.6, 2: 0.8, 3: 1 },
}

export interface Choice {
  slot: 1 | 2
  candidate: Candidate
  /** Why here, for the member: band, risk, and for slot 2 the joint loss. */
  reason: { band?: number; risk: number; jointLoss?: number; apartKm?: number }
}

/** Two places that were chosen already, as a choice. */
export function choiceOf(one: Candidate, two: Candidate): [Choice, Choice] {
  const apartKm = distanceKm(one, two)
  return [
    { slot: 1, candidate: one, reason: { risk: one.risk.value } },
    {
      slot: 2,
      candidate: two,
      reason: { risk: two.risk.value, jointLoss: jointLoss(one.risk, two.risk, apartKm), apartKm },
    },
  ]
}

/**
 * Chooses both places. `taken` fixes a slot that already stands.
 * @throws {Problem} `placement.no-server` when no two permitted servers are left: never fewer than two (S5)
 */
export function choose(
  candidates: readonly Candidate[],
  wish: Wish,
  rules: ChooseRules = defaultRules,
  taken: { 1?: Candidate; 2?: Candidate } = {},
): [Choice, Choice] {
  const usable = candidates.filter(
    (candidate) => !candidate.closed && isAllowed(candidate, wish) && hasRoom(candidate, wish, rules),
  )
  const first = taken[1] ?? pickFirst(usable, wish, rules, taken[2])
  const second = taken[2] ?? pickSecond(usable, wish, rules, first)
  const apartKm = distanceKm(first, second)
  const band = bandOf(usable, rules)
  return [
    { slot: 1, candidate: first, reason: { band: band(first), risk: first.risk.value } },
    {
      slot: 2,
      candidate: second,
      reason: {
        band: band(second),
        risk: second.risk.value,
        jointLoss: jointLoss(first.risk, second.risk, apartKm),
        apartKm,
      },
    },
  ]
}

function pickFirst(
  usable: readonly Candidate[],
  wish: Wish,
  rules: ChooseRules,
  second: Candidate | undefined,
): Candidate {
  // With a second place left for it; otherwise the safest place could be one that nothing lies far enough from.
  const possible = usable.filter((candidate) =>
    second ? isApart(candidate, second, wish, rules) : usable.some((other) => isSecond(other, candidate, wish, rules)),
  )
  const band = bandOf(possible, rules)
  const best = least(possible, (candidate) => [
    candidate.demerits,
    band(candidate),
    -rendezvous(wish.object, candidate),
  ])
  if (!best)
    throw new Problem('placement.no-server', `none of ${usable.length} servers with room can be the first place`)
  return best
}

function pickSecond(usable: readonly Candidate[], wish: Wish, rules: ChooseRules, first: Candidate): Candidate {
  const possible = usable.filter((candidate) => isSecond(candidate, first, wish, rules))
  const band = bandOf(possible, rules)
  const best = least(possible, (candidate) => [
    candidate.demerits,
    band(candidate),
    // Joint losses within the band ratio of each other are equal too, and capacity decides.
    Math.round(
      Math.log(jointLoss(first.risk, candidate.risk, distanceKm(first, candidate)) || Number.MIN_VALUE) /
        Math.log(rules.bandRatio),
    ),
    -rendezvous(wish.object, candidate),
  ])
  if (!best)
    throw new Problem(
      'placement.no-server',
      `no second place outside ${wish.home} and ${wish.asking}, ${byLevel(rules.homeKm, wish.level)} km from there and ${byLevel(rules.apartKm, wish.level)} km from ${first.server}`,
    )
  return best
}

/** Outside the home region and the asking region, far from the home and far from the first (S5). */
export function isSecond(
  candidate: Candidate,
  first: Candidate,
  wish: Pick<Wish, 'home' | 'asking' | 'level'>,
  rules: ChooseRules,
): boolean {
  return (
    candidate.region !== wish.home &&
    candidate.region !== wish.asking &&
    isFarFromHome(candidate, wish, rules) &&
    isApart(candidate, first, wish, rules)
  )
}

function isFarFromHome(
  candidate: Candidate,
  { home, level }: Pick<Wish, 'home' | 'level'>,
  rules: ChooseRules,
): boolean {
  const seat = regions.get(home)
  return seat === undefined || distanceKm(candidate, seat) >= byLevel(rules.homeKm, level)
}

/** Within the country, when the member wants it so. */
export function isAllowed(candidate: Candidate, { abroad, home }: Pick<Wish, 'abroad' | 'home'>): boolean {
  return abroad !== false || candidate.region.slice(0, 2) === home.slice(0, 2)
}

export function isApart(a: Candidate, b: Candidate, { level }: Pick<Wish, 'level'>, rules: ChooseRules): boolean {
  return (
    a.server !== b.server &&
    a.domain !== b.domain &&
    a.region !== b.region &&
    distanceKm(a, b) >= byLevel(rules.apartKm, level)
  )
}

/** @param values of levels 0 to 3 */
function byLevel(values: readonly number[], level: number): number {
  return values[Math.min(3, Math.max(0, level))]!
}

function hasRoom(candidate: Candidate, wish: Wish, rules: ChooseRules): boolean {
  const share = rules.share[Math.min(3, Math.max(0, wish.level))] ?? 0
  return candidate.usedBytes + wish.sealedBytes <= candidate.capacityBytes * share
}

/** Numbers a candidate's band: 0 holds the lowest risk and all within the ratio of it, and so on upward. */
function bandOf(candidates: readonly Candidate[], rules: ChooseRules): (candidate: Candidate) => number {
  const bands = new Map<number, number>()
  let floor = -1
  let band = -1
  for (const value of [...new Set(candidates.map((candidate) => candidate.risk.value))].sort((a, b) => a - b)) {
    if (band < 0 || value > floor * rules.bandRatio) {
      band++
      floor = value
    }
    bands.set(value, band)
  }
  return (candidate) => bands.get(candidate.risk.value) ?? 0
}

/** Weighted rendezvous hashing: higher wins; a server with twice the capacity wins twice as often. */
function rendezvous(object: Uint8Array, candidate: Candidate): number {
  const digest = createHash('sha256').update(object).update(candidate.server).digest()
  const uniform = (digest.readUIntBE(0, 6) + 1) / (2 ** 48 + 1)
  return -candidate.capacityBytes / Math.log(uniform)
}

/** The item with the least key, compared place by place; ties go to the first. */
function least<T>(items: readonly T[], keyOf: (item: T) => readonly number[]): T | undefined {
  let best: T | undefined
  let bestKey: readonly number[] = []
  for (const item of items) {
    const key = keyOf(item)
    if (best === undefined || compare(key, bestKey) < 0) {
      best = item
      bestKey = key
    }
  }
  return best
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) if (value !== b[i]) return value - b[i]!
  return 0
}
