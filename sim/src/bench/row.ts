/** One line of the benchmark table (docs/requirements.md, B). */
export interface Row {
  row: string
  what: string
  /** Null when it could not be measured. */
  value: number | null
  unit: string
  /** The figure measured beside it in the same run. */
  peer: number | null
  /** value ÷ peer */
  ratio: number | null
  target: string
  /** Null where there is no target. */
  met: boolean | null
  note: string
}

/** What a row is given; it may take options of its own beside. */
export interface BenchContext {
  /** Fewer rounds and smaller amounts: to see that it works, not to believe the figures. */
  quick: boolean
  /** An empty folder of this row's own. */
  folder: string
  tell(line: string): void
}

/** What `bN-*.ts` exports. */
export interface RowModule {
  run(context: BenchContext): Promise<Row[]>
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

export function rounded(value: number, digits = 2): number {
  return Number(value.toFixed(digits))
}

/** Processor time of this process and its threads since then, µs. */
export function microsecondsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return user + system
}
