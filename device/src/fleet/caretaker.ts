/**
 * What lets a device be looked after from afar (D6): it carries out the settings desired of it, its part in jobs, and
 * upgrades. It asks when the line comes up, when it is told that there is news, and now and then; what it has taken on
 * is written down, so that a restart or a power cut in the middle does not lose it.
 */
import { cardReleaseMaxBytes } from '@azukari/protocol/card/program'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { checker } from '@azukari/protocol/contract'
import {
  bundlePieceMaxBytes,
  diagnosticsMaxBytes,
  fleetNews,
  JobOrder,
  type JobResult,
  nextJob,
  offerRelease,
  putCardResults,
  putDiagnostics,
  ReportedState,
  readBundle,
  reconcileState,
  type SettingValues,
} from '@azukari/protocol/contracts/fleet'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { type BundleSource, stage } from '@azukari/protocol/upgrade/bundle'
import { streamedBundle } from '@azukari/protocol/upgrade/bundle-stream'
import { upgradeManifestMaxBytes, upgradeName } from '@azukari/protocol/upgrade/manifest'
import type { SlotStore } from '@azukari/protocol/upgrade/slot-store'
import { backoffMs } from '../backoff.ts'
import type { DeviceDatabase } from '../database.ts'
import { DownloadStream } from '../downloads/stream.ts'
import type { SiteTrust } from '../identity.ts'
import type { Link } from '../link.ts'
import type { SiteKeys } from '../site-keys.ts'
import type { CardData } from './card-data.ts'
import { applySettings, type Settings } from './settings.ts'

export interface CaretakerOptions {
  database: DeviceDatabase
  clock: Clock
  random: Random
  log: Log
  link: Link
  slots: SlotStore | undefined
  site: string
  version: string
  language: 'ja' | 'en'
  trust: () => SiteTrust | undefined
  /** The site's keys, which are desired state, too. */
  keys: Pick<SiteKeys, 'version' | 'take'>
  /** Settings were changed from afar. */
  onSettings?: () => void
  /** Nobody is in the middle of something. */
  idle: () => boolean
  /** Asks to be ended and started again. */
  restart: () => void
  /** Replaces the device's key. */
  rotate: (signal: AbortSignal) => Promise<void>
  /** What a diagnostics report says. */
  examine: () => Promise<Record<string, unknown>>
  /** Data for the cards that are put in; undefined on a board without a card reader. */
  cardData: CardData | undefined
}

interface Kept {
  /** The desired version that is carried out. */
  have: number
  desired: SettingValues
  reported: ReportedState
}

/** How often it asks without being told, and looks whether nobody is in the middle of something, ms. */
const askMs = 15 * 60_000
const idleMs = 5_000

const checkOrder = checker(JobOrder, 'kept job')
const checkReported = checker(ReportedState, 'kept state')

export class Caretaker {
  readonly #options: CaretakerOptions
  #kept: Kept
  #settings: Settings
  #news = Promise.withResolvers<void>()

  private constructor(options: CaretakerOptions, kept: Kept) {
    this.#options = options
    this.#kept = kept
    this.#settings = applySettings(ownSettings(options), kept.desired).settings
    options.link.onEvent(fleetNews, () => this.wake())
  }

  /** Opens what was kept. @throws {Problem} `storage.*` */
  static async open(options: CaretakerOptions): Promise<Caretaker> {
    const { database } = options
    await database.exec('CREATE TABLE IF NOT EXISTS fleet (name TEXT PRIMARY KEY, value BLOB NOT NULL)')
    const kept = await read(database, 'state')
    return new Caretaker(
      options,
      isKept(kept)
        ? { ...kept, reported: checkReported(kept.reported) }
        : { have: 0, desired: {}, reported: { version: 0, applied: 0, values: {}, refused: [] } },
    )
  }

  /** How often the device says how it is, ms. */
  get reportMs(): number {
    return this.#settings['report.minutes'] * 60_000
  }

  get language(): 'ja' | 'en' {
    return this.#settings.language
  }

  /** There may be something to ask for. */
  wake(): void {
    this.#news.resolve()
  }

  async run(signal: AbortSignal): Promise<void> {
    const { random, link, log } = this.#options
    for (let failures = 0; !signal.aborted; ) {
      this.#news = Promise.withResolvers<void>()
      try {
        if (link.up) {
          await this.#reconcile(signal)
          await this.#tellCards(signal)
          await this.#work(signal)
        }
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        if (!isProblem(error)) throw error
        failures++
        log.warn('the site could not be asked what to do', { code: error.code, detail: error.detail })
      }
      await this.#wait(failures > 0 ? backoffMs(failures, random) : askMs, signal)
    }
  }

  /** Tells the settings, carries out newer ones, and tells those: what both sides hold agrees at the end. */
  async #reconcile(signal: AbortSignal): Promise<void> {
    const { link, database, keys, log } = this.#options
    for (;;) {
      await this.#noteReport()
      const { have, reported } = this.#kept
      const reply = await link.call(reconcileState, { have, reported, keys: keys.version }, { signal })
      // Asks again, so that the site knows which keys are known here.
      const isTold = reply.directory !== undefined && (await this.#takeKeys(reply.directory))
      // A gateway that holds more than this device ever said has outlived the device's memory: its number is outbid.
      if (reply.reported > reported.version) await this.#noteReport(reply.reported)
      else if ((!reply.desired || reply.desired.version <= have) && !isTold) return
      if (!reply.desired || reply.desired.version <= have) continue
      const { version, values } = reply.desired
      const { settings, refused } = applySettings(ownSettings(this.#options), values)
      this.#kept = { ...this.#kept, have: version, desired: values }
      await write(database, 'state', this.#kept)
      this.#settings = settings
      this.#options.onSettings?.()
      log.info('settings were changed from afar', { version, refused: refused.map(({ key }) => key) })
    }
  }

  /** A directory that is no good changes nothing and holds nothing up: the one held still counts. */
  async #takeKeys(directory: Uint8Array): Promise<boolean> {
    const { keys, log } = this.#options
    try {
      await keys.take(directory)
      return true
    } catch (error) {
      if (!isProblem(error)) throw error
      log.warn('the site’s keys were not taken', { code: error.code, detail: error.detail })
      return false
    }
  }

  /** Writes down what there is to report, when it differs from what was said last. */
  async #noteReport(atLeast = 0): Promise<void> {
    const { have, desired, reported } = this.#kept
    const { settings, refused } = applySettings(ownSettings(this.#options), desired)
    const now = { applied: have, values: { ...settings } as SettingValues, refused }
    const { version, ...before } = reported
    const same = Buffer.from(encodeDeterministic(now)).equals(encodeDeterministic(before))
    if (same && version > 0 && version >= atLeast) return
    this.#kept = { ...this.#kept, reported: { version: Math.max(version, atLeast) + 1, ...now } }
    await write(this.#options.database, 'state', this.#kept)
  }

  /** Does one job after the other until there is none. */
  async #work(signal: AbortSignal): Promise<void> {
    const { link, database, slots } = this.#options
    const phase = (await slots?.read())?.attempt?.phase
    // Until this version is confirmed, or ended, there is nothing to be said of the upgrade, and nothing else to begin.
    if (phase === 'pending' || phase === 'trying') return
    let result = await this.#resumed()
    for (;;) {
      const { order } = await link.call(nextJob, result ? { result } : {}, { signal })
      await database.run(`DELETE FROM fleet WHERE name = 'job'`)
      if (!order) return
      result = await this.#carryOut(order, signal)
      if (!result) return
    }
  }

  /** What became of an upgrade that was under way when this process began. */
  async #resumed(): Promise<JobResult | undefined> {
    const { database, slots } = this.#options
    const kept = await read(database, 'job')
    if (!kept || !slots) return undefined
    const { job, attempt, sequence } = kept as { job: Uint8Array; attempt: number; sequence: number }
    const { last, attempt: underWay } = await slots.read()
    if (underWay?.release.sequence === sequence || last?.sequence !== sequence) return undefined
    if (last.outcome === 'confirmed') return { job, attempt, done: true }
    return { job, attempt, done: false, code: 'upgrade.rolled-back', detail: last.why ?? '' }
  }

  /** Undefined when the result comes after a restart. */
  async #carryOut(order: JobOrder, signal: AbortSignal): Promise<JobResult | undefined> {
    const { job, attempt } = checkOrder(order)
    try {
      if (order.kind === 'configuration') await this.#configure(order, signal)
      else if (order.kind === 'diagnostics') await this.#diagnose(order, signal)
      else if (order.kind === 'rotation') await this.#options.rotate(signal)
      else if (order.kind === 'card-data') await this.#takeCardData(order, signal)
      else if (!(await this.#upgrade(order, signal))) return undefined
      return { job, attempt, done: true }
    } catch (error) {
      if (signal.aborted || !isProblem(error)) throw error
      // A line that broke is no failure of the job: it goes on when the line is back.
      if (error.code === 'link.offline' || error.code === 'link.timeout') throw error
      this.#options.log.warn('a job failed', { kind: order.kind, code: error.code, detail: error.detail })
      return { job, attempt, done: false, code: error.code, detail: (error.detail ?? '').slice(0, 200) }
    }
  }

  async #configure({ version }: JobOrder, signal: AbortSignal): Promise<void> {
    await this.#reconcile(signal)
    const { have, reported } = this.#kept
    if (have < (version ?? 0)) throw new Problem('internal', `settings ${version} did not come`)
    if (reported.refused.length > 0)
      throw new Problem('state.refused', reported.refused.map(({ key }) => key).join(', '))
  }

  /** What became of data on cards since it was told last. */
  async #tellCards(signal: AbortSignal): Promise<void> {
    const { cardData, link } = this.#options
    for (let results = cardData?.results ?? []; cardData && results.length > 0; results = cardData.results) {
      await link.call(putCardResults, { results: [...results] }, { signal })
      await cardData.told(results)
    }
  }

  /** The part of a job ends when the terminal has the data: cards come when their members do, and are told of one by one. */
  async #takeCardData({ release }: JobOrder, signal: AbortSignal): Promise<void> {
    const { cardData, link } = this.#options
    if (!cardData) throw new Problem('part.unsupported', 'this board has no card reader')
    if (!release) throw new Problem('message.invalid', 'data for cards without a release')
    const { bytes } = await link.call(readBundle, { release, at: 0, length: cardReleaseMaxBytes + 1 }, { signal })
    if (!Buffer.from(upgradeName(bytes)).equals(release)) throw new Problem('upgrade.damaged', 'the data for cards')
    await cardData.keep(bytes)
  }

  async #diagnose({ job }: JobOrder, signal: AbortSignal): Promise<void> {
    const report = new TextEncoder().encode(JSON.stringify(await this.#options.examine()))
    if (report.length > diagnosticsMaxBytes) throw new Problem('message.too-large', 'diagnostics')
    await this.#options.link.call(putDiagnostics, { job, report }, { signal })
  }

  /** Stages a release and asks to be started again. True when it runs already. */
  async #upgrade({ job, attempt, release, untilMs }: JobOrder, signal: AbortSignal): Promise<boolean> {
    const { database, slots, site, version, trust, clock, idle, restart, link } = this.#options
    if (!slots) throw new Problem('part.unsupported', 'this runtime was not started by azukari-device launch')
    const releaseKey = trust()?.releaseKey
    if (!releaseKey) throw new Problem('upgrade.no-key')
    if (!release) throw new Problem('message.invalid', 'an upgrade without a release')
    const { active, held } = await slots.read()
    if (active && Buffer.from(held[active]?.name ?? '').equals(release)) return true
    const bundle = await openBundle({ link, clock }, release, signal)
    const options = { store: slots, source: bundle.source, installed: { site, version }, releaseKey, signal }
    const sequence = await stage(options).then(
      async (held) => {
        await bundle.end()
        return held.sequence
      },
      async (error) => {
        await bundle.end(isProblem(error) ? error.code : 'internal')
        throw error
      },
    )
    await write(database, 'job', { job, attempt, sequence })
    while (!idle()) {
      if (link.siteNow() > untilMs) throw new Problem('job.timeout', 'somebody was at the board all the time')
      await clock.sleep(idleMs, signal)
    }
    if ((await slots.read()).attempt?.phase === 'staged') await slots.step({ kind: 'activate' })
    restart()
    return false
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const sleep = this.#options.clock.sleep(ms, AbortSignal.any([signal, over.signal])).catch(() => undefined)
    await Promise.race([sleep, this.#news.promise])
    over.abort()
  }
}

/** A release as one download; piece by piece from a gateway of the release before, which does not know it. */
async function openBundle(
  ports: { link: Link; clock: Clock },
  release: Uint8Array,
  signal: AbortSignal,
): Promise<{ source: BundleSource; end: (problem?: string) => Promise<void> }> {
  try {
    const { offer } = await ports.link.call(offerRelease, { release }, { signal })
    const stream = new DownloadStream(ports, offer, signal)
    return {
      source: streamedBundle((at, length) => stream.read(at, length), release),
      // What the gateway holds for it ends by itself, too.
      end: (problem) => stream.end(problem).catch(() => undefined),
    }
  } catch (error) {
    if (!isProblem(error, 'message.unknown-contract')) throw error
    return { source: gatewayBundle(ports.link, release, signal), end: async () => undefined }
  }
}

/** A release as the gateway gives it, piece by piece. @throws {Problem} `upgrade.damaged` when the manifest is another's */
function gatewayBundle(link: Link, release: Uint8Array, signal: AbortSignal): BundleSource {
  const piece = async (path: string | undefined, at: number, length: number) => {
    const wanted = { release, at, length: Math.min(length, bundlePieceMaxBytes), ...(path !== undefined && { path }) }
    return (await link.call(readBundle, wanted, { signal })).bytes
  }
  return {
    manifest: async () => {
      const pieces: Uint8Array[] = []
      for (let at = 0; at <= upgradeManifestMaxBytes; at += bundlePieceMaxBytes) {
        const bytes = await piece(undefined, at, bundlePieceMaxBytes)
        pieces.push(bytes)
        if (bytes.length < bundlePieceMaxBytes) break
      }
      const signed = new Uint8Array(Buffer.concat(pieces))
      if (!Buffer.from(upgradeName(signed)).equals(release)) throw new Problem('upgrade.damaged', 'the manifest')
      return signed
    },
    read: piece,
  }
}

function ownSettings({ language }: CaretakerOptions): Settings {
  return { 'report.minutes': 15, language }
}

async function read(database: DeviceDatabase, name: string): Promise<unknown> {
  const row = await database.get<{ value: Uint8Array }>('SELECT value FROM fleet WHERE name = ?', name)
  return row && decode(new Uint8Array(row.value))
}

async function write(database: DeviceDatabase, name: string, value: unknown): Promise<void> {
  await database.run(
    'INSERT INTO fleet (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    name,
    encodeDeterministic(value),
  )
}

function isKept(value: unknown): value is Kept {
  return typeof value === 'object' && value !== null && 'have' in value && 'desired' in value && 'reported' in value
}
