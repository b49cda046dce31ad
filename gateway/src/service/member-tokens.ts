/** How a service knows which member asks: by the token that placement signed (docs/decisions/0017). */
import type { KeyObject } from 'node:crypto'
import { type Member, openMemberToken } from '@azukari/protocol/member-token'
import { Problem } from '@azukari/protocol/problem'

/** Placement's keys, by thumbprint. */
export type TokenKeys = (kid: Uint8Array) => KeyObject | undefined | Promise<KeyObject | undefined>

/**
 * Judges the token that came with a request.
 * @param device who sent it, as the gateway vouches for it
 * @throws {Problem} `session.required`, `session.expired`, `session.ended`, `session.elsewhere`, `session.forged`
 */
export type MemberCheck = (token: Uint8Array | undefined, device: string, nowMs: number) => Promise<Member>

/** @param isOpen whether the session still stands: only who keeps the sessions can say that before the token's end */
export function memberCheck(
  keyOf: TokenKeys,
  isOpen: (session: Uint8Array, device: string) => boolean = () => true,
): MemberCheck {
  return async (token, device, nowMs) => {
    if (!token) throw new Problem('session.required')
    const member = await openMemberToken(token, keyOf, { device, nowMs })
    if (!isOpen(member.session, device)) throw new Problem('session.ended')
    return member
  }
}
