/**
 * Who this device is: a key made on it, an id derived from the key, and what it learnt of its site at enrolment.
 * Kept in one file that only the device's account can read; written whole or not at all.
 */
import { createHmac, type KeyObject } from 'node:crypto'
import { base32, parseBase32 } from '@azukari/protocol/base32'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { Bytes, checker, Region, Slug, Type } from '@azukari/protocol/contract'
import { type EnrolReply, enrolDomain } from '@azukari/protocol/contracts/fleet'
import { makeDurableDirectory } from '@azukari/protocol/durable-directory'
import { coseKey, generateKey, parseCoseKey, privateCoseKey, thumbprint } from '@azukari/protocol/keys'
import type { Files, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'

/** What enrolment taught: whose messages to believe. */
export interface SiteTrust {
  site: string
  region: string
  gatewayKey: KeyObject
  /** Signs receipts and manifests. */
  placementKey: KeyObject
  /** Transfers are sealed to it. */
  placementAgreement: KeyObject
  /** Signs releases of the runtime; absent at a site that had none when the device enrolled. */
  releaseKey?: KeyObject
  /** Name of the claim by which the device enrolled; absent when that was before it was kept. */
  claim?: string
}

export interface Identity {
  /** The key in use; `KeyRotation` replaces it. */
  key: KeyObject
  /** Named after the first key; stays when the key is replaced. */
  readonly device: string
  /** The key that is to replace it; the site may know it already. */
  next?: KeyObject | undefined
  trust: SiteTrust | undefined
}

const Stored = Type.Object({
  key: Bytes(32, 4096),
  /** Absent while the first key is in use. */
  device: Type.Optional(Slug),
  next: Type.Optional(Bytes(32, 4096)),
  trust: Type.Optional(
    Type.Object({
      site: Slug,
      region: Region,
      gatewayKey: Bytes(32, 600),
      placementKey: Bytes(32, 600),
      placementAgreement: Bytes(32, 600),
      releaseKey: Type.Optional(Bytes(32, 600)),
      claim: Type.Optional(Slug),
    }),
  ),
})
const checkStored = checker(Stored, 'identity file')

/** The device's id: base32 of the first 15 bytes of its key's thumbprint. */
export function deviceIdOf(key: KeyObject): string {
  return base32(thumbprint(key).subarray(0, 15))
}

/** Loads the identity, or makes one on first start. */
export async function loadIdentity(files: Files, path: string, random: Random): Promise<Identity> {
  try {
    const file = await files.open(path, 'read')
    try {
      const stored = checkStored(decode(await file.read(0, await file.size())))
      const key = parseCoseKey(stored.key)
      const trust = stored.trust && {
        site: stored.trust.site,
        region: stored.trust.region,
        gatewayKey: parseCoseKey(stored.trust.gatewayKey),
        placementKey: parseCoseKey(stored.trust.placementKey),
        placementAgreement: parseCoseKey(stored.trust.placementAgreement),
        ...(stored.trust.releaseKey && { releaseKey: parseCoseKey(stored.trust.releaseKey) }),
        ...(stored.trust.claim !== undefined && { claim: stored.trust.claim }),
      }
      return {
        key,
        trust,
        device: stored.device ?? deviceIdOf(key),
        ...(stored.next && { next: parseCoseKey(stored.next) }),
      }
    } finally {
      await file.close()
    }
  } catch (error) {
    if (!isProblem(error, 'object.unknown')) throw error
  }
  const key = generateKey('ed25519', random)
  const identity: Identity = { key, device: deviceIdOf(key), trust: undefined }
  await storeIdentity(files, path, identity)
  return identity
}

/** Writes the identity beside, syncs it and renames it into place. */
export async function storeIdentity(files: Files, path: string, identity: Identity): Promise<void> {
  const { trust } = identity
  const bytes = encodeDeterministic({
    key: privateCoseKey(identity.key),
    ...(identity.device !== deviceIdOf(identity.key) && { device: identity.device }),
    ...(identity.next && { next: privateCoseKey(identity.next) }),
    ...(trust && {
      trust: {
        site: trust.site,
        region: trust.region,
        gatewayKey: coseKey(trust.gatewayKey),
        placementKey: coseKey(trust.placementKey),
        placementAgreement: coseKey(trust.placementAgreement),
        ...(trust.releaseKey && { releaseKey: coseKey(trust.releaseKey) }),
        ...(trust.claim !== undefined && { claim: trust.claim }),
      },
    }),
  })
  const directory = path.slice(0, path.lastIndexOf('/')) || '.'
  await makeDurableDirectory(files, directory)
  const file = await files.open(`${path}.new`, 'create')
  await file.truncate(0)
  await file.write(0, bytes)
  await file.sync()
  await file.close()
  await files.rename(`${path}.new`, path)
  await files.syncDirectory(directory)
}

/** A claim as it is shown to people: `id.secret`, the secret in base32. @throws {Problem} `claim.wrong` */
export function parseClaim(text: string): { claim: string; secret: Uint8Array } {
  const match = /^([a-z0-9-]{1,32})\.([a-z2-7]{32})$/.exec(text.trim().toLowerCase())
  if (!match) throw new Problem('claim.wrong', 'a claim looks like name.secret')
  return { claim: match[1]!, secret: parseBase32(match[2]!)! }
}

/** The device's proof that it knows the claim's secret. */
export function claimProof(secret: Uint8Array, site: string, claim: string, key: KeyObject): Uint8Array {
  return hmac(secret, [enrolDomain, site, claim, thumbprint(key)])
}

/** Believes the site's keys only with its proof under the same secret. @throws {Problem} `claim.wrong` */
export function trustOf(reply: EnrolReply, secret: Uint8Array): SiteTrust {
  const expected = hmac(secret, [
    enrolDomain,
    reply.device,
    reply.gatewayKey,
    reply.placementKey,
    reply.placementAgreement,
    ...(reply.releaseKey ? [reply.releaseKey] : []),
  ])
  if (!expected.every((byte, i) => byte === reply.proof[i]))
    throw new Problem('claim.wrong', 'the site could not prove that it made the claim')
  return {
    site: reply.site,
    region: reply.region,
    gatewayKey: parseCoseKey(reply.gatewayKey),
    placementKey: parseCoseKey(reply.placementKey),
    placementAgreement: parseCoseKey(reply.placementAgreement),
    ...(reply.releaseKey && { releaseKey: parseCoseKey(reply.releaseKey) }),
  }
}

function hmac(secret: Uint8Array, parts: unknown[]): Uint8Array {
  return createHmac('sha256', secret).update(encodeDeterministic(parts)).digest()
}
