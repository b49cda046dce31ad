/**
 * Detection in normal use (R4): what a board has printed or shown is looked at for the mark of a work, after that and beside it, and
 * the site is told which works were met: with the member's consent (D8), without naming the member, when the card has left. What
 * comes while too much waits is not looked at.
 */
import { maxSightings, sightingConsent, tellSightings } from '@azukari/protocol/contracts/rights-boards'
import { canonicalSize } from '@azukari/protocol/marks/carriers'
import { lumaAt, type Plane } from '@azukari/protocol/marks/plane'
import { workDigits } from '@azukari/protocol/marks/work-id'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import type { Presence, PresentCard } from '../apps/presence.ts'
import type { Raster } from '../drivers.ts'
import type { Outbox } from '../outbox.ts'
import type { MarkReader } from './mark-reader.ts'
import type { SightingRecord } from './sighting-record.ts'

export interface MarkWatchOptions {
  presence: Pick<Presence, 'card' | 'onNews'>
  outbox: Pick<Outbox, 'append'>
  record: SightingRecord
  /** Called with the first picture that a member lets be looked at. */
  reader: () => Promise<MarkReader>
  clock: Pick<Clock, 'now'>
  random: Random
  log: Log
}

/** What a picture was, where that is known to others than the member. */
export interface PictureSource {
  content?: Uint8Array
}

interface Waiting extends PictureSource {
  luma: Plane
}

/** Pictures that may wait, each of about 2.5 MB, or whole while the member's consent is asked for. */
const waitingMax = 4

export class MarkWatch {
  readonly #o: MarkWatchOptions
  readonly #consents = new WeakMap<PresentCard, Promise<boolean>>()
  readonly #queue: Waiting[] = []
  #asking = 0
  #wake = Promise.withResolvers<void>()
  #reader: MarkReader | undefined
  /** Pictures that were not looked at because too many waited, since the start. */
  dropped = 0

  constructor(options: MarkWatchOptions) {
    this.#o = options
    options.presence.onNews(({ type }) => {
      if (type === 'out') this.#wakeUp()
    })
  }

  /** A picture has been printed or shown. Returns at once. */
  met(picture: Raster, source: PictureSource = {}): void {
    const { card } = this.#o.presence
    if (!card) return
    if (this.#queue.length + this.#asking >= waitingMax) {
      this.dropped++
      this.#o.log.info('a picture is not looked at for its mark: too many wait', { dropped: this.dropped })
      return
    }
    this.#asking++
    this.allows(card)
      .then((allows) => {
        if (allows) this.#queue.push({ ...source, luma: lumaAt(picture, canonicalSize) })
      })
      .catch((error) => this.#o.log.error('a picture was not looked at', { error: String(error) }))
      .finally(() => {
        this.#asking--
        this.#wakeUp()
      })
  }

  /** Whether the member lets boards tell; asked once while the card is in. Not known is no. */
  allows(card: PresentCard): Promise<boolean> {
    const known = this.#consents.get(card) ?? this.#ask(card)
    this.#consents.set(card, known)
    return known
  }

  /** The member decides anew. @throws {Problem} `session.required`, `session.*`, `link.*` */
  async decide(card: PresentCard, allows: boolean): Promise<void> {
    if (!allows) {
      // At once, whatever becomes of the line. What others allowed was gathered when their card left.
      this.#consents.set(card, Promise.resolve(false))
      this.#queue.length = 0
      await this.#o.record.forget()
    }
    const said = await card.askService(sightingConsent, { allows })
    this.#consents.set(card, Promise.resolve(said.allows))
  }

  /** Looks and tells until it is stopped. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#wakeUp(), { once: true })
    while (!signal.aborted) {
      const wake = this.#wake.promise
      for (let next = this.#queue.shift(); next && !signal.aborted; next = this.#queue.shift()) await this.#look(next)
      if (!this.#o.presence.card && this.#asking === 0) await this.#tell()
      await this.#reader?.rest()
      await wake
    }
  }

  async #ask(card: PresentCard): Promise<boolean> {
    try {
      return (await card.askService(sightingConsent, {})).allows
    } catch (error) {
      if (!isProblem(error) && !card.signal.aborted) throw error
      return false
    }
  }

  async #look({ luma, content }: Waiting): Promise<void> {
    const { record, reader, clock } = this.#o
    this.#reader ??= await reader()
    const found = await this.#reader.read(luma)
    if (found === undefined) return
    const work = found.toString(16).padStart(workDigits, '0')
    const day = new Date(clock.now()).toISOString().slice(0, 10)
    await record.note(content ? { work, content, day } : { work, day })
  }

  async #tell(): Promise<void> {
    const { record, outbox, random, log } = this.#o
    await record.gather(random.bytes(16), maxSightings)
    try {
      for (let next = await record.next(); next; next = await record.next()) {
        await outbox.append(tellSightings, { sightings: next.sightings }, next.act)
        await record.told(next.act)
        await record.gather(random.bytes(16), maxSightings)
      }
    } catch (error) {
      // A full outbox: they wait for the next time.
      if (!isProblem(error)) throw error
      log.info('sightings wait', { code: error.code })
    }
  }

  #wakeUp(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }
}
