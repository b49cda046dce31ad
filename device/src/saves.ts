/**
 * Saves: from the moment a member made something until both replicas stand (S4–S8, D5).
 *
 * A save is written down before it is shown as done. Its states only go forward, except that a transfer which the site
 * lost begins again; the device's own copy goes only after placement's signed receipt.
 *
 *   here → sent → buffered → kept        (or refused, with the problem; then the copy stays for the member)
 */
import { hex } from '@azukari/protocol/bytes'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { checker } from '@azukari/protocol/contract'
import {
  offerDomain,
  offerSave,
  receiptDomain,
  type SaveOffer,
  SaveReceipt,
  saveKept,
  saveProgress,
  saveStatus,
  transferKeyDomain,
} from '@azukari/protocol/contracts/save'
import { transferProgress } from '@azukari/protocol/contracts/transfer'
import { encryptTo, type Signer, sign1With } from '@azukari/protocol/cose'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { backoffMs } from './backoff.ts'
import type { DeviceDatabase } from './database.ts'
import type { Link } from './link.ts'
import type { Outbox, Outcome } from './outbox.ts'
import { allPieces, type LeftOut, type Source, withoutPlace } from './place/without-place.ts'
import { Sealing } from './sealing.ts'
import type { SignedDocument, SiteKeys } from './site-keys.ts'
import type { Spool } from './spool.ts'
import { Upload, type UploadProgress } from './upload.ts'

export type SaveState = 'here' | 'sent' | 'buffered' | 'kept' | 'refused'

/** What is to be kept, and what people call it. */
export interface UploadSource {
  source: Source
  name: string
  mediaType: string
  takenMs: number
}

/** The card that asks, while it is in: who, its key for acts, and what its member agreed to. */
export interface Author {
  member: Uint8Array
  signer: Signer
  /** What the card shows (S3). */
  level: number
  /** D8: without it, what is kept loses the place where it was made. */
  allowsLocation: boolean
}

export interface Save {
  object: Uint8Array
  name: string
  mediaType: string
  sizeBytes: number
  sha256: Uint8Array
  takenMs: number
  state: SaveState
  /** Why it waits or was refused. */
  problem?: string
  receipt?: SaveReceipt
  progress?: UploadProgress
  /** What had to go together with the place (D8); only when it is kept. */
  leftOut?: ReadonlySet<LeftOut>
}

interface Row {
  object: Uint8Array
  transfer: Uint8Array
  act: Uint8Array
  name: string
  media: string
  size: number
  sha256: Uint8Array
  taken: number
  root: Uint8Array
  leaves: Uint8Array
  offer: Uint8Array
  transfer_key: Uint8Array
  state: SaveState
  problem: string | null
  receipt: Uint8Array | null
}

const schema = `
CREATE TABLE IF NOT EXISTS saves (
  object BLOB PRIMARY KEY, transfer BLOB NOT NULL, act BLOB NOT NULL, name TEXT NOT NULL, media TEXT NOT NULL,
  size INTEGER NOT NULL, sha256 BLOB NOT NULL, taken INTEGER NOT NULL, root BLOB NOT NULL, leaves BLOB NOT NULL,
  offer BLOB NOT NULL, transfer_key BLOB NOT NULL, state TEXT NOT NULL, problem TEXT, receipt BLOB
);
CREATE INDEX IF NOT EXISTS saves_state ON saves (state) WHERE state <> 'kept';
`

/** An offer is worth this long, so that a device may be without a network for weeks. */
const offerMs = 30 * 86_400_000
/** Uploads under way at once: a window of blocks each. */
const uploadsAtOnce = 3
/** How often placement is asked about a save whose receipt did not come. */
const askMs = 30_000

/** Whoever takes offers signs the receipts. */
const keeper = offerSave.service
const receiptDocument: SignedDocument<SaveReceipt> = {
  domain: receiptDomain,
  check: checker(SaveReceipt, 'receipt'),
  atMs: ({ keptMs }) => keptMs,
}

export interface SavesOptions {
  database: DeviceDatabase
  spool: Spool
  link: Link
  outbox: Outbox
  clock: Clock
  /** The time as the device knows it, for what is signed; ms since the epoch. */
  now: () => number
  random: Random
  log: Log
  keys: Pick<SiteKeys, 'recipient' | 'open' | 'openKnown'>
}

export class Saves {
  readonly #options: SavesOptions
  readonly #uploads = new Map<string, Upload>()
  readonly #progress = new Map<string, UploadProgress>()
  readonly #listeners = new Set<(save: Save) => void>()
  #wake = Promise.withResolvers<void>()

  private constructor(options: SavesOptions) {
    this.#options = options
  }

  /** Opens the store and removes spool files that no save knows (a power cut while writing one). */
  static async open(options: SavesOptions): Promise<Saves> {
    await options.database.exec(schema)
    const saves = new Saves(options)
    options.link.onEvent(transferProgress, ({ transfer, have, bad }) =>
      saves.#uploads.get(hex(transfer))?.progress(have, bad),
    )
    options.link.onEvent(saveKept, ({ object, receipt }) => saves.#onReceipt(object, receipt))
    options.link.onEvent(saveProgress, ({ object, problem }) => saves.#note(object, problem ?? null))
    options.outbox.onOutcome(offerSave, ({ id }, outcome) => saves.#onOutcome(id, outcome))
    const known = new Set(
      (await options.database.all<{ object: Uint8Array }>(`SELECT object FROM saves WHERE state <> 'kept'`)).map(
        (row) => hex(row.object),
      ),
    )
    for (const name of await options.spool.list().catch(() => []))
      if (name.endsWith('.azx.new') || (name.endsWith('.azx') && !known.has(name.slice(0, -4))))
        await options.spool.remove(name)
    return saves
  }

  /** Hears every change of every save. */
  onChange(listener: (save: Save) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Keeps something for a member: encrypts it onto the spool, has the card sign the offer, writes it down. When this
   * resolves it will be delivered, also after hours without a network (D5).
   * Without consent nothing of the place where it was made gets onto the spool (D8), whatever it came from.
   * @throws {Problem} `device.unknown` before the first enrolment, `keys.expired`, `memory.*`, `card.*`, `transfer.too-large`,
   * `place.not-removable`
   */
  async keep(source: UploadSource, author: Author): Promise<Save> {
    const { random, spool, database } = this.#options
    const { audience, agreement } = await this.#options.keys.recipient(keeper)
    const { pieces, leftOut } = author.allowsLocation
      ? { pieces: allPieces(source.source), leftOut: undefined }
      : await withoutPlace(source.source)
    const object = random.bytes(16)
    const transfer = random.bytes(16)
    const act = random.bytes(16)
    const key = random.bytes(32)
    const file = fileOf(object)
    const sealing = new Sealing(key, transfer)
    try {
      await spool.write(file, sealing.blocks(pieces))
      const { sizeBytes, sha256, root, leaves } = sealing.result()
      const issuedMs = this.#options.now()
      const offer: SaveOffer = {
        contract: offerSave.id,
        audience,
        act,
        issuedMs,
        expiresMs: issuedMs + offerMs,
        member: author.member,
        level: author.level,
        object,
        version: 1,
        transfer,
        root,
        sizeBytes,
        sha256,
        name: source.name,
        mediaType: source.mediaType,
        takenMs: source.takenMs,
      }
      const signed = await sign1With(encodeDeterministic(offer), author.signer, offerDomain)
      const transferKey = encryptTo(agreement, key, transferKeyDomain, random)
      await database.run(
        `INSERT INTO saves (object, transfer, act, name, media, size, sha256, taken, root, leaves, offer, transfer_key, state)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'here')`,
        object,
        transfer,
        act,
        source.name,
        source.mediaType,
        sizeBytes,
        sha256,
        source.takenMs,
        root,
        leaves,
        signed,
        transferKey,
      )
    } catch (error) {
      await spool.remove(file).catch(() => undefined)
      throw error
    }
    this.wake()
    const save = (await this.#tell(object))!
    return leftOut ? { ...save, leftOut } : save
  }

  /** All saves that are not yet kept, and the latest that are. */
  async list(limit = 100): Promise<Save[]> {
    const rows = await this.#options.database.all<Row>(
      `SELECT * FROM saves ORDER BY state = 'kept', taken DESC LIMIT ?`,
      limit,
    )
    return rows.map((row) => this.#saveOf(row))
  }

  /** Placement's signed receipt; undefined while there is none. */
  async receiptOf(object: Uint8Array): Promise<Uint8Array | undefined> {
    const row = await this.#options.database.get<Row>('SELECT * FROM saves WHERE object = ?', object)
    return row?.receipt ?? undefined
  }

  /** Saves whose data is still only, or also, on this device. */
  async unfinished(): Promise<number> {
    const row = await this.#options.database.get<{ n: number }>(
      `SELECT count(*) AS n FROM saves WHERE state IN ('here', 'sent', 'buffered')`,
    )
    return row?.n ?? 0
  }

  wake(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }

  /** Works until aborted: uploads what is here, oldest first, and asks after what is buffered. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, link, random, log } = this.#options
    signal.addEventListener('abort', () => this.wake(), { once: true })
    let failures = 0
    while (!signal.aborted) {
      const wake = this.#wake.promise
      if (link.up) {
        try {
          await this.#uploadAll(signal)
          await this.#askAfterBuffered(signal)
          failures = 0
        } catch (error) {
          if (signal.aborted) return
          failures++
          if (!isProblem(error)) log.error('a save failed', { error: String(error) })
          else log.info('a save waits', { code: error.code, detail: error.detail })
        }
      }
      // Nothing to deliver and nothing to ask after: a board with nothing to do does nothing.
      if (failures === 0 && (await this.unfinished()) === 0) {
        await wake
        continue
      }
      using timer = clock.timer(failures > 0 ? backoffMs(failures, random) : askMs, () => this.wake())
      await wake
      timer.cancel()
    }
  }

  /** Oldest first, a few at once: while one waits for the gateway's disk, others use the line. */
  async #uploadAll(signal: AbortSignal): Promise<void> {
    const underWay = new Map<string, Promise<void>>()
    // A save that cannot go for a reason of its own does not hold up those behind it; without a line, none can go.
    const passedBy = new Set<string>()
    let failure: unknown
    let lineFailed = false
    while (!lineFailed && !signal.aborted) {
      const rows = await this.#options.database.all<Row>(
        `SELECT * FROM saves WHERE state = 'here' ORDER BY rowid LIMIT ?`,
        uploadsAtOnce + passedBy.size,
      )
      for (const row of rows) {
        const key = hex(row.object)
        if (passedBy.has(key) || underWay.has(key) || underWay.size >= uploadsAtOnce) continue
        const work = this.#upload(row, signal).catch(async (error) => {
          failure ??= error
          passedBy.add(key)
          if (!isProblem(error) || !isOfTheSave(error)) lineFailed = true
          await this.#note(row.object, isProblem(error) ? error.code : 'internal')
        })
        underWay.set(
          key,
          work.finally(() => underWay.delete(key)),
        )
      }
      if (underWay.size === 0) break
      await Promise.race(underWay.values())
    }
    await Promise.all(underWay.values())
    if (failure) throw failure
  }

  async #upload(row: Row, signal: AbortSignal): Promise<void> {
    const key = hex(row.transfer)
    const upload = new Upload(this.#options, {
      transfer: row.transfer,
      to: keeper,
      sizeBytes: row.size,
      root: row.root,
      leaves: row.leaves,
      file: fileOf(row.object),
    })
    this.#uploads.set(key, upload)
    try {
      await upload.run(signal, (progress) => {
        this.#progress.set(hex(row.object), progress)
        this.#announce({ ...this.#saveOf(row), progress })
      })
    } catch (error) {
      if (!isProblem(error, 'object.unknown')) throw error
      // Its data is not here. An old image of this device's system may have been put back: then the site has it already.
      if (!(await this.#ask(row.object, signal))) throw error
      return
    } finally {
      this.#uploads.delete(key)
      this.#progress.delete(hex(row.object))
    }
    // The act first: should the power go between the two, the upload finishes at once and the same act id is no second act.
    await this.#options.outbox.append(offerSave, { offer: row.offer, transferKey: row.transfer_key }, row.act)
    await this.#enter(row.object, 'sent', null, `state = 'here'`)
  }

  async #askAfterBuffered(signal: AbortSignal): Promise<void> {
    const rows = await this.#options.database.all<Row>(
      `SELECT * FROM saves WHERE state = 'buffered' ORDER BY rowid LIMIT 64`,
    )
    for (const { object } of rows)
      if (!(await this.#ask(object, signal))) await this.#beginAgain(object, null, `state = 'buffered'`)
  }

  /** Asks how far a save is and writes it down. @returns false when placement knows nothing of it */
  async #ask(object: Uint8Array, signal: AbortSignal): Promise<boolean> {
    const status = await this.#options.link.call(saveStatus, { object, version: 1 }, { signal })
    if (status.stage === 'unknown') return false
    if (status.receipt) await this.#onReceipt(object, status.receipt)
    else if (status.stage === 'refused')
      await this.#enter(object, 'refused', status.problem ?? 'internal', `state <> 'kept'`)
    else await this.#enter(object, 'buffered', status.problem ?? null, `state IN ('here', 'buffered')`)
    return true
  }

  async #onOutcome(act: Uint8Array, outcome: Outcome): Promise<void> {
    const row = await this.#options.database.get<Row>('SELECT * FROM saves WHERE act = ?', act)
    if (!row || row.state === 'kept') return
    if (!outcome.problem) return this.#enter(row.object, 'buffered', null, `state IN ('here', 'sent')`)
    const { code } = outcome.problem
    // The site lost the transfer (or it expired) before it took the offer: the data is still here, so it begins again.
    if (code === 'transfer.unknown' || code === 'transfer.incomplete' || code === 'transfer.expired') {
      await this.#beginAgain(row.object, code, `state IN ('here', 'sent')`)
      return this.wake()
    }
    await this.#enter(row.object, 'refused', code, `state <> 'kept'`)
  }

  /** Believes a receipt only when placement signed it, for this very content, with two places. */
  async #onReceipt(object: Uint8Array, message: Uint8Array): Promise<void> {
    const row = await this.#options.database.get<Row>('SELECT * FROM saves WHERE object = ?', object)
    if (!row || row.state === 'kept') return
    const receipt = await this.#options.keys.open(keeper, message, receiptDocument)
    if (hex(receipt.object) !== hex(object) || hex(receipt.sha256) !== hex(row.sha256))
      throw new Problem('cose.wrong-audience', 'a receipt for something else')
    await this.#options.database.run(
      `UPDATE saves SET state = 'kept', problem = NULL, receipt = ?, leaves = x'', offer = x'', transfer_key = x'' WHERE object = ?`,
      message,
      object,
    )
    await this.#options.spool
      .remove(fileOf(object))
      .catch((error) => this.#options.log.warn('a kept copy stays on the memory', { error: String(error) }))
    await this.#tell(object)
  }

  async #note(object: Uint8Array, problem: string | null): Promise<void> {
    await this.#options.database.run(
      `UPDATE saves SET problem = ? WHERE object = ? AND state NOT IN ('kept', 'refused')`,
      problem,
      object,
    )
    await this.#tell(object)
  }

  /** The site lost it: it is sent and offered once more. The offer is a new act, since the one before was answered. */
  async #beginAgain(object: Uint8Array, problem: string | null, where: string): Promise<void> {
    await this.#options.database.run(
      `UPDATE saves SET state = 'here', problem = ?, act = ? WHERE object = ? AND ${where}`,
      problem,
      this.#options.random.bytes(16),
      object,
    )
    await this.#tell(object)
  }

  async #enter(object: Uint8Array, state: SaveState, problem: string | null, where: string): Promise<void> {
    await this.#options.database.run(
      `UPDATE saves SET state = ?, problem = ? WHERE object = ? AND ${where}`,
      state,
      problem,
      object,
    )
    await this.#tell(object)
  }

  async #tell(object: Uint8Array): Promise<Save | undefined> {
    const row = await this.#options.database.get<Row>('SELECT * FROM saves WHERE object = ?', object)
    if (!row) return undefined
    const save = this.#saveOf(row)
    this.#announce(save)
    return save
  }

  #announce(save: Save): void {
    for (const listener of this.#listeners) listener(save)
  }

  #saveOf(row: Row): Save {
    const save: Save = {
      object: row.object,
      name: row.name,
      mediaType: row.media,
      sizeBytes: row.size,
      sha256: row.sha256,
      takenMs: row.taken,
      state: row.state,
    }
    if (row.problem) save.problem = row.problem
    if (row.receipt) save.receipt = this.#options.keys.openKnown(keeper, row.receipt, receiptDocument)
    const progress = this.#progress.get(hex(row.object))
    if (progress) save.progress = progress
    return save
  }
}

/** What keeps one save from going and not the others. */
function isOfTheSave({ code }: Problem): boolean {
  return (
    code === 'object.unknown' ||
    code === 'transfer.too-large' ||
    code === 'transfer.bad-root' ||
    code === 'act.conflict'
  )
}

function fileOf(object: Uint8Array): string {
  return `${hex(object)}.azx`
}
