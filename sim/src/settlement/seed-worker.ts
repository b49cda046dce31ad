/** A thread that runs seeds of the settlement simulation, one after the other, as it is told. */
import { parentPort } from 'node:worker_threads'
import { type ChaosReport, runSettlementSeed } from './chaos.ts'

export interface SettlementSeed {
  seed: number
  steps: number
}

parentPort?.on('message', async ({ seed, steps }: SettlementSeed) => {
  let report: ChaosReport
  try {
    report = await runSettlementSeed(seed, steps)
  } catch (error) {
    const violation = error instanceof Error ? (error.stack ?? error.message) : String(error)
    report = { seed, crashes: 0, postings: 0, paid: 0, refunded: 0, debits: 0, violations: [violation] }
  }
  parentPort?.postMessage(report)
})
