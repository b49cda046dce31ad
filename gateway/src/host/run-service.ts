/** A service as a process of its own (D4): it answers the gateway's requests, and what other services ask of it. */

import type { ServiceName } from '@azukari/protocol/contract'
import { followKeyDirectory } from '@azukari/protocol/contracts/keys'
import { proveSession } from '@azukari/protocol/contracts/session'
import { KeptKeyDirectory } from '@azukari/protocol/kept-key-directory'
import { signersAt } from '@azukari/protocol/key-directory'
import { parseCoseKey } from '@azukari/protocol/keys'
import type { Clock, Log } from '@azukari/protocol/ports'
import { InternalError, Problem } from '@azukari/protocol/problem'
import { Stores } from '../adapters/stores.ts'
import { systemPorts } from '../adapters/system-ports.ts'
import { Budgets } from '../budgets/budgets.ts'
import { DirectoryFollower } from '../key-directory/follower.ts'
import { serviceKeyHandlers } from '../key-directory/sources.ts'
import { commandHandlers } from '../operator-api/service-commands.ts'
import { renewCertificate } from '../pki/renewal.ts'
import { memberCheck } from '../service/member-tokens.ts'
import { serviceHandlers } from '../service/serve.ts'
import type { ReceiveBuffer } from '../service/service.ts'
import { logUnlisted, type Unlisted } from '../service/unlisted.ts'
import { services } from '../services/index.ts'
import { directoryFile, SiteFolder, type SitePorts, siteKeyFile } from '../site-folder.ts'
import { remoteBuffer } from '../transfer/remote-buffer.ts'
import { CallClient } from '../transport/client.ts'
import { type CallHandler, type CallServer, startCallServer } from '../transport/server.ts'
import type { Caller } from '../transport/spread-client.ts'
import { type Addresses, clientsAt, Peers, type PeersOptions } from './apart.ts'
import { healthHandlers } from './health-calls.ts'
import type { ApartSettings, OpenService, ServiceModule, ServicePorts, ServiceProcess } from './service-module.ts'
import { storeHealth } from './store-health.ts'
import { tokenKeysOf } from './token-keys.ts'

export interface RunServiceSettings extends ApartSettings {
  site: string
  folder: string
  /** `https://host:port` of the gateway's receive buffer, for a service that reads it. */
  gateway?: string | undefined
  /** Addresses of the services that it asks. */
  peers: Addresses
  passphrase?: string | undefined
  log: Log
}

/** @throws {Problem} `config.invalid`, `storage.*`, `database.newer` */
export async function runService(module: ServiceModule, settings: RunServiceSettings): Promise<ServiceProcess> {
  const ports = systemPorts
  const { clock } = ports
  const { log, host, port, role, place = 1 } = settings
  if (role === 'backup' && !module.runApart)
    throw new Problem('config.invalid', `${module.name} has no second process that stands in for it`)
  const folder = new SiteFolder(settings.folder, settings.site, ports)
  // Others judge by the name in the certificate. Files that a process writes alone are named after its place, too.
  const name = role === 'backup' ? `${module.name}-backup` : module.name
  const processName = place === 1 ? name : `${name}-${place}`
  const tls = await folder.keyring.identity(name, 'service', processName)
  const gateway = settings.gateway
    ? new CallClient({ url: settings.gateway, tls, server: 'gateway', clock })
    : undefined
  const budgets = new Budgets()
  const { opened, close: closePorts } = await apartPorts(module, {
    ...settings,
    processName,
    folder,
    ports,
    gateway,
    budgets,
    unlisted: logUnlisted(log),
    client: clientsAt(settings.peers, tls, clock),
  })
  const listening: CallServer[] = []
  const renewal = renewCertificate({
    keyring: folder.keyring,
    id: name,
    role: 'service',
    file: processName,
    tls,
    clock,
    log,
    servers: () => listening,
  })
  const close = async () => {
    await renewal.stop()
    await closePorts()
    await gateway?.close()
  }
  await folder.makeFoldersOf(module.databases)
  const own = await module.runApart?.(opened, settings, {
    commandHandlers: (ready, confirmed) => commandHandlers(module, ready, { clock, log, confirmed }),
  })
  if (own)
    return {
      url: own.url,
      stop: async () => {
        await own.stop()
        await close()
      },
    }
  const open = await module.open(opened)
  await open.service.start()
  const { unlisted } = opened
  const handlers = apartHandlers(module, open, { clock, log, stores: opened.stores })
  const calls = await startCallServer({ tls, handlers, clock, log, budgets, unlisted, host, port })
  listening.push(calls)
  return {
    url: `https://${calls.host}:${calls.port}`,
    stop: async () => {
      await calls.stop()
      await open.service.stop()
      await open.close()
      await close()
    },
  }
}

export interface ApartParts {
  processName: string
  site: string
  folder: SiteFolder
  ports: SitePorts
  /** Speaks to the gateway, for a service that reads its receive buffer. */
  gateway: Pick<Caller, 'call'> | undefined
  /** Speaks to other services that run apart. */
  client: PeersOptions['client']
  passphrase?: string | undefined
  budgets: Budgets
  unlisted: Unlisted
  log: Log
}

/** What a service in a process of its own is opened with. */
export async function apartPorts(
  module: ServiceModule,
  parts: ApartParts,
): Promise<{ opened: ServicePorts; close(): Promise<void> }> {
  const { processName, folder, ports, gateway, client, passphrase, budgets, unlisted, log } = parts
  const { clock } = ports
  const peers = new Peers({ client, clock, log, inside: () => undefined })
  const stores = Stores.for(folder, ports)
  const follower = await followerOf(parts)
  const firstKeys = tokenKeysOf(folder, clock)
  const members = memberCheck((kid) =>
    follower?.isKnown ? signersAt(follower.directory, proveSession.service, clock.now())(kid) : firstKeys(kid),
  )
  follower?.start()
  return {
    opened: {
      folder,
      stores,
      ports,
      log,
      passphrase,
      budgets,
      unlisted,
      members,
      buffer: gateway ? remoteBuffer(gateway) : noBuffer,
      call: peers.callOf(module.name, (await module.calls?.()) ?? []),
      peers: (name) => peers.reach(name),
      signers: (service, atMs) => {
        if (!follower) throw new Problem('keys.missing', `site.pub is not in the folder of ${processName}`)
        return signersAt(follower.directory, service, atMs)
      },
    },
    close: async () => {
      await follower?.stop()
      await peers.close()
      await stores.close()
    },
  }
}

/** All that a service in a process of its own answers. @param list of all the services, for who may send it acts */
export function apartHandlers(
  module: ServiceModule,
  open: OpenService,
  { clock, log, stores, list = services }: { clock: Clock; log: Log; stores: Stores; list?: readonly ServiceModule[] },
): CallHandler[] {
  return [
    ...serviceHandlers(open.service, clock, sendersTo(module.name, list)),
    ...healthHandlers([open.health ?? {}, storeHealth(stores)], open.service.counts),
    ...open.handlers,
    ...serviceKeyHandlers(open.keys ?? noKeys),
    ...commandHandlers(module, () => open, { clock, log }),
  ]
}

/** Undefined where the site's public key is not in the folder: the service has begun before its gateway ever did. */
async function followerOf({
  processName,
  folder,
  site,
  log,
  ports: { files, clock },
  gateway,
}: ApartParts): Promise<DirectoryFollower | undefined> {
  const key = await folder.read(siteKeyFile)
  if (!key) return undefined
  const trust = { site, siteKey: parseCoseKey(key) }
  // A copy of its own: the gateway writes the other one.
  const path = `${folder.path}/${processName}/keys.cose`
  const newer = gateway
    ? async (have: number) => (await gateway.call(followKeyDirectory, { have })).directory
    : () => folder.read(directoryFile)
  const kept = await KeptKeyDirectory.open({ files, path, log }, trust)
  return new DirectoryFollower({ kept, trust, newer, clock, log })
}

/** Peers that may send acts to a service, and for whom each speaks: services that list it among those they ask. */
export function sendersTo(name: ServiceName, list = services): Record<string, ServiceName> {
  const askers = list.filter(({ peers }) => peers.includes(name))
  return Object.fromEntries(
    askers.flatMap((asker) => [
      [asker.name, asker.name],
      ...(asker.paired ? [[`${asker.name}-backup`, asker.name]] : []),
    ]),
  )
}

/** It signs nothing that others judge: the gateway asks every service that runs apart. */
const noKeys = { held: async () => [] }

async function noGateway(): Promise<never> {
  throw new InternalError('this service does not say that it reads the receive buffer')
}

const noBuffer: ReceiveBuffer = { describe: noGateway, read: noGateway, release: noGateway }
