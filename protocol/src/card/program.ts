/**
 * Data for the program of the cards (D6, docs/decisions/0008): which domains the key for acts no longer signs, because a
 * message of that kind was found weak and has a successor. A release of it is signed by the site's release key; a device
 * checks that before it writes the content to a card, where the card's own program goes by it.
 */
import type { KeyObject } from 'node:crypto'
import { decode, encodeDeterministic } from '../codec.ts'
import { checker, Slug, type Static, Type } from '../contract.ts'
import { type DirectSigner, sign1, verify1 } from '../cose.ts'
import { thumbprint } from '../keys.ts'
import { isProblem, Problem } from '../problem.ts'

const domain = new TextEncoder().encode('azukari/card-program/1')

/** Longest signed release, in bytes. */
export const cardReleaseMaxBytes = 2_048

/** A domain of the key for acts; those of the authentication key stay, or a card could no longer say who it is. */
const Retired = Type.String({ pattern: '^azukari/(?!(session|read)/)[a-z-]{1,40}/[0-9]{1,3}$', maxLength: 56 })

/** The card's file: 16 of the longest domains fit into it. */
export const CardProgram = Type.Object({
  /** Which release; a card never goes back to a lower one. */
  number: Type.Integer({ minimum: 1, maximum: 0xffff_ffff }),
  retired: Type.Array(Retired, { maxItems: 16 }),
})
export type CardProgram = Static<typeof CardProgram>

const CardRelease = Type.Object({ site: Slug, program: CardProgram })
const check = checker(CardRelease, 'card release')

/** @throws {Problem} `message.invalid` */
export function signCardRelease(site: string, program: CardProgram, signer: DirectSigner): Uint8Array {
  return sign1(encodeDeterministic(check({ site, program })), signer, domain)
}

/** @throws {Problem} `upgrade.wrong-signer`, `upgrade.foreign`, `message.*`, `cbor.*`, `cose.malformed` */
export function openCardRelease(signed: Uint8Array, site: string, releaseKey: KeyObject): CardProgram {
  if (signed.length > cardReleaseMaxBytes) throw new Problem('message.too-large', 'card release')
  const kid = Buffer.from(thumbprint(releaseKey))
  try {
    const { payload } = verify1(signed, (asked) => (kid.equals(asked) ? releaseKey : undefined), domain)
    const release = check(decode(payload))
    if (release.site !== site) throw new Problem('upgrade.foreign', `for ${release.site}`)
    return release.program
  } catch (cause) {
    if (isProblem(cause, 'cose.unknown-key') || isProblem(cause, 'cose.bad-signature'))
      throw new Problem('upgrade.wrong-signer', cause.detail, { cause })
    throw cause
  }
}
