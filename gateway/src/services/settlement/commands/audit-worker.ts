/** The thread of one audit (`audit.ts`). */
import { parentPort, workerData } from 'node:worker_threads'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { Stores } from '../../../adapters/stores.ts'
import type { Database } from '../../../storage/database.ts'
import { auditSite, type SiteAudit } from '../ledger/independent-audit.ts'
import type { AuditResult, AuditTask } from './audit.ts'

async function audit({ folder, key }: AuditTask): Promise<AuditResult> {
  let database: Database | undefined
  try {
    database = await Stores.of(folder).openAlone('settlement/settlement.db')
    return { report: await atOneMoment(database, new Uint8Array(key)) }
  } catch (error) {
    return { problem: (isProblem(error) ? error : new Problem('internal', String(error))).toWire() }
  } finally {
    await database?.close()
  }
}

/** One moment of the journal, whatever is posted meanwhile. */
async function atOneMoment(database: Database, key: Uint8Array): Promise<SiteAudit> {
  if (database.engine === 'postgres') return database.transaction((sql) => auditSite(sql, key))
  // A transaction of SQLite's own kind would keep everybody else from writing.
  await database.script('BEGIN')
  const report = await auditSite(database, key)
  await database.script('COMMIT')
  return report
}

parentPort?.postMessage(await audit(workerData as AuditTask))
