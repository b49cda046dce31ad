/**
 * The printer app (S10, S17): card in → what the member has → choose → fetch → unseal → turn as EXIF says → print.
 */

import type { Conditions } from '@azukari/protocol/contracts/save'
import type { Language } from '@azukari/protocol/finding-text'
import { Problem } from '@azukari/protocol/problem'
import type { Display, Printer, PrintProgress, Shown } from '../drivers.ts'
import type { MarkWatch } from '../marks/mark-watch.ts'
import { decodeUpright } from '../picture.ts'
import { type FetchPorts, type FetchProgress, fetchObject } from './fetch.ts'
import type { Presence } from './presence.ts'
import { readShelf, readWholeShelf } from './shelf.ts'
import { problemShown, wordsOf } from './words.ts'

export interface PrinterAppOptions extends FetchPorts {
  presence: Presence
  printer?: Printer | undefined
  display?: Display | undefined
  /** What the board speaks now; English without it. */
  language?: () => Language
  /** Looks at what was printed for the mark of a work. */
  marks?: Pick<MarkWatch, 'met'> | undefined
}

export interface Printed {
  object: Uint8Array
  /** Which replica served. */
  slot: number
  server: string
  width: number
  height: number
}

export type PrintNews = { stage: 'fetching'; fetch: FetchProgress } | { stage: 'printing'; print: PrintProgress }

export class PrinterApp {
  readonly #o: PrinterAppOptions

  constructor(options: PrinterAppOptions) {
    this.#o = options
  }

  /** What the member has, as the card tells it. */
  async list(pin?: string): Promise<Conditions[]> {
    const card = this.#o.presence.require()
    await card.requirePin(pin)
    return readWholeShelf(this.#o, card)
  }

  /**
   * Prints one object.
   * @throws {Problem} `object.unknown` when the card does not know it, `object.not-printable`, `photo.corrupt`,
   * `printer.*`, `server.*`, `replica.*`; shown as well
   */
  async print(
    object: Uint8Array,
    options: {
      copies?: number
      pin?: string
      order?: readonly number[]
      onNews?: (news: PrintNews) => void
      /** The person does not want it any more. */
      leave?: AbortSignal
    } = {},
  ): Promise<Printed> {
    const { presence, printer } = this.#o
    const card = presence.require()
    await card.requirePin(options.pin)
    const isIt = (candidate: Conditions) => Buffer.from(candidate.object).equals(object)
    const conditions = (await readShelf(card)).find(isIt) ?? (await readWholeShelf(this.#o, card)).find(isIt)
    if (!conditions) throw new Problem('object.unknown')
    if (!conditions.mediaType.startsWith('image/')) throw new Problem('object.not-printable', conditions.mediaType)
    if (!printer) throw new Problem('printer.offline', 'this board has no printer')
    const fetched = await fetchObject(
      this.#o,
      card,
      conditions,
      (fetch) => {
        options.onNews?.({ stage: 'fetching', fetch })
        if (fetch.segments === 1)
          void this.#show({ lines: [conditions.name, this.#words.fetching(fetch.region)], tone: 'busy' })
      },
      options.order,
    )
    const page = decodeUpright(fetched.bytes)
    await this.#show({ lines: [conditions.name, this.#words.printing], tone: 'busy', picture: page })
    const until = options.leave ? AbortSignal.any([card.signal, options.leave]) : card.signal
    until.throwIfAborted()
    await printer.print({ page, title: conditions.name, copies: options.copies ?? 1 }, until, (print) =>
      options.onNews?.({ stage: 'printing', print }),
    )
    this.#o.marks?.met(page)
    await this.#show({ lines: [this.#words.printed(conditions.name)], tone: 'good' })
    return { object, slot: fetched.slot, server: fetched.server, width: page.width, height: page.height }
  }

  async showProblem(error: unknown): Promise<void> {
    await this.#show(problemShown(error, this.#o.language))
  }

  get #words() {
    return wordsOf(this.#o.language)
  }

  async #show(shown: Shown): Promise<void> {
    await this.#o.display
      ?.show(shown)
      .catch((error) => this.#o.log.warn('the display failed', { error: String(error) }))
  }
}
