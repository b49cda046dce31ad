/** Content from a site's folder, on real ports: inside the gateway, or as a process of its own. */

import { sameBytes } from '@azukari/protocol/bytes'
import { buyCopy } from '@azukari/protocol/contracts/rights-copies'
import { postCharge } from '@azukari/protocol/contracts/settlement-charges'
import { signerOf } from '@azukari/protocol/cose'
import { coseKey, publicOf } from '@azukari/protocol/keys'
import { machineOf } from '../../adapters/system-machine.ts'
import type { OpenService, ServicePorts } from '../../host/service-module.ts'
import { ServersFile } from '../../servers-file.ts'
import { loadSiteKey } from '../../site-key.ts'
import type { BillingOptions } from './billing.ts'
import type { ContentContext } from './commands/context.ts'
import { DataServers } from './data-servers.ts'
import type { BuyCopy } from './made-copies.ts'
import { createContentService } from './service.ts'
import { contentSettings } from './settings.ts'

const name = 'content'
const keyFile = 'content/signing.key'

/** Opens content; its signing key is made on first use. @throws {Problem} `config.invalid`, `storage.*`, `database.newer` */
export async function openContent(opened: ServicePorts): Promise<ContentContext> {
  const { folder, stores, ports, log, budgets, unlisted, members, call, peers } = opened
  const { clock, random, files } = ports
  const machine = machineOf(folder, ports)
  const settings = contentSettings(await folder.read('content.json'))
  const key = await loadSiteKey(files, `${folder.path}/${keyFile}`, random)
  const signer = signerOf(key)
  const reach = await machine.dataServers(name, log)
  const listed = new ServersFile(folder, clock)
  const servers = new DataServers({ listed, reach, name, signer, clock })
  const database = await stores.open('content/content.db')
  const { defer } = machine
  const linkKeys = { signer, find: (kid: Uint8Array) => (sameBytes(kid, signer.kid) ? publicOf(key) : undefined) }
  const made = { database, servers, signer, linkKeys, settings, members, clock, random, log, budgets, unlisted, defer }
  const post: BillingOptions['post'] = (charge) => call(postCharge, charge)
  const buy: BuyCopy = (asked) => call(buyCopy, asked)
  const content = await createContentService({ name, ...made, post, buy, peers })
  const keys: OpenService['keys'] = {
    held: async () => [{ use: 'sign', key: coseKey(publicOf(key)), fromMs: 0 }],
  }
  return {
    service: content.host,
    content,
    ports,
    handlers: content.handlers,
    keys,
    close: () => reach.close(),
  }
}
