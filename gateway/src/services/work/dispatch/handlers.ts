/** Units go to devices that ask (W3, W7): a lease each, fetched by hash, kept by signs of life, given back. */

import { sameBytes } from '@azukari/protocol/bytes'
import { encodeDeterministic } from '@azukari/protocol/codec'
import {
  fetchForUnit,
  giveUnitBack,
  keepUnit,
  outputMaxBytes,
  takeUnit,
  unitDomain,
  type WorkUnit,
  workInput,
  workModule,
} from '@azukari/protocol/contracts/work'
import { sign1 } from '@azukari/protocol/cose'
import { Problem } from '@azukari/protocol/problem'
import type { Handler, OwnContext } from '../../../service/service.ts'
import { call } from '../../../service/service.ts'
import type { Sql } from '../../../storage/database.ts'
import { blobHashes } from '../blobs/store.ts'
import { devices } from '../devices/store.ts'
import { jobs } from '../jobs/store.ts'
import type { CopyRow, DeviceRow, JobRow } from '../tables.ts'
import type { WorkContext } from '../work-context.ts'
import { missingCopies } from './issue.ts'
import { dayOf, isSpent, quorumFor, recordAfter } from './model.ts'
import { copies, units } from './store.ts'

/** State of a checkpoint; it stays on the device. */
const stateMaxBytes = 16 * 2 ** 20
const downloadLifeMs = 86_400_000

export function dispatchHandlers(shared: WorkContext): Handler[] {
  const { store, random, settings } = shared
  return [
    call(takeUnit, (_body, { caller }) => {
      const draw = random.float()
      return store.transaction((context) => take(shared, context, caller.device, draw))
    }),
    call(fetchForUnit, ({ hash, ...key }, { caller }) =>
      store.transaction(async ({ sql, offer }) => {
        const { job } = await heldCopy(sql, key, caller.device)
        const unit = await units.get(sql, key.job, key.unit)
        const kind = sameBytes(hash, job.module) ? workModule : workInput
        const hashes = await blobHashes(sql, hash)
        if (!unit || !hashes || (kind === workInput && !sameBytes(hash, unit.input)))
          throw new Problem('work.unit-gone', 'not of this unit')
        await offer(caller.device, {
          kind,
          name: Buffer.from(hash).toString('hex'),
          mediaType: kind === workModule ? 'application/wasm' : 'application/octet-stream',
          reference: hash,
          hashes,
          lifeMs: downloadLifeMs,
        })
        return {}
      }),
    ),
    call(keepUnit, (key, { caller }) =>
      store.transaction(async ({ sql, nowMs }) => {
        await heldCopy(sql, key, caller.device)
        await copies.setLease(sql, key, nowMs + settings.leaseMs)
        return { leaseMs: settings.leaseMs }
      }),
    ),
    call(giveUnitBack, ({ problem, ...key }, { caller, nowMs }) =>
      store.transaction(async ({ sql }) => {
        const copy = await copies.get(sql, key)
        if (copy?.device === caller.device && copy.state === 'leased') {
          await endCopy(sql, copy, 'given-back')
          shared.log.info('a unit was given back', { device: caller.device, problem, atMs: nowMs })
        }
        return {}
      }),
    ),
  ]
}

type Taken = { unit?: Uint8Array; againMs: number; why?: 'none' | 'quota' }

async function take(shared: WorkContext, { sql, nowMs }: OwnContext, id: string, draw: number): Promise<Taken> {
  const { againMs, leaseMs } = shared.settings
  const device = await devices.get(sql, id)
  if (!device) throw new Problem('work.unregistered')
  const held = await copies.heldBy(sql, id)
  if (held) {
    await copies.setLease(sql, held, nowMs + leaseMs)
    return { unit: await signedUnit(shared, sql, held, nowMs), againMs }
  }
  if (isSpent(device, nowMs)) return { againMs, why: 'quota' }
  const unit = await units.next(sql, device.owner, nowMs)
  if (!unit) return { againMs, why: 'none' }
  const job = (await jobs.get(sql, unit.job))!
  const before = await copies.ofUnit(sql, unit.job, unit.unit)
  const copy = { job: unit.job, unit: unit.unit, attempt: before.length, device: id, owner: device.owner }
  await copies.add(sql, { ...copy, lease_ms: nowMs + leaseMs })
  const quorum = Math.max(unit.quorum, quorumFor(job, device, draw))
  const now = await copies.ofUnit(sql, unit.job, unit.unit)
  await units.set(sql, { ...unit, quorum, missing: missingCopies({ state: unit.state, quorum }, now) })
  await countTaken(sql, device, nowMs)
  return { unit: await signedUnit(shared, sql, now.at(-1)!, nowMs), againMs }
}

async function countTaken(sql: Sql, { id, day, taken }: DeviceRow, nowMs: number): Promise<void> {
  const today = dayOf(nowMs)
  await devices.setTaken(sql, id, today, day === today ? taken + 1 : 1)
}

async function signedUnit(
  { signer, settings }: WorkContext,
  sql: Sql,
  copy: CopyRow,
  nowMs: number,
): Promise<Uint8Array> {
  const job = (await jobs.get(sql, copy.job))!
  const { input } = (await units.get(sql, copy.job, copy.unit))!
  const body: WorkUnit = {
    contract: takeUnit.id,
    audience: copy.device,
    issuedMs: nowMs,
    expiresMs: job.deadline_ms,
    job: copy.job,
    unit: copy.unit,
    attempt: copy.attempt,
    module: job.module,
    input,
    inputBytes: (await blobHashes(sql, input))!.sizeBytes,
    limits: {
      fuel: job.fuel,
      memoryMaxBytes: job.memory_bytes,
      wallMs: job.wall_ms,
      outputMaxBytes,
      stateMaxBytes,
    },
    leaseMs: settings.leaseMs,
  }
  return sign1(encodeDeterministic(body), signer, unitDomain)
}

/** @throws {Problem} `work.unit-gone` when this device does not hold it, or nobody wants it any more */
async function heldCopy(
  sql: Sql,
  key: Pick<CopyRow, 'job' | 'unit' | 'attempt'>,
  device: string,
): Promise<{ copy: CopyRow; job: JobRow }> {
  const copy = await copies.get(sql, key)
  const job = await jobs.get(sql, key.job)
  if (copy?.device !== device || copy.state !== 'leased' || !job) throw new Problem('work.unit-gone')
  return { copy, job }
}

/** A copy of which nothing comes any more: another one takes its place. */
async function endCopy(sql: Sql, copy: CopyRow, state: 'lost' | 'given-back' | 'dropped'): Promise<void> {
  await copies.setState(sql, copy, state)
  const unit = await units.get(sql, copy.job, copy.unit)
  if (unit?.state !== 'open') return
  const now = await copies.ofUnit(sql, copy.job, copy.unit)
  await units.set(sql, { ...unit, missing: missingCopies(unit, now) })
}

/** Ends leases of devices that were silent for too long. @returns how many there were */
export async function endSilent({ sql, nowMs }: Pick<OwnContext, 'sql' | 'nowMs'>, limit: number): Promise<number> {
  const silent = await copies.silent(sql, nowMs, limit)
  for (const copy of silent) {
    await endCopy(sql, copy, 'lost')
    const device = await devices.get(sql, copy.device)
    if (device) await devices.setRecord(sql, recordAfter(device, 'lost'))
  }
  return silent.length
}
