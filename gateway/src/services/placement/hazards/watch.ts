/**
 * Keeps hearing of hazards: feeds polled from a URL, files and folders looked at, documents pushed. What goes wrong with a
 * feed is reported and lowers no risk: the board holds what the feed said before.
 */
import { createHash } from 'node:crypto'
import type { Clock, Files, Log, Timer } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { ServiceStore } from '../../../service/service.ts'
import type { LiveRiskBoard, Taken } from '../risk/live-board.ts'
import { atomLinks } from './atom.ts'
import type { FeedRequest, FetchFeed } from './feed-port.ts'
import { limits } from './hazard.ts'
import { type Format, readBulletin } from './read.ts'
import { type FeedSettings, namedHosts, operatorFeed } from './settings.ts'
import { type FeedRow, feedRows } from './tables.ts'

/** Where hazards come from by themselves. */
export interface HazardSources {
  feeds: readonly FeedSettings[]
  /** Folder of what operators lay in; absent: none. */
  inbox?: string
  files: Files
  fetchFeed: FetchFeed
}

export interface WatchOptions {
  /** Absent: only what is pushed. */
  sources?: HazardSources
  board: LiveRiskBoard
  store: ServiceStore
  clock: Clock
  log: Log
}

const timeoutMs = 30_000
/** Files of a folder that are looked at, and bytes of them, in one look. */
const maxFiles = 2_000
const maxBytes = 128 * 1024 * 1024
/** Documents of an Atom index fetched in one look. */
const maxLinks = 50
const maxSeen = 4_000
const inboxSettings = { everySeconds: 2, staleAfterSeconds: 31_536_000, trust: 1 }

interface Feed {
  settings: FeedSettings
  row: FeedRow
  /** Documents that were taken already (hash of a file, address in an index), with what was wrong in them. */
  taken: Map<string, readonly Problem[]>
  writtenMs: number
  timer?: Timer | undefined
  looking?: Promise<void> | undefined
}

/** What one look at a feed found. */
interface Probe {
  /** Of the feed itself: not reached, too much. */
  problems: Problem[]
  read: boolean
  /** Documents that stand in the feed now; what is wrong in them is wrong as long as they stand there. */
  present: Set<string>
}

const newLook = (): Probe => ({ problems: [], read: false, present: new Set() })

export class FeedWatch {
  readonly #options: WatchOptions
  readonly #feeds = new Map<string, Feed>()
  readonly #stop = new AbortController()

  constructor(options: WatchOptions) {
    this.#options = options
  }

  /** Reads how the feeds were doing; before anything is asked of it. */
  async load(): Promise<void> {
    const options = this.#options
    const rows = new Map((await feedRows.all(options.store.sql)).map((row) => [row.name, row]))
    const { feeds = [], inbox } = options.sources ?? {}
    const settings = [...feeds]
    if (inbox) settings.push({ name: operatorFeed, path: inbox, ...inboxSettings })
    for (const one of settings) {
      const row = rows.get(one.name) ?? newRow(one.name, one.trust)
      this.#feeds.set(one.name, { settings: one, row: { ...row, trust: one.trust }, taken: new Map(), writtenMs: 0 })
    }
  }

  /** Begins to look; every feed first at once, then every `everySeconds`. */
  start(): void {
    for (const feed of this.#feeds.values()) this.#turn(feed)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    for (const feed of this.#feeds.values()) feed.timer?.cancel()
    await Promise.all([...this.#feeds.values()].map((feed) => feed.looking))
  }

  /** How every feed is doing. */
  status(): FeedRow[] {
    return [...this.#feeds.values()].map(({ row }) => row)
  }

  /** Looks at one feed, or all, now. */
  async look(name?: string): Promise<void> {
    for (const feed of this.#feeds.values())
      if (name === undefined || feed.settings.name === name) await this.#look(feed)
  }

  /**
   * Takes a document that somebody hands over.
   * @throws {Problem} `feed.malformed`, `feed.hostile`, `feed.too-large`; single entries that are wrong are in `problems`
   */
  async push(
    bytes: Uint8Array,
    from: { feed?: string; format?: Format } = {},
  ): Promise<Taken & { problems: Problem[] }> {
    const name = from.feed ?? operatorFeed
    const feed = this.#feeds.get(name) ?? {
      settings: { name, ...inboxSettings },
      row: newRow(name, 1),
      taken: new Map(),
      writtenMs: 0,
    }
    this.#feeds.set(name, feed)
    const look = newLook()
    const { taken, problems } = await this.#take(feed, bytes, from.format)
    look.read = true
    look.problems.push(...problems)
    await this.#report(feed, look)
    return { ...taken, problems: [...problems] }
  }

  #turn(feed: Feed): void {
    feed.looking = this.#look(feed).finally(() => {
      feed.looking = undefined
      if (this.#stop.signal.aborted) return
      feed.timer = this.#options.clock.timer(feed.settings.everySeconds * 1000, () => this.#turn(feed))
    })
  }

  async #look(feed: Feed): Promise<void> {
    const look = newLook()
    try {
      const { sources } = this.#options
      if (!sources) return
      const { url, path } = feed.settings
      if (url) await this.#poll(feed, url, sources.fetchFeed, look)
      else if (path) await this.#open(feed, path, sources.files, look)
      else return
    } catch (error) {
      if (this.#stop.signal.aborted) return
      look.read = false
      look.problems.unshift(isProblem(error) ? error : new Problem('internal', String(error), { cause: error }))
    }
    if (!this.#stop.signal.aborted) await this.#report(feed, look)
  }

  async #poll(feed: Feed, url: string, fetchFeed: FetchFeed, look: Probe): Promise<void> {
    const { etag, modified } = feed.row
    const answer = await fetchFeed(this.#request(feed, url, etag, modified))
    look.read = true
    if (answer.kind === 'same') {
      for (const name of feed.taken.keys()) look.present.add(name)
      return
    }
    const links = atomLinks(answer.bytes, url)
    if (links) await this.#follow(feed, links, fetchFeed, look)
    else await this.#guarded(feed, url, answer.bytes, look)
    // Remembered only after it was taken: what failed half-way is asked for again.
    feed.row = { ...feed.row, etag: answer.etag ?? null, modified: answer.modified ?? null }
  }

  /** An index names documents; each is fetched once, oldest first. One that fails is tried again at the next look. */
  async #follow(feed: Feed, links: readonly string[], fetchFeed: FetchFeed, look: Probe): Promise<void> {
    for (const link of links) look.present.add(link)
    const fresh = links.filter((link) => !feed.taken.has(link))
    for (const link of fresh.slice(-maxLinks)) {
      const answer = await fetchFeed(this.#request(feed, link))
      if (answer.kind === 'same') continue
      await this.#guarded(feed, link, answer.bytes, look)
    }
    if (fresh.length > maxLinks)
      look.problems.push(new Problem('feed.too-large', `${fresh.length} new documents at once`))
  }

  #request({ settings }: Feed, url: string, etag?: string | null, modified?: string | null): FeedRequest {
    const { signal } = this.#stop
    const since = { etag: etag ?? undefined, modified: modified ?? undefined }
    return { url, ...since, named: namedHosts(settings), maxBytes: limits.bulletinBytes, timeoutMs, signal }
  }

  async #open(feed: Feed, path: string, files: Files, look: Probe): Promise<void> {
    const found = await files.stat(path)
    if (!found) {
      if (feed.settings.name === operatorFeed) look.read = true
      else throw new Problem('feed.unreachable', `${path} is not there`)
      return
    }
    const names = found.directory
      ? (await files.list(path))
          .filter((name) => /\.(xml|json|geojson|cap|rss)$/i.test(name))
          .map((name) => `${path}/${name}`)
      : [path]
    if (names.length > maxFiles) look.problems.push(new Problem('feed.too-large', `${names.length} files in ${path}`))
    let total = 0
    for (const name of names.slice(0, maxFiles)) {
      const stat = await files.stat(name)
      if (!stat || stat.directory) continue
      total += stat.sizeBytes
      if (stat.sizeBytes > limits.bulletinBytes || total > maxBytes) {
        look.problems.push(new Problem('feed.too-large', `${name}: ${stat.sizeBytes} bytes`))
        continue
      }
      const bytes = await readFile(files, name)
      const hash = createHash('sha256').update(name).update(bytes).digest('base64')
      if (feed.taken.has(hash)) look.present.add(hash)
      else await this.#guarded(feed, hash, bytes, look, name)
    }
    look.read = true
  }

  /** One document among many: its fault is kept with it and does not hide the others. */
  async #guarded(feed: Feed, key: string, bytes: Uint8Array, look: Probe, name?: string): Promise<void> {
    let problems: readonly Problem[]
    try {
      problems = (await this.#take(feed, bytes, feed.settings.format)).problems
    } catch (error) {
      if (!isProblem(error)) throw error
      problems = [name ? new Problem(error.code, `${name}: ${error.detail ?? ''}`) : error]
    }
    look.present.add(key)
    feed.taken.set(key, problems)
    if (feed.taken.size > maxSeen) feed.taken.delete(feed.taken.keys().next().value!)
  }

  async #take(
    feed: Feed,
    bytes: Uint8Array,
    format: Format | undefined,
  ): Promise<{ taken: Taken; problems: readonly Problem[] }> {
    const { board, clock } = this.#options
    const bulletin = readBulletin(bytes, format, { nowMs: clock.now(), rules: board.rules })
    const problems = [...bulletin.problems]
    const taken = await board.take(feed.settings.name, bulletin)
    if (taken.endangeredShare > board.rules.everywhereShare)
      problems.push(new Problem('hazard.everywhere', `${Math.round(taken.endangeredShare * 100)} % of all servers`))
    return { taken, problems }
  }

  /** Keeps how the feed is doing, and says so when that is news. */
  async #report(feed: Feed, { problems: own, read, present }: Probe): Promise<void> {
    const { clock, store, board, log } = this.#options
    const nowMs = clock.now()
    const { name, staleAfterSeconds, trust } = feed.settings
    const before = feed.row
    const good = read ? nowMs : before.good
    const stale = !read && good !== null && nowMs - good > staleAfterSeconds * 1000
    const problems = [...own, ...[...present].flatMap((document) => feed.taken.get(document) ?? [])]
    const first = problems[0]
    const problem = stale && first?.code === 'feed.unreachable' ? 'feed.stale' : (first?.code ?? null)
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''
    const detail = first ? `${first.detail ?? ''}${more}`.slice(0, 500) : null
    await board.setFeed(name, { trust, silent: !read })
    const hazards = board.hazards().filter((live) => live.feed === name).length
    feed.row = { ...feed.row, checked: nowMs, good, problem, detail, hazards }
    if (problem !== before.problem) {
      if (problem) log.warn('a hazard feed is not well', { feed: name, code: problem, detail })
      else log.info('a hazard feed is well again', { feed: name })
    }
    // A look without news is written down once a minute only.
    if (problem === before.problem && hazards === before.hazards && nowMs - feed.writtenMs < 60_000) return
    feed.writtenMs = nowMs
    await store.transaction(({ sql }) => feedRows.put(sql, feed.row))
  }
}

async function readFile(files: Files, name: string): Promise<Uint8Array> {
  const file = await files.open(name, 'read')
  try {
    return await file.read(0, Math.min(await file.size(), limits.bulletinBytes + 1))
  } finally {
    await file.close()
  }
}

function newRow(name: string, trust: number): FeedRow {
  return { name, trust, checked: 0, good: null, hazards: 0, problem: null, detail: null, etag: null, modified: null }
}
