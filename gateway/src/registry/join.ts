/** What the gateway answers to data servers on hosts of their own: they join with a claim, and renew what they have (D6). */
import { offerSave } from '@azukari/protocol/contracts/save'
import { enrolServer, renewServer } from '@azukari/protocol/contracts/server-enrolment'
import { kindOf, parseCoseKey } from '@azukari/protocol/keys'
import type { Clock, Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { replyProof } from '../data-server/enrolment.ts'
import { type SiteFolder, siteKeyFile } from '../site-folder.ts'
import type { Database } from '../storage/database.ts'
import { answers, type CallHandler } from '../transport/server.ts'
import { useServerClaim } from './server-claims.ts'

export interface JoinPorts {
  site: string
  folder: SiteFolder
  registry: Database
  clock: Clock
  log: Log
}

export function joinHandlers({ site, folder, registry, clock, log }: JoinPorts): CallHandler[] {
  return [
    answers(enrolServer, 'strangers', async (asked) => {
      const { claim: id, key, request, url, capacityBytes, proof } = asked
      if (kindOf(parseCoseKey(key)) !== 'ed25519')
        throw new Problem('cose.wrong-algorithm', 'a data server’s key is Ed25519')
      const used = await registry.transaction((sql) => useServerClaim(sql, asked, clock.now()))
      if (used instanceof Problem) {
        log.warn('a data server was not let in', { server: id, code: used.code })
        throw used
      }
      const { certificate, authority } = await folder.keyring.certify(id, 'data-server', request)
      const entry = { ...used.server, url, key: Buffer.from(key).toString('hex'), capacityBytes }
      await folder.changeServers((servers) => [...servers.filter((server) => server.id !== id), entry])
      log.info('a data server has joined', { server: id, url })
      const placement = await folder.publicKeys(offerSave.service)
      const siteKey = await folder.read(siteKeyFile)
      const answer = {
        site,
        authority,
        certificate,
        placementKey: placement.key,
        placementAgreement: placement.agreement,
        ...(siteKey && { siteKey }),
      }
      return { reply: { ...answer, proof: replyProof(used.secret, proof, answer) } }
    }),
    answers(renewServer, 'data-servers', async ({ request, url, capacityBytes }, { peer: { id } }) => {
      const known = (await folder.servers()).find((server) => server.id === id)
      // One that was taken off the list keeps what certificate it has, until it ends.
      if (!known) throw new Problem('message.unauthorised', `${id} is no server of this site any more`)
      const reply = await folder.keyring.certify(id, 'data-server', request)
      if (known.url !== url || known.capacityBytes !== capacityBytes) {
        await folder.changeServers((servers) =>
          servers.map((server) => (server.id === id ? { ...server, url, capacityBytes } : server)),
        )
        log.info('a data server is reached elsewhere, or has other disks', { server: id, url, capacityBytes })
      }
      return { reply }
    }),
  ]
}
