/** A thread that runs seeds, one after the other, as it is told. */
import { parentPort } from 'node:worker_threads'
import { Violation } from './story.ts'
import { runWhole, type WholeOptions, type WholeResult } from './whole.ts'

export interface SeedOutcome {
  seed: number
  result?: WholeResult
  failure?: { message: string; story: readonly string[] }
}

parentPort?.on('message', async (options: WholeOptions) => {
  const outcome: SeedOutcome = { seed: options.seed }
  try {
    outcome.result = await runWhole(options)
  } catch (error) {
    outcome.failure =
      error instanceof Violation
        ? { message: error.message, story: error.story.slice(-60) }
        : { message: `seed ${options.seed}: ${error instanceof Error ? error.stack : String(error)}`, story: [] }
  }
  parentPort?.postMessage(outcome)
})
