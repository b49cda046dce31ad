/** One line of the benchmark table (BENCHMARKS.md). */
export interface Row {
  row: string
  what: string
  value: number
  unit: string
  /** The figure measured beside it in the same run. */
  peer: number
  /** value ÷ peer */
  ratio: number
  target: string
  met: boolean
  note: string
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Smallest to largest, for the note of a row. */
export function spread(values: readonly number[], digits = 0): string {
  return `${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)}`
}
