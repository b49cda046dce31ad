/** How many random leaves find a corrupted share, and which (S11, B5). Pure. */
import type { Random } from '@azukari/protocol/ports'

/**
 * Leaves to look at so that, when at least `share` of all leaves is bad, one bad one is among them with probability
 * `certainty`: the smallest n with (1 − share)ⁿ ≤ 1 − certainty. 1 % and 99 %: 459. Drawn without replacement it is never
 * worse.
 */
export function sampleSize(share: number, certainty: number): number {
  return Math.ceil(Math.log(1 - certainty) / Math.log(1 - share))
}

/** Distinct numbers below `total`, ascending; all of them when there are no more than `count`. */
export function pickLeaves(total: number, count: number, random: Pick<Random, 'float'>): number[] {
  if (total <= count) return Array.from({ length: total }, (_, i) => i)
  // Floyd's sampling: as many draws as picks, however large the total.
  const picked = new Set<number>()
  for (let top = total - count; top < total; top++) {
    const at = Math.floor(random.float() * (top + 1))
    picked.add(picked.has(at) ? top : at)
  }
  return [...picked].sort((a, b) => a - b)
}
