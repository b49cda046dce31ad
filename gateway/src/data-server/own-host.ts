/**
 * A data server on a host of its own (D4, D6): it joins a site with a claim, and renews its certificate there while it runs. Its
 * keys are made here and stay here; of the site it has the authority's certificate and placement's public keys.
 */

import { parseBase32 } from '@azukari/protocol/base32'
import { checker, Slug, type Static, Type } from '@azukari/protocol/contract'
import { offerSave } from '@azukari/protocol/contracts/save'
import { enrolServer, renewServer } from '@azukari/protocol/contracts/server-enrolment'
import { coseKey, publicOf } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { isDue, nextLookMs } from '../pki/validity.ts'
import { PeriodicWorker } from '../service/periodic-worker.ts'
import { SiteFolder, type SitePorts, siteKeyFile } from '../site-folder.ts'
import { loadSiteKey } from '../site-key.ts'
import { CallClient } from '../transport/client.ts'
import { gatewayName, type TlsIdentity } from '../transport/server.ts'
import { isSameProof, replyProof, requestProof } from './enrolment.ts'

const Disk = Type.Object({ path: Type.String({ minLength: 1 }), capacityBytes: Type.Integer({ minimum: 1 }) })

/** `data-server.json`: written by `data-server enrol`, read at every start; addresses and disks may be changed by hand. */
export const OwnHost = Type.Object(
  {
    site: Slug,
    id: Slug,
    /** `https://host:port` of the gateway's listener for other processes. */
    gateway: Type.String({ pattern: '^https://' }),
    /** Under which the others reach this server. */
    url: Type.String({ pattern: '^https://' }),
    host: Type.String({ minLength: 1 }),
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    disks: Type.Array(Disk, { minItems: 1, maxItems: 64 }),
  },
  { additionalProperties: false },
)
export type OwnHost = Static<typeof OwnHost>

const checkOwnHost = checker(OwnHost, 'data-server.json')
const settingsFile = 'data-server.json'

/** When it asks again after the gateway did not answer, ms. */
const againMs = 60_000

/** What `data-server enrol` wrote here; undefined where it was never called. @throws {Problem} `config.invalid` */
export async function ownHost(path: string, ports: SitePorts): Promise<OwnHost | undefined> {
  const bytes = await new SiteFolder(path, 'unknown', ports).read(settingsFile)
  if (!bytes) return undefined
  try {
    return checkOwnHost(JSON.parse(new TextDecoder().decode(bytes)))
  } catch (cause) {
    throw new Problem('config.invalid', `${path}/${settingsFile}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    })
  }
}

export interface JoinRequest extends Omit<OwnHost, 'site' | 'id'> {
  folder: string
  /** `id.secret`, as `servers add` printed it. */
  claim: string
}

/**
 * Joins a site. Begun again after an answer that was lost, it goes on with the same key.
 * @throws {Problem} `claim.*`, `certificate.invalid`, `server.unreachable`, `config.invalid`, `server.impostor` when whoever
 * answered does not know the claim
 */
export async function joinSite(asked: JoinRequest, ports: SitePorts): Promise<OwnHost> {
  const { folder: path, claim, gateway, url, host, port, disks } = asked
  const [id = '', secretText = ''] = claim.split('.')
  const secret = parseBase32(secretText)
  if (!secret) throw new Problem('claim.wrong', 'a claim looks like NAME.SECRET')
  const folder = new SiteFolder(path, 'unknown', ports)
  const identity = await loadSiteKey(ports.files, identityPath(path, id), ports.random)
  const { key, request } = await newRequest(id)
  const capacityBytes = disks.reduce((sum, disk) => sum + disk.capacityBytes, 0)
  const body = { claim: id, key: coseKey(publicOf(identity)), request, url, capacityBytes }
  const proof = requestProof(secret, body)
  const client = new CallClient({ url: gateway, server: gatewayName, clock: ports.clock })
  try {
    const { proof: proved, ...answer } = await client.call(enrolServer, { ...body, proof })
    if (!isSameProof(replyProof(secret, proof, answer), proved))
      throw new Problem('server.impostor', `${gateway} does not know the claim`)
    await folder.keyring.keepCertified(id, { cert: answer.certificate, key }, answer.authority)
    const { placementKey, placementAgreement } = answer
    await folder.writePublicKeys(offerSave.service, { key: placementKey, agreement: placementAgreement })
    if (answer.siteKey) await folder.write(siteKeyFile, answer.siteKey)
    const own: OwnHost = { site: answer.site, id, gateway, url, host, port, disks }
    await folder.write(settingsFile, new TextEncoder().encode(`${JSON.stringify(own, null, 2)}\n`))
    return own
  } finally {
    await client.close()
  }
}

export function identityPath(folder: string, id: string): string {
  return `${folder}/data-servers/${id}/identity.key`
}

/** What a server on its own host shows. @throws {Problem} `config.invalid` when its certificate is gone: it must join anew */
export async function ownIdentity(path: string, id: string, ports: SitePorts): Promise<TlsIdentity> {
  const tls = await new SiteFolder(path, 'unknown', ports).keyring.certified(id)
  if (!tls) throw new Problem('config.invalid', `${path}/tls holds no certificate of ${id}: run data-server enrol`)
  return tls
}

/**
 * Keeps the certificate from ending: asked for anew when a third of its time is left, and at the first look, so that the site
 * hears of an address that has changed.
 * @param take makes the new one what the server shows
 */
export function keepCertificate(
  { own, folder, tls }: { own: OwnHost; folder: string; tls: TlsIdentity },
  { ports, log, take }: { ports: SitePorts; log: Log; take: (tls: TlsIdentity) => void },
): PeriodicWorker {
  const { keyring } = new SiteFolder(folder, own.site, ports)
  const { id, gateway, url, disks } = own
  const capacityBytes = disks.reduce((sum, disk) => sum + disk.capacityBytes, 0)
  let shown = tls
  let isTold = false
  let failures = 0
  const renew = async () => {
    const { key, request } = await newRequest(id)
    const client = new CallClient({ url: gateway, tls: shown, server: gatewayName, clock: ports.clock })
    try {
      const { certificate, authority } = await client.call(renewServer, { request, url, capacityBytes })
      shown = await keyring.keepCertified(id, { cert: certificate, key }, authority)
      take(shown)
      isTold = true
      log.info('the certificate was renewed')
    } finally {
      await client.close()
    }
  }
  return new PeriodicWorker({
    name: 'certificate',
    clock: ports.clock,
    log,
    idleMs: againMs,
    round: async () => {
      if (isTold && !isDue(shown.cert, ports.clock.now())) return nextLookMs(shown.cert)
      try {
        await renew()
        failures = 0
        return nextLookMs(shown.cert)
      } catch (error) {
        if (failures++ === 0) log.warn('the certificate was not renewed; it is tried again', { error: String(error) })
        return againMs
      }
    },
  })
}

/** What makes certificates is large: a data server loads it when it asks for one. */
async function newRequest(id: string): Promise<{ key: string; request: Uint8Array }> {
  return (await import('../pki/authority.ts')).requestCertificate(id)
}
