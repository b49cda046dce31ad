/**
 * What the site sends this device to keep (ARCHITECTURE §6): each offer is written down before it is acknowledged, fetched
 * into a file when the line is up, checked block by block, and there for its app when it is whole. Restarts and power cuts
 * cost what was not synced, memory is one window of blocks.
 */
import { hex } from '@azukari/protocol/bytes'
import { decode, encode } from '@azukari/protocol/codec'
import { checker } from '@azukari/protocol/contract'
import {
  downloadOffered,
  downloadWithdrawn,
  downWindowMaxBlocks,
  endDownload,
  Offer,
} from '@azukari/protocol/contracts/download'
import { factsOfOffer } from '@azukari/protocol/download'
import { makeDurableDirectory } from '@azukari/protocol/durable-directory'
import { Incoming } from '@azukari/protocol/incoming'
import type { Clock, Files, Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { backoffMs } from '../backoff.ts'
import type { DeviceDatabase } from '../database.ts'
import type { Link } from '../link.ts'
import { type BlockSink, Receiver } from './receiver.ts'

export interface DownloadsOptions {
  database: DeviceDatabase
  files: Files
  /** Folder of the files. */
  folder: string
  link: Link
  clock: Clock
  random: Random
  log: Log
  limits?: Partial<DownloadLimits>
}

export interface DownloadLimits {
  /** Bytes of all downloads, whole or coming. */
  totalBytes: number
  /** Bytes that the disk keeps for everything else. */
  spareBytes: number
  /** Fetched at once. */
  atOnce: number
}

const standardLimits: DownloadLimits = { totalBytes: 256 * 2 ** 20, spareBytes: 64 * 2 ** 20, atOnce: 2 }

/** Something that came whole. */
export interface KeptDownload {
  transfer: Uint8Array
  kind: string
  name: string
  mediaType: string
  sizeBytes: number
  atMs: number
}

/** Which kinds a device takes, and how much of each. */
export interface DownloadKind {
  maxBytes: number
  /** Whole ones that are kept; beyond it the oldest go. */
  maxFiles: number
}

interface Row {
  transfer: Uint8Array
  offer: Uint8Array
  state: number
  at: number
}

/** How far a download is. */
const state = { coming: 0, whole: 1, told: 2 } as const

const checkOffer = checker(Offer, 'kept offer')
/** What the device says to an offer that it does not take. */
type Refusal = 'part.unsupported' | 'transfer.too-large' | 'storage.full'
/** Why a download will never come: it goes, and the service is not asked for it again. */
const lost: ReadonlySet<string> = new Set(['transfer.unknown', 'transfer.expired', 'transfer.bad-root'])

export class Downloads {
  readonly #o: DownloadsOptions
  readonly #limits: DownloadLimits
  readonly #kinds: ReadonlyMap<string, DownloadKind>
  readonly #underWay = new Map<string, { stop: AbortController; ended: Promise<void> }>()
  readonly #listeners = new Set<(kept: KeptDownload) => void>()
  /** One after the other, so that no two offers take the same room. */
  #accepting: Promise<void> = Promise.resolve()
  #news = Promise.withResolvers<void>()

  private constructor(options: DownloadsOptions, kinds: ReadonlyMap<string, DownloadKind>) {
    this.#o = options
    this.#limits = { ...standardLimits, ...options.limits }
    this.#kinds = kinds
    options.link.onEvent(downloadOffered, ({ offer }) => this.#offered(offer))
    options.link.onEvent(downloadWithdrawn, ({ transfer }) => this.remove(transfer))
  }

  /** Opens what was kept. @param kinds what this device takes @throws {Problem} `storage.*` */
  static async open(options: DownloadsOptions, kinds: Readonly<Record<string, DownloadKind>>): Promise<Downloads> {
    const { database, files, folder } = options
    await database.exec(
      `CREATE TABLE IF NOT EXISTS downloads (
         transfer BLOB PRIMARY KEY, kind TEXT NOT NULL, offer BLOB NOT NULL, bytes INTEGER NOT NULL,
         state INTEGER NOT NULL DEFAULT 0, at INTEGER NOT NULL
       )`,
    )
    await makeDurableDirectory(files, folder)
    const known = await database.all<{ transfer: Uint8Array }>('SELECT transfer FROM downloads')
    const names = new Set(known.map(({ transfer }) => hex(new Uint8Array(transfer))))
    // A file without a row: the row went first.
    for (const name of await files.list(folder))
      if (!names.has(name.split('.')[0] ?? '')) await files.remove(`${folder}/${name}`)
    return new Downloads(options, new Map(Object.entries(kinds)))
  }

  /** Hears of what came whole. Returns a function that stops it. */
  onWhole(listener: (kept: KeptDownload) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** There may be something to fetch. */
  wake(): void {
    this.#news.resolve()
  }

  /** What came whole of a kind, oldest first. */
  async kept(kind: string): Promise<KeptDownload[]> {
    const rows = await this.#o.database.all<Row>(
      'SELECT transfer, offer, state, at FROM downloads WHERE kind = ? AND state >= ? ORDER BY at, rowid',
      kind,
      state.whole,
    )
    return rows.map(keptOf)
  }

  /** Up to `length` bytes of one that is whole. @throws {Problem} `object.unknown` */
  async read(transfer: Uint8Array, at: number, length: number): Promise<Uint8Array> {
    const row = await this.#o.database.get(
      'SELECT 1 AS n FROM downloads WHERE transfer = ? AND state >= ?',
      transfer,
      state.whole,
    )
    if (!row) throw new Problem('object.unknown', 'no such download')
    const file = await this.#o.files.open(`${this.#pathOf(transfer)}.blocks`, 'read')
    try {
      return await file.read(at, length)
    } finally {
      await file.close()
    }
  }

  /** Gives the room of a download back, whether it is whole or still comes. Absent is not an error. */
  async remove(transfer: Uint8Array): Promise<void> {
    const fetching = this.#underWay.get(hex(transfer))
    fetching?.stop.abort(new Problem('transfer.unknown', 'withdrawn'))
    await fetching?.ended
    await this.#o.database.run('DELETE FROM downloads WHERE transfer = ?', transfer)
    for (const ending of ['blocks', 'leaves']) await this.#o.files.remove(`${this.#pathOf(transfer)}.${ending}`)
  }

  async run(signal: AbortSignal): Promise<void> {
    const { link, clock, random } = this.#o
    let failures = 0
    signal.addEventListener('abort', () => this.wake(), { once: true })
    while (!signal.aborted) {
      this.#news = Promise.withResolvers<void>()
      if (link.up && this.#underWay.size < this.#limits.atOnce)
        for (const row of await this.#coming()) {
          if (this.#underWay.size >= this.#limits.atOnce) break
          this.#begin(row, signal, (isFailed) => {
            failures = isFailed ? failures + 1 : 0
            this.wake()
          })
        }
      await this.#news.promise
      // Whatever failed is tried again, and not faster each time.
      if (failures > 0 && !signal.aborted)
        await clock.sleep(backoffMs(Math.min(failures, 8), random), signal).catch(() => undefined)
    }
    for (const { ended } of this.#underWay.values()) await ended
  }

  /** Writes an offer down, or says why it is not taken; either way it need not be told again. */
  #offered(offer: Offer): Promise<void> {
    const accepted = this.#accepting.then(() => this.#accept(offer))
    this.#accepting = accepted.catch(() => undefined)
    return accepted
  }

  async #accept(offer: Offer): Promise<void> {
    const { database, link, log, clock } = this.#o
    const { transfer, from, kind, sizeBytes } = offer
    if (await database.get('SELECT 1 AS n FROM downloads WHERE transfer = ?', transfer)) return
    const problem = await this.#refusal(offer)
    if (problem !== undefined) {
      log.warn('what the site sends is not taken', { kind, sizeBytes, code: problem })
      await link.call(endDownload, { transfer, from, problem })
      return
    }
    await database.run(
      'INSERT INTO downloads (transfer, kind, offer, bytes, at) VALUES (?, ?, ?, ?, ?)',
      transfer,
      kind,
      encode(offer),
      sizeBytes,
      clock.now(),
    )
    this.wake()
  }

  async #refusal(offer: Offer): Promise<Refusal | undefined> {
    const { database, files, folder } = this.#o
    const kind = this.#kinds.get(offer.kind)
    if (!kind) return 'part.unsupported'
    if (offer.sizeBytes > kind.maxBytes) return 'transfer.too-large'
    factsOfOffer(offer)
    const held = await database.get<{ bytes: number }>('SELECT coalesce(sum(bytes), 0) AS bytes FROM downloads')
    const coming = await database.get<{ bytes: number }>(
      'SELECT coalesce(sum(bytes), 0) AS bytes FROM downloads WHERE state = ?',
      state.coming,
    )
    const free = (await files.freeBytes(folder)) - this.#limits.spareBytes - (coming?.bytes ?? 0)
    if ((held?.bytes ?? 0) + offer.sizeBytes > this.#limits.totalBytes || free < offer.sizeBytes) return 'storage.full'
    return undefined
  }

  /** What is to be fetched, or to be told that it was; what expired meanwhile goes. */
  async #coming(): Promise<Row[]> {
    const { database, link } = this.#o
    const rows = await database.all<Row>(
      'SELECT transfer, offer, state, at FROM downloads WHERE state < ? ORDER BY at, rowid',
      state.told,
    )
    const wanted: Row[] = []
    for (const row of rows)
      if (row.state === state.coming && offerIn(row).expiresMs <= link.siteNow())
        await this.remove(new Uint8Array(row.transfer))
      else if (!this.#underWay.has(hex(new Uint8Array(row.transfer)))) wanted.push(row)
    return wanted
  }

  #begin(row: Row, signal: AbortSignal, onEnd: (isFailed: boolean) => void): void {
    const name = hex(new Uint8Array(row.transfer))
    const stop = new AbortController()
    const fetched = this.#fetch(row, AbortSignal.any([signal, stop.signal])).then(
      (): string | undefined => undefined,
      (error: unknown) => {
        if (!isProblem(error)) throw error
        return error.code
      },
    )
    const ended = fetched.then(
      () => void this.#underWay.delete(name),
      () => void this.#underWay.delete(name),
    )
    this.#underWay.set(name, { stop, ended })
    void ended.then(async () => {
      const code = await fetched.catch((error) => {
        this.#o.log.error('a download failed', { error: String(error) })
        return 'internal'
      })
      if (stop.signal.aborted || signal.aborted) return onEnd(false)
      if (code !== undefined) this.#o.log.info('a download waits', { transfer: name, code })
      if (code !== undefined && lost.has(code)) await this.remove(new Uint8Array(row.transfer))
      onEnd(code !== undefined && !lost.has(code))
    })
  }

  async #fetch(row: Row, signal: AbortSignal): Promise<void> {
    const { clock, link, database } = this.#o
    const offer = offerIn(row)
    if (row.state === state.coming) {
      await this.#receive(offer, signal)
      // The row first: what is whole stays, whenever the site hears of it.
      await database.run(
        'UPDATE downloads SET state = ?, at = ? WHERE transfer = ?',
        state.whole,
        clock.now(),
        offer.transfer,
      )
      await this.#removeOldest(offer.kind)
      const kept = keptOf({ ...row, at: clock.now() })
      for (const listener of this.#listeners) listener(kept)
    }
    const { transfer, from } = offer
    await link.call(endDownload, { transfer, from }, { signal })
    await database.run('UPDATE downloads SET state = ? WHERE transfer = ?', state.told, transfer)
  }

  async #removeOldest(kind: string): Promise<void> {
    const kept = await this.kept(kind)
    const maxFiles = this.#kinds.get(kind)?.maxFiles ?? 0
    for (const { transfer } of kept.slice(0, Math.max(0, kept.length - maxFiles))) await this.remove(transfer)
  }

  async #receive(offer: Offer, signal: AbortSignal): Promise<void> {
    const { files, clock, link, folder } = this.#o
    const failed = new AbortController()
    let bad: number[] = []
    const incoming: Incoming<Offer> = await Incoming.open(offer, factsOfOffer(offer), this.#pathOf(offer.transfer), {
      files,
      clock,
      syncBlocks: () => downWindowMaxBlocks / 2,
      reserve: () => ({ release: () => undefined }),
      onProgress: (_of, wrong) => {
        bad = [...bad, ...wrong].slice(0, 64)
        receiver.progress()
      },
      onProblem: (_of, problem) => failed.abort(problem),
    })
    const sink: BlockSink = {
      get ranges() {
        return incoming.ranges
      },
      windowBlocks: downWindowMaxBlocks,
      get isComplete() {
        return incoming.whole
      },
      take: (index, payload) => void incoming.take(index, payload),
      takeBad: () => bad.splice(0),
    }
    const receiver = new Receiver({ link, clock }, offer, sink)
    try {
      await receiver.run(AbortSignal.any([signal, failed.signal]))
      await incoming.settle()
      if (incoming.failure) throw incoming.failure
    } finally {
      await incoming.close()
    }
    await files.syncDirectory(folder)
    await files.remove(`${this.#pathOf(offer.transfer)}.leaves`)
  }

  #pathOf(transfer: Uint8Array): string {
    return `${this.#o.folder}/${hex(new Uint8Array(transfer))}`
  }
}

function offerIn(row: Row): Offer {
  return checkOffer(decode(new Uint8Array(row.offer)))
}

function keptOf(row: Row): KeptDownload {
  const { transfer, kind, name, mediaType, sizeBytes } = offerIn(row)
  return { transfer, kind, name, mediaType, sizeBytes, atMs: row.at }
}
