/** How a device registers for work (W3, W8), and what it is told of what it did. */
import { readWorkAccount, registerForWork, type WorkRegistration } from '@azukari/protocol/contracts/work'
import { Problem } from '@azukari/protocol/problem'
import type { Context, Handler } from '../../../service/service.ts'
import { call, signedCall } from '../../../service/service.ts'
import type { SignedContent } from '../../../service/signed.ts'
import { sha256 } from '../blobs/store.ts'
import { leftOf, redemptionsOf } from '../bookings/model.ts'
import { firstQuota } from '../dispatch/model.ts'
import { copies } from '../dispatch/store.ts'
import { requireAddressed, type WorkContext } from '../work-context.ts'
import { deviceKeys, devices, owners, points } from './store.ts'

export function deviceHandlers(shared: WorkContext): Handler[] {
  return [
    signedCall(registerForWork, (_body, context) => register(shared, context)),
    call(readWorkAccount, async (_body, { caller }) => {
      const { sql } = shared.store
      const row = await devices.get(sql, caller.device)
      if (!row) throw new Problem('work.unregistered')
      const { micro, fuel } = await points.ofDevice(sql, row.id)
      const { valid, wrong } = row
      return {
        owner: row.owner,
        device: { valid, wrong, waiting: await copies.waiting(sql, row.id), fuel, microPoints: micro },
        ownerMicroPoints: await points.ofOwner(sql, row.owner),
        leftMicroPoints: await leftOf(sql, row.owner),
        redemptions: await redemptionsOf(sql, row.owner),
      }
    }),
  ]
}

async function register(
  shared: WorkContext,
  { caller, nowMs, signed }: Context & { signed: SignedContent<WorkRegistration> },
): Promise<{ owner: string }> {
  const { audience, device, key, code } = signed.body
  requireAddressed(shared, audience)
  // The session proves which device it is; the signature, that it has the key with which it will sign results.
  if (device !== caller.device) throw new Problem('cose.wrong-audience', 'another device’s registration')
  return shared.store.transaction(async ({ sql }) => {
    const owner = await owners.byCode(sql, sha256(new TextEncoder().encode(code)))
    if (!owner) throw new Problem('work.owner-code')
    await devices.add(sql, device, owner.id, firstQuota, nowMs)
    await deviceKeys.add(sql, signed.kid, device, key, nowMs)
    return { owner: owner.id }
  })
}
