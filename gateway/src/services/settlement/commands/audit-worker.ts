/** The thread of one audit (`audit.ts`). */
import { parentPort, workerData } from 'node:worker_threads'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { openDatabase } from '../../../adapters/database.ts'
import { auditSite } from '../ledger/independent-audit.ts'
import type { AuditResult, AuditTask } from './audit.ts'

async function audit({ path, key }: AuditTask): Promise<AuditResult> {
  const database = openDatabase(path)
  try {
    // One moment of the journal, whatever is posted meanwhile.
    await database.script('BEGIN')
    const report = await auditSite(database, new Uint8Array(key))
    await database.script('COMMIT')
    return { report }
  } catch (error) {
    return { problem: (isProblem(error) ? error : new Problem('internal', String(error))).toWire() }
  } finally {
    await database.close()
  }
}

parentPort?.postMessage(await audit(workerData as AuditTask))
