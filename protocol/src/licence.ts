/**
 * A licence that lives while the licence app runs (W8, W9). Work signs a lease for one app on one device's key; the licence app on that device
 * answers each challenge of the user app with the lease and a signature of that key. A lease that lies on another device proves nothing there.
 */
import { createHash } from 'node:crypto'
import { sameBytes } from './bytes.ts'
import { decode, encodeDeterministic } from './codec.ts'
import { Bytes, checker, Hash, Id, Slug, type Static, TimeMs, Type } from './contract.ts'
import { type DirectSigner, peek1, sign1, verify1 } from './cose.ts'
import { type KeyDirectory, signersAt } from './key-directory.ts'
import { parseCoseKey, thumbprint } from './keys.ts'
import { isProblem, Problem } from './problem.ts'

export const leaseDomain = new TextEncoder().encode('azukari/licence-lease/1')
export const proofDomain = new TextEncoder().encode('azukari/licence-proof/1')

/** What work signs. */
export const Lease = Type.Object({
  contract: Type.Literal('work.licence.renew@1'),
  licence: Id,
  app: Slug,
  device: Slug,
  /** COSE_Key of the device. */
  key: Bytes(32, 600),
  issuedMs: TimeMs,
  /** The app runs until then without a line to the site. */
  expiresMs: TimeMs,
})
export type Lease = Static<typeof Lease>

/** What the device signs for each challenge. */
export const LicenceProof = Type.Object({
  /** SHA-256 of the signed lease. */
  lease: Hash,
  nonce: Id,
  /** The time as the device knows it. */
  atMs: TimeMs,
})
export type LicenceProof = Static<typeof LicenceProof>

const checkLease = checker(Lease, 'lease')
const checkProof = checker(LicenceProof, 'licence proof')

/** The licence app's answer to a challenge. */
export function proveLicence(lease: Uint8Array, nonce: Uint8Array, atMs: number, device: DirectSigner): Uint8Array {
  return sign1(encodeDeterministic({ lease: sha256(lease), nonce, atMs }), device, proofDomain)
}

/** A lease that work signed. @throws {Problem} `licence.forged` */
export function openLease(signed: Uint8Array, directory: KeyDirectory): Lease {
  try {
    // The lease says when it was signed: which key was work's then decides.
    const lease = checkLease(decode(peek1(signed).payload))
    verify1(signed, signersAt(directory, 'work', lease.issuedMs), leaseDomain)
    return lease
  } catch (error) {
    throw isProblem(error) ? new Problem('licence.forged', error.code) : error
  }
}

export interface Challenge {
  app: string
  nonce: Uint8Array
  /** The latest time that the user app has ever seen: a clock that was put back does not count. */
  markMs: number
}

/**
 * What the user app believes. Pure.
 * @returns the time that the proof states, never before the mark
 * @throws {Problem} `licence.forged`, `licence.other-app`, `licence.other-device`, `licence.expired`
 */
export function judgeLicence(
  { lease: signed, proof }: { lease: Uint8Array; proof: Uint8Array },
  { app, nonce, markMs }: Challenge,
  directory: KeyDirectory,
): number {
  const lease = openLease(signed, directory)
  if (lease.app !== app) throw new Problem('licence.other-app', lease.app)
  const said = openProof(proof, lease)
  if (!sameBytes(said.nonce, nonce) || !sameBytes(said.lease, sha256(signed)))
    throw new Problem('licence.forged', 'the answer to another challenge')
  const nowMs = Math.max(said.atMs, markMs)
  if (nowMs >= lease.expiresMs) throw new Problem('licence.expired', new Date(lease.expiresMs).toISOString())
  return nowMs
}

function openProof(proof: Uint8Array, { key: bytes }: Lease): LicenceProof {
  const key = parseCoseKey(bytes)
  const kid = thumbprint(key)
  try {
    return checkProof(decode(verify1(proof, (asked) => (sameBytes(asked, kid) ? key : undefined), proofDomain).payload))
  } catch (error) {
    if (isProblem(error, 'cose.unknown-key')) throw new Problem('licence.other-device')
    throw isProblem(error) ? new Problem('licence.forged', error.code) : error
  }
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest())
}
