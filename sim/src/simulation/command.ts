/** `azukari-sim run`: many seeds of the whole-system simulation over all cores, or one with its story to read. */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { SeedOutcome } from './seed-worker.ts'
import { runWhole, Violation, type WholeOptions } from './whole.ts'

export interface RunOptions extends Omit<WholeOptions, 'seed' | 'onLine' | 'atEnd'> {
  seeds: number
  /** The first seed; 1 by default. */
  first?: number
  /** Threads; as many as there are cores by default. */
  threads?: number
  /** Hears of every seed that is done. */
  onSeed?: (outcome: SeedOutcome, done: number) => void
}

export interface RunReport {
  seeds: number
  failed: number[]
  /** What went wrong on purpose, by kind, over all seeds. */
  faults: Record<string, number>
  /** What audits said of it, by kind. */
  verdicts: Record<string, number>
  /** Simulated hours. */
  hours: number
  /** Pictures kept, pages printed, and replicas left over by writings without an answer. */
  kept: number
  printed: number
  leftovers: number
  /** What happened to money, by kind. */
  money: Record<string, number>
  /** Wall time. */
  seconds: number
  failures: { seed: number; message: string; story: readonly string[] }[]
}

/** A thread ends after so many, and with it the memory of their databases, which the collector does not see. */
const seedsPerThread = 20

/** Runs seeds `first` … `first + seeds − 1`. */
export async function run(options: RunOptions): Promise<RunReport> {
  const { seeds, first = 1, threads = availableParallelism(), onSeed, ...whole } = options
  const began = performance.now()
  const report: RunReport = {
    seeds,
    failed: [],
    faults: {},
    verdicts: {},
    hours: 0,
    kept: 0,
    printed: 0,
    leftovers: 0,
    money: {},
    seconds: 0,
    failures: [],
  }
  let next = first
  let done = 0
  const take = (outcome: SeedOutcome) => {
    done++
    const { result, failure, seed } = outcome
    if (failure) {
      report.failed.push(seed)
      report.failures.push({ seed, ...failure })
    } else if (result) {
      report.hours += result.hours
      report.kept += result.kept
      report.printed += result.printed
      report.leftovers += result.leftovers
      for (const name of ['faults', 'verdicts', 'money'] as const)
        for (const [kind, count] of Object.entries(result[name])) report[name][kind] = (report[name][kind] ?? 0) + count
    }
    onSeed?.(outcome, done)
  }
  /** A thread's worth of seeds. @returns whether there are more */
  const some = () =>
    new Promise<boolean>((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.resolve('@azukari/sim/simulation/seed-worker')))
      let left = seedsPerThread
      const give = () => {
        if (left-- === 0 || next >= first + seeds)
          return void worker.terminate().then(() => resolve(next < first + seeds), reject)
        worker.postMessage({ ...whole, seed: next++ } satisfies WholeOptions)
      }
      worker.on('message', (outcome: SeedOutcome) => {
        take(outcome)
        give()
      })
      worker.on('error', reject)
      give()
    })
  const work = async () => {
    while (await some());
  }
  await Promise.all(Array.from({ length: Math.max(1, Math.min(threads, seeds)) }, work))
  report.failed.sort((a, b) => a - b)
  report.failures.sort((a, b) => a.seed - b.seed)
  report.faults = Object.fromEntries(Object.entries(report.faults).sort(([a], [b]) => (a < b ? -1 : 1)))
  report.hours = Math.round(report.hours * 10) / 10
  report.seconds = Math.round((performance.now() - began) / 100) / 10
  return report
}

/** One seed, told line by line. @returns whether everything held */
export async function replay(
  options: Omit<WholeOptions, 'onLine'>,
  tell: (line: string) => void,
): Promise<{ report: Omit<RunReport, 'failures'>; message: string }> {
  const began = performance.now()
  const base = {
    seeds: 1,
    failed: [] as number[],
    faults: {},
    verdicts: {},
    hours: 0,
    kept: 0,
    printed: 0,
    leftovers: 0,
    money: {},
  }
  const seconds = () => Math.round((performance.now() - began) / 100) / 10
  try {
    const result = await runWhole({ ...options, onLine: tell })
    const { faults, verdicts, hours, kept, printed, leftovers, money } = result
    return {
      report: { ...base, faults, verdicts, hours, kept, printed, leftovers, money, seconds: seconds() },
      message: `Seed ${options.seed} holds: ${kept} pictures kept, ${printed} printed in ${hours.toFixed(1)} simulated hours. ${result.digest}`,
    }
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    return { report: { ...base, failed: [options.seed], seconds: seconds() }, message: error.message }
  }
}

function listed(counts: Record<string, number>): string {
  const all = Object.entries(counts).map(([kind, count]) => `${kind} ${count}`)
  return all.join(', ') || 'none'
}

/** The report in words. */
export function summary(report: RunReport): string {
  const { seeds, failed, hours, kept, printed, seconds, leftovers } = report
  const minutes = Math.max(seconds / 60, 1e-6)
  const lines = [
    `${seeds} seeds, ${hours} simulated hours in ${seconds} s (${Math.round(seeds / minutes)} seeds and ${Math.round(hours / minutes)} hours a minute)`,
    `${kept} pictures kept, ${printed} pages printed; ${leftovers} unknown replicas left by writings without an answer`,
    `money: ${listed(report.money)}`,
    `faults: ${listed(report.faults)}`,
    `verdicts: ${listed(report.verdicts)}`,
  ]
  for (const { message, story } of report.failures.slice(0, 3)) lines.push('', ...story.slice(-25), message)
  lines.push(
    '',
    failed.length === 0
      ? 'Everything held.'
      : `${failed.length} seeds failed: ${failed.slice(0, 40).join(' ')}. Replay one: azukari-sim run --seed ${failed[0]} --log`,
  )
  return lines.join('\n')
}
