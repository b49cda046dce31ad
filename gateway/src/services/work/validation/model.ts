/**
 * When results of a unit count (W7): as many owners as its quorum must agree in output and fuel, and more than on anything else.
 * Pure: results in, a verdict out.
 */

/** A result that came back. Two are the same when output and fuel are, or the way in which they failed. */
export interface Returned {
  owner: string
  hash: Uint8Array
  fuel: number
  problem: string | null
}

export type Verdict =
  | { is: 'agreed'; answer: string }
  /** So many results are needed in all, as far as can be said now. */
  | { is: 'open'; wanted: number }
  /** Devices do not agree, however often it is computed. */
  | { is: 'torn' }

/** Results of one unit at most: beyond it nobody will agree. */
export const returnedMax = 8

/** What must be equal for two results to agree. */
export function answerOf({ hash, fuel, problem }: Omit<Returned, 'owner'>): string {
  return problem ?? `${Buffer.from(hash).toString('hex')} ${fuel}`
}

export function judgeUnit(quorum: number, results: readonly Returned[]): Verdict {
  const owners = new Map<string, Set<string>>()
  for (const result of results) {
    const answer = answerOf(result)
    const agreeing = owners.get(answer) ?? new Set()
    owners.set(answer, agreeing.add(result.owner))
  }
  const ranked = [...owners].map(([answer, { size }]) => ({ answer, size })).sort((a, b) => b.size - a.size)
  const first = ranked[0]
  const second = ranked[1]?.size ?? 0
  if (!first) return { is: 'open', wanted: quorum }
  if (first.size >= quorum && first.size > second) return { is: 'agreed', answer: first.answer }
  // Whoever contradicts another has to be outvoted by two who agree, also where one would have been enough.
  const needed = Math.max(second > 0 ? Math.max(quorum, 2) : quorum, second + 1)
  const wanted = results.length + needed - first.size
  return wanted > returnedMax ? { is: 'torn' } : { is: 'open', wanted }
}
