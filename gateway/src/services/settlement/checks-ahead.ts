/** Which acts have their signatures looked at ahead of their turn (B6): those that come by the hundred. */
import {
  instructionDomain,
  instructPayment,
  orderDomain,
  placeOrder,
} from '@azukari/protocol/contracts/settlement-purchase'
import type { Ahead, Handler } from '../../service/service.ts'
import type { Desk } from './desk.ts'

/** The field that holds the sealed message, and what it is sealed for. */
const sealedIn = new Map<string, { field: string; domain: Uint8Array }>([
  [placeOrder.id, { field: 'order', domain: orderDomain }],
  [instructPayment.id, { field: 'instruction', domain: instructionDomain }],
])

/** The handlers, with what their turns wait for; as they are when there are no threads to do it. */
export function withChecksAhead(desk: Desk, handlers: readonly Handler[]): Handler[] {
  return handlers.map((handler) => {
    const sealed = sealedIn.get(handler.contract.id)
    if (handler.kind !== 'act' || !sealed || !desk.checks) return handler
    const ahead: Ahead<typeof handler.contract> = (body) =>
      checkAhead(desk, (body as Record<string, unknown>)[sealed.field], sealed.domain)
    return { ...handler, ahead }
  })
}

/** Resolves when it has been looked at, and keeps what was found for whoever reads it. @throws {Problem} `service.busy` */
function checkAhead({ checks, checked }: Desk, sealed: unknown, domain: Uint8Array): Promise<void> | undefined {
  if (!checks || !(sealed instanceof Uint8Array)) return undefined
  return checks.check(sealed, domain).then((found) => {
    if (found) checked.set(sealed, { domain, found })
  })
}
