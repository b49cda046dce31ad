/** B4 on each board definition whose drivers are real ones: memory, start and disk writes, with the board's parts away. */
import { boardDefinitions } from '@azukari/boards/definitions'
import { diskBytesOf, Measured, memoryOf, pause } from './process.ts'
import { type BenchContext, median, type Row, rounded, spread } from './row.ts'

/** Parts that only the simulator makes belong to no board that is measured. */
function measuredBoards(): string[] {
  return Object.entries(boardDefinitions)
    .filter(([, { parts }]) => Object.values(parts).every(({ driver }) => driver !== 'simulated'))
    .map(([name]) => name)
}

/**
 * @param enrol enrols the board under measurement and gives what its process is told
 */
export async function boardRows(
  { quick, tell }: BenchContext,
  script: string,
  enrol: (board: string) => Promise<string>,
): Promise<Row[]> {
  const rounds = quick ? 1 : 3
  const watchMs = quick ? 1_000 : 10_000
  const rows: Row[] = []
  for (const board of measuredBoards()) {
    tell(board)
    const told = await enrol(board)
    const startMs: number[] = []
    const memoryMb: number[] = []
    let writtenBytes = 0
    for (let round = 0; round < rounds; round++) {
      const measured = new Measured(['--max-semi-space-size=1', script, told])
      try {
        await measured.said('up')
        startMs.push(performance.now() - measured.startedMs)
        await pause(quick ? 1_000 : 2_500)
        memoryMb.push(memoryOf(measured.pid).nowMb)
        const before = diskBytesOf(measured.pid)
        await pause(watchMs)
        writtenBytes += diskBytesOf(measured.pid) - before
      } finally {
        await measured.end()
      }
    }
    const without = { peer: null, ratio: null, target: '', met: null }
    rows.push(
      {
        row: 'B4',
        what: `${board}: memory idle, sources`,
        unit: 'MB',
        ...without,
        value: rounded(median(memoryMb), 1),
        note: spread(memoryMb, 1),
      },
      {
        row: 'B4',
        what: `${board}: cold start to birth acknowledged, sources`,
        unit: 'ms',
        ...without,
        value: rounded(median(startMs), 0),
        note: spread(startMs),
      },
      {
        row: 'B4',
        what: `${board}: disk writes per hour, idle`,
        unit: 'MB',
        ...without,
        value: rounded((writtenBytes / (rounds * watchMs)) * 3.6, 3),
        note: `extrapolated from ${rounded((rounds * watchMs) / 1000, 0)} s of the kernel’s count`,
      },
    )
  }
  return rows
}
