/** One-time claims (D1, D6): an operator makes one, a person types it on a new device, and it enrols one device once. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { base32 } from '@azukari/protocol/base32'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { enrolDomain } from '@azukari/protocol/contracts/fleet'
import type { Clock, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { slugPattern } from '@azukari/protocol/topics'
import type { Sql } from '../storage/database.ts'
import { queries } from '../storage/query.ts'
import type { GatewayTables } from './tables.ts'

export type Claim = GatewayTables['claims']

/** Wrong proofs after which a claim is worth nothing. */
const maxFailures = 5
const secretBytes = 20

const query = queries<GatewayTables>()
const insert = query<Claim>()((db, p) =>
  db
    .insertInto('claims')
    .values({
      id: p.id,
      secret: p.secret,
      region: p.region,
      latitude: p.latitude,
      longitude: p.longitude,
      roles: p.roles,
      expires_ms: p.expires_ms,
      used_by: p.used_by,
      failures: p.failures,
    })
    .onConflict((c) => c.doNothing()),
)
const byId = query<{ id: string }>()((db, p) => db.selectFrom('claims').selectAll().where('id', '=', p.id))
const fail = query<{ id: string }>()((db, p) =>
  db
    .updateTable('claims')
    .set((row) => ({ failures: row('failures', '+', 1) }))
    .where('id', '=', p.id),
)
const use = query<{ id: string; device: string }>()((db, p) =>
  db.updateTable('claims').set({ used_by: p.device }).where('id', '=', p.id),
)
const dropOld = query<{ before: number }>()((db, p) => db.deleteFrom('claims').where('expires_ms', '<', p.before))

export interface NewClaim {
  /** Part of the text that names it; made up when absent. */
  name?: string | undefined
  /** Where the device will stand: ISO 3166-2. */
  region: string
  position?: { latitude: number; longitude: number } | undefined
  /** Roles that it may take; none = whatever the device says. */
  roles?: readonly string[]
  lifeMs: number
}

/** Makes a claim. Returns its text, `name.secret`, which is shown once. @throws {Problem} `config.invalid` for a name that is taken or misspelt */
export async function newClaim(
  sql: Sql,
  ports: { clock: Clock; random: Random },
  { name, region, position, roles = [], lifeMs }: NewClaim,
): Promise<string> {
  const id = name ?? base32(ports.random.bytes(5))
  if (!slugPattern.test(id))
    throw new Problem('config.invalid', `a claim's name has letters a–z, digits and hyphens, at most 32: ${id}`)
  const secret = ports.random.bytes(secretBytes)
  const nowMs = ports.clock.now()
  await dropOld.run(sql, { before: nowMs - 30 * 86_400_000 })
  const { changes } = await insert.run(sql, {
    id,
    secret,
    region,
    latitude: position?.latitude ?? null,
    longitude: position?.longitude ?? null,
    roles: roles.join(' '),
    expires_ms: nowMs + lifeMs,
    used_by: null,
    failures: 0,
  })
  if (changes === 0) throw new Problem('config.invalid', `there is a claim ${id} already`)
  return `${id}.${base32(secret)}`
}

/**
 * Checks a device's proof and, when it is right, uses the claim up. The same device may come again with it: its reply
 * may have been lost; `used` says that it did. A wrong proof is counted; the caller must commit that although this
 * returns a problem.
 */
export async function useClaim(
  sql: Sql,
  site: string,
  claimId: string,
  device: string,
  keyThumbprint: Uint8Array,
  proof: Uint8Array,
  nowMs: number,
): Promise<{ claim: Claim; used: boolean } | Problem> {
  const claim = await byId.get(sql, { id: claimId })
  if (!claim) return new Problem('claim.unknown')
  if (claim.failures >= maxFailures) return new Problem('claim.expired', 'after too many wrong tries')
  const right = hmac(claim.secret, [enrolDomain, site, claimId, keyThumbprint])
  if (!timingSafeEqual(right, proof)) {
    await fail.run(sql, { id: claimId })
    return new Problem('claim.wrong')
  }
  if (claim.used_by !== null && claim.used_by !== device) return new Problem('claim.used')
  if (claim.expires_ms <= nowMs) return new Problem('claim.expired')
  if (claim.used_by === null) await use.run(sql, { id: claimId, device })
  return { claim, used: claim.used_by !== null }
}

/** The site's own proof: it knows the claim's secret, and these are its keys. */
export function siteProof(
  claim: Claim,
  device: string,
  gatewayKey: Uint8Array,
  placementKey: Uint8Array,
  placementAgreement: Uint8Array,
  releaseKey?: Uint8Array,
): Uint8Array {
  const keys = [gatewayKey, placementKey, placementAgreement, ...(releaseKey ? [releaseKey] : [])]
  return hmac(claim.secret, [enrolDomain, device, ...keys])
}

function hmac(secret: Uint8Array, parts: unknown[]): Uint8Array {
  return new Uint8Array(createHmac('sha256', secret).update(encodeDeterministic(parts)).digest())
}
