/** An owner redeems points at one of the owner's boards (W11). */
import { redeemPoints, type WorkRedemption } from '@azukari/protocol/contracts/work'
import { Problem } from '@azukari/protocol/problem'
import type { ActContext, Handler } from '../../../service/service.ts'
import { signedAct } from '../../../service/service.ts'
import type { SignedContent } from '../../../service/signed.ts'
import { deviceKeys, devices } from '../devices/store.ts'
import { requireAddressed, type WorkContext } from '../work-context.ts'
import { type Redeemed, redeem } from './model.ts'

export function bookingHandlers(shared: WorkContext): Handler[] {
  return [signedAct(redeemPoints, (_body, context) => take(shared, context))]
}

async function take(
  shared: WorkContext,
  context: ActContext & { signed: SignedContent<WorkRedemption> },
): Promise<Redeemed> {
  const { sql, signed, caller } = context
  const { audience, device, act, points } = signed.body
  requireAddressed(shared, audience)
  if (device !== caller.device) throw new Problem('cose.wrong-audience', 'another device’s redemption')
  const key = await deviceKeys.get(sql, signed.kid)
  const row = await devices.get(sql, device)
  if (!row || key?.device !== device) throw new Problem('work.unregistered')
  const redeemed = await redeem(context, shared.settings, { id: act, owner: row.owner, points })
  context.afterCommit(() => shared.wake())
  return redeemed
}
