/** One gateway from a site's folder, on real ports: broker, registry, router, receive buffer, and placement inside it or apart. */
import type { KeyObject } from 'node:crypto'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { openDatabase } from './adapters/database.ts'
import { listenOn, type SocketListener } from './adapters/listen.ts'
import { systemSoon } from './adapters/soon.ts'
import type { Bus } from './broker/bus.ts'
import { type BusLimits, EmbeddedBus } from './broker/embedded.ts'
import { createGateway, type Gateway } from './gateway.ts'
import { healthServer } from './operator/health.ts'
import type { Service } from './service/service.ts'
import { type OpenPlacement, openPlacement, RemoteDataServers } from './services/placement/main.ts'
import { SiteFolder } from './site-folder.ts'
import { loadSiteKey } from './site-key.ts'
import type { BufferLimits } from './transfer/buffer.ts'

export const systemPorts = { clock: systemClock, random: systemRandom, files: systemFiles() }

export interface GatewaySettings {
  site: string
  folder: string
  version: string
  host: string
  /** 0 = any free one. */
  port: number
  /** PEM of the MQTT listener; needed beyond loopback. */
  tls?: { key: string; cert: string }
  insecure?: boolean
  /** Any MQTT broker in place of the embedded one. */
  brokerBus?: (log: Log) => Bus
  passphrase?: string | undefined
  limits?: { bus?: Partial<BusLimits>; buffer?: Partial<BufferLimits> }
  /** Loopback port of `/healthz` and `/metrics`; 0 = any free one; absent = none. */
  healthPort?: number
  /** Placement in a process of its own: made by whoever knows how to reach it. */
  remotePlacement?: (
    folder: SiteFolder,
    gateway: () => Gateway,
  ) => Promise<{ service: Service; close(): Promise<void> }>
  log: Log
}

export interface RunningGateway {
  gateway: Gateway
  folder: SiteFolder
  /** The MQTT port in use; 0 with another broker. */
  port: number
  /** Of `/healthz` and `/metrics`; 0 when there are none. */
  healthPort: number
  /** Absent when placement runs apart. */
  placement?: OpenPlacement
  /** Stops so that nothing is lost; what waits goes on at the next start. */
  stop(): Promise<void>
}

/** @throws {Problem} `config.invalid`, `storage.*`, `database.newer` */
export async function runGateway(settings: GatewaySettings): Promise<RunningGateway> {
  const { site, log } = settings
  const ports = systemPorts
  const folder = new SiteFolder(settings.folder, site, ports)
  const key: KeyObject = await loadSiteKey(ports.files, `${folder.path}/gateway.key`, ports.random)
  const database = openDatabase(`${folder.path}/gateway.db`)
  const carriers = new RemoteDataServers(await folder.keyring.identity('gateway', 'gateway'), ports)
  const served = await folder.servers()
  const urls = new Map(served.map((server) => [server.id, server]))
  let listener: SocketListener | undefined
  let gateway: Gateway
  const buffer = {
    describe: (transfer: Uint8Array) => gateway.bufferFor('placement').describe(transfer),
    read: (transfer: Uint8Array, from: number, count: number) =>
      gateway.bufferFor('placement').read(transfer, from, count),
    release: (transfer: Uint8Array) => gateway.bufferFor('placement').release(transfer),
  }
  const remote = settings.remotePlacement ? await settings.remotePlacement(folder, () => gateway) : undefined
  const placement = remote
    ? undefined
    : await openPlacement(folder, ports, {
        buffer,
        log: log.child({ service: 'placement' }),
        passphrase: settings.passphrase,
      })
  gateway = createGateway({
    site,
    version: settings.version,
    key,
    placement: await folder.placementPublic(),
    database,
    bufferDirectory: `${folder.path}/buffer`,
    bus: (admit) => {
      if (settings.brokerBus) return settings.brokerBus(log)
      listener = listenOn({
        host: settings.host,
        port: settings.port,
        tls: settings.tls,
        insecure: settings.insecure ?? false,
      })
      return new EmbeddedBus({
        site,
        listeners: [listener],
        admit,
        clock: ports.clock,
        log,
        ...(settings.limits?.bus && { limits: settings.limits.bus }),
      })
    },
    services: () => [remote?.service ?? placement!.placement],
    carryFrame: (server, frame) => {
      const known = urls.get(server)
      if (!known) throw new Problem('server.unreachable', `${server} is not in servers.json`)
      return carriers.of(known).frame(frame)
    },
    ...ports,
    log,
    soon: systemSoon,
    ...(settings.limits?.buffer && { limits: { buffer: settings.limits.buffer } }),
  })
  await gateway.start()
  const health =
    settings.healthPort === undefined
      ? undefined
      : healthServer({
          version: settings.version,
          status: () => gateway.status(),
          services: () => (placement ? { placement: placement.placement.counts } : {}),
        })
  await health?.listen({ host: '127.0.0.1', port: settings.healthPort! })
  const healthAddress = health?.server.address()
  return {
    gateway,
    folder,
    port: listener?.port ?? 0,
    healthPort: typeof healthAddress === 'object' && healthAddress ? healthAddress.port : 0,
    ...(placement ? { placement } : {}),
    stop: async () => {
      await health?.close()
      await gateway.stop()
      placement?.close()
      await remote?.close()
      carriers.close()
      database.close()
    },
  }
}
