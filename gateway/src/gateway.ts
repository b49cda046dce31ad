/**
 * The gateway: bus, registry, router, receive buffer and the services behind it, put together from ports (D4). Nothing
 * runs before `start`; `stop` finishes what was begun and loses nothing.
 */
import type { KeyObject } from 'node:crypto'
import type { Contract } from '@azukari/protocol/contract'
import { contracts } from '@azukari/protocol/contracts/all'
import { fleetNews } from '@azukari/protocol/contracts/fleet'
import type { Measure } from '@azukari/protocol/contracts/internal'
import { offerSave, saveKept } from '@azukari/protocol/contracts/save'
import { transferProgress } from '@azukari/protocol/contracts/transfer'
import { signerOf } from '@azukari/protocol/cose'
import { signGreeting, siteDomain } from '@azukari/protocol/envelope'
import { type KeyUse, keyInUse } from '@azukari/protocol/key-directory'
import { coseKey, publicOf } from '@azukari/protocol/keys'
import type { Clock, Files, Log, Random, Timer } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { deviceTopic, siteTopic } from '@azukari/protocol/topics'
import type { Admission, Credentials } from './broker/admission.ts'
import { admission } from './broker/admit.ts'
import type { Bus } from './broker/bus.ts'
import { Budgets } from './budgets/budgets.ts'
import { advanceJobs, hasOpenJobs } from './fleet/jobs.ts'
import { ReleaseDownloads } from './fleet/release-downloads.ts'
import { Releases } from './fleet/releases.ts'
import { devicesBehind } from './fleet/states.ts'
import { DirectoryIssuer, type KeySource } from './key-directory/issuer.ts'
import { News } from './key-directory/news.ts'
import { keyDirectoryMigrations } from './key-directory/store.ts'
import { Channels } from './registry/channels.ts'
import { type NewClaim, newClaim } from './registry/claims.ts'
import { type Device, Devices } from './registry/devices.ts'
import type { SiteKeys } from './registry/enrol.ts'
import { gatewayMigrations } from './registry/tables.ts'
import { type DeviceReport, type FrameCarrier, OwnService } from './router/own-service.ts'
import { Pump } from './router/pump.ts'
import { Router, type RouterCounts } from './router/router.ts'
import type { RouterLimits } from './router/router-budgets.ts'
import type { ReceiveBuffer, Service } from './service/service.ts'
import type { Unlisted } from './service/unlisted.ts'
import type { Database } from './storage/database.ts'
import { CommitGroup } from './storage/group.ts'
import { migrate } from './storage/migrate.ts'
import type { FleetFacts } from './telemetry/facts.ts'
import { LastSaves } from './telemetry/last-saves.ts'
import { TelemetryPublisher, type TelemetrySettings } from './telemetry/publisher.ts'
import { Readers } from './telemetry/readers.ts'
import { telemetryMigrations } from './telemetry/tables.ts'
import { type BufferLimits, TransferBuffer } from './transfer/buffer.ts'
import { type CarrierLimits, DownloadCarrier } from './transfer/carrier.ts'

export interface GatewayOptions {
  site: string
  version: string
  /** The gateway's Ed25519 key. */
  key: KeyObject
  /** Services that tell their keys, asked for when they have been opened. */
  keySources: () => readonly KeySource[]
  /** COSE_Keys of the data servers in use, by id. */
  dataServerKeys?: () => Promise<ReadonlyMap<string, Uint8Array>>
  /** COSE_Key that signs releases of the device's runtime, which devices learn when they enrol. */
  releaseKey?: Uint8Array | undefined
  /** Where releases lie, one folder per version. */
  releaseDirectory: string
  database: Database
  files: Files
  /** Where the receive buffer lies. */
  bufferDirectory: string
  /** Makes the bus; an embedded one asks `admit` about every CONNECT. */
  bus: (admit: (credentials: Credentials) => Promise<Admission>) => Bus
  /** The services behind the gateway; those in this process take the receive buffer from here. */
  services: (bufferFor: (service: string) => ReceiveBuffer) => readonly Service[] | Promise<readonly Service[]>
  carryFrame: FrameCarrier
  clock: Clock
  random: Random
  log: Log
  defer?: (work: () => void) => void
  limits?: { router?: Partial<RouterLimits>; buffer?: Partial<BufferLimits>; downloads?: Partial<CarrierLimits> }
  /** Shared with the bus and the services of this process, so that all of it is shown. */
  budgets?: Budgets
  /** What is published for other programs (D3, D6); absent: nothing is, and nobody may read. */
  telemetry?: TelemetryOptions
  /** Contracts beyond those of the protocol, for tests and later services. */
  contracts?: readonly Contract[]
  /** Hears of answers that contracts do not list: `logUnlisted`, in tests `throwUnlisted`. */
  unlisted: Unlisted
}

export interface TelemetryOptions extends TelemetrySettings {
  /** Bytes of memory that this process has. */
  memoryBytes: () => number
  /** What services say. */
  measures?: () => Promise<readonly Measure[]>
}

export interface GatewayStatus {
  site: string
  boot: string
  counts: Readonly<RouterCounts>
  underWay: number
  devicesUp: number
  buffer: { bytes: number; transfers: number; full: boolean }
}

/** A new version that has to show that it works before it does anything that could not be undone (D6). */
export interface Trial {
  /** The bus refuses everybody by itself and may come up first. */
  listens: boolean
  /** Resolves when the version is confirmed. */
  pass: () => Promise<void>
}

export interface Gateway {
  /** @param trial comes before any work is begun and anybody is let in */
  start(trial?: Trial): Promise<void>
  stop(): Promise<void>
  /** For services of this process. */
  bufferFor(service: string): ReceiveBuffer
  newClaim(claim: NewClaim): Promise<string>
  revoke(device: string): Promise<void>
  /** An operator changed the registry: within a second devices are told and those revoked shut out. */
  registryChanged(): void
  devices(): Promise<Device[]>
  isUp(device: string): boolean
  reportOf(device: string): DeviceReport | undefined
  status(): GatewayStatus
  /** Which keys the site's services have, signed. */
  readonly directory: DirectoryIssuer
  /** Whether it goes on: it looks after its registry and jobs every second, which needs disk and commits. */
  alive(): boolean
  /** Removes transfers that have expired; also done by itself every minute. */
  sweep(): Promise<void>
}

/** How often changes by operators (`azukari-gateway device revoke`) and other processes are looked for. */
const lookMs = 1_000
/** A gateway that has not looked for so long hangs, ms. */
const aliveMs = 120_000

/** @throws {Problem} `database.newer`, `storage.*` */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { database, clock } = options
  await migrate(database, [gatewayMigrations, telemetryMigrations, keyDirectoryMigrations], clock.now())
  // Services are made first and read the receive buffer only once they run.
  let site: Site | undefined
  const bufferFor = (service: string): ReceiveBuffer => ({
    describe: (transfer) => site!.bufferFor(service).describe(transfer),
    read: (transfer, from, count) => site!.bufferFor(service).read(transfer, from, count),
    release: (transfer) => site!.bufferFor(service).release(transfer),
  })
  const services = await options.services(bufferFor)
  const directory = await openDirectory(options)
  site = new Site(options, await LastSaves.open(database), services, directory)
  return site
}

function openDirectory(options: GatewayOptions): Promise<DirectoryIssuer> {
  const { site, key, database, clock, log, keySources, dataServerKeys } = options
  return DirectoryIssuer.open({
    site,
    key,
    database,
    clock,
    log,
    sources: keySources(),
    ...(dataServerKeys && { dataServers: dataServerKeys }),
  })
}

class Site implements Gateway {
  readonly #options: GatewayOptions
  readonly #boot: Uint8Array
  readonly #devices: Devices
  readonly #commits: CommitGroup
  readonly #channels: Channels
  readonly #buffer: TransferBuffer
  readonly #downloads: DownloadCarrier
  readonly #pump: Pump
  readonly #own: OwnService
  readonly #router: Router
  readonly #bus: Bus
  readonly #services: readonly Service[]
  readonly #readers: Readers
  readonly #lastSaves: LastSaves
  readonly #telemetry: TelemetryPublisher | undefined
  readonly #startMs: number
  readonly directory: DirectoryIssuer
  /** Devices that are to be told of a new key directory. */
  readonly #news: News
  #look: Timer | undefined
  #lookedMs: number
  #running = false
  /** Connections are taken. */
  #open = false

  constructor(options: GatewayOptions, lastSaves: LastSaves, services: readonly Service[], directory: DirectoryIssuer) {
    const { site, database, clock, random, log, key, files } = options
    this.#options = options
    this.directory = directory
    this.#news = new News({ clock, tell: (device) => this.#tellNews(device) })
    directory.onChange(() => this.#news.add(this.#channels.devices()))
    const budgets = options.budgets ?? new Budgets()
    this.#boot = random.bytes(16)
    this.#startMs = clock.monotonicMs()
    this.#lookedMs = this.#startMs
    this.#devices = new Devices(database)
    this.#readers = new Readers(database)
    this.#lastSaves = lastSaves
    this.#commits = new CommitGroup(database, options.defer ?? ((work) => void clock.timer(0, work)))
    const signer = signerOf(key)
    this.#channels = new Channels({ site, devices: this.#devices, commits: this.#commits, signer, clock, random })
    this.#buffer = new TransferBuffer({
      files,
      directory: options.bufferDirectory,
      database,
      commits: this.#commits,
      clock,
      log,
      onProgress: (device, have, bad) => {
        const body = { transfer: have.transfer, have, bad: [...bad] }
        this.#router.event({
          at: 0,
          device,
          id: random.bytes(16),
          contract: transferProgress.id,
          atMs: clock.now(),
          body,
          keep: false,
        })
      },
      ...(options.limits?.buffer && { limits: options.limits.buffer }),
      budgets,
    })
    this.#services = services
    const releases = new Releases(files, options.releaseDirectory)
    const releaseDownloads = new ReleaseDownloads({ releases, clock, random, log })
    this.#downloads = new DownloadCarrier({
      downloadsOf: (service) =>
        service === 'gateway' ? releaseDownloads : services.find(({ name }) => name === service)?.downloads,
      send: (device, transfer, index, payload) =>
        this.#bus.publish(deviceTopic(site, device, 'down', transfer, index), payload),
      clock,
      log,
      budgets,
      limits: options.limits?.downloads,
    })
    this.#pump = new Pump({
      services: this.#services,
      clock,
      log,
      connected: (device) => this.#channels.get(device)?.settled === true,
      send: (event) => {
        if (event.contract === saveKept.id) this.#lastSaves.note(event.device, event.atMs)
        this.#router.event(event)
      },
    })
    this.#own = new OwnService({
      site,
      devices: this.#devices,
      buffer: this.#buffer,
      pump: this.#pump,
      carryFrame: options.carryFrame,
      commits: this.#commits,
      releases,
      releaseDownloads,
      carrier: this.#downloads,
      directory,
      clock,
      log,
      budgets,
      unlisted: options.unlisted,
    })
    const admit = admission({
      site,
      clock,
      keyOf: async (device) => (await this.#devices.require(device)).key,
      knownKeyOf: async (device) => (await this.#devices.find(device))?.key,
      ...(options.telemetry && { checkReader: async (name, password) => this.#readers.check(name, password) }),
    })
    this.#bus = options.bus(async (credentials) => {
      if (!this.#open) throw new Problem('service.unavailable', 'not yet')
      return admit(credentials)
    })
    this.#telemetry =
      options.telemetry &&
      new TelemetryPublisher({
        site,
        bus: this.#bus,
        clock,
        log,
        settings: options.telemetry,
        facts: () => this.#facts(),
      })
    const inUse = (use: KeyUse) => coseKey(keyInUse(directory.directory, offerSave.service, use, clock.now()))
    const keys = (): SiteKeys => ({
      gatewayKey: coseKey(publicOf(key)),
      placementKey: inUse('sign'),
      placementAgreement: inUse('agree'),
      ...(options.releaseKey && { releaseKey: options.releaseKey }),
      directory: directory.signed,
    })
    this.#router = new Router({
      site,
      bus: this.#bus,
      channels: this.#channels,
      enrolment: { site, keys, devices: this.#devices, commits: this.#commits, clock },
      buffer: this.#buffer,
      services: new Map<string, Service>([this.#own, ...this.#services].map((service) => [service.name, service])),
      contracts: [...contracts, ...(options.contracts ?? [])],
      clock,
      log,
      onBorn: (device) => {
        this.#pump.born(device)
        this.#telemetry?.changed()
      },
      onGone: (device) => {
        this.#pump.gone(device)
        this.#downloads.gone(device)
        this.#telemetry?.changed()
      },
      ...(options.limits?.router && { limits: options.limits.router }),
      budgets,
    })
  }

  async start(trial?: Trial): Promise<void> {
    const listen = () =>
      this.#bus.start({
        message: (topic, payload) => this.#router.message(topic, payload),
        up: () => {
          this.#announce()
          this.#telemetry?.busUp()
        },
        gone: (device) => this.#router.gone(device),
      })
    if (trial?.listens) await listen()
    await trial?.pass()
    await this.#devices.hasChanged()
    await this.#buffer.start()
    await this.#giveBack()
    for (const service of this.#services) await service.start()
    this.#pump.start()
    this.#open = true
    if (!trial?.listens) await listen()
    this.#running = true
    this.directory.start()
    this.#lookLater()
  }

  async stop(): Promise<void> {
    this.#running = false
    this.#look?.cancel()
    this.#news.stop()
    await this.directory.stop()
    this.#telemetry?.stop()
    await this.#router.stop()
    this.#pump.stop()
    this.#downloads.stop()
    for (const service of this.#services) await service.stop()
    await this.#bus.stop()
    await this.#buffer.stop()
    await this.#commits.flush()
  }

  bufferFor(service: string): ReceiveBuffer {
    return this.#buffer.bufferFor(service)
  }

  async newClaim(claim: NewClaim): Promise<string> {
    return newClaim(this.#options.database, this.#options, claim)
  }

  registryChanged(): void {
    this.#devices.changedHere()
  }

  async revoke(device: string): Promise<void> {
    await this.#devices.revoke(device, this.#options.clock.now())
    this.#shutOut(device)
  }

  async devices(): Promise<Device[]> {
    return this.#devices.list()
  }

  isUp(device: string): boolean {
    return this.#channels.get(device) !== undefined
  }

  reportOf(device: string): DeviceReport | undefined {
    return this.#own.reports.get(device)
  }

  status(): GatewayStatus {
    return {
      site: this.#options.site,
      boot: Buffer.from(this.#boot).toString('hex'),
      counts: this.#router.counts,
      underWay: this.#router.underWay,
      devicesUp: this.#channels.size,
      buffer: this.#buffer.usage,
    }
  }

  alive(): boolean {
    return this.#options.clock.monotonicMs() - this.#lookedMs < aliveMs
  }

  async sweep(): Promise<void> {
    return this.#buffer.sweep()
  }

  /** Says what this site is; a new boot id makes every device greet again. */
  #announce(): void {
    const { site, key, clock, version } = this.#options
    const body = { site, boot: this.#boot, key: coseKey(publicOf(key)), at: clock.now(), version }
    this.#bus.publish(siteTopic(site), signGreeting(body, signerOf(key), siteDomain), { retain: true })
  }

  /** What telemetry tells; also the moment at which last saves are written down. */
  async #facts(): Promise<FleetFacts> {
    const { site, version, clock, telemetry } = this.#options
    const measures = (await telemetry?.measures?.()) ?? []
    const all = await this.#devices.overview()
    const revoked = all.filter((device) => device.revoked).map(({ id }) => id)
    await this.#lastSaves.forget(revoked)
    await this.#lastSaves.flush()
    const devices = all.filter((device) => !device.revoked)
    return {
      site: {
        site,
        version,
        atMs: clock.now(),
        uptimeMs: clock.monotonicMs() - this.#startMs,
        memoryBytes: telemetry?.memoryBytes() ?? 0,
        devicesKnown: devices.length,
        devicesUp: this.#channels.size,
        requestsUnderWay: this.#router.underWay,
        buffer: this.#buffer.usage,
        measures,
      },
      devices: devices.map(({ id, model, version, roles, region }) => {
        const lastSaveMs = this.#lastSaves.of(id)
        const report = this.#own.reports.get(id)
        return {
          id,
          model,
          version,
          roles,
          region,
          online: this.isUp(id),
          ...(lastSaveMs !== undefined && { lastSaveMs }),
          ...(report && { report }),
        }
      }),
      revoked,
    }
  }

  #shutOut(device: string): void {
    this.#channels.drop(device)
    this.#pump.gone(device)
    this.#downloads.gone(device)
    this.#bus.disconnect(device)
    this.#telemetry?.changed()
    void this.#giveBack([device])
    this.#options.log.info('a device was shut out', { device })
  }

  /** Returns what devices that were revoked have reserved. */
  async #giveBack(devices: Iterable<string> = this.#buffer.devices()): Promise<void> {
    for (const device of devices)
      try {
        if ((await this.#devices.find(device))?.revokedMs !== undefined) await this.#buffer.revoked(device)
      } catch (error) {
        this.#options.log.error('what a revoked device had reserved could not be returned', {
          device,
          code: isProblem(error) ? error.code : 'internal',
        })
      }
  }

  #lookLater(): void {
    if (!this.#running) return
    this.#lookedMs = this.#options.clock.monotonicMs()
    this.#look = this.#options.clock.timer(lookMs, async () => {
      try {
        if (await this.#devices.hasChanged()) {
          for (const device of [...this.#channels.devices()])
            if ((await this.#devices.find(device))?.revokedMs !== undefined) this.#shutOut(device)
          await this.#giveBack()
          for (const device of await devicesBehind(this.#options.database)) this.#tellNews(device)
          const readers = new Set((await this.#readers.list()).map(({ name }) => name))
          this.#bus.dropReaders?.((name) => readers.has(name))
          this.#telemetry?.changed()
        }
      } catch (error) {
        this.#options.log.error('the registry could not be read', { code: isProblem(error) ? error.code : 'internal' })
      }
      this.#advanceJobs()
        .catch((error) => this.#options.log.error('jobs could not go on', { error: String(error) }))
        .finally(() => this.#lookLater())
    })
  }

  /** Begins with the devices whose turn it is, durably, and tells them. */
  async #advanceJobs(): Promise<void> {
    const { clock, database } = this.#options
    if (!this.#running || !(await hasOpenJobs(database))) return
    const revoked = new Set((await this.#devices.overview()).filter((device) => device.revoked).map(({ id }) => id))
    const up = (device: string) => this.#channels.get(device)?.settled === true && !revoked.has(device)
    for (const device of await this.#commits.run((sql) => advanceJobs(sql, up, clock.now()))) this.#tellNews(device)
  }

  /** That there is something to ask for; one that misses it asks when it connects, and now and then. */
  #tellNews(device: string): void {
    const { clock, random } = this.#options
    this.#router.event({
      at: 0,
      device,
      id: random.bytes(16),
      contract: fleetNews.id,
      atMs: clock.now(),
      body: {},
      keep: false,
    })
  }
}
