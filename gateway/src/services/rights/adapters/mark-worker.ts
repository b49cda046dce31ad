/** The thread in which pictures are marked, read and traced: one after the other. */
import { parentPort } from 'node:worker_threads'
import { isProblem, Problem, type ProblemWire } from '@azukari/protocol/problem'
import { type Case, markPicture, readFingerprint, readMark, tracePicture } from '../marks/mark-picture.ts'
import type { MarkOrder } from '../marks/mark-work.ts'

export type MarkTask =
  | { is: 'mark'; order: MarkOrder }
  | { is: 'read'; bytes: Uint8Array }
  | { is: 'fingerprint'; bytes: Uint8Array }
  | { is: 'trace'; of: Case }
export interface MarkJob {
  job: number
  task: MarkTask
}
export type MarkAnswer = { job: number } & ({ done: unknown } | { problem: ProblemWire; fault?: string | undefined })

parentPort?.on('message', ({ job, task }: MarkJob) => {
  carryOut(task).then(
    (done) => parentPort?.postMessage({ job, done } satisfies MarkAnswer),
    (error: unknown) => parentPort?.postMessage({ job, ...refused(error) } satisfies MarkAnswer),
  )
})

async function carryOut(task: MarkTask): Promise<unknown> {
  if (task.is === 'read') return readMark(task.bytes)
  if (task.is === 'fingerprint') return readFingerprint(task.bytes)
  if (task.is === 'trace') return tracePicture(task.of)
  const { bytes, work, sale, isUnmarked } = task.order
  return markPicture(bytes, work, sale, isUnmarked)
}

function refused(error: unknown): { problem: ProblemWire; fault?: string | undefined } {
  if (isProblem(error)) return { problem: error.toWire() }
  return { problem: new Problem('internal').toWire(), fault: error instanceof Error ? error.stack : String(error) }
}
