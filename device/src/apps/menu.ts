/**
 * What a member can do with what they have, at a board (S10, S14, D8): the list, with pictures where the panel can show
 * them; print, see, take out, erase; everything onto removable memory; the PIN. Cancel goes one step back.
 */
import { hex } from '@azukari/protocol/bytes'
import type { Conditions } from '@azukari/protocol/contracts/save'
import type { Language } from '@azukari/protocol/finding-text'
import { localMinute } from '@azukari/protocol/local-time'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Display, Raster, RemovableMemory, Shown } from '../drivers.ts'
import type { MarkWatch } from '../marks/mark-watch.ts'
import { decodeUpright, shrink } from '../picture.ts'
import { type Act, offerActs, orBack } from './acts.ts'
import type { ContentMenu } from './content/menu.ts'
import type { DecisionsMenu } from './decisions.ts'
import type { Dialogue } from './dialogue.ts'
import { exportOne } from './export.ts'
import { type FetchPorts, fetchObject } from './fetch.ts'
import { menuWordsOf } from './menu-words.ts'
import type { MoneyMenu } from './money/menu.ts'
import type { Presence, PresentCard } from './presence.ts'
import type { PrinterApp } from './printer.ts'
import { readWholeShelf } from './shelf.ts'
import type { TerminalApp } from './terminal.ts'
import { problemShown, wordsOf } from './words.ts'

export interface MemberMenuOptions extends FetchPorts {
  presence: Presence
  dialogue: Dialogue
  /** Only where there is a printer. */
  printer?: PrinterApp | undefined
  terminal?: TerminalApp | undefined
  /** Only on terminals. */
  decisions?: DecisionsMenu | undefined
  money?: MoneyMenu | undefined
  content?: ContentMenu | undefined
  memory?: RemovableMemory | undefined
  display?: Display | undefined
  language: () => Language
  /** Looks at what was shown for the mark of a work. */
  marks?: Pick<MarkWatch, 'met'> | undefined
}

/** Objects on one page of the list. */
const pageSize = 48
/** Larger pictures are not fetched for the list. */
const thumbnailOfMaxBytes = 16 * 1024 ** 2
const thumbnailSide = 320
const thumbnailsMax = 96
const shownSide = 1024

export class MemberMenu {
  readonly #o: MemberMenuOptions
  /** Of the card that is in; gone with it. */
  #thumbnails: { card: PresentCard; pictures: Map<string, Raster | undefined> } | undefined

  constructor(options: MemberMenuOptions) {
    this.#o = options
    options.presence.onNews(({ type }) => {
      if (type === 'out') this.#thumbnails = undefined
    })
  }

  /** On boards of buttons alone, OK leads to the list and from there to print. */
  get isForButtons(): boolean {
    return !this.#o.dialogue.hasLists
  }

  /** From OK until the person has done. @throws {Problem} `card.*`, `panel.*` */
  async open(leave: AbortSignal): Promise<void> {
    const card = this.#o.presence.require()
    const until = AbortSignal.any([card.signal, leave])
    if (this.isForButtons) return this.#listForButtons(card, until)
    const words = this.#words
    const { terminal, memory } = this.#o
    const acts: Act[] = [{ label: words.list, act: (signal) => this.#list(card, signal) }]
    if (terminal && memory) acts.push({ label: words.takeOutAll, act: () => terminal.exportAll() })
    if (terminal) acts.push({ label: words.changePin, act: (signal) => this.#changePin(card, signal) })
    const { dialogue, decisions, money, content } = this.#o
    if (content) acts.push({ label: content.label, act: (signal) => content.open(card, signal) })
    if (decisions) acts.push({ label: decisions.label, act: (signal) => decisions.open(signal) })
    if (money && dialogue.entry.has('text'))
      acts.push({ label: money.label, act: (signal) => money.open(card, signal) })
    await offerActs({ dialogue, showProblem: this.#showProblem }, words.whatNow, () => acts, until)
  }

  #showProblem = (error: unknown) => this.#show(problemShown(error, this.#o.language))

  async #listForButtons(card: PresentCard, until: AbortSignal): Promise<void> {
    const { dialogue, printer } = this.#o
    await card.requirePin()
    const shelf = await readWholeShelf(this.#o, card)
    const [newest] = shelf
    if (!newest) return this.#show({ lines: [this.#words.nothingYet], tone: 'calm' })
    const choices = shelf.map((item) => ({ label: item.name, detail: localMinute(item.takenMs), item }))
    // Without a display the newest is what can be meant.
    const item = dialogue.entry.has('choice')
      ? (await orBack(dialogue.choose(this.#words.okPrints, choices, until)))?.item
      : newest
    if (item && printer) await printer.print(item.object, { leave: until })
  }

  async #list(card: PresentCard, until: AbortSignal): Promise<void> {
    const { dialogue } = this.#o
    const words = this.#words
    await card.requirePin()
    for (let from = 0; ; ) {
      const shelf = await readWholeShelf(this.#o, card)
      if (shelf.length === 0) return this.#show({ lines: [words.nothingYet], tone: 'calm' })
      if (from >= shelf.length) from = 0
      const page = shelf.slice(from, from + pageSize)
      const choices = [
        ...page.map((item) => ({
          label: item.name,
          detail: localMinute(item.takenMs),
          item,
          ...(hasPicture(item) ? { picture: () => this.#thumbnail(card, item) } : {}),
        })),
        ...(shelf.length > pageSize ? [{ label: words.older, item: undefined }] : []),
      ]
      const chosen = await orBack(dialogue.choose(words.listOf(shelf.length), choices, until))
      if (!chosen) return
      if (chosen.item) await this.#object(card, chosen.item, until)
      else from += pageSize
    }
  }

  async #object(card: PresentCard, item: Conditions, until: AbortSignal): Promise<void> {
    const { printer, terminal, memory, display } = this.#o
    const words = this.#words
    const acts: Act[] = []
    if (printer && item.mediaType.startsWith('image/'))
      acts.push({ label: words.print, act: (leave) => printer.print(item.object, { leave }) })
    if (display && hasPicture(item)) acts.push({ label: words.see, act: () => this.#see(card, item) })
    if (memory) acts.push({ label: words.takeOut, act: () => this.#takeOut(memory, card, item) })
    let isErased = false
    if (terminal)
      acts.push({
        label: words.erase,
        act: async (leave) => {
          const sure = await orBack(
            this.#o.dialogue.choose(
              words.eraseSure(item.name),
              [{ label: words.eraseYes }, { label: words.no }],
              leave,
            ),
          )
          if (sure?.label !== words.eraseYes) return
          await terminal.wish({ kind: 'erase', objects: [item.object] })
          isErased = true
        },
      })
    const places = item.replicas.map(({ region }) => region).join(', ')
    for (;;) {
      const chosen = await orBack(this.#o.dialogue.choose(`${item.name} (${places})`, acts, until))
      if (!chosen) return
      try {
        await chosen.act(until)
      } catch (error) {
        if (!isProblem(error) || until.aborted) throw error
        if (error.code !== 'panel.cancelled') await this.#show(problemShown(error, this.#o.language))
      }
      if (isErased) return
    }
  }

  async #see(card: PresentCard, item: Conditions): Promise<void> {
    const { bytes } = await fetchObject(this.#o, card, item)
    const whole = decodeUpright(bytes)
    const picture = shrink(whole, shownSide)
    await this.#show({ lines: [item.name, localMinute(item.takenMs)], tone: 'calm', picture })
    this.#o.marks?.met(whole)
  }

  async #takeOut(memory: RemovableMemory, card: PresentCard, item: Conditions): Promise<void> {
    await this.#show({ lines: [item.name, this.#words.takingOut], tone: 'busy' })
    const file = await exportOne({ ...this.#o, memory }, card, item)
    await this.#show({ lines: [item.name, this.#words.takenOut(file)], tone: 'good' })
  }

  async #changePin(card: PresentCard, until: AbortSignal): Promise<void> {
    const { dialogue, terminal } = this.#o
    const words = this.#words
    const old = await dialogue.pin(wordsOf(this.#o.language).pinOf(card.facts.member.name), {}, until)
    const wanted = await dialogue.pin(words.newPin, {}, until)
    const again = await dialogue.pin(words.newPinAgain, {}, until)
    if (wanted !== again) throw new Problem('panel.pin-differs')
    await terminal?.changePin(old, wanted)
  }

  /** A small picture for the list; undefined when it cannot be had: the list goes on without it. */
  async #thumbnail(card: PresentCard, item: Conditions): Promise<Raster | undefined> {
    if (this.#thumbnails?.card !== card) this.#thumbnails = { card, pictures: new Map() }
    const { pictures } = this.#thumbnails
    const name = `${hex(item.object)}/${item.version}`
    if (pictures.has(name)) return pictures.get(name)
    try {
      const { bytes } = await fetchObject(this.#o, card, item)
      const picture = shrink(decodeUpright(bytes), thumbnailSide)
      if (pictures.size < thumbnailsMax) pictures.set(name, picture)
      return picture
    } catch (error) {
      if (!isProblem(error)) throw error
      this.#o.log.info('no picture for the list', { code: error.code })
      return undefined
    }
  }

  async #show(shown: Shown): Promise<void> {
    await this.#o.display
      ?.show(shown)
      .catch((error) => this.#o.log.warn('the display failed', { error: String(error) }))
  }

  get #words() {
    return menuWordsOf(this.#o.language())
  }
}

function hasPicture({ mediaType, sizeBytes }: Conditions): boolean {
  return mediaType.startsWith('image/') && sizeBytes <= thumbnailOfMaxBytes
}
