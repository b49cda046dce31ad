/** A thread that runs seeds of the settlement simulation, one after the other, as it is told. */
import { parentPort } from 'node:worker_threads'
import { runDuelSeed } from './centres/duel.ts'
import { runSettlementSeed } from './chaos.ts'

export interface SettlementSeed {
  seed: number
  steps: number
  /** Two centres, with so many simulated seconds as steps. */
  centres: boolean
}

/** What a seed came to, with its counts. */
export type SeedReport = { seed: number; violations: string[] } & Record<string, unknown>

parentPort?.on('message', async ({ seed, steps, centres }: SettlementSeed) => {
  let report: SeedReport
  try {
    report = { ...(centres ? await runDuelSeed({ seed, seconds: steps }) : await runSettlementSeed(seed, steps)) }
  } catch (error) {
    report = { seed, violations: [error instanceof Error ? (error.stack ?? error.message) : String(error)] }
  }
  parentPort?.postMessage(report)
})
