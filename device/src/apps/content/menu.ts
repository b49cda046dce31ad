/** Content at a board that people can work (C14): the list with pictures and search, then show, print or play what was chosen. */
import type { ContentItem } from '@azukari/protocol/contracts/content'
import type { Language } from '@azukari/protocol/finding-text'
import type { Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Display, Medium, Player, Printer, Raster, Shown } from '../../drivers.ts'
import type { MarkWatch } from '../../marks/mark-watch.ts'
import { decodeUpright, shrink } from '../../picture.ts'
import { type Act, offerActs, orBack } from '../acts.ts'
import type { Dialogue } from '../dialogue.ts'
import type { PresentCard } from '../presence.ts'
import { problemShown } from '../words.ts'
import { type ArrivingContent, browse, type ContentPorts, listPicture, requestArriving } from './content.ts'
import { contentWordsOf } from './words.ts'

export interface ContentMenuOptions extends ContentPorts {
  dialogue: Dialogue
  printer?: Printer | undefined
  display?: Display | undefined
  /** What plays sound and films here. */
  player?: Player | undefined
  language: () => Language
  /** Looks at what was printed or shown for the mark of a work. */
  marks?: Pick<MarkWatch, 'met'> | undefined
  log: Log
}

const pageSize = 24
const shownSide = 1024
const listSide = 320

export class ContentMenu {
  readonly #o: ContentMenuOptions

  constructor(options: ContentMenuOptions) {
    this.#o = options
  }

  get label(): string {
    return this.#words.content
  }

  /** From its choice in the menu until the person goes back. @throws {Problem} `panel.*`, the signal's reason */
  async open(card: PresentCard, until: AbortSignal): Promise<void> {
    const { dialogue } = this.#o
    const { all, search, searchFor, content } = this.#words
    const acts: Act[] = [{ label: all, act: (leave) => this.#list(card, undefined, leave) }]
    if (dialogue.entry.has('text'))
      acts.push({
        label: search,
        act: async (leave) => this.#list(card, await dialogue.text(searchFor, 100, leave), leave),
      })
    await offerActs({ dialogue, showProblem: (error) => this.#showProblem(error) }, content, () => acts, until)
  }

  async #list(card: PresentCard, words: string | undefined, until: AbortSignal): Promise<void> {
    let after: string | undefined
    for (;;) {
      const { items, next } = await browse(card, { words, after }, pageSize)
      if (items.length === 0) return this.#show({ lines: [this.#words.nothing], tone: 'calm' })
      const choices = [
        ...items.map((item) => this.#choiceOf(card, item)),
        ...(next === undefined ? [] : [{ label: this.#words.more, item: undefined }]),
      ]
      const chosen = await orBack(this.#o.dialogue.choose(this.#words.found(items.length), choices, until))
      if (!chosen) return
      if (chosen.item) await this.#item(card, chosen.item, until)
      else after = next
    }
  }

  #choiceOf(card: PresentCard, item: ContentItem) {
    const detail = `${this.#words.price(item)} · ${this.#words.by(item.provider)}`
    const choice = { label: item.title, detail, item }
    return item.hasPicture ? { ...choice, picture: () => this.#listPicture(card, item) } : choice
  }

  /** What can be done with it here; each choice names the price, and nothing is charged before. */
  async #item(card: PresentCard, item: ContentItem, until: AbortSignal): Promise<void> {
    const { dialogue, printer, display, player } = this.#o
    const words = this.#words
    const acts: Act[] = []
    const isPicture = item.mediaType === 'image/jpeg'
    if (isPicture && display)
      acts.push({ label: words.see, act: (leave) => this.#agreed(item, leave, () => this.#see(card, item)) })
    if (isPicture && printer)
      acts.push({ label: words.print, act: (leave) => this.#agreed(item, leave, () => this.#print(card, item, leave)) })
    if (player?.plays(item.mediaType) && !isPicture) {
      const label = item.mediaType.startsWith('image/') ? words.see : words.play
      acts.push({ label, act: (leave) => this.#agreed(item, leave, () => this.#play(card, item, player, leave)) })
    }
    if (acts.length === 0) throw new Problem('part.unsupported', `nothing here shows ${item.mediaType}`)
    const terms = item.terms === '' ? item.title : `${item.title}. ${item.terms}`
    await offerActs({ dialogue, showProblem: (error) => this.#showProblem(error) }, terms, () => acts, until)
  }

  async #agreed(item: ContentItem, leave: AbortSignal, work: () => Promise<void>): Promise<void> {
    const { get, price, no } = this.#words
    const choices = [
      { label: get(price(item)), isYes: true },
      { label: no, isYes: false },
    ]
    const chosen = await orBack(this.#o.dialogue.choose(item.title, choices, leave))
    if (chosen?.isYes) await work()
  }

  async #see(card: PresentCard, item: ContentItem): Promise<void> {
    const picture = await this.#picture(card, item)
    await this.#show({ lines: [item.title], tone: 'calm', picture: shrink(picture, shownSide) })
    this.#o.marks?.met(picture, { content: item.content })
  }

  /**
   * Plays it while it comes (C14), until its end, or until the person has had enough or takes the card away. What could not be
   * played was not delivered; what was begun is paid for.
   */
  async #play(card: PresentCard, item: ContentItem, player: Player, leave: AbortSignal): Promise<void> {
    const arriving = await this.#get(card, item)
    const { title, mediaType } = item
    const { sizeBytes } = arriving
    const medium: Medium = { title, mediaType, sizeBytes, read: (at, length) => arriving.read(at, length) }
    const stop = new AbortController()
    const until = AbortSignal.any([card.signal, leave, stop.signal])
    const over = player.play(medium, () => arriving.used(), until)
    const asked = this.#untilStopped(title, AbortSignal.any([until, settled(over)]))
    try {
      await Promise.race([over, asked])
      stop.abort(new Problem('panel.cancelled'))
      await over.catch(whenStopped)
      await arriving.end()
      await this.#show({ lines: [title], tone: 'calm' })
    } catch (error) {
      await arriving.end(isProblem(error) ? error.code : 'internal')
      throw error
    }
  }

  /** The person says that it is enough; whoever watches a film touches nothing for long. */
  async #untilStopped(title: string, signal: AbortSignal): Promise<void> {
    const { playing, stop } = this.#words
    while (!signal.aborted)
      try {
        await orBack(this.#o.dialogue.choose(playing(title), [{ label: stop }], signal))
        return
      } catch (error) {
        if (!isProblem(error, 'panel.unanswered') && !signal.aborted) throw error
      }
  }

  async #print(card: PresentCard, item: ContentItem, leave: AbortSignal): Promise<void> {
    const { printer } = this.#o
    if (!printer) throw new Problem('printer.offline', 'this board has no printer')
    const page = await this.#picture(card, item)
    const until = AbortSignal.any([card.signal, leave])
    until.throwIfAborted()
    await printer.print({ page, title: item.title, copies: 1 }, until, () => undefined)
    this.#o.marks?.met(page, { content: item.content })
    await this.#show({ lines: [item.title, this.#words.printed], tone: 'good' })
  }

  /** Gets a picture; what cannot be opened was not delivered, and is not charged. */
  async #picture(card: PresentCard, item: ContentItem): Promise<Raster> {
    const arriving = await this.#get(card, item)
    try {
      const picture = decodeUpright(await arriving.whole())
      await arriving.end()
      return picture
    } catch (error) {
      await arriving.end(isProblem(error) ? error.code : 'internal')
      throw error
    }
  }

  async #get(card: PresentCard, item: ContentItem): Promise<ArrivingContent> {
    await card.requirePin()
    const arriving = await requestArriving(this.#o, card, item)
    await this.#show({ lines: [item.title, this.#words.coming(arriving.from)], tone: 'busy' })
    return arriving
  }

  /** Undefined when it cannot be had: the list goes on without it. */
  async #listPicture(card: PresentCard, item: ContentItem): Promise<Raster | undefined> {
    try {
      return shrink(decodeUpright(await listPicture(card, item.content)), listSide)
    } catch (error) {
      if (!isProblem(error)) throw error
      this.#o.log.info('no picture for the list', { code: error.code })
      return undefined
    }
  }

  #showProblem(error: unknown): Promise<void> {
    return this.#show(problemShown(error, this.#o.language))
  }

  async #show(shown: Shown): Promise<void> {
    await this.#o.display
      ?.show(shown)
      .catch((error) => this.#o.log.warn('the display failed', { error: String(error) }))
  }

  get #words() {
    return contentWordsOf(this.#o.language())
  }
}

/** Aborts when this has ended in whatever way. */
function settled(work: Promise<void>): AbortSignal {
  const ended = new AbortController()
  const end = () => ended.abort(new Problem('panel.cancelled'))
  work.then(end, end)
  return ended.signal
}

/** That a person stopped it is no failure of it. */
function whenStopped(error: unknown): void {
  if (!isProblem(error, 'panel.cancelled')) throw error
}
