/** One gateway from a site's folder, on real ports: broker, registry, router, receive buffer, and services inside it or apart. */
import type { KeyObject } from 'node:crypto'
import type { ServiceName } from '@azukari/protocol/contract'
import { contracts } from '@azukari/protocol/contracts/all'
import type { Measure } from '@azukari/protocol/contracts/internal'
import { proveSession } from '@azukari/protocol/contracts/session'
import { mapInOrder } from '@azukari/protocol/in-order'
import { signersAt } from '@azukari/protocol/key-directory'
import { coseKey, publicOf } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { openDatabase } from '../adapters/database.ts'
import { systemDefer } from '../adapters/defer.ts'
import { listenOn, type SocketListener } from '../adapters/listen.ts'
import { MqttBus } from '../adapters/mqtt.ts'
import { selfProbe } from '../adapters/self-probe.ts'
import { Stores } from '../adapters/stores.ts'
import { systemPorts } from '../adapters/system-ports.ts'
import { type BusLimits, busLimits } from '../broker/bus-limits.ts'
import { EmbeddedBus } from '../broker/embedded.ts'
import { Budgets } from '../budgets/budgets.ts'
import { consoleRoutes } from '../console/routes.ts'
import { RemoteDataServers } from '../data-server/remote.ts'
import { createGateway, type Gateway } from '../gateway.ts'
import { Courier } from '../key-directory/courier.ts'
import { followHandlers } from '../key-directory/follower.ts'
import type { KeySource } from '../key-directory/issuer.ts'
import { apartSource, insideSource } from '../key-directory/sources.ts'
import { healthServer } from '../operator/health.ts'
import { type ApartProcess, serviceDispatch } from '../operator-api/service-commands.ts'
import { startOperatorApi } from '../operator-api/start.ts'
import { expiries } from '../pki/expiry.ts'
import { renewCertificate } from '../pki/renewal.ts'
import { joinHandlers } from '../registry/join.ts'
import type { RouterLimits } from '../router/router-budgets.ts'
import { ServersFile } from '../servers-file.ts'
import { memberCheck } from '../service/member-tokens.ts'
import { remoteService } from '../service/remote.ts'
import type { ReceiveBuffer, Service } from '../service/service.ts'
import { logUnlisted, type Unlisted } from '../service/unlisted.ts'
import { services } from '../services/index.ts'
import { directoryFile, SiteFolder, type SitePorts, siteKeyFile } from '../site-folder.ts'
import { loadSiteKey } from '../site-key.ts'
import type { TelemetrySettings } from '../telemetry/publisher.ts'
import { RemoteMeasures } from '../telemetry/remote-measures.ts'
import { telemetryTopics } from '../telemetry/topics.ts'
import type { BufferLimits } from '../transfer/buffer.ts'
import { bufferHandlers } from '../transfer/remote-buffer.ts'
import { type HttpsListener, type HttpsRoute, startHttpsListener } from '../transport/https-listener.ts'
import { type CallServer, startCallServer } from '../transport/server.ts'
import type { StreamCaller } from '../transport/spread-client.ts'
import { checkDatabases } from '../upgrade/main.ts'
import { type Addresses, apartClient, clientsAt, clientsOf, Peers } from './apart.ts'
import { processesHealth } from './processes-health.ts'
import { RemoteHealth } from './remote-health.ts'
import type { OpenService, ServiceHealth, ServiceModule } from './service-module.ts'
import { storeHealth } from './store-health.ts'

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
  /** Where operators of other machines are answered; absent = nowhere. */
  https?: { host: string; port: number }
  /** The page on which people apply for membership (P1); absent = none. */
  enrolment?: { host: string; port: number; url?: string | undefined }
  /** What is published for other programs; absent = nothing. */
  telemetry?: TelemetrySettings
  /** Services that run as processes of their own: `https://host:port` by name; of several processes, with a comma between them. */
  apart?: Addresses
  /** Where other processes reach the gateway: services apart, data servers on hosts of their own; 0 = any free one; absent = only for services apart. */
  peerPort?: number
  /** Confirms a version on trial, once it has opened what there is and answers on its port; nothing is begun before (D6). */
  confirm?: () => Promise<void>
  /** Hears of answers that contracts do not list, in place of the log and a metric. */
  unlisted?: Unlisted
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
  /** Where operators of other machines are answered. */
  httpsPort?: number
  /** Where people apply for membership, when there is such a page. */
  enrolUrl?: string
  /** Where other processes reach the gateway. */
  peerPort?: number
  /** A service that runs in this process. @throws {Problem} `service.unavailable` when it runs apart */
  open<Open extends OpenService>(module: ServiceModule<Open>): Open
  /** Stops so that nothing is lost; what waits goes on at the next start. */
  stop(): Promise<void>
}

/** @throws {Problem} `config.invalid`, `storage.*`, `database.newer`, `link.offline` when another broker does not answer */
export async function runGateway(settings: GatewaySettings): Promise<RunningGateway> {
  const { site, log, ports = systemPorts, apart = {} } = settings
  const { clock } = ports
  const closing = new AsyncDisposableStack()
  try {
    const budgets = new Budgets()
    const unlistedCounts: Record<string, number> = {}
    const unlisted = settings.unlisted ?? logUnlisted(log, unlistedCounts)
    const folder = new SiteFolder(settings.folder, site, ports)
    // By the keys of now: a token lives two minutes.
    const members = memberCheck((kid) => signersAt(directory().directory, proveSession.service, clock.now())(kid))
    const key: KeyObject = await loadSiteKey(ports.files, `${folder.path}/gateway.key`, ports.random)
    await folder.write(siteKeyFile, coseKey(publicOf(key)))
    const database = openDatabase(`${folder.path}/gateway.db`)
    closing.defer(() => database.close())
    const tls = await folder.keyring.identity('gateway', 'gateway')
    const carriers = new RemoteDataServers(tls, ports)
    closing.defer(() => carriers.close())
    const stores = Stores.for(folder, ports)
    closing.defer(() => stores.close())
    const servers = new ServersFile(folder, clock)
    await servers.all()

    const inside = new Map<ServiceName, OpenService>()
    const remote = new Map<ServiceName, Service>()
    const keySources: KeySource[] = []
    const clients = new Map<ServiceName, StreamCaller>()
    const processes = new Map<ServiceName, ApartProcess[]>()
    const health: ServiceHealth[] = [storeHealth(stores)]
    const remoteHealth: RemoteHealth[] = []
    const remoteMeasures: RemoteMeasures[] = []
    const peers = new Peers({ client: clientsAt(apart, tls, clock), clock, log, inside: (name) => inside.get(name) })
    closing.defer(() => peers.close())
    let opened: Gateway | undefined
    const directory = () => {
      if (!opened) throw new Problem('keys.missing', 'not while services are being opened')
      return opened.directory
    }
    let listener: SocketListener | undefined
    const openServices = async (bufferFor: (service: string) => ReceiveBuffer): Promise<Service[]> => {
      for (const module of services) {
        const ownLog = log.child({ service: module.name })
        const address = apart[module.name]
        if (address) {
          const client = apartClient(module.name, address, tls, clock)
          clients.set(module.name, client)
          const asked = new RemoteHealth({ name: module.name, pages: module.pages ?? [], client, clock, log })
          remoteHealth.push(asked)
          if (settings.telemetry) followMeasures(asked, settings.telemetry.everyMs)
          const each = clientsOf(module.name, address, tls, clock, isSeveral(module))
          const own = { name: module.name, client, clock, log: ownLog }
          remote.set(
            module.name,
            remoteService(each.length > 1 ? { ...own, each: each.map((one) => one.client) } : own),
          )
          keySources.push(apartSource(module.name, client, await module.firstKeys?.(folder)))
          processes.set(module.name, each)
          for (const { client } of each) closing.defer(() => client.close())
          if (each.length > 1) health.push(await healthOfEach(module, each))
          continue
        }
        await folder.makeFoldersOf(module.databases)
        const open = await module.open({
          folder,
          stores,
          ports,
          log: ownLog,
          passphrase: settings.passphrase,
          budgets,
          unlisted,
          members,
          buffer: bufferFor(module.name),
          call: peers.callOf(module.name, (await module.calls?.()) ?? []),
          peers: (name) => peers.reach(name),
          signers: (service, atMs) => signersAt(directory().directory, service, atMs),
        })
        closing.defer(() => open.close())
        inside.set(module.name, open)
        if (open.health) health.push(open.health)
        if (open.keys) keySources.push(insideSource(module.name, open.keys))
      }
      return services.map(({ name }) => remote.get(name) ?? inside.get(name)!.service)
    }

    const ownContracts = (await Promise.all(services.map((module) => module.contracts?.() ?? []))).flat()
    const telemetry = settings.telemetry && {
      ...settings.telemetry,
      memoryBytes: () => process.memoryUsage.rss(),
      measures: measuresOf,
    }
    const gateway = await createGateway({
      site,
      version: settings.version,
      key,
      keySources: () => keySources,
      dataServerKeys: async () =>
        new Map((await folder.servers()).map((server) => [server.id, Buffer.from(server.key, 'hex')])),
      releaseKey: await folder.read('release.pub'),
      releaseDirectory: `${folder.path}/releases`,
      database,
      bufferDirectory: `${folder.path}/buffer`,
      bus: (admit) => {
        if (settings.broker)
          return new MqttBus({
            ...settings.broker,
            site,
            clientId: 'gateway',
            clock,
            log,
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
          clock,
          log,
          budgets,
          ...(settings.telemetry && { discoveryPrefix: settings.telemetry.prefix }),
          ...(settings.limits?.bus && { limits: settings.limits.bus }),
        })
      },
      services: openServices,
      carryFrame: async (server, frame) => {
        const known = await servers.find(server)
        if (!known) throw new Problem('server.unreachable', `${server} is not in servers.json`)
        for (const open of inside.values()) await open.mayCarry?.(server)
        return carriers.of(known).frame(frame)
      },
      ...ports,
      log,
      defer: systemDefer,
      ...(telemetry && { telemetry }),
      budgets,
      unlisted,
      contracts: ownContracts,
      limits: {
        ...(settings.limits?.router && { router: settings.limits.router }),
        ...(settings.limits?.buffer && { buffer: settings.limits.buffer }),
      },
    })
    opened = gateway
    const away = services.filter(({ name }) => apart[name])
    const readers = away.filter(({ readsBuffer }) => readsBuffer).map(({ name }) => name)
    const followers = away.flatMap(({ name, paired }) => (paired ? [name, `${name}-backup`] : [name]))
    const joining =
      settings.peerPort === undefined ? [] : joinHandlers({ site, folder, registry: database, clock, log })
    const peerServer: CallServer | undefined =
      away.length > 0 || joining.length > 0
        ? await startCallServer({
            tls,
            handlers: [
              ...bufferHandlers(readers, (service) => gateway.bufferFor(service)),
              ...followHandlers(followers, gateway.directory),
              ...joining,
            ],
            clock,
            log: log.child({ server: 'peers' }),
            budgets,
            unlisted,
            host: settings.host,
            port: settings.peerPort ?? 0,
          })
        : undefined
    if (peerServer) closing.defer(() => peerServer.stop())
    let https: HttpsListener | undefined
    const renewal = renewCertificate({
      keyring: folder.keyring,
      id: 'gateway',
      role: 'gateway',
      tls,
      clock,
      log,
      servers: () => [...(peerServer ? [peerServer] : []), ...(https ? [https] : [])],
    })
    closing.defer(() => renewal.stop())
    closing.defer(() => gateway.stop())
    const { confirm } = settings
    await gateway.start(
      confirm && {
        listens: !settings.broker,
        pass: async () => {
          if (listener) await selfProbe({ host: settings.host, port: listener.port, tls: settings.tls !== undefined })
          await checkDatabases(folder.path)
          await confirm()
        },
      },
    )
    const courier = new Courier({
      issuer: gateway.directory,
      clock,
      log: log.child({ part: 'keys' }),
      servers: async () =>
        (await folder.servers()).map((server) => ({
          id: server.id,
          bring: (signed) => carriers.bringKeys(server, signed),
        })),
      keep: (signed) => folder.write(directoryFile, signed),
    })
    courier.start()
    closing.defer(() => courier.stop())
    const operators = await startOperatorApi({
      folder,
      key,
      site: {
        ports,
        folder: folder.path,
        registry: database,
        isTelemetryOn: settings.telemetry !== undefined,
        changed: () => gateway.registryChanged(),
        url: outsideUrl,
        keys: { issuer: gateway.directory, behind: () => courier.behind() },
        services: serviceDispatch({
          modules: services,
          inside: (name) => inside.get(name),
          apart: (name) => clients.get(name),
          each: (name) => processes.get(name) ?? [],
        }),
      },
      budgets,
      log: log.child({ part: 'operators' }),
    })
    closing.defer(() => operators.stop())
    if (settings.https) {
      https = await startHttpsListener({
        ...settings.https,
        tls,
        routes: [operators.route, ...(await outsideRoutes()), ...consoleRoutes({ answer: operators.answer, clock })],
        budgets,
        log: log.child({ part: 'https' }),
      })
      const { stop } = https
      closing.defer(stop)
    }
    const healthPort = await serveHealth(gateway)
    const enrolUrl = await servePages()
    return {
      gateway,
      folder,
      port: listener?.port ?? 0,
      healthPort,
      ...(https && { httpsPort: https.port }),
      ...(enrolUrl !== undefined && { enrolUrl }),
      ...(peerServer && { peerPort: peerServer.port }),
      open: <Open extends OpenService>(module: ServiceModule<Open>) => {
        const open = inside.get(module.name)
        if (!open) throw new Problem('service.unavailable', `${module.name} runs apart`)
        return open as Open
      },
      stop: () => closing.disposeAsync(),
    }

    /** Under which people outside reach the site; not known where it listens on every address. */
    function outsideUrl(): string | undefined {
      const { host = '' } = settings.https ?? {}
      return https && !/^(0\.0\.0\.0|::)$/.test(host) ? `https://${host}:${https.port}` : undefined
    }

    async function outsideRoutes(): Promise<HttpsRoute[]> {
      const { httpsRoutes } = await import('../https-api/routes.ts')
      return httpsRoutes({
        contracts: [...contracts, ...ownContracts],
        service: (name) => remote.get(name) ?? inside.get(name)?.service,
        budgets,
        clock,
        random: ports.random,
        log: log.child({ part: 'https-api' }),
      })
    }

    function isSeveral({ processes }: ServiceModule): boolean {
      return processes === 'several' && stores.engine === 'postgres'
    }

    /** Of processes that do the same work which answer; of two centres what their service shows. */
    async function healthOfEach(module: ServiceModule, each: readonly ApartProcess[]): Promise<ServiceHealth> {
      return !isSeveral(module) && module.pairHealth
        ? module.pairHealth(each, ports)
        : processesHealth(module.name, each)
    }

    /** What services say for telemetry: those that run here, and those that run apart as they said last. */
    async function measuresOf(): Promise<Measure[]> {
      const here = await mapInOrder(health, async (one) => (await one.measures?.()) ?? [])
      return [...here.flat(), ...remoteMeasures.flatMap((one) => one.measures)]
    }

    /** Asks a service apart now and then what telemetry is to say of it. */
    function followMeasures(remote: RemoteHealth, everyMs: number): void {
      const ask = async () => {
        const report = await remote.report()
        return report && (report.measures ?? [])
      }
      const measures = new RemoteMeasures({ clock, log, everyMs, ask })
      closing.defer(() => measures.stop())
      remoteMeasures.push(measures)
      // Before its process is there it does not answer, which holds nobody up.
      void measures.start().catch((error) => log.error('telemetry of a service failed', { error: String(error) }))
    }

    async function serveHealth(gateway: Gateway): Promise<number> {
      if (settings.healthPort === undefined) return 0
      const server = healthServer({
        version: settings.version,
        status: () => gateway.status(),
        budgets: () => budgets.report(),
        unlisted: () => unlistedCounts,
        services: () =>
          Object.fromEntries(
            [...inside].flatMap(([name, { service }]) => (service.counts ? [[name, service.counts]] : [])),
          ),
        certificates: async () =>
          (await expiries(ports.files, `${folder.path}/tls`)).map(({ certificate, untilMs }) => [
            certificate,
            Math.round((untilMs - clock.now()) / 1_000),
          ]),
        parts: health,
        apart: remoteHealth,
      })
      closing.defer(() => server.close())
      await server.listen({ host: '127.0.0.1', port: settings.healthPort })
      const address = server.server.address()
      return typeof address === 'object' && address ? address.port : 0
    }

    /** Pages for people; one that cannot be served is told, and nothing half-started stays behind. */
    async function servePages(): Promise<string | undefined> {
      const module = services.find(({ servePage }) => servePage)
      if (!settings.enrolment || !module) return undefined
      const page = await module.servePage!(remote.get(module.name) ?? inside.get(module.name)!.service, {
        ...settings.enrolment,
        tls: settings.tls,
        insecure: settings.insecure ?? false,
        ports,
        budgets,
        log: log.child({ part: 'enrolment' }),
      })
      closing.defer(() => page.close())
      return page.url
    }
  } catch (error) {
    // What is open would keep alive a process that does not work.
    await closing.disposeAsync()
    throw error
  }
}
