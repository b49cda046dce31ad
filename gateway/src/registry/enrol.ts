/** Enrolment (D1, flow 1): a device shows a claim and its own key, and learns whose messages to believe. */
import { base32 } from '@azukari/protocol/base32'
import { decode } from '@azukari/protocol/codec'
import { Bytes, checker, Id, Type } from '@azukari/protocol/contract'
import { type EnrolReply, EnrolRequest, enrolDomain } from '@azukari/protocol/contracts/fleet'
import { peek1, verify1 } from '@azukari/protocol/cose'
import { coseKey, kindOf, parseCoseKey, thumbprint } from '@azukari/protocol/keys'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { CommitGroup } from '../storage/group.ts'
import { siteProof, useClaim } from './claims.ts'
import type { Devices } from './devices.ts'

/** What the site tells new devices: COSE_Keys. */
export interface SiteKeys {
  gatewayKey: Uint8Array
  placementKey: Uint8Array
  placementAgreement: Uint8Array
  /** Signs releases of the device's runtime. */
  releaseKey?: Uint8Array
  /** The signed key directory. */
  directory?: Uint8Array
}

export interface EnrolPorts {
  site: string
  /** As they are now. */
  keys: () => SiteKeys
  devices: Devices
  commits: CommitGroup
  clock: Clock
}

const checkOpenCall = checker(Type.Object({ i: Id, s: Bytes(64, 4_096) }), 'enrolment')
const checkEnrol = checker(EnrolRequest, 'enrolment')
const domain = new TextEncoder().encode(enrolDomain)

/** Takes an enrolment apart as far as its id, so that even a refusal can be answered. @throws {Problem} `cbor.*`, `message.invalid` */
export function openEnrolment(message: Uint8Array): { id: Uint8Array; signed: Uint8Array } {
  const { i, s } = checkOpenCall(decode(message))
  return { id: i, signed: s }
}

export interface Enrolled {
  reply: EnrolReply
  /** The device was enrolled by this claim before, and comes again because the answer was lost: nothing has changed. */
  again: boolean
}

/** @throws {Problem} `claim.*`, `cose.*`, `message.invalid` */
export async function enrolDevice(
  { site, keys, devices, commits, clock }: EnrolPorts,
  device: string,
  signed: Uint8Array,
): Promise<Enrolled> {
  const request = checkEnrol(decode(peek1(signed).payload))
  const key = parseCoseKey(request.key)
  if (kindOf(key) !== 'ed25519') throw new Problem('cose.wrong-algorithm', 'a device’s key is Ed25519')
  const print = thumbprint(key)
  // A device whose key was replaced keeps the id of its first one.
  if (base32(print.subarray(0, 15)) !== device && !(await devices.find(device))?.key.equals(key))
    throw new Problem('cose.unknown-key', 'the topic is not this key’s')
  verify1(signed, () => key, domain)
  const nowMs = clock.now()
  const outcome = await commits.run(async (sql) => {
    const found = await useClaim(sql, site, request.claim, device, print, request.proof, nowMs)
    if (found instanceof Problem) return found
    const { claim, used } = found
    // A claim lets a device in once. Shown again it is answered again and changes nothing: whoever heard it on the line
    // could else put the device back to what it was, and cut it off each time. Who was shut out, or has enrolled by
    // another claim since, needs a new one.
    const known = await devices.find(device, sql)
    if (known?.claim === request.claim)
      return known.revokedMs === undefined ? { claim, again: true } : new Problem('claim.used')
    if (used) return new Problem('claim.used')
    const allowed = claim.roles === '' ? undefined : claim.roles.split(' ')
    const refused = allowed && request.roles.find((role) => !allowed.includes(role))
    if (refused !== undefined) throw new Problem('message.unauthorised', `the claim does not allow the role ${refused}`)
    await devices.enrol(sql, {
      id: device,
      key: coseKey(key),
      model: request.model,
      version: request.version,
      roles: request.roles.join(' '),
      region: claim.region,
      latitude: claim.latitude,
      longitude: claim.longitude,
      enrolled_ms: nowMs,
      claim: request.claim,
    })
    return { claim, again: false }
  })
  // A wrong proof was counted, so that transaction had to commit.
  if (outcome instanceof Problem) throw outcome
  const { claim, again } = outcome
  const told = keys()
  const { gatewayKey, placementKey, placementAgreement, releaseKey } = told
  const proof = siteProof(claim, device, gatewayKey, placementKey, placementAgreement, releaseKey)
  return { reply: { site, device, ...told, region: claim.region, proof }, again }
}
