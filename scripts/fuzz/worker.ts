/** Runs one target in a thread of its own, so that a hang or too much memory is seen from outside. */
import { readdirSync, readFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { isProblem } from '@azukari/protocol/problem'
import fc from 'fast-check'
import type { FuzzWork, WorkerSays } from './campaign.ts'
import { mutated } from './mutation.ts'
import { planted } from './planted.ts'
import { targets } from './targets.ts'

const work = workerData as FuzzWork
const { run, corpus } = { ...targets, ...planted }[work.target]!
const inputs = [...corpus(), ...work.corpus.flatMap(filesOf)]
/** Word 0: inputs begun. Word 1: length of the input under way. Its bytes follow. */
const words = new Int32Array(work.shared, 0, 2)
const current = new Uint8Array(work.shared, 8)
const says = (message: WorkerSays) => parentPort!.postMessage(message)
let slowestMs = 0
let problems = 0

function one(bytes: Uint8Array): void {
  const kept = bytes.subarray(0, current.length)
  current.set(kept)
  words[1] = kept.length
  Atomics.add(words, 0, 1)
  const before = process.threadCpuUsage()
  try {
    run(bytes)
  } catch (error) {
    if (!isProblem(error)) throw error
    problems++
  }
  const { user, system } = process.threadCpuUsage(before)
  const ms = (user + system) / 1000
  slowestMs = Math.max(slowestMs, ms)
  if (ms > work.slowMs) throw new Error(`${bytes.length} bytes took ${Math.round(ms)} ms of processor time`)
}

function filesOf(folder: string): Uint8Array[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(`${entry.parentPath}/${entry.name}`))
    .filter((bytes) => bytes.length > 0 && bytes.length <= 96 * 1024)
}

function fault(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

let failed: { input: Uint8Array; fault: string } | undefined
for (const input of inputs)
  try {
    one(input)
  } catch (error) {
    failed ??= { input, fault: fault(error) }
  }
const result = fc.check(fc.property(mutated(inputs), one), {
  seed: work.seed,
  numRuns: work.runs ?? 1_000_000_000,
  ...(work.seconds === undefined ? {} : { interruptAfterTimeLimit: work.seconds * 1000 }),
})
if (!failed && result.failed && result.counterexample)
  failed = { input: result.counterexample[0], fault: fault(result.errorInstance) }
says({
  runs: result.numRuns + inputs.length,
  inputs: inputs.length,
  problems,
  slowestMs,
  ...(failed ? { failed } : {}),
})
