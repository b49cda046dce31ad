/**
 * The runtime of one board (D1): puts identity, link, outbox, saves and the apps together over the board's parts, keeps
 * them running, and stops them so that nothing is lost.
 *
 *   starting → running → stopping → stopped        (failed: the person is told; nothing was lost)
 *
 * Each piece runs under a supervisor: a bug in one restarts that one, with a pause, and the others go on.
 */
import { statementPage } from '@azukari/protocol/contracts/settlement-billing'
import type { Clock, Files, Log, Random } from '@azukari/protocol/ports'
import { describe, Problem, type ProblemCode } from '@azukari/protocol/problem'
import { confirmHealth } from '@azukari/protocol/upgrade/launcher'
import type { SlotStore } from '@azukari/protocol/upgrade/slot-store'
import type { Attendant } from './apps/attendant.ts'
import type { CameraApp } from './apps/camera.ts'
import { Dialogue } from './apps/dialogue.ts'
import type { MemberRequests } from './apps/member-requests.ts'
import { PayApp } from './apps/pay.ts'
import type { Presence } from './apps/presence.ts'
import type { PrinterApp } from './apps/printer.ts'
import type { TerminalApp } from './apps/terminal.ts'
import { backoffMs } from './backoff.ts'
import { type AppParts, type BoardApps, type DeviceRole, makeApps, makeAttendant } from './board-apps.ts'
import { Consents } from './consents.ts'
import type { DeviceDatabase } from './database.ts'
import { type DownloadKind, Downloads } from './downloads/downloads.ts'
import { type Board, closeBoard, type Panel } from './drivers.ts'
import { CardData } from './fleet/card-data.ts'
import { Caretaker } from './fleet/caretaker.ts'
import { KeyRotation } from './fleet/key-rotation.ts'
import { type Identity, loadIdentity, storeIdentity } from './identity.ts'
import { KnownTime } from './known-time.ts'
import { LicenceApp } from './licences/licence-app.ts'
import { Link, type LinkLimits } from './link.ts'
import { nextEpoch } from './link-epoch.ts'
import type { MarkReader } from './marks/mark-reader.ts'
import type { MarkWatch } from './marks/mark-watch.ts'
import { SightingRecord } from './marks/sighting-record.ts'
import { fileSpool, memorySpool } from './memory-spool.ts'
import { NoticeDisplay } from './notices.ts'
import { Outbox } from './outbox.ts'
import { PartWatch } from './part-watch.ts'
import { Saves } from './saves.ts'
import { SiteKeys } from './site-keys.ts'
import { StateReport } from './state-report.ts'
import type { MqttTransport } from './transport.ts'
import { WorkBlobs, workDownloads } from './work/blobs.ts'
import { BoardConditions } from './work/conditions.ts'
import { WorkPoints } from './work/points.ts'
import { WorkRecord } from './work/record.ts'
import { type Compute, WorkApp } from './work/worker.ts'

export type { DeviceRole }
export type RuntimeState = 'starting' | 'running' | 'stopping' | 'stopped' | 'failed'

export interface DeviceConfig {
  site: string
  /** At least one; the first says what its sessions are for. */
  roles: readonly DeviceRole[]
  claim?: string | undefined
  model: string
  version: string
  /** Folder of identity and spool. */
  folder: string
  language?: 'ja' | 'en'
  limits?: Partial<LinkLimits>
  /** Kinds of downloads that are kept beyond those of its apps. */
  downloads?: Readonly<Record<string, DownloadKind>>
  /** Where upgrades go; absent when no launcher would try them. */
  slots?: SlotStore | undefined
}

export interface DevicePorts {
  clock: Clock
  random: Random
  files: Files
  database: DeviceDatabase
  transport: MqttTransport
  log: Log
  /** Runs units of work in a process of its own; absent where the board takes no part in work. */
  compute?: () => Promise<Compute>
  /** Reads the marks of pictures in a thread of its own; absent where the board looks for none. */
  marks?: () => Promise<MarkReader>
}

/** Why a site turns a device away: it stays so until somebody does something. */
const refusals: ReadonlySet<string> = new Set([
  'device.unknown',
  'device.revoked',
  'claim.unknown',
  'claim.wrong',
  'claim.used',
  'claim.expired',
  'cose.wrong-audience',
])

export class Runtime {
  readonly #config: DeviceConfig
  readonly #ports: DevicePorts
  readonly #board: Board
  readonly #display: NoticeDisplay | undefined
  readonly #dialogue: Dialogue
  readonly #watch: PartWatch
  readonly #stop = new AbortController()
  readonly #listeners = new Set<(state: RuntimeState) => void>()
  #running: Promise<unknown> = Promise.resolve()
  #state: RuntimeState = 'starting'
  #shownRefusal = ''
  #report: StateReport | undefined
  #time!: KnownTime
  identity!: Identity
  link!: Link
  outbox!: Outbox
  /** What the site sends for the apps to keep. */
  downloads!: Downloads
  saves!: Saves
  #apps: BoardApps | undefined
  pay: PayApp | undefined
  /** Takes part in work while nobody needs the board (W4). */
  work: WorkApp | undefined
  /** Its owner's points (W11). */
  points: WorkPoints | undefined
  /** Holds the licences that the board earns (W8, W9). */
  licences: LicenceApp | undefined
  /** Settings, jobs and upgrades (D6). */
  caretaker!: Caretaker
  #attendant: Attendant | undefined
  /** What the board cannot do for want of a part. */
  #lacks: readonly ProblemCode[] = []
  /** Called when an upgrade waits to be started and nobody has a card in; who started this runtime ends it and starts again. */
  onRestart: () => void = () => undefined

  constructor(config: DeviceConfig, ports: DevicePorts, board: Board) {
    this.#config = config
    this.#ports = ports
    this.#board = board
    this.#display = board.display && new NoticeDisplay(board.display, ports.log)
    this.#dialogue = new Dialogue({
      panels: this.#panels,
      display: this.#display,
      clock: ports.clock,
      language: () => this.#language,
    })
    this.#watch = new PartWatch({
      board,
      clock: ports.clock,
      onFaults: (faults) => this.#tellFaults(faults),
      onNews: () => this.#report?.soon(),
    })
  }

  /** Who is present at the board; undefined where it has no reader. */
  get presence(): Presence | undefined {
    return this.#apps?.presence
  }

  get camera(): CameraApp | undefined {
    return this.#apps?.camera
  }

  get printer(): PrinterApp | undefined {
    return this.#apps?.printer
  }

  get terminal(): TerminalApp | undefined {
    return this.#apps?.terminal
  }

  /** What members decide over their data (D8), on every board with a reader. */
  get requests(): MemberRequests | undefined {
    return this.#apps?.requests
  }

  /** Looks at what is printed and shown for marks of works (R4). */
  get marks(): MarkWatch | undefined {
    return this.#apps?.marks
  }

  get state(): RuntimeState {
    return this.#state
  }

  onState(listener: (state: RuntimeState) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Opens what was kept and begins to work; resolves when the apps can be used, with or without a line. */
  async start(): Promise<void> {
    const { random, files, database, transport, log } = this.#ports
    const { site, roles, claim, model, version, folder } = this.#config
    try {
      const identityPath = `${folder}/identity.cose`
      this.identity = await loadIdentity(files, identityPath, random)
      await database.exec('CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL)')
      this.#time = await KnownTime.open(database, this.#ports.clock)
      const clock = this.#time
      this.link = new Link({
        site,
        identity: this.identity,
        claim,
        model,
        version,
        roles,
        transport,
        clock,
        random,
        log,
        nextEpoch: (atLeast) => nextEpoch(database, atLeast),
        keepTrust: async (trust, directory) => {
          await storeIdentity(files, identityPath, { ...this.identity, trust })
          await siteKeys.enrolled(trust, directory)
        },
        limits: this.#config.limits ?? {},
      })
      const siteKeys = await SiteKeys.open({
        files,
        path: `${folder}/keys.cose`,
        link: this.link,
        log,
        now: () => this.#time.now(),
        trust: () => this.identity.trust,
      })
      const { compute } = this.#ports
      const kinds: Record<string, DownloadKind> = { ...this.#config.downloads, ...(compute && workDownloads) }
      if (roles.includes('terminal')) kinds[statementPage] = { maxBytes: 16 * 2 ** 20, maxFiles: 200 }
      this.downloads = await Downloads.open(
        { database, files, folder: `${folder}/downloads`, link: this.link, clock, random, log },
        kinds,
      )
      this.outbox = await Outbox.open({ database, clock, random, log, sender: this.link })
      const spool = this.#board.memory ? memorySpool(this.#board.memory) : fileSpool(files, `${folder}/spool`)
      this.saves = await Saves.open({
        database,
        spool,
        link: this.link,
        outbox: this.outbox,
        clock,
        now: () => this.#time.now(),
        random,
        log,
        keys: siteKeys,
      })
      const cardData = await CardData.open({
        database,
        log,
        site,
        trust: () => this.identity.trust,
        onResult: () => this.caretaker.wake(),
      })
      const consents = await Consents.open(database)
      if (compute) {
        const { link, outbox, identity } = this
        this.licences = await LicenceApp.open({ folder, files, clock, log, database, link, identity })
        this.points = new WorkPoints({ clock, random, log, link, outbox, keys: siteKeys, identity })
        this.work = new WorkApp({
          folder,
          files,
          clock,
          random,
          log,
          link: this.link,
          outbox: this.outbox,
          keys: siteKeys,
          identity: this.identity,
          blobs: new WorkBlobs(this.downloads),
          record: await WorkRecord.open(database),
          compute,
          conditions: new BoardConditions({
            power: this.#board.power,
            isInUse: () => this.presence?.card !== undefined,
            clock,
            log,
          }),
        })
      }
      const appParts: AppParts = {
        board: this.#board,
        roles,
        dialogue: this.#dialogue,
        display: this.#display,
        language: () => this.#language,
        clock,
        random,
        log,
        link: this.link,
        outbox: this.outbox,
        saves: this.saves,
        identity: this.identity,
        keys: siteKeys,
        cardData,
        consents,
        marks: this.#ports.marks,
        sightings: await SightingRecord.open(database),
      }
      if (this.#board.reader && !this.#dialogue.entry.has('pin')) this.#tellNoPinEntry()
      this.#apps = makeApps(appParts)
      const report = new StateReport({
        link: this.link,
        outbox: this.outbox,
        watch: this.#watch,
        time: clock,
        clock: this.#ports.clock,
        files,
        folder,
        reportMs: () => this.caretaker.reportMs,
        slots: this.#config.slots,
        about: () => ({ device: this.identity.device, model, version, roles, state: this.#state }),
      })
      this.#report = report
      const rotation = new KeyRotation({
        site,
        identity: this.identity,
        link: this.link,
        random,
        keep: (identity) => storeIdentity(files, identityPath, identity),
      })
      this.caretaker = await Caretaker.open({
        database,
        clock,
        random,
        log,
        link: this.link,
        slots: this.#config.slots,
        site,
        version,
        trust: () => this.identity.trust,
        keys: siteKeys,
        idle: () => !this.presence?.card,
        onSettings: () => this.#invite(),
        restart: () => this.onRestart(),
        rotate: (signal) => rotation.rotate(signal),
        examine: () => report.examination(),
        language: this.#config.language ?? 'en',
        cardData: this.#board.reader && cardData,
      })
      if (roles.includes('terminal'))
        this.pay = await PayApp.open({
          database,
          link: this.link,
          outbox: this.outbox,
          presence: this.presence,
          clock,
          random,
          log,
          downloads: this.downloads,
        })
      if (this.#apps)
        this.#attendant = makeAttendant(this.#apps, {
          ...appParts,
          files,
          vaults: `${folder}/vaults`,
          pay: this.pay,
          panels: this.#panels,
        })
      this.link.onState((state, why) => {
        if (why) this.#showLinkProblem(why)
        if (state === 'waiting') rotation.refused()
        if (state !== 'up') return
        rotation.up().catch((error) => log.error('the key could not be kept', { error: String(error) }))
        this.#time
          .learn(this.link.siteNow())
          .catch((error) => log.warn('the time could not be kept', { error: String(error) }))
        report.soon()
        this.outbox.wake()
        this.saves.wake()
        this.downloads.wake()
        this.caretaker.wake()
        // Who reaches the site can be mended from there: that is what a new version has to show.
        if (this.#config.slots)
          confirmHealth(this.#config.slots, version)
            .then((confirmed) => {
              if (!confirmed) return
              log.info('this version is confirmed', { version })
              this.caretaker.wake()
            })
            .catch((error) => log.error('this version could not be confirmed', { error: String(error) }))
      })
      this.#running = Promise.all(this.#pieces().map(([name, work]) => this.#supervise(name, work)))
      this.#enter('running')
    } catch (error) {
      this.#enter('failed')
      throw error
    }
  }

  /** Finishes what is being written and says farewell. What waits is delivered at the next start. */
  async stop(): Promise<void> {
    if (this.#state === 'stopped' || this.#state === 'stopping') return
    this.#enter('stopping')
    this.#stop.abort(new Problem('link.offline', 'stopping'))
    this.outbox?.stop()
    await this.#running
    await closeBoard(this.#board)
    await this.#ports.database.close()
    this.#enter('stopped')
  }

  /** A line that is down is nothing to worry the person with; a device that the site does not want is. */
  #showLinkProblem({ code }: Problem): void {
    if (!refusals.has(code) || code === this.#shownRefusal) return
    this.#shownRefusal = code
    const { title, todo } = describe(code, this.#language)
    this.#display
      ?.show({ lines: [title, todo], tone: 'problem' })
      .catch((error) => this.#ports.log.warn('the display failed', { error: String(error) }))
  }

  /** S17: which part is gone and what to do, as long as it is; on the panel's lamp where there is no display, or it is what is gone. */
  #tellFaults(faults: readonly ProblemCode[]): void {
    const { log } = this.#ports
    const { panel } = this.#board
    log.info('parts', { faults })
    this.#display?.notify([...this.#lacks, ...faults].map((code) => describe(code, this.#language)))
    if (panel?.lamps.includes('problem'))
      panel
        .lamp('problem', faults.length + this.#lacks.length > 0 ? 'blink' : 'off')
        .catch((error) => log.debug('the lamp waits for its panel', { error: String(error) }))
  }

  /** What the board speaks now: as an operator desires it, or as it was started with. */
  get #language(): 'ja' | 'en' {
    return this.caretaker?.language ?? this.#config.language ?? 'en'
  }

  /** What a board says that nobody uses, in the language that it speaks now. */
  #invite(): void {
    if (this.presence?.card) return
    void this.#attendant?.invite()
  }

  /** The board's own panel, and the display where it can be touched. */
  get #panels(): readonly Panel[] {
    return [this.#board.display?.touch, this.#board.panel].filter((panel) => panel !== undefined)
  }

  /** Said when the board starts: at the first save it would be too late. */
  #tellNoPinEntry(): void {
    const code = 'panel.no-pin-entry'
    const { title, todo } = describe(code, this.#language)
    this.#ports.log.warn(title, { code, todo })
    this.#lacks = [code]
    this.#tellFaults([])
  }

  #pieces(): [string, (signal: AbortSignal) => Promise<void>][] {
    const pieces: [string, (signal: AbortSignal) => Promise<void>][] = [
      ['link', (signal) => this.link.run(signal)],
      ['outbox', () => this.outbox.run()],
      ['saves', (signal) => this.saves.run(signal)],
      ['downloads', (signal) => this.downloads.run(signal)],
      ['parts', (signal) => this.#watch.run(signal)],
      ['caretaker', (signal) => this.caretaker.run(signal)],
    ]
    const { work, marks, licences, presence, camera } = this
    const attendant = this.#attendant
    const report = this.#report
    if (report) pieces.push(['report', (signal) => report.run(signal)])
    if (marks) pieces.push(['marks', (signal) => marks.run(signal)])
    if (licences) pieces.push(['licences', (signal) => licences.run(signal)])
    if (work) pieces.push(['work', (signal) => work.run(signal)])
    if (presence) pieces.push(['presence', (signal) => presence.run(signal)])
    if (attendant) pieces.push(['attendant', (signal) => attendant.run(signal)])
    if (camera) {
      for (const input of Object.values(this.#board.inputs ?? {}))
        pieces.push([
          'input',
          async (signal) => {
            for await (const file of input.files(signal))
              await camera.keepFile(file).catch((error) => camera.showProblem(error))
          },
        ])
    }
    return pieces
  }

  async #supervise(name: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { clock, random, log } = this.#ports
    const { signal } = this.#stop
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        await work(signal)
        return
      } catch (error) {
        if (signal.aborted) return
        log.error('a piece failed and is started again', {
          piece: name,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        })
        await clock.sleep(backoffMs(failures, random), signal).catch(() => undefined)
      }
    }
  }

  #enter(state: RuntimeState): void {
    this.#state = state
    for (const listener of this.#listeners) listener(state)
  }
}
