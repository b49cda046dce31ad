/** Jobs over many devices, as they are kept (D6). What is decided is in `schedule.ts`; each change is one transaction. */
import type { JobKind, JobOrder, JobResult, SettingValues } from '@azukari/protocol/contracts/fleet'
import { Problem } from '@azukari/protocol/problem'
import type { GatewayTables } from '../registry/tables.ts'
import type { Sql } from '../storage/database.ts'
import { putRow } from '../storage/insert.ts'
import { queries } from '../storage/query.ts'
import { endPart, type JobPlan, type Part, planJob } from './schedule.ts'
import { desire } from './states.ts'

type JobRow = GatewayTables['jobs']
type PartRow = GatewayTables['job_devices']

export interface NewJob extends Omit<JobPlan, 'state'> {
  id: Uint8Array
  kind: JobKind
  /** Of an upgrade, or of data for cards. */
  release?: Uint8Array | undefined
  /** Of a configuration. */
  settings?: SettingValues | undefined
  devices: readonly string[]
}

export interface Job extends JobPlan {
  id: Uint8Array
  kind: JobKind
  release: Uint8Array | undefined
  settings: SettingValues | undefined
  createdMs: number
}

/** Devices of one job, and jobs that are kept. */
const maxDevices = 100_000

const query = queries<GatewayTables>()
const insertJob = query<JobRow>()((db, p) =>
  db.insertInto('jobs').values({
    id: p.id,
    kind: p.kind,
    release: p.release,
    settings: p.settings,
    per_minute: p.per_minute,
    abort_percent: p.abort_percent,
    abort_after: p.abort_after,
    timeout_ms: p.timeout_ms,
    retries: p.retries,
    state: p.state,
    created_ms: p.created_ms,
  }),
)
const jobById = query<{ id: Uint8Array }>()((db, p) => db.selectFrom('jobs').selectAll().where('id', '=', p.id))
const allJobs = query<Record<never, never>>()((db) => db.selectFrom('jobs').selectAll().orderBy('created_ms', 'desc'))
/** Jobs that begin with devices, and those that wait for what has begun. */
const openJobs = query<{ state: string }>()((db, p) =>
  db
    .selectFrom('jobs')
    .selectAll()
    .where((row) =>
      row.or([
        row('state', '=', p.state),
        row('id', 'in', db.selectFrom('job_devices').select('job').where('job_devices.state', '=', p.state)),
      ]),
    )
    .orderBy('created_ms'),
)
const setState = query<{ id: Uint8Array; state: string }>()((db, p) =>
  db.updateTable('jobs').set({ state: p.state }).where('id', '=', p.id),
)
const partsOf = query<{ job: Uint8Array }>()((db, p) =>
  db.selectFrom('job_devices').selectAll().where('job', '=', p.job).orderBy('device'),
)
const partOf = query<{ job: Uint8Array; device: string }>()((db, p) =>
  db.selectFrom('job_devices').selectAll().where('job', '=', p.job).where('device', '=', p.device),
)
const underWay = query<{ device: string }>()((db, p) =>
  db.selectFrom('job_devices').selectAll().where('device', '=', p.device).where('state', '=', 'running'),
)
const allUnderWay = query<Record<never, never>>()((db) =>
  db.selectFrom('job_devices').select('device').where('state', '=', 'running'),
)
const reportsOf = query<{ job: Uint8Array }>()((db, p) =>
  db.selectFrom('diagnostics').selectAll().where('job', '=', p.job).orderBy('device'),
)

/** @throws {Problem} `config.invalid` when the job cannot be meant */
export async function newJob(sql: Sql, job: NewJob, nowMs: number): Promise<void> {
  if (job.devices.length === 0) throw new Problem('config.invalid', 'a job for no device')
  if (job.devices.length > maxDevices) throw new Problem('config.invalid', `a job for at most ${maxDevices} devices`)
  if ((job.kind === 'upgrade' || job.kind === 'card-data') !== (job.release !== undefined))
    throw new Problem('config.invalid', 'an upgrade, or data for cards, names a release, and nothing else does')
  if ((job.kind === 'configuration') !== (job.settings !== undefined))
    throw new Problem('config.invalid', 'a configuration names settings, and nothing else does')
  await insertJob.run(sql, {
    id: job.id,
    kind: job.kind,
    release: job.release ?? null,
    settings: job.settings ? JSON.stringify(job.settings) : null,
    per_minute: job.perMinute,
    abort_percent: job.abortPercent,
    abort_after: job.abortAfter,
    timeout_ms: job.timeoutMs,
    retries: job.retries,
    state: 'running',
    created_ms: nowMs,
  })
  for (const device of new Set(job.devices))
    await store(
      sql,
      job.id,
      { device, state: 'queued', attempt: 0, startedMs: 0, untilMs: 0, code: null, detail: null },
      null,
    )
}

export async function listJobs(sql: Sql): Promise<Job[]> {
  return (await allJobs.all(sql, {})).map(jobOf)
}

/** @throws {Problem} `job.unknown` */
export async function showJob(sql: Sql, id: Uint8Array): Promise<{ job: Job; parts: Part[] }> {
  const row = await jobById.get(sql, { id })
  if (!row) throw new Problem('job.unknown')
  return { job: jobOf(row), parts: (await partsOf.all(sql, { job: id })).map(asPart) }
}

/** Stops a job: what has begun may end, nothing else begins. @throws {Problem} `job.unknown` */
export async function cancelJob(sql: Sql, id: Uint8Array): Promise<void> {
  const { job } = await showJob(sql, id)
  if (job.state !== 'running') return
  await setState.run(sql, { id, state: 'cancelled' })
  await advance(sql, { ...job, state: 'cancelled' }, () => false, 0)
}

/** Whether there is any job that `advanceJobs` could do something about. */
export async function hasOpenJobs(sql: Sql): Promise<boolean> {
  return (await openJobs.get(sql, { state: 'running' })) !== undefined
}

/** Lets all open jobs go on, and returns the devices that have something to ask for now. */
export async function advanceJobs(sql: Sql, connected: (device: string) => boolean, nowMs: number): Promise<string[]> {
  const begun: string[] = []
  for (const row of await openJobs.all(sql, { state: 'running' })) {
    const busy = new Set((await allUnderWay.all(sql, {})).map(({ device }) => device))
    const up = (device: string) => connected(device) && !busy.has(device)
    begun.push(...(await advance(sql, jobOf(row), up, nowMs)))
  }
  return begun
}

/** What a device is to do now; undefined when nothing. */
export async function orderFor(sql: Sql, device: string): Promise<JobOrder | undefined> {
  const part = await underWay.get(sql, { device })
  const row = part && (await jobById.get(sql, { id: part.job }))
  if (!row) return undefined
  return {
    job: part.job,
    attempt: part.attempt,
    kind: jobOf(row).kind,
    untilMs: part.until_ms,
    ...(row.release && { release: row.release }),
    ...(part.version !== null && { version: part.version }),
  }
}

/** Takes a device's word on its part; one that is late, repeated or for another attempt changes nothing. */
export async function endJobPart(sql: Sql, device: string, result: JobResult): Promise<void> {
  const row = await partOf.get(sql, { job: result.job, device })
  const job = await jobById.get(sql, { id: result.job })
  if (!row || !job || row.state !== 'running' || row.attempt !== result.attempt) return
  await store(sql, result.job, endPart(jobOf(job), asPart(row), result), row.version)
}

/** @throws {Problem} `job.unknown` when the device has no such job under way */
export async function keepDiagnostics(
  sql: Sql,
  device: string,
  job: Uint8Array,
  report: Uint8Array,
  nowMs: number,
): Promise<void> {
  if ((await partOf.get(sql, { job, device }))?.state !== 'running') throw new Problem('job.unknown')
  await putRow(sql, 'diagnostics', ['job', 'device'], { job, device, at_ms: nowMs, report })
}

export async function diagnosticsOf(
  sql: Sql,
  job: Uint8Array,
): Promise<{ device: string; atMs: number; report: unknown }[]> {
  return (await reportsOf.all(sql, { job })).map(({ device, at_ms, report }) => ({
    device,
    atMs: at_ms,
    report: asJson(report),
  }))
}

async function advance(sql: Sql, job: Job, up: (device: string) => boolean, nowMs: number): Promise<string[]> {
  const rows = new Map((await partsOf.all(sql, { job: job.id })).map((row) => [row.device, row]))
  const { state, changed } = planJob(job, [...rows.values()].map(asPart), up, nowMs)
  for (const part of changed) {
    const before = rows.get(part.device)!
    // The settings become desired when the device's turn comes, in the same transaction; a second try asks for no more.
    const begins = part.state === 'running' && job.settings !== undefined && before.version === null
    await store(sql, job.id, part, begins ? await desire(sql, part.device, job.settings!) : before.version)
  }
  if (state !== job.state) await setState.run(sql, { id: job.id, state })
  return changed.filter((part) => part.state === 'running').map(({ device }) => device)
}

async function store(sql: Sql, job: Uint8Array, part: Part, version: number | null): Promise<void> {
  const { device, state, attempt, startedMs, untilMs, code, detail } = part
  await putRow(sql, 'job_devices', ['job', 'device'], {
    job,
    device,
    state,
    attempt,
    started_ms: startedMs,
    until_ms: untilMs,
    version,
    code,
    detail,
  })
}

function jobOf(row: JobRow): Job {
  return {
    id: row.id,
    kind: row.kind as JobKind,
    release: row.release ?? undefined,
    settings: row.settings === null ? undefined : JSON.parse(row.settings),
    perMinute: row.per_minute,
    abortPercent: row.abort_percent,
    abortAfter: row.abort_after,
    timeoutMs: row.timeout_ms,
    retries: row.retries,
    state: row.state as JobPlan['state'],
    createdMs: row.created_ms,
  }
}

function asPart({ device, state, attempt, started_ms, until_ms, code, detail }: PartRow): Part {
  return { device, state: state as Part['state'], attempt, startedMs: started_ms, untilMs: until_ms, code, detail }
}

/** A device's report is what it sent: shown as text when it is no JSON. */
function asJson(bytes: Uint8Array): unknown {
  const text = new TextDecoder().decode(bytes)
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
