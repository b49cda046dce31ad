/** Results come in, signed by the device that computed them; what enough owners agree on is valid and credited (W4, W7, W11). */
import { sameBytes } from '@azukari/protocol/bytes'
import { sendResult, type WorkResult } from '@azukari/protocol/contracts/work'
import { Problem } from '@azukari/protocol/problem'
import type { ActContext, Handler } from '../../../service/service.ts'
import { signedAct } from '../../../service/service.ts'
import type { SignedContent, Signers } from '../../../service/signed.ts'
import type { Sql } from '../../../storage/database.ts'
import { keepBlob, sha256, wholeBlob } from '../blobs/store.ts'
import { deviceKeys, devices } from '../devices/store.ts'
import { missingCopies, returnedOf } from '../dispatch/issue.ts'
import { microPointsFor, recordAfter } from '../dispatch/model.ts'
import { copies, units } from '../dispatch/store.ts'
import { judgeSpawn } from '../jobs/rounds.ts'
import { jobs } from '../jobs/store.ts'
import type { CopyRow, JobRow, UnitRow } from '../tables.ts'
import { requireAddressed, type WorkContext } from '../work-context.ts'
import { answerOf, judgeUnit } from './model.ts'
import { credit } from './store.ts'

type Standing = 'waiting' | 'valid' | 'wrong' | 'late' | 'failed'
type Context = ActContext & { signed: SignedContent<WorkResult> }

/** With which keys results are verified: those that devices registered. */
export const deviceSigners: Signers = { find: (sql, kid) => deviceKeys.get(sql, kid) }

export function resultHandlers(shared: WorkContext): Handler[] {
  return [signedAct(sendResult, ({ output }, context) => take(shared, output, context))]
}

async function take(
  shared: WorkContext,
  output: Uint8Array | undefined,
  context: Context,
): Promise<{ standing: Standing }> {
  const { sql, nowMs, signed, caller } = context
  const { body } = signed
  requireAddressed(shared, body.audience)
  const key = await deviceKeys.get(sql, signed.kid)
  const copy = await copies.get(sql, body)
  if (!copy || copy.device !== caller.device) throw new Problem('work.unit-gone')
  if (key?.device !== copy.device) throw new Problem('work.result-forged', 'another device’s key')
  const job = (await jobs.get(sql, copy.job))!
  const unit = (await units.get(sql, copy.job, copy.unit))!
  const result = checked(body, output)
  if (copy.state === 'valid' || copy.state === 'wrong') return { standing: copy.state }
  if (copy.state === 'returned') return { standing: 'waiting' }
  if (job.state !== 'running') return { standing: 'late' }
  const kept: CopyRow = { ...copy, ...result, state: 'returned', receipt: signed.message }
  await copies.setResult(sql, kept)
  if (unit.state !== 'open') return { standing: await judgeLate(context, job, unit, kept) }
  if (result.problem === null) await keepBlob(sql, output ?? new Uint8Array())
  const standing = await judge(context, job, unit, kept)
  if (standing !== 'waiting') context.afterCommit(() => shared.wake())
  shared.log.debug('a result came', { device: caller.device, unit: copy.unit, standing, atMs: nowMs })
  return { standing }
}

/** What the signature says, held against what came with it. @throws {Problem} `work.result-forged` */
function checked(
  { hash, sizeBytes, fuelUsed, problem }: WorkResult,
  output: Uint8Array | undefined,
): Pick<CopyRow, 'hash' | 'fuel' | 'problem'> {
  const bytes = output ?? new Uint8Array()
  if (bytes.length !== sizeBytes || !sameBytes(hash, sha256(bytes)))
    throw new Problem('work.result-forged', 'the output is another one')
  return { hash, fuel: fuelUsed, problem: problem ?? null }
}

async function judge(context: Context, job: JobRow, unit: UnitRow, copy: CopyRow): Promise<Standing> {
  const { sql } = context
  const all = await copies.ofUnit(sql, unit.job, unit.unit)
  const verdict = judgeUnit(Math.max(1, unit.quorum), returnedOf(all))
  if (verdict.is === 'open') {
    await units.set(sql, { ...unit, missing: missingCopies(unit, all) })
    return 'waiting'
  }
  if (verdict.is === 'torn') {
    await units.set(sql, { ...unit, state: 'failed', missing: 0, problem: 'work.torn' })
    await jobs.set(sql, { ...job, failed: job.failed + 1 })
    return 'failed'
  }
  const agreed = all.find((one) => one.state === 'returned' && answerOf(resultOf(one)) === verdict.answer)!
  const { hash } = agreed
  const spawned = agreed.problem === null ? await spawn(sql, job, unit, hash!) : undefined
  const problem = agreed.problem ?? spawned?.problem ?? null
  await units.set(sql, { ...unit, state: problem === null ? 'valid' : 'failed', missing: 0, hash, problem })
  let fuel = 0
  for (const one of all) {
    if (one.state === 'leased') await copies.setState(sql, one, 'dropped')
    if (one.state !== 'returned') continue
    const isValid = answerOf(resultOf(one)) === verdict.answer
    await settle(context, job, { ...one, charged: 1 }, isValid)
    if (isValid) fuel += one.fuel ?? 0
  }
  const n = spawned?.n ?? 0
  const after: JobRow = {
    ...job,
    fuel_used: job.fuel_used + fuel,
    units: job.units + n,
    spawn_left: job.spawn_left - n,
  }
  if (problem === null) after.valid++
  else after.failed++
  await jobs.set(sql, after)
  return answerOf(resultOf(copy)) === verdict.answer ? 'valid' : 'wrong'
}

/** The units that a valid result asks for, all or none (W6). Who computed it is credited either way: it did what the module says. */
async function spawn(sql: Sql, job: JobRow, unit: UnitRow, hash: Uint8Array): Promise<{ n: number; problem?: string }> {
  if (job.rounds === 0) return { n: 0 }
  const judged = judgeSpawn(job, unit, await wholeBlob(sql, hash))
  if (judged.problem !== undefined) return { n: 0, problem: judged.problem }
  for (const [i, input] of judged.inputs.entries())
    await units.add(sql, {
      job: job.id,
      unit: job.units + i,
      input: await keepBlob(sql, input),
      round: unit.round + 1,
    })
  return { n: judged.inputs.length }
}

/** A result of a unit that is final already: what agrees is credited as long as the job runs, and costs the customer nothing. */
async function judgeLate(context: Context, job: JobRow, unit: UnitRow, copy: CopyRow): Promise<Standing> {
  const valid = (await copies.ofUnit(context.sql, unit.job, unit.unit)).find(({ state }) => state === 'valid')
  const isValid = valid !== undefined && answerOf(resultOf(copy)) === answerOf(resultOf(valid))
  await settle(context, job, copy, isValid)
  return isValid ? 'valid' : 'wrong'
}

/** The device's record, and what it earns. */
async function settle({ sql, nowMs }: Context, job: JobRow, copy: CopyRow, isValid: boolean): Promise<void> {
  const device = await devices.get(sql, copy.device)
  if (device) await devices.setRecord(sql, recordAfter(device, isValid ? 'valid' : 'wrong'))
  await copies.setState(sql, copy, isValid ? 'valid' : 'wrong')
  if (isValid) await credit(sql, { ...copy, micro_points: microPointsFor(job, copy.fuel ?? 0) }, nowMs)
}

function resultOf({ owner, hash, fuel, problem }: CopyRow) {
  return { owner, hash: hash ?? new Uint8Array(), fuel: fuel ?? 0, problem }
}

/** Outputs that were not the valid one are of no use. */
export async function forgetWrongOutputs(sql: Sql, job: Uint8Array): Promise<void> {
  for (const { hash } of await copies.ofJob(sql, job)) {
    if (!hash) continue
    const isWanted = await sql.get(
      'SELECT 1 AS n FROM units WHERE hash = ? OR input = ? UNION ALL SELECT 1 AS n FROM jobs WHERE module = ? LIMIT 1',
      hash,
      hash,
      hash,
    )
    if (isWanted) continue
    await sql.run('DELETE FROM blob_parts WHERE hash = ?', hash)
    await sql.run('DELETE FROM blobs WHERE hash = ?', hash)
  }
}
