/** `azukari-sim settlement`: many seeds of the settlement simulation over all cores. */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { ChaosReport } from '../settlement/chaos.ts'
import type { SettlementSeed } from '../settlement/seed-worker.ts'

export interface SettlementRunOptions {
  seeds: number
  /** The first seed. */
  first: number
  /** Things that happen, per seed. */
  steps: number
  /** Threads; as many as there are cores by default. */
  threads?: number
  /** Hears of every seed that is done. */
  onSeed?: (report: ChaosReport, done: number) => void
}

const counted = ['crashes', 'postings', 'paid', 'refunded', 'debits'] as const

export interface SettlementRunReport extends Record<(typeof counted)[number], number> {
  seeds: number
  steps: number
  failed: number[]
  /** What was broken, of the first seeds that failed. */
  violations: { seed: number; violations: string[] }[]
  /** Wall time. */
  seconds: number
}

/** Seeds whose violations are told whole. */
const toldAtMost = 20

/** Runs seeds `first` … `first + seeds − 1`. */
export async function runSettlement(options: SettlementRunOptions): Promise<SettlementRunReport> {
  const { seeds, first, steps, threads = availableParallelism(), onSeed } = options
  const began = performance.now()
  const report: SettlementRunReport = {
    ...{ seeds, steps, failed: [], violations: [], seconds: 0 },
    ...{ crashes: 0, postings: 0, paid: 0, refunded: 0, debits: 0 },
  }
  let next = first
  let done = 0
  const take = (outcome: ChaosReport) => {
    done++
    for (const name of counted) report[name] += outcome[name]
    const { seed, violations } = outcome
    if (violations.length > 0) {
      report.failed.push(seed)
      if (report.violations.length < toldAtMost) report.violations.push({ seed, violations })
    }
    onSeed?.(outcome, done)
  }
  const work = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.resolve('@azukari/sim/settlement/seed-worker')))
      const give = () => {
        if (next >= first + seeds) return void worker.terminate().then(() => resolve(), reject)
        worker.postMessage({ seed: next++, steps } satisfies SettlementSeed)
      }
      worker.on('message', (outcome: ChaosReport) => {
        take(outcome)
        give()
      })
      worker.on('error', reject)
      give()
    })
  await Promise.all(Array.from({ length: Math.max(1, Math.min(threads, seeds)) }, work))
  report.failed.sort((a, b) => a - b)
  report.violations.sort((a, b) => a.seed - b.seed)
  report.seconds = Math.round((performance.now() - began) / 100) / 10
  return report
}

/** The report in words. */
export function settlementSummary(report: SettlementRunReport): string {
  const { seeds, failed, violations, seconds, crashes, postings, paid, refunded, debits } = report
  const told = violations.slice(0, 3).map((one) => `seed ${one.seed}: ${one.violations.join('; ')}`)
  return [
    `${seeds} seeds in ${seconds} s: ${crashes} crashes, ${postings} postings, ${paid} payments, ${refunded} refunds, ${debits} debit files`,
    ...told,
    failed.length === 0
      ? 'Every balance agrees with the model.'
      : `${failed.length} seeds failed: ${failed.slice(0, 40).join(' ')}. Replay one: azukari-sim settlement --seed ${failed[0]} --seeds 1`,
  ].join('\n')
}
