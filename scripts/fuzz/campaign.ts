/** One campaign over one target: a thread that reads inputs, watched for crashes, hangs and memory. */
import { Worker } from 'node:worker_threads'

export interface CampaignOptions {
  target: string
  seed: number
  /** Either ends it. */
  seconds?: number
  runs?: number
  /** Folders of further inputs to begin from. */
  corpus?: readonly string[]
  /** Processor time that one input may take. */
  slowMs?: number
  /** Without an end of one input for this long it hangs. */
  hangMs?: number
  maxMemoryMb?: number
}

export interface FuzzWork {
  target: string
  seed: number
  seconds?: number
  runs?: number
  corpus: readonly string[]
  slowMs: number
  shared: SharedArrayBuffer
}

export interface WorkerSays {
  runs: number
  /** Whole inputs that it began from. */
  inputs: number
  /** Inputs that were answered with a problem. */
  problems: number
  slowestMs: number
  failed?: { input: Uint8Array; fault: string }
}

export interface CampaignReport extends WorkerSays {
  peakRssMb: number
}

const inputMaxBytes = 128 * 1024

export async function campaign(options: CampaignOptions): Promise<CampaignReport> {
  const { target, seed, seconds, runs, corpus = [], slowMs = 2_000, hangMs = 60_000, maxMemoryMb = 512 } = options
  const shared = new SharedArrayBuffer(8 + inputMaxBytes)
  const words = new Int32Array(shared, 0, 2)
  const work: FuzzWork = {
    target,
    seed,
    ...(seconds === undefined ? {} : { seconds }),
    ...(runs === undefined ? {} : { runs }),
    corpus,
    slowMs,
    shared,
  }
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    workerData: work,
    // Not what a test runner loads into its own process: it speaks on the same port.
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: maxMemoryMb },
  })
  let peakRssMb = 0
  let lastBegun = -1
  let quietMs = 0
  const lookMs = 500
  const interrupted = (fault: string): WorkerSays => {
    const input = new Uint8Array(shared, 8, words[1]).slice()
    return { runs: words[0]!, inputs: 0, problems: 0, slowestMs: 0, failed: { input, fault } }
  }
  const said = await new Promise<WorkerSays>((resolve) => {
    const watch = setInterval(() => {
      peakRssMb = Math.max(peakRssMb, process.memoryUsage.rss() / 2 ** 20)
      const begun = Atomics.load(words, 0)
      quietMs = begun === lastBegun && begun > 0 ? quietMs + lookMs : 0
      lastBegun = begun
      if (quietMs < hangMs) return
      void worker.terminate()
      resolve(interrupted(`no end after ${quietMs / 1000} s`))
    }, lookMs)
    worker.on('message', resolve)
    worker.on('error', (error) => resolve(interrupted(error.stack ?? error.message)))
    worker.on('exit', () => {
      clearInterval(watch)
      resolve(interrupted('the thread ended without a word'))
    })
  })
  await worker.terminate()
  return { ...said, peakRssMb: Math.round(peakRssMb) }
}
