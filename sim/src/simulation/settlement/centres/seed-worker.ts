/** A thread that runs seeds of the two centres, one after the other, as it is told. */
import { parentPort } from 'node:worker_threads'
import { runDuelSeed } from './duel.ts'

export interface CentresSeed {
  seed: number
  /** Simulated. */
  seconds: number
}

/** What a seed came to, with its counts. */
export type SeedReport = { seed: number; violations: string[] } & Record<string, unknown>

parentPort?.on('message', async ({ seed, seconds }: CentresSeed) => {
  let report: SeedReport
  try {
    report = { ...(await runDuelSeed({ seed, seconds })) }
  } catch (error) {
    report = { seed, violations: [error instanceof Error ? (error.stack ?? error.message) : String(error)] }
  }
  parentPort?.postMessage(report)
})
