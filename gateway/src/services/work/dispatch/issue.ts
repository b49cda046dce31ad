/** How many copies of a unit are still to be given out, after whatever happened to it. */
import type { CopyRow, UnitRow } from '../tables.ts'
import { judgeUnit, type Returned } from '../validation/model.ts'

/** What counts of the copies that came back. */
export function returnedOf(copies: readonly CopyRow[]): Returned[] {
  return copies.flatMap(({ state, owner, hash, fuel, problem }) =>
    (state === 'returned' || state === 'valid' || state === 'wrong') && hash
      ? [{ owner, hash, fuel: fuel ?? 0, problem }]
      : [],
  )
}

/** Copies that are to be given out beside those that devices hold. @param quorum 0 while nobody has taken it yet */
export function missingCopies(
  { state, quorum }: Pick<UnitRow, 'state' | 'quorum'>,
  copies: readonly CopyRow[],
): number {
  if (state !== 'open') return 0
  const verdict = judgeUnit(Math.max(1, quorum), returnedOf(copies))
  if (verdict.is !== 'open') return 0
  const held = copies.filter((copy) => copy.state === 'leased' || copy.state === 'returned').length
  return Math.max(0, verdict.wanted - held)
}
