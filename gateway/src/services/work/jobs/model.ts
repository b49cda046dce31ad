/** When a job has ended, and how. Pure. */
import { isAtCeiling } from '../dispatch/model.ts'
import type { JobRow } from '../tables.ts'

/** How a running job stands now. */
export function standingOf(job: JobRow, nowMs: number): JobRow['state'] {
  if (job.state !== 'running') return job.state
  if (job.valid === job.units) return 'done'
  if (job.valid + job.failed === job.units) return 'failed'
  if (job.deadline_ms <= nowMs) return 'expired'
  if (isAtCeiling(job)) return 'ceiling'
  return 'running'
}
