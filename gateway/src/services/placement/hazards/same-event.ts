/**
 * Hazards of several agencies that tell of one event count once, and the worst telling counts: agencies that contradict
 * each other must neither add up nor cancel out.
 */
import { distanceKm } from '../geography.ts'
import { loss, type RiskTerm } from '../risk.ts'
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

/** Groups hazards by event. */
export function events(hazards: readonly Hazard[]): Hazard[][] {
  const groups: Hazard[][] = []
  for (const hazard of hazards) {
    const group = groups.find((candidates) => candidates.some((other) => sameEvent(other, hazard)))
    if (group) group.push(hazard)
    else groups.push([hazard])
  }
  return groups
}

/** Of several tellings of one event, the terms of the one with the greatest loss. */
export function worstTelling(tellings: readonly (readonly RiskTerm[])[]): readonly RiskTerm[] {
  let worst: readonly RiskTerm[] = []
  let greatest = -1
  for (const terms of tellings) {
    const total = 1 - terms.reduce((survives, term) => survives * (1 - loss(term)), 1)
    if (terms.length > 0 && total > greatest) {
      greatest = total
      worst = terms
    }
  }
  return worst
}
