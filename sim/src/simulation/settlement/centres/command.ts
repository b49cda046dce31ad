/** `azukari-sim centres`: many seeds of two centres of settlement that fight for the leadership, over all cores. */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { CentresSeed, SeedReport } from './seed-worker.ts'

export interface CentresOptions {
  seeds: number
  /** The first seed. */
  first: number
  /** Simulated, per seed. */
  seconds: number
  /** Threads; as many as there are cores by default. */
  threads?: number
  /** Hears of every seed that is done. */
  onSeed?: (report: SeedReport, done: number) => void
}

export interface CentresReport {
  seeds: number
  failed: number[]
  /** What was broken, of the first seeds that failed. */
  violations: { seed: number; violations: string[] }[]
  /** How often what happened, over all seeds. */
  counts: Record<string, number>
  /** Wall time, s. */
  tookSeconds: number
}

/** Seeds whose violations are told whole. */
const maxTold = 20

/** Runs seeds `first` … `first + seeds − 1`. */
export async function runCentres(options: CentresOptions): Promise<CentresReport> {
  const { seeds, first, seconds, threads = availableParallelism(), onSeed } = options
  const began = performance.now()
  const report: CentresReport = { seeds, failed: [], violations: [], counts: {}, tookSeconds: 0 }
  let next = first
  let done = 0
  const take = (outcome: SeedReport) => {
    done++
    const { seed, violations, ...counts } = outcome
    for (const [name, count] of Object.entries(counts))
      if (typeof count === 'number') report.counts[name] = (report.counts[name] ?? 0) + count
    if (violations.length > 0) {
      report.failed.push(seed)
      if (report.violations.length < maxTold) report.violations.push({ seed, violations })
    }
    onSeed?.(outcome, done)
  }
  const work = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.resolve('@azukari/sim/simulation/settlement/centres/seed-worker')))
      const give = () => {
        if (next >= first + seeds) return void worker.terminate().then(() => resolve(), reject)
        worker.postMessage({ seed: next++, seconds } satisfies CentresSeed)
      }
      worker.on('message', (outcome: SeedReport) => {
        take(outcome)
        give()
      })
      worker.on('error', reject)
      give()
    })
  await Promise.all(Array.from({ length: Math.max(1, Math.min(threads, seeds)) }, work))
  report.failed.sort((a, b) => a - b)
  report.violations.sort((a, b) => a.seed - b.seed)
  report.tookSeconds = Math.round((performance.now() - began) / 100) / 10
  return report
}

/** The report in words. */
export function centresSummary(report: CentresReport): string {
  const { seeds, failed, violations, tookSeconds } = report
  const counts = Object.entries(report.counts).map(([name, count]) => `${name} ${count}`)
  const told = violations.slice(0, 3).map((one) => `seed ${one.seed}: ${one.violations.join('; ')}`)
  return [
    `${seeds} seeds in ${tookSeconds} s: ${counts.join(', ')}`,
    ...told,
    failed.length === 0
      ? 'Everything held.'
      : `${failed.length} seeds failed: ${failed.slice(0, 40).join(' ')}. Replay one: azukari-sim centres --seed ${failed[0]} --seeds 1`,
  ].join('\n')
}
