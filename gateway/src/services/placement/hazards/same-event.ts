/**
 * Hazards of several agencies that tell of one event count once, and the worst telling counts: agencies that contradict
 * each other must neither add up nor cancel out.
 */
import { distanceKm } from '../../../geography.ts'
import { loss, type RiskTerm } from '../risk/risk.ts'
import { centreAt } from './cyclone.ts'
import type { Hazard } from './hazard.ts'

/** Whether two hazards are one event. */
export function sameEvent(a: Hazard, b: Hazard): boolean {
  if (a.id === b.id || (a.event !== undefined && a.event === b.event)) return true
  if (a.shape.kind === 'quake' && b.shape.kind === 'quake')
    return Math.abs(a.fromMs - b.fromMs) <= 180_000 && distanceKm(a.shape.at, b.shape.at) <= 200
  if (a.shape.kind === 'track' && b.shape.kind === 'track') {
    const atMs = Math.max(a.shape.points[0]!.atMs, b.shape.points[0]!.atMs)
    const x = centreAt(a.shape, atMs)
    const y = centreAt(b.shape, atMs)
    return x !== undefined && y !== undefined && distanceKm(x, y) <= 300
  }
  if (a.shape.kind === 'coasts' && b.shape.kind === 'coasts') return Math.abs(a.fromMs - b.fromMs) <= 3_600_000
  return false
}

/** What one hazard comes to at a place. */
export interface Telling {
  hazard: Hazard
  terms: readonly RiskTerm[]
}

/** Beyond so many comparisons of the search everything counts, which is never less. */
const maxWork = 4_000_000

/**
 * The tellings that count at a place: of those that may be one event at most one, and chosen so that the loss is the
 * greatest that they allow. So a further telling never lowers a risk, also when it lies between two others.
 */
export function countedTellings(tellings: readonly Telling[]): Telling[] {
  const found = tellings.filter(({ terms }) => terms.length > 0)
  const weights = found.map(({ terms }) => {
    const survives = terms.reduce((product, term) => product * (1 - loss(term)), 1)
    return -Math.log(Math.max(survives, Number.MIN_VALUE))
  })
  const near = found.map(() => new Set<number>())
  for (const [i, { hazard }] of found.entries())
    for (let j = 0; j < i; j++)
      if (sameEvent(found[j]!.hazard, hazard)) {
        near[i]!.add(j)
        near[j]!.add(i)
      }
  const everything = found.map((_, i) => i)
  const chosen = heaviest(everything, { weights, near, work: 0 })
  return chosen.sort((a, b) => a - b).map((i) => found[i]!)
}

interface Search {
  weights: readonly number[]
  /** Which may be one event with each. */
  near: readonly ReadonlySet<number>[]
  work: number
}

/** The heaviest choice of which no two may be one event. */
function heaviest(open: readonly number[], search: Search): number[] {
  const { weights, near } = search
  const alone: number[] = []
  const rest: number[] = []
  for (const i of open) (near[i]!.size > 0 && open.some((j) => near[i]!.has(j)) ? rest : alone).push(i)
  search.work += rest.length * rest.length
  if (rest.length === 0 || search.work > maxWork) return [...alone, ...rest]
  // Each event with all that touch it is weighed by itself.
  const group = connected(rest, near)
  if (group.size < rest.length) {
    const others = rest.filter((i) => !group.has(i))
    return [...alone, ...heaviest([...group], search), ...heaviest(others, search)]
  }
  const degrees = new Map(rest.map((i) => [i, rest.filter((j) => near[i]!.has(j)).length]))
  if ([...degrees.values()].every((degree) => degree === rest.length - 1))
    return [...alone, rest.reduce((a, b) => (weights[b]! > weights[a]! ? b : a))]
  const pivot = rest.reduce((a, b) => (degrees.get(b)! > degrees.get(a)! ? b : a))
  const without = rest.filter((i) => i !== pivot)
  const apart = without.filter((i) => !near[pivot]!.has(i))
  const taking = [pivot, ...heaviest(apart, search)]
  const leaving = heaviest(without, search)
  const sum = (chosen: readonly number[]) => chosen.reduce((total, i) => total + weights[i]!, 0)
  return [...alone, ...(sum(taking) >= sum(leaving) ? taking : leaving)]
}

function connected(open: readonly number[], near: readonly ReadonlySet<number>[]): Set<number> {
  const group = new Set([open[0]!])
  for (const i of group) for (const j of open) if (near[i]!.has(j)) group.add(j)
  return group
}
