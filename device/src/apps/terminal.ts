/**
 * The terminal app: card in → who am I, what do I have; the PIN, changed or unblocked (S15); and what the member decides
 * over their data: erase, close, consent, retention, export (D8).
 */

import type { CardKind } from '@azukari/protocol/card/layout'
import type { Wish } from '@azukari/protocol/contracts/member-request'
import type { Conditions } from '@azukari/protocol/contracts/save'
import type { Language } from '@azukari/protocol/finding-text'
import { Problem } from '@azukari/protocol/problem'
import type { Display, RemovableMemory, Shown } from '../drivers.ts'
import type { SiteKeys } from '../site-keys.ts'
import { type ExportManifest, type ExportProgress, exportAll } from './export.ts'
import type { FetchPorts } from './fetch.ts'
import type { MadeRequest, MemberRequests } from './member-requests.ts'
import type { Presence, SessionFacts } from './presence.ts'
import { readWholeShelf } from './shelf.ts'
import { problemShown, wordsOf } from './words.ts'

export interface WhoAmI {
  name: string
  number: string
  level: number
  home: string
  card: CardKind
  /** Placement's word, when there is a line. */
  session?: SessionFacts
}

export interface TerminalAppOptions extends FetchPorts {
  presence: Presence
  requests: MemberRequests
  /** What export writes to. */
  memory?: RemovableMemory | undefined
  now: () => number
  keys: Pick<SiteKeys, 'keysOf'>
  display?: Display | undefined
  /** What the board speaks now; English without it. */
  language?: () => Language
}

export class TerminalApp {
  readonly #o: TerminalAppOptions

  constructor(options: TerminalAppOptions) {
    this.#o = options
  }

  /** Needs no PIN: it is what the card shows to anybody who holds it. @throws {Problem} `card.*` */
  whoAmI(): WhoAmI {
    const { facts, session } = this.#o.presence.require()
    return {
      name: facts.member.name,
      number: facts.member.number,
      level: facts.level.level,
      home: facts.level.home,
      card: facts.kind,
      ...(session ? { session } : {}),
    }
  }

  /** Needs the PIN: the card opens what was sealed to it. @throws {Problem} `card.*` */
  async whatDoIHave(pin?: string): Promise<Conditions[]> {
    const card = this.#o.presence.require()
    await card.requirePin(pin)
    return readWholeShelf(this.#o, card)
  }

  /** The member's word on their data; it is delivered when there is a line. @throws {Problem} `card.*`, `device.unknown`; shown as well */
  async wish(wish: Wish, pin?: string): Promise<MadeRequest> {
    const made = await this.#told(() => this.#o.requests.make(wish, pin))
    await this.#show({ lines: this.#words.wishWritten, tone: 'busy' })
    made.accepted.then(
      ({ objects }) =>
        this.#show({
          lines: [this.#words.wishAccepted, ...(objects > 0 ? [this.#words.toDestroy(objects)] : [])],
          tone: 'good',
        }),
      (error) => this.showProblem(error),
    )
    return made
  }

  /** Everything that the member has, onto removable memory. @throws {Problem} `memory.*`, `card.*`, `link.*`; shown as well */
  async exportAll(pin?: string, onProgress?: (progress: ExportProgress) => void): Promise<ExportManifest> {
    const { memory } = this.#o
    return this.#told(async () => {
      if (!memory) throw new Problem('memory.absent', 'this board has no removable memory')
      const card = this.#o.presence.require()
      await card.requirePin(pin)
      const manifest = await exportAll({ ...this.#o, memory }, card, (progress) => {
        void this.#show({ lines: [this.#words.progress(progress.done, progress.of), progress.name], tone: 'busy' })
        onProgress?.(progress)
      })
      const { files, missing } = manifest
      const words = this.#words
      await this.#show({
        lines: [words.exported(files.length), missing.length > 0 ? words.missing(missing.length) : words.allOfIt],
        tone: missing.length > 0 ? 'problem' : 'good',
      })
      return manifest
    })
  }

  /** @throws {Problem} `card.wrong-pin` (data: `triesLeft`), `card.blocked`; shown as well */
  async changePin(old: string, wanted: string): Promise<void> {
    await this.#told(() => {
      const card = this.#o.presence.require()
      return card.use((client) => client.changePin(old, wanted, card.signal))
    })
    await this.#show({ lines: [this.#words.pinChanged], tone: 'good' })
  }

  /**
   * Makes a blocked card usable again, with the PUK of its letter.
   * @throws {Problem} `card.wrong-pin` (data: `triesLeft`), `card.puk-blocked`; shown as well
   */
  async unblock(puk: string, wanted: string): Promise<void> {
    await this.#told(() => {
      const card = this.#o.presence.require()
      return card.use((client) => client.unblock(puk, wanted, card.signal))
    })
    await this.#show({ lines: this.#words.unblocked, tone: 'good' })
  }

  async showProblem(error: unknown): Promise<void> {
    await this.#show(problemShown(error, this.#o.language))
  }

  async #told<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      await this.showProblem(error)
      throw error
    }
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
