/**
 * Signed links (docs/decisions/0029): a CWT that a service signs with its own key, for one contract, one path and a short time.
 * Whoever holds it may ask that path, and nothing else.
 */
import type { KeyObject } from 'node:crypto'
import { hex } from '@azukari/protocol/bytes'
import type { Contract } from '@azukari/protocol/contract'
import type { DirectSigner } from '@azukari/protocol/cose'
import { signCwt, verifyCwt } from '@azukari/protocol/cwt'
import type { Random } from '@azukari/protocol/ports'
import { InternalError, isProblem, Problem } from '@azukari/protocol/problem'
import { fillPath } from './https-path.ts'
import type { Holder } from './service.ts'

/** What a service makes links with, and judges them by. */
export interface LinkKeys {
  signer: DirectSigner
  find(kid: Uint8Array): KeyObject | undefined
}

/** The longest that a link may be good. */
export const linkMaxMs = 7 * 86_400_000

const audience = 'azukari/link/1'
/** Claims of ours, in the range for private use (RFC 8392 §9.1). */
const claim = { contract: -70_011, path: -70_012 } as const

/**
 * The path and query under which `contract` answers whoever has it.
 * @param of.subject for whom it is made, as the handler hears it
 * @throws {InternalError} for a contract of another authority, or a link that is good for too long
 */
export function signLink(
  contract: Contract,
  of: { fields: Readonly<Record<string, string>>; subject: string; lifeMs: number },
  nowMs: number,
  { signer, random }: { signer: DirectSigner; random: Random },
): string {
  if (contract.authority !== 'link' || !contract.https) throw new InternalError(`${contract.id} is not asked by link`)
  if (of.lifeMs > linkMaxMs) throw new InternalError('a link is good for seven days at most')
  const path = fillPath(contract.https.path, of.fields)
  const token = signCwt(
    {
      sub: of.subject,
      aud: audience,
      exp: Math.floor((nowMs + of.lifeMs) / 1_000),
      cti: random.bytes(16),
      [claim.contract]: contract.id,
      [claim.path]: path,
    },
    signer,
  )
  return `${path}?link=${Buffer.from(token).toString('base64url')}`
}

/** @throws {Problem} `url.refused`, `url.expired` */
export function judgeLink(
  token: Uint8Array | undefined,
  { contract, path, nowMs }: { contract: Contract; path: string; nowMs: number },
  keys: LinkKeys,
): Holder {
  if (!token) throw new Problem('url.refused')
  try {
    const { sub, cti, exp, ...claims } = verifyCwt(token, (kid) => keys.find(kid), { aud: audience, nowMs, skewMs: 0 })
    if (sub === undefined || cti?.length !== 16 || exp === undefined) throw new Problem('url.refused', 'claims')
    if (claims[claim.contract] !== contract.id || claims[claim.path] !== path)
      throw new Problem('url.refused', 'it is for something else')
    return { who: hex(cti), holder: sub }
  } catch (error) {
    if (!isProblem(error)) throw error
    if (error.code === 'cose.expired') throw new Problem('url.expired')
    // Why exactly it is none is nothing that its bearer needs.
    if (/^(cose|cbor)\./.test(error.code)) throw new Problem('url.refused')
    throw error
  }
}
