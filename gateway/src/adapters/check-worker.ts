/** One thread of the pool of signature checks: opens sealed messages and checks their signatures, and knows nothing else. */
import type { KeyObject } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { verify1 } from '@azukari/protocol/cose'
import { parseCoseKey, thumbprint } from '@azukari/protocol/keys'
import { isProblem } from '@azukari/protocol/problem'
import { openSealed } from '@azukari/protocol/signed-sealed'
import type { Checked } from '../service/checks.ts'

/** What the pool sends: keys learned since the last time, and messages to look at. */
export interface CheckBatch {
  number: number
  keys: Uint8Array[]
  jobs: { sealed: Uint8Array; domain: Uint8Array }[]
}
/** What comes back: the batch’s number, and one answer for each job, in order. */
export interface CheckAnswers {
  number: number
  answers: (Checked | undefined)[]
}

/** Keys kept: the members who pay at one time. The oldest goes, and is learned again. */
const maxKeys = 8_192
const keys = new Map<string, KeyObject>()

parentPort?.on('message', (batch: CheckBatch) => {
  const { agreement } = workerData as { agreement: KeyObject }
  for (const key of batch.keys) learn(key)
  const answers = batch.jobs.map(({ sealed, domain }) => check(sealed, domain, agreement))
  parentPort?.postMessage({ number: batch.number, answers } satisfies CheckAnswers)
})

/** Kept under the thumbprint that is computed here: a message proves who signed it, whatever the register says. */
function learn(bytes: Uint8Array): void {
  const key = parseCoseKey(bytes)
  if (keys.size >= maxKeys) keys.delete(keys.keys().next().value!)
  keys.set(nameOf(thumbprint(key)), key)
}

function check(sealed: Uint8Array, domain: Uint8Array, agreement: KeyObject): Checked | undefined {
  try {
    const signed = openSealed(sealed, agreement, domain)
    try {
      const { payload, kid } = verify1(signed, (kid) => keys.get(nameOf(kid)), domain)
      return { is: 'proven', signed, kid, payload }
    } catch (error) {
      if (isProblem(error, 'cose.unknown-key')) return { is: 'opened', signed }
      throw error
    }
  } catch (error) {
    // A fault of ours is met again, and told, where the act is done.
    return isProblem(error) ? { is: 'refused', code: error.code, detail: error.detail } : undefined
  }
}

function nameOf(kid: Uint8Array): string {
  return Buffer.from(kid.buffer, kid.byteOffset, kid.byteLength).toString('latin1')
}
