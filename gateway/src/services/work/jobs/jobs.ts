/** Jobs as operators work with them (W1, W2, W5): submitted, watched, cancelled, fetched. */
import { hex } from '@azukari/protocol/bytes'
import type { JobShown, UnitShown, WorkInvoice } from '@azukari/protocol/contracts/work-operators'
import { Problem } from '@azukari/protocol/problem'
import { instrument } from '@azukari/protocol/work/instrument'
import type { OwnContext } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { blobHashes, keepBlob, sha256, wholeBlob } from '../blobs/store.ts'
import { bookInvoice } from '../bookings/model.ts'
import { bookings } from '../bookings/store.ts'
import { costOf } from '../dispatch/model.ts'
import { copies, units } from '../dispatch/store.ts'
import type { BookingRow, CopyRow, JobRow, UnitRow } from '../tables.ts'
import { forgetWrongOutputs } from '../validation/handlers.ts'
import type { WorkContext } from '../work-context.ts'
import { invoiceDocument, invoiceOf } from './invoice.ts'
import { merged } from './merge.ts'
import { standingOf } from './model.ts'
import { piecesOf, type Split } from './split.ts'
import { jobs } from './store.ts'

/** Units of one job, and bytes that one answer carries. */
const unitsMax = 10_000
const resultMaxBytes = 64 * 2 ** 20

export interface Submission {
  module: Uint8Array
  inputs: readonly Uint8Array[]
  split: Split
  name: string
  customer: string
  /** At settlement; what the job costs is booked when there is one. */
  member?: string | undefined
  mode: JobRow['mode']
  merge: JobRow['merge']
  ceilingMinor: number
  lifeMs: number
  fuel: number
  memoryMaxBytes: number
  wallMs: number
  by: string
}

export class Jobs {
  readonly #shared: WorkContext

  constructor(shared: WorkContext) {
    this.#shared = shared
  }

  /** @throws {Problem} `work.module-refused`, `work.memory`, `work.job-too-large`, `command.invalid` */
  async submit(given: Submission): Promise<JobRow> {
    const { store, random, settings } = this.#shared
    if (given.split.lines !== undefined && given.split.bytes !== undefined)
      throw new Problem('command.invalid', 'inputs are split by lines or by bytes, not by both')
    if (given.name.trim() === '' || given.customer.trim() === '')
      throw new Problem('command.invalid', 'a job needs a name, and a customer: neither may be blank')
    const { memoryMaxBytes } = instrument(given.module)
    if (memoryMaxBytes > given.memoryMaxBytes)
      throw new Problem(
        'work.memory',
        `its memory may grow to ${memoryMaxBytes} bytes; ${given.memoryMaxBytes} are allowed`,
      )
    const pieces: Uint8Array[] = []
    for (const input of given.inputs)
      for (const piece of piecesOf(input, given.split)) {
        if (pieces.push(piece) > unitsMax) throw new Problem('work.job-too-large', `more than ${unitsMax} units`)
      }
    const id = random.bytes(16)
    const job = await store.transaction(async ({ sql, nowMs }) => {
      const row: JobRow = {
        id,
        name: given.name,
        customer: given.customer,
        member: given.member ?? null,
        module: await keepBlob(sql, given.module),
        mode: given.mode,
        merge: given.merge,
        fuel: given.fuel,
        memory_bytes: given.memoryMaxBytes,
        wall_ms: given.wallMs,
        price: settings.priceMinorPerGigafuel,
        points: settings.pointsPerGigafuel,
        currency: settings.currency,
        ceiling: given.ceilingMinor,
        deadline_ms: nowMs + given.lifeMs,
        submitted_by: given.by,
        submitted_ms: nowMs,
        state: 'running',
        problem: null,
        ended_ms: null,
        units: pieces.length,
        valid: 0,
        failed: 0,
        fuel_used: 0,
      }
      await jobs.add(sql, row)
      for (const [unit, piece] of pieces.entries()) await units.add(sql, id, unit, await keepBlob(sql, piece))
      return row
    })
    this.#shared.wake()
    return job
  }

  async list(limit: number): Promise<JobShown[]> {
    const { sql } = this.#shared.store
    return Promise.all((await jobs.newest(sql, limit)).map((job) => shown(sql, job)))
  }

  /** @throws {Problem} `work.job-unknown` */
  async show(id: Uint8Array): Promise<JobShown> {
    const { sql } = this.#shared.store
    return shown(sql, await known(sql, id))
  }

  /** @throws {Problem} `work.job-unknown`, `work.job-ended` */
  async cancel(id: Uint8Array): Promise<JobShown> {
    await this.#shared.store.transaction(async (context) => {
      const job = await known(context.sql, id)
      if (job.state !== 'running') throw new Problem('work.job-ended', job.state)
      await endJob(context, job, 'cancelled')
    })
    return this.show(id)
  }

  /**
   * The merged result, or the output of one unit.
   * @throws {Problem} `work.job-unknown`, `work.job-not-done`, `work.job-too-large`, `command.invalid` for a unit that it has not
   */
  async fetch(
    id: Uint8Array,
    { unit, isPartial = false }: { unit?: number | undefined; isPartial?: boolean },
  ): Promise<{ bytes: Uint8Array; sha256: Uint8Array; units: number }> {
    const { sql } = this.#shared.store
    const job = await known(sql, id)
    if (unit !== undefined && unit >= job.units)
      throw new Problem('command.invalid', `the job has no unit ${unit}: its units are 0 to ${job.units - 1}`)
    const wanted = (await units.ofJob(sql, id)).filter((row) => unit === undefined || row.unit === unit)
    const there = wanted.flatMap(({ state, hash }) => (state === 'valid' && hash ? [hash] : []))
    if (there.length === 0 || (there.length < wanted.length && !isPartial))
      throw new Problem('work.job-not-done', `${there.length} of ${wanted.length} units are valid`)
    const outputs: Uint8Array[] = []
    let size = 0
    for (const hash of there) {
      const output = await wholeBlob(sql, hash)
      size += output.length
      if (size > resultMaxBytes) throw new Problem('work.job-too-large', `more than ${resultMaxBytes} bytes`)
      outputs.push(output)
    }
    const bytes = unit === undefined ? merged(outputs, job.merge) : outputs[0]!
    return { bytes, sha256: sha256(bytes), units: outputs.length }
  }

  /** @throws {Problem} `work.job-unknown` */
  async invoice(
    id: Uint8Array,
  ): Promise<{ invoice: WorkInvoice; document: Uint8Array; booking: BookingRow | undefined }> {
    const { store, signer } = this.#shared
    return store.transaction(async ({ sql, nowMs }) => {
      const job = await known(sql, id)
      const all = await copies.ofJob(sql, id)
      const invoice = invoiceOf(job, all, nowMs)
      return { invoice, document: invoiceDocument(invoice, all, signer), booking: await bookings.get(sql, id) }
    })
  }

  /** @throws {Problem} `work.job-unknown` */
  async units(id: Uint8Array): Promise<UnitShown[]> {
    const { sql } = this.#shared.store
    await known(sql, id)
    const all = await copies.ofJob(sql, id)
    const shownUnits: UnitShown[] = []
    for (const row of await units.ofJob(sql, id))
      shownUnits.push(
        await unitShown(
          sql,
          row,
          all.filter(({ unit }) => unit === row.unit),
        ),
      )
    return shownUnits
  }
}

/** Ends jobs that have all they will have. @returns when to look again at the latest, ms from now */
export async function endJobs(context: OwnContext): Promise<number> {
  let nextMs = Number.POSITIVE_INFINITY
  for (const job of await jobs.running(context.sql)) {
    const state = standingOf(job, context.nowMs)
    if (state === 'running') nextMs = Math.min(nextMs, job.deadline_ms - context.nowMs)
    else await endJob(context, job, state)
  }
  return nextMs
}

async function endJob({ sql, nowMs }: OwnContext, job: JobRow, state: JobRow['state']): Promise<void> {
  await jobs.set(sql, { ...job, state, ended_ms: nowMs })
  await bookInvoice(sql, job, nowMs)
  await sql.run(`UPDATE units SET missing = 0 WHERE job = ?`, job.id)
  await sql.run(`UPDATE copies SET state = 'dropped' WHERE job = ? AND state IN ('leased', 'returned')`, job.id)
  await forgetWrongOutputs(sql, job.id)
}

async function known(sql: Sql, id: Uint8Array): Promise<JobRow> {
  const job = await jobs.get(sql, id)
  if (!job) throw new Problem('work.job-unknown')
  return job
}

async function shown(sql: Sql, job: JobRow): Promise<JobShown> {
  const row: JobShown = {
    job: hex(job.id),
    name: job.name,
    customer: job.customer,
    state: job.state,
    mode: job.mode,
    merge: job.merge,
    module: hex(job.module),
    units: job.units,
    valid: job.valid,
    failed: job.failed,
    computing: await copies.computing(sql, job.id),
    fuel: job.fuel_used,
    costMinor: costOf(job),
    ceilingMinor: job.ceiling,
    currency: job.currency,
    submittedMs: job.submitted_ms,
    deadlineMs: job.deadline_ms,
  }
  if (job.member !== null) row.member = job.member
  if (job.ended_ms !== null) row.endedMs = job.ended_ms
  if (job.problem !== null) row.problem = job.problem
  return row
}

async function unitShown(sql: Sql, row: UnitRow, of: readonly CopyRow[]): Promise<UnitShown> {
  const unit: UnitShown = {
    unit: row.unit,
    state: row.state,
    inputBytes: (await blobHashes(sql, row.input))?.sizeBytes ?? 0,
    copies: of.map(copyShown),
  }
  if (row.state === 'valid' && row.hash) unit.sha256 = hex(row.hash)
  if (row.problem !== null) unit.problem = row.problem
  return unit
}

function copyShown({
  attempt,
  device,
  owner,
  state,
  fuel,
  hash,
  problem,
  micro_points,
}: CopyRow): UnitShown['copies'][0] {
  const copy: UnitShown['copies'][0] = { attempt, device, owner, state, microPoints: micro_points }
  if (fuel !== null) copy.fuel = fuel
  if (hash) copy.sha256 = hex(hash)
  if (problem !== null) copy.problem = problem
  return copy
}
