/**
 * A member's session token (CWT, RFC 8392): placement signs it when the card has proved itself, and any service of the
 * site judges by it who asks, without asking placement. It is worth something only on the device that the card is in, for
 * at most two minutes; while the card is in, the device gets a new one whenever it needs it (docs/decisions/0017).
 */
import type { KeyObject } from 'node:crypto'
import { hex } from './bytes.ts'
import type { DirectSigner } from './cose.ts'
import { peekCwt, signCwt, verifyCwt } from './cwt.ts'
import { isProblem, Problem } from './problem.ts'

/** Who asks, as placement's token says. */
export interface Member {
  id: Uint8Array
  level: number
  /** Thumbprint of the card's authentication key. */
  card: Uint8Array
  /** The session in which the card proved itself. */
  session: Uint8Array
}

/** What our tokens are for: a token of another use is none of a member's. */
const audience = 'azukari/member/1'
/** Claims of ours, in the range for private use (RFC 8392 §9.1). */
const claim = { device: -70_001, card: -70_002, level: -70_003 } as const

/** With the difference of clocks that is allowed for, a token is never taken for longer than two minutes. */
export const memberTokenLifeMs = 110_000
const skewMs = 10_000

/** @param of.device the device that the card is in: on any other the token is refused */
export function signMemberToken(of: Member & { device: string }, nowMs: number, signer: DirectSigner): Uint8Array {
  const iat = Math.floor(nowMs / 1000)
  return signCwt(
    {
      sub: hex(of.id),
      aud: audience,
      iat,
      exp: iat + memberTokenLifeMs / 1000,
      cti: of.session,
      [claim.device]: of.device,
      [claim.card]: of.card,
      [claim.level]: of.level,
    },
    signer,
  )
}

/**
 * Judges a token.
 * @param keyOf placement's keys, by thumbprint
 * @param expect.device the device that sent it
 * @throws {Problem} `session.expired`, `session.elsewhere`; `session.forged` for whatever placement did not sign
 */
export async function openMemberToken(
  token: Uint8Array,
  keyOf: (kid: Uint8Array) => KeyObject | undefined | Promise<KeyObject | undefined>,
  expect: { device: string; nowMs: number },
): Promise<Member> {
  try {
    const key = await keyOf(peekCwt(token).kid)
    const claims = verifyCwt(token, () => key, { aud: audience, nowMs: expect.nowMs, skewMs })
    const { sub, exp, iat, cti } = claims
    const { [claim.device]: device, [claim.card]: card, [claim.level]: level } = claims
    if (
      sub === undefined ||
      !/^[0-9a-f]{32}$/.test(sub) ||
      exp === undefined ||
      iat === undefined ||
      exp - iat > memberTokenLifeMs / 1000 ||
      cti?.length !== 16 ||
      typeof device !== 'string' ||
      !(card instanceof Uint8Array && card.length === 32) ||
      typeof level !== 'number'
    )
      throw new Problem('session.forged', 'claims')
    if (device !== expect.device) throw new Problem('session.elsewhere')
    return { id: new Uint8Array(Buffer.from(sub, 'hex')), level, card, session: cti }
  } catch (error) {
    if (!isProblem(error)) throw error
    if (error.code === 'cose.expired') throw new Problem('session.expired', error.detail)
    // Why exactly it is none is nothing that its sender needs.
    if (/^(cose|cbor)\./.test(error.code)) throw new Problem('session.forged', error.code)
    throw error
  }
}
