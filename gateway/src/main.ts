/** One gateway from a site's folder, on real ports: broker, registry, router, receive buffer, and placement inside it or apart. */
import type { KeyObject } from 'node:crypto'
import { readPlacementFacts } from '@azukari/protocol/contracts/hazard'
import { keepCard, listChanges, readAccountFacts } from '@azukari/protocol/contracts/settlement-placement'
import type { Clock, Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { openDatabase } from './adapters/database.ts'
import { knock } from './adapters/knock.ts'
import { listenOn, type SocketListener } from './adapters/listen.ts'
import { MqttBus } from './adapters/mqtt.ts'
import { systemSoon } from './adapters/soon.ts'
import { systemPorts } from './adapters/system-ports.ts'
import { type BusLimits, busLimits } from './broker/bus-limits.ts'
import { EmbeddedBus } from './broker/embedded.ts'
import { Budgets } from './budgets/budgets.ts'
import { createGateway, type Gateway } from './gateway.ts'
import { healthServer } from './operator/health.ts'
import { startOperatorApi } from './operator-api/start.ts'
import type { RouterLimits } from './router/router-budgets.ts'
import { remoteService } from './service/remote.ts'
import { serviceHandlers } from './service/serve.ts'
import { accountFacts, accountHandlers } from './services/placement/account-facts.ts'
import { cardWordHandlers, changesSince } from './services/placement/card-words.ts'
import { hazardHandlers } from './services/placement/hazards/serve.ts'
import { type OpenPlacement, openPlacement, RemoteDataServers } from './services/placement/main.ts'
import type { PlacementView } from './services/settlement/billing/ports.ts'
import { runCentre } from './services/settlement/centre/main.ts'
import { CentreWatch } from './services/settlement/centre/watch.ts'
import { backupName, primaryName } from './services/settlement/centre/wire.ts'
import { chargeHandlers } from './services/settlement/charges.ts'
import type { PlacementKeeping } from './services/settlement/in-step.ts'
import { openSettlement } from './services/settlement/main.ts'
import { serveEnrolment } from './services/settlement/page/serve.ts'
import type { Settlement } from './services/settlement/service.ts'
import { settlementSettings } from './services/settlement/settings.ts'
import { SiteFolder, type SitePorts } from './site-folder.ts'
import { loadSiteKey } from './site-key.ts'
import type { TelemetrySettings } from './telemetry/publisher.ts'
import { RemotePlacement } from './telemetry/remote-placement.ts'
import { telemetryTopics } from './telemetry/topics.ts'
import type { BufferLimits } from './transfer/buffer.ts'
import { bufferHandlers, remoteBuffer } from './transfer/remote-buffer.ts'
import { CallClient } from './transport/client.ts'
import { type Caller, PairClient } from './transport/pair-client.ts'
import { startCallServer, type TlsIdentity } from './transport/server.ts'
import { checkDatabases } from './upgrade/main.ts'

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
  broker?: BrokerSettings
  passphrase?: string | undefined
  limits?: { bus?: Partial<BusLimits>; router?: Partial<RouterLimits>; buffer?: Partial<BufferLimits> }
  /** Loopback port of `/healthz` and `/metrics`; 0 = any free one; absent = none. */
  healthPort?: number
  /** The page on which people apply for membership (P1); absent = none. */
  enrolment?: { host: string; port: number; url?: string | undefined }
  /** What is published for other programs; absent = nothing. */
  telemetry?: TelemetrySettings
  /** Placement in a process of its own. */
  placementApart?: {
    /** `https://host:port` of `azukari-gateway placement`. */
    url: string
    /** Where placement reads the receive buffer; 0 = any free one. */
    bufferPort: number
  }
  /** Settlement in a process of its own: `https://host:port` of `azukari-gateway settlement`; of both centres, with a comma. */
  settlementApart?: string
  /** Confirms a version on trial, once it has opened what there is and answers on its port; nothing is begun before (D6). */
  confirm?: () => Promise<void>
  /** In place of the real clock, chance and files: for trials that turn the clock on. */
  ports?: SitePorts
  log: Log
}

export interface BrokerSettings {
  /** `mqtt://host:1883` or `mqtts://…`. */
  url: string
  username?: string | undefined
  password?: string | undefined
  /** PEM of the broker's CA, for `mqtts`. */
  ca?: string | undefined
}

export interface RunningGateway {
  gateway: Gateway
  folder: SiteFolder
  /** The MQTT port in use; 0 with another broker. */
  port: number
  /** Of `/healthz` and `/metrics`; 0 when there are none. */
  healthPort: number
  /** Where people apply for membership, when there is such a page. */
  enrolUrl?: string
  /** Where placement reads the receive buffer, when it runs apart. */
  bufferPort?: number
  /** Absent when placement runs apart. */
  placement?: OpenPlacement
  /** Absent when settlement runs apart. */
  settlement?: Settlement
  /** Stops so that nothing is lost; what waits goes on at the next start. */
  stop(): Promise<void>
}

/** @throws {Problem} `config.invalid`, `storage.*`, `database.newer`, `link.offline` when another broker does not answer */
export async function runGateway(settings: GatewaySettings): Promise<RunningGateway> {
  const { site, log, ports = systemPorts } = settings
  const budgets = new Budgets()
  const folder = new SiteFolder(settings.folder, site, ports)
  const key: KeyObject = await loadSiteKey(ports.files, `${folder.path}/gateway.key`, ports.random)
  const database = openDatabase(`${folder.path}/gateway.db`)
  const tls = await folder.keyring.identity('gateway', 'gateway')
  const carriers = new RemoteDataServers(tls, ports)
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
  const apart = settings.placementApart
  const remote = apart
    ? remoteService({
        name: 'placement',
        client: new CallClient({ url: apart.url, tls, server: 'placement', clock: ports.clock }),
        clock: ports.clock,
        log: log.child({ service: 'placement' }),
      })
    : undefined
  const placement = remote
    ? undefined
    : await openPlacement(folder, ports, {
        buffer,
        log: log.child({ service: 'placement' }),
        passphrase: settings.passphrase,
        budgets,
      })
  const placementClient = apart && new CallClient({ url: apart.url, tls, server: 'placement', clock: ports.clock })
  const remoteFacts =
    placementClient &&
    settings.telemetry &&
    new RemotePlacement({
      ...{ clock: ports.clock, log, everyMs: settings.telemetry.everyMs },
      ask: () => placementClient.call(readPlacementFacts, {}),
    })
  const settlement = settings.settlementApart
    ? undefined
    : await openSettlement(folder, ports, {
        placement: placementView(placement, placementClient, ports.clock),
        keeping: placementKeeping(placement, placementClient),
        log: log.child({ service: 'settlement' }),
        passphrase: settings.passphrase,
        budgets,
      })
  const settlementRemote = settings.settlementApart
    ? remoteService({
        name: 'settlement',
        client: settlementClient(settings.settlementApart, tls, ports.clock),
        clock: ports.clock,
        log: log.child({ service: 'settlement' }),
      })
    : undefined
  const centres = settings.settlementApart ? centreWatch(settings.settlementApart, tls, ports.clock) : undefined
  gateway = await createGateway({
    site,
    version: settings.version,
    key,
    placement: await folder.placementPublic(),
    releaseKey: await folder.read('release.pub'),
    releaseDirectory: `${folder.path}/releases`,
    database,
    bufferDirectory: `${folder.path}/buffer`,
    bus: (admit) => {
      if (settings.broker)
        return new MqttBus({
          ...{ ...settings.broker, site, clientId: 'gateway', clock: ports.clock, log },
          ...(settings.telemetry?.homeAssistant && {
            will: { topic: telemetryTopics(site, settings.telemetry.prefix).gatewayOnline, payload: 'offline' },
          }),
        })
      const { strangers = busLimits.strangers, strangersPerAddress = busLimits.strangersPerAddress } =
        settings.limits?.bus ?? {}
      listener = listenOn({
        host: settings.host,
        port: settings.port,
        tls: settings.tls,
        insecure: settings.insecure ?? false,
        handshakes: { all: strangers, each: strangersPerAddress },
        budgets,
      })
      return new EmbeddedBus({
        site,
        listeners: [listener],
        admit,
        clock: ports.clock,
        log,
        budgets,
        ...(settings.telemetry && { discoveryPrefix: settings.telemetry.prefix }),
        ...(settings.limits?.bus && { limits: settings.limits.bus }),
      })
    },
    services: () => [remote ?? placement!.placement, settlementRemote ?? settlement!],
    carryFrame: async (server, frame) => {
      const known = urls.get(server)
      if (!known) throw new Problem('server.unreachable', `${server} is not in servers.json`)
      await placement?.placement.mayRead(server)
      return carriers.of(known).frame(frame)
    },
    ...ports,
    log,
    soon: systemSoon,
    ...(settings.telemetry && {
      telemetry: {
        ...settings.telemetry,
        memoryBytes: () => process.memoryUsage.rss(),
        ...(placement && { placement: async () => placement.placement.telemetry() }),
        ...(remoteFacts && { placement: async () => remoteFacts.facts }),
      },
    }),
    budgets,
    limits: {
      ...(settings.limits?.router && { router: settings.limits.router }),
      ...(settings.limits?.buffer && { buffer: settings.limits.buffer }),
    },
  })
  const bufferServer = apart
    ? await startCallServer({
        tls,
        handlers: bufferHandlers((service) => gateway.bufferFor(service)),
        clock: ports.clock,
        log: log.child({ server: 'buffer' }),
        budgets,
        host: settings.host,
        port: apart.bufferPort,
      })
    : undefined
  const close = async () => {
    remoteFacts?.stop()
    await gateway.stop()
    placement?.close()
    await placementClient?.close()
    await centres?.close()
    await bufferServer?.stop()
    carriers.close()
    await database.close()
  }
  const { confirm } = settings
  const trial = confirm && {
    listens: !settings.broker,
    pass: async () => {
      if (listener) await knock({ host: settings.host, port: listener.port, tls: settings.tls !== undefined })
      await checkDatabases(folder.path)
      await confirm()
    },
  }
  try {
    await gateway.start(trial)
    // Before placement is there it does not answer, which holds nobody up.
    void remoteFacts?.start().catch((error) => log.error('telemetry of placement failed', { error: String(error) }))
  } catch (error) {
    // What is open would keep alive a process that does not work.
    await close()
    throw error
  }
  const health =
    settings.healthPort === undefined
      ? undefined
      : healthServer({
          version: settings.version,
          status: () => gateway.status(),
          budgets: () => budgets.report(),
          services: () => ({
            ...(placement ? { placement: placement.placement.counts } : {}),
            ...(settlement ? { settlement: settlement.counts } : {}),
          }),
          ...(placement && { moves: async () => placement.placement.mover.status() }),
          ...(placement && { erasures: async () => placement.placement.erasureStatus() }),
          ...(placement && { care: async () => placement.placement.care.status() }),
          ...(centres && { centres: () => centres.reports() }),
          ...(placement ? { risks: async () => placement.placement.riskReport() } : {}),
          ...(settlement ? { statistics: async () => settlement.statistics() } : {}),
        })
  await health?.listen({ host: '127.0.0.1', port: settings.healthPort! }).catch(async (error: unknown) => {
    await close()
    throw error
  })
  const healthAddress = health?.server.address()
  const operators = await startOperatorApi({
    folder,
    key,
    site: { ports, folder: folder.path, registry: database, isTelemetryOn: settings.telemetry !== undefined },
    log: log.child({ part: 'operators' }),
  }).catch(async (error: unknown) => {
    await health?.close()
    await close()
    throw error
  })
  const enrolment =
    settings.enrolment &&
    (await serveEnrolment({
      ...{ settlement: settlementRemote ?? settlement!, clock: ports.clock, random: ports.random },
      budgets,
      ...{ log: log.child({ part: 'enrolment' }), tls: settings.tls, insecure: settings.insecure ?? false },
      ...settings.enrolment,
    }).catch(async (error: unknown) => {
      // A page that cannot be served is told, and nothing half-started stays behind.
      await operators.stop()
      await health?.close()
      await close()
      throw error
    }))
  return {
    gateway,
    folder,
    port: listener?.port ?? 0,
    healthPort: typeof healthAddress === 'object' && healthAddress ? healthAddress.port : 0,
    ...(enrolment ? { enrolUrl: enrolment.url } : {}),
    ...(bufferServer ? { bufferPort: bufferServer.port } : {}),
    ...(placement ? { placement } : {}),
    ...(settlement ? { settlement } : {}),
    stop: async () => {
      await operators.stop()
      await health?.close()
      await enrolment?.close()
      await close()
    },
  }
}

/** Placement's word on members, from this process or over the wire. */
/** @param urls of settlement, or of both its centres with a comma between them */
function settlementClient(urls: string, tls: TlsIdentity, clock: Clock): Caller {
  const [primary, backup] = urls.split(',')
  const clientOf = (url: string, server: string) => new CallClient({ url, tls, server, clock })
  if (!backup) return clientOf(primary!, primaryName)
  return new PairClient([clientOf(primary!, primaryName), clientOf(backup, backupName)])
}

/** Undefined where there is one centre only. @param urls as for `settlementClient` */
function centreWatch(urls: string, tls: TlsIdentity, clock: Clock): CentreWatch | undefined {
  const [primary, backup] = urls.split(',')
  if (!backup) return undefined
  const clientOf = (url: string, server: string) => ({
    centre: server,
    client: new CallClient({ url, tls, server, clock }),
  })
  return new CentreWatch([clientOf(primary!, primaryName), clientOf(backup, backupName)], clock)
}

function placementView(inside: OpenPlacement | undefined, client: CallClient | undefined, clock: Clock): PlacementView {
  if (client) return { account: (question) => client.call(readAccountFacts, question) }
  return { account: async (question) => accountFacts(inside!.placement.store.sql, question, clock.now()) }
}

/** Placement's register as settlement keeps it in step, in this process or over the wire. */
function placementKeeping(inside: OpenPlacement | undefined, client: CallClient | undefined): PlacementKeeping {
  if (client)
    return {
      keepCard: (word) => client.call(keepCard, word),
      changes: (question) => client.call(listChanges, question),
    }
  return {
    keepCard: async (word) => inside!.placement.takeWord(word),
    changes: async (question) => changesSince(inside!.placement.store.sql, question),
  }
}

export interface RunningPlacement {
  url: string
  /** Finishes the step that is under way; what waits goes on at the next start. */
  stop(): Promise<void>
}

/**
 * Placement as a process of its own (D4): it answers the gateway's requests and reads the gateway's receive buffer.
 * @param settings.gatewayUrl `https://host:port` where the gateway serves its buffer
 * @throws {Problem} `config.invalid`, `storage.*`, `database.newer`
 */
export async function runPlacement(settings: {
  site: string
  folder: string
  host: string
  /** 0 = any free one. */
  port: number
  gatewayUrl: string
  passphrase?: string | undefined
  log: Log
}): Promise<RunningPlacement> {
  const ports = systemPorts
  const { clock } = ports
  const folder = new SiteFolder(settings.folder, settings.site, ports)
  const tls = await folder.keyring.identity('placement', 'service')
  const client = new CallClient({ url: settings.gatewayUrl, tls, server: 'gateway', clock })
  const opened = await openPlacement(folder, ports, {
    buffer: remoteBuffer(client),
    log: settings.log,
    passphrase: settings.passphrase,
  })
  await opened.placement.start()
  const calls = await startCallServer({
    tls,
    handlers: [
      ...serviceHandlers(opened.placement, clock),
      ...hazardHandlers(opened.placement),
      ...accountHandlers(opened.placement.store.sql, () => clock.now()),
      ...cardWordHandlers(opened.placement.store.sql, (word) => opened.placement.takeWord(word)),
    ],
    clock,
    log: settings.log,
    host: settings.host,
    port: settings.port,
  })
  return {
    url: `https://${calls.host}:${calls.port}`,
    stop: async () => {
      await calls.stop()
      await opened.placement.stop()
      opened.close()
      await client.close()
    },
  }
}

/**
 * Settlement as a process of its own (D4). It asks placement, which runs apart too, about members on closing days.
 * @param settings.placementUrl `https://host:port` of placement
 * @throws {Problem} `config.invalid`, `storage.*`, `database.newer`
 */
export async function runSettlement(settings: {
  site: string
  folder: string
  host: string
  /** 0 = any free one. */
  port: number
  placementUrl: string
  /** Which of two centres, when settlement.json names them (P9). */
  role?: 'primary' | 'backup'
  passphrase?: string | undefined
  log: Log
}): Promise<RunningPlacement> {
  const ports = systemPorts
  const { clock } = ports
  const folder = new SiteFolder(settings.folder, settings.site, ports)
  const { role = 'primary', passphrase, log, host, port } = settings
  const { centre: addresses } = settlementSettings(await folder.read('settlement.json'))
  if (role === 'backup' && !addresses) throw new Problem('config.invalid', 'settlement.json names no centres')
  const tls = await folder.keyring.identity(role === 'backup' ? backupName : primaryName, 'service')
  const client = new CallClient({ url: settings.placementUrl, tls, server: 'placement', clock })
  if (addresses) {
    const placement = placementView(undefined, client, clock)
    const keeping = placementKeeping(undefined, client)
    const running = await runCentre({ folder, ports, role, addresses, placement, keeping, passphrase, log, host, port })
    return {
      url: running.url,
      stop: async () => {
        await running.stop()
        await client.close()
      },
    }
  }
  const settlement = await openSettlement(folder, ports, {
    placement: placementView(undefined, client, clock),
    keeping: placementKeeping(undefined, client),
    log,
    passphrase,
  })
  await settlement.start()
  const calls = await startCallServer({
    tls,
    handlers: [
      ...serviceHandlers(settlement, clock),
      ...chargeHandlers((service, request) => settlement.charge(service, request)),
    ],
    clock,
    log,
    host,
    port,
  })
  return {
    url: `https://${calls.host}:${calls.port}`,
    stop: async () => {
      await calls.stop()
      await settlement.stop()
      await client.close()
    },
  }
}
