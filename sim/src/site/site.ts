/**
 * A whole site on this machine with everything physical simulated: real processes for gateway and data servers, real
 * MQTT between boards and gateway, simulated boards and cards. `npm start`, `npm run demo` and process tests share it.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { openDeviceDatabase } from '@azukari/device/adapters/database'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import type { Display } from '@azukari/device/drivers'
import { markThread } from '@azukari/device/marks/adapters/mark-thread'
import { Runtime } from '@azukari/device/runtime'
import { openDatabase } from '@azukari/gateway/adapters/database'
import type { RiskReport } from '@azukari/gateway/services/placement/risk/report'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { freePort } from '@azukari/protocol/adapters/free-port'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { decode } from '@azukari/protocol/codec'
import { coseKey, parseCoseKey, publicOf } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { type SimulatedBoard, type SimulatedPanelOptions, simulatedBoard } from '../testkit/boards/index.ts'
import type { VirtualCard } from '../testkit/card/virtual-card.ts'
import { type BoardPlace, boardPlaces, type Place, places } from '../testkit/places.ts'
import { cardIssue, loadCard } from './card/issue.ts'
import { gatewayCommand, type Running, startGatewayCommand } from './processes.ts'
import { WireTap } from './wire-tap.ts'

export const pin = '2468'
const ports = { clock: systemClock, random: systemRandom, files: systemFiles() }

export interface SiteOptions {
  folder: string
  /** Which data servers; all of the simulated world by default. */
  servers?: readonly Place[]
  boards?: readonly BoardPlace[]
  /** Photos that the camera hands out in place of scenes. */
  photos?: string
  /** Extra arguments of `azukari-gateway run`. */
  gatewayArgs?: readonly string[]
  gatewayEnvironment?: Record<string, string>
  /** What the boards' panels can be answered with; a PIN by default. */
  entry?: SimulatedPanelOptions['entry']
  /** Placement in a process of its own. */
  placementApart?: boolean
  /** A broker in place of the gateway's own: `mqtt://…` that boards connect to. */
  broker?: string
  log: Log
  /** Told what is going on, in plain words. */
  tell?: (line: string) => void
}

export interface SiteServer {
  place: Place
  url: string
  process: Running | undefined
}

export interface SiteBoard {
  place: BoardPlace
  runtime: Runtime
  board: SimulatedBoard
  tap: WireTap
}

export class SimulatedSite {
  readonly #options: SiteOptions
  readonly servers = new Map<string, SiteServer>()
  readonly boards = new Map<string, SiteBoard>()
  /** The gateway's process. */
  gateway: Running | undefined
  /** Placement's process, when it runs apart. */
  placement: Running | undefined
  recoveryKey = ''
  #port = 0
  #peerPort = 0
  #placementPort = 0
  #cards = 0
  #hazards = 0

  constructor(options: SiteOptions) {
    this.#options = options
  }

  get folder(): string {
    return this.#options.folder
  }

  get port(): number {
    return this.#port
  }

  #tell(line: string): void {
    this.#options.tell?.(line)
  }

  /** Makes the site when it is new, and starts everything. */
  async start(): Promise<void> {
    await mkdir(this.folder, { recursive: true })
    this.#tell('Making the site: keys, certificates, placement’s keystore')
    const made = await gatewayCommand<{ made: boolean; recoveryKey?: string }>([
      'init',
      '--folder',
      this.folder,
      '--site',
      'site',
    ])
    this.recoveryKey = made.recoveryKey ?? ''
    const wanted = this.#options.servers ?? places
    this.#tell(`Starting ${wanted.length} data servers`)
    await Promise.all(wanted.map((place) => this.startServer(place)))
    await this.#writeServers()
    this.#tell('Starting the gateway')
    if (this.#options.placementApart) {
      this.#peerPort = await freePort()
      await this.startPlacement()
    }
    await this.startGateway()
    for (const place of this.#options.boards ?? boardPlaces) await this.startBoard(place)
  }

  async stop(): Promise<void> {
    await Promise.allSettled([...this.boards.values()].map(({ runtime }) => runtime.stop()))
    await this.gateway?.stop()
    await this.placement?.stop()
    await Promise.allSettled([...this.servers.values()].map((server) => server.process?.stop()))
  }

  /** Starts a data server, on the port that it had before. */
  async startServer(place: Place): Promise<void> {
    const port = new URL(this.servers.get(place.id)?.url ?? 'https://localhost:0').port || '0'
    const process = await startGatewayCommand(
      [
        'data-server',
        '--folder',
        this.folder,
        '--site',
        'site',
        '--id',
        place.id,
        '--port',
        port,
        '--disk',
        `${this.folder}/data-servers/${place.id}/disk=${place.capacityBytes}`,
      ],
      { logFile: `${this.folder}/${place.id}.log` },
    )
    this.servers.set(place.id, { place, url: String(process.fact['url']), process })
  }

  /** @param more arguments for this life of it only */
  async startGateway(more: readonly string[] = []): Promise<void> {
    this.gateway = await startGatewayCommand(
      [
        'run',
        '--folder',
        this.folder,
        '--site',
        'site',
        '--port',
        String(this.#port),
        '--health-port',
        '0',
        ...(this.placement
          ? ['--placement', `https://127.0.0.1:${this.#placementPort}`, '--peer-port', String(this.#peerPort)]
          : []),
        ...(this.#options.gatewayArgs ?? []),
        ...more,
      ],
      { logFile: `${this.folder}/gateway.log`, environment: this.#options.gatewayEnvironment ?? {} },
    )
    this.#port = Number(this.gateway.fact['port'])
  }

  /** Starts placement as a process of its own, on the port that it had before. */
  async startPlacement(): Promise<void> {
    this.placement = await startGatewayCommand(
      [
        'placement',
        '--folder',
        this.folder,
        '--site',
        'site',
        '--port',
        String(this.#placementPort),
        '--gateway',
        `https://127.0.0.1:${this.#peerPort}`,
      ],
      { logFile: `${this.folder}/placement.log` },
    )
    this.#placementPort = Number(new URL(String(this.placement.fact['url'])).port)
  }

  /** Where boards connect to. */
  get broker(): string {
    return this.#options.broker ?? `mqtt://127.0.0.1:${this.#port}`
  }

  async newClaim(region: string): Promise<string> {
    return (await gatewayCommand<{ claim: string }>(['claim', 'new', '--folder', this.folder, '--region', region]))
      .claim
  }

  /**
   * Starts a board; a new one enrols with a claim of its own, unless another is given. Without a memory card it keeps pictures in its
   * folder. With a page, that is its display and its panel.
   */
  async startBoard(
    place: BoardPlace,
    given?: { claim?: string; withoutMemory?: boolean; page?: Display },
  ): Promise<SiteBoard> {
    const folder = `${this.folder}/devices/${place.id}`
    await mkdir(folder, { recursive: true })
    const claim = given?.claim ?? (await this.newClaim(place.region))
    const board = simulatedBoard({
      clock: ports.clock,
      random: ports.random,
      model: `azukari-simulated-${place.role}`,
      panel: { person: () => pin, ...(this.#options.entry && { entry: this.#options.entry }) },
      ...(place.role === 'camera'
        ? {
            camera: this.#options.photos
              ? { photos: { files: ports.files, directory: this.#options.photos } }
              : { width: 1280, height: 960 },
          }
        : {}),
      ...(place.role === 'printer'
        ? { printer: { delayMs: 300, out: async (name: string, png: Uint8Array) => this.#keepPage(name, png) } }
        : {}),
    })
    const { memory: _, ...withoutMemory } = board
    const { panel: _panel, ...withoutPanel } = board
    const log = this.#options.log.child({ board: place.id })
    const tap = new WireTap(mqttTransport({ url: this.broker }))
    const runtime = new Runtime(
      { site: 'site', roles: [place.role], claim, model: board.model, version: '0.1.0', folder },
      {
        ...ports,
        database: await openDeviceDatabase(`${folder}/device.db`),
        transport: tap,
        log,
        marks: async () => markThread({ ...ports, log }),
      },
      given?.page ? { ...withoutPanel, display: given.page } : given?.withoutMemory ? withoutMemory : board,
    )
    await runtime.start()
    const running = { place, runtime, board, tap }
    this.boards.set(place.id, running)
    return running
  }

  /** Issues a card and registers its member. @param registeredLevel what placement is told, when it is to differ */
  async issueCard(
    name: string,
    options: {
      level?: number
      home?: string
      kind?: string
      register?: boolean
      /** What the member says of places at the office (D8). */
      location?: boolean
      registeredLevel?: number
      puk?: string
    } = {},
  ): Promise<VirtualCard> {
    const {
      level = 2,
      home = 'JP-13',
      kind = 'ed25519',
      register = true,
      registeredLevel = level,
      location = true,
      puk,
    } = options
    const { key } = decode(await readFile(`${this.folder}/placement/public.cose`)) as { key: Uint8Array }
    const file = `${this.folder}/card-${++this.#cards}-${Date.now()}.azcard`
    const { record } = await cardIssue(
      {
        kind,
        name,
        level,
        home,
        pin,
        location,
        ...(puk ? { puk } : {}),
        providerKey: Buffer.from(coseKey(publicOf(parseCoseKey(key)))).toString('hex'),
        out: file,
      },
      ports,
    )
    if (register) {
      await writeFile(`${file}.json`, JSON.stringify({ ...record, level: registeredLevel }))
      await gatewayCommand(['member', 'add', '--folder', this.folder, `${file}.json`])
    }
    return loadCard(ports.files, file, ports.random)
  }

  /** What the running gateway says about risks. */
  async risks(): Promise<RiskReport> {
    const answer = await fetch(`http://127.0.0.1:${this.gateway?.fact['healthPort']}/risks`, {
      signal: AbortSignal.timeout(5_000),
    })
    if (!answer.ok) throw new Problem('service.unavailable', `/risks answers ${answer.status}`)
    return (await answer.json()) as RiskReport
  }

  /** Lays a hazard document into the site's folder, as `azukari-gateway hazard push` does. */
  async pushHazard(document: string, ending: 'xml' | 'json'): Promise<string> {
    const folder = `${this.folder}/hazards`
    await mkdir(folder, { recursive: true })
    const name = `${folder}/sim-${Date.now()}-${++this.#hazards}.${ending}`
    await writeFile(`${name}.new`, document)
    await rename(`${name}.new`, name)
    return name
  }

  /** Rows of placement's database, beside the running placement; nothing is changed. */
  async rows<T>(sql: string, ...parameters: (string | number | Uint8Array)[]): Promise<T[]> {
    const database = openDatabase(`${this.folder}/placement/placement.db`)
    try {
      return database.all<T>(sql, ...parameters)
    } finally {
      await database.close()
    }
  }

  async #writeServers(): Promise<void> {
    const entries = []
    for (const { place, url } of this.servers.values()) {
      const identity = parseCoseKey(await readFile(`${this.folder}/data-servers/${place.id}/identity.key`))
      entries.push({ ...place, url, key: Buffer.from(coseKey(publicOf(identity))).toString('hex') })
    }
    await writeFile(`${this.folder}/servers.json`, JSON.stringify(entries, null, 2))
  }

  async #keepPage(name: string, png: Uint8Array): Promise<void> {
    await mkdir(`${this.folder}/pages`, { recursive: true })
    await writeFile(`${this.folder}/pages/${name}`, png)
  }
}
