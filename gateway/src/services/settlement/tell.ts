/** How settlement speaks to its members: to the device where each was last seen, and by a letter where one is wanted. */
import type { Contract, RequestOf } from '@azukari/protocol/contract'
import { noteMail } from './mails/note.ts'
import { memberKeys, members } from './members/registers.ts'
import { type ServiceContext, sealFor, type Within } from './service-context.ts'

/**
 * Tells a member something on the device where the member was last seen, kept until taken, and by a letter where the member
 * wants one. Nothing when no key is active.
 */
export async function tell<C extends Contract, T extends object>(
  shared: ServiceContext,
  within: Within,
  to: { member: Uint8Array; contract: C; domain: Uint8Array; body: T; wrap: (sealed: Uint8Array) => RequestOf<C> },
): Promise<void> {
  const { sql, nowMs, emit } = within
  const key = await memberKeys.activeOf(sql, to.member)
  const member = await members.get(sql, to.member)
  if (!key || !member) return
  await emit(to.contract, member.device, to.wrap(sealFor(shared, key, to.domain, nowMs, to.body)), { keep: true })
  await noteMail(shared, within, to.member, to.contract.name)
}
