/**
 * The audit in a thread with a connection of its own: it reads what is committed, at one moment, and payments go on meanwhile.
 */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { Problem } from '@azukari/protocol/problem'
import type { SiteAudit } from '../ledger/independent-audit.ts'

export interface AuditTask {
  /** The site's. */
  folder: string
  key: Uint8Array
}

export type AuditResult = { report: SiteAudit } | { problem: ReturnType<Problem['toWire']> }

/** @throws {Problem} `storage.*`, what is wrong with the key; the signal's reason */
export async function auditFile(folder: string, key: Uint8Array, signal: AbortSignal): Promise<SiteAudit> {
  const module = new URL(`./audit-worker${extname(import.meta.filename)}`, import.meta.url)
  const worker = new Worker(module, { workerData: { folder, key } satisfies AuditTask })
  const ended = Promise.withResolvers<AuditResult>()
  worker.on('message', (message: AuditResult) => {
    // A test runner in the thread may speak on the same line.
    if ('report' in message || 'problem' in message) ended.resolve(message)
  })
  worker.once('error', ended.reject)
  worker.once('exit', () => ended.reject(new Problem('internal', 'the audit ended without a report')))
  const leave = () => ended.reject(signal.reason)
  signal.addEventListener('abort', leave, { once: true })
  try {
    signal.throwIfAborted()
    const result = await ended.promise
    if ('problem' in result) throw Problem.fromWire(result.problem)
    return result.report
  } finally {
    signal.removeEventListener('abort', leave)
    await worker.terminate()
  }
}
