/** The terminal app: card in → who am I, what do I have; and the PIN, changed or unblocked (S15). */

import type { CardKind } from '@azukari/protocol/card/layout'
import type { Conditions } from '@azukari/protocol/contracts/save'
import { findingText } from '@azukari/protocol/finding-text'
import { describe, isProblem, Problem } from '@azukari/protocol/problem'
import type { Display, Shown } from '../drivers.ts'
import type { FetchPorts } from './fetch.ts'
import type { Presence, SessionFacts } from './presence.ts'
import { readWholeShelf } from './shelf.ts'

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
  display?: Display | undefined
  language?: 'ja' | 'en'
}

export class TerminalApp {
  readonly #o: TerminalAppOptions

  constructor(options: TerminalAppOptions) {
    this.#o = options
    options.presence.onNews((news) => {
      if (news.type === 'in') void this.#show({ lines: [`Welcome, ${news.card.facts.member.name}`], tone: 'calm' })
      if (news.type === 'findings')
        void this.#show({
          lines: news.findings.map((finding) => findingText(finding, options.language ?? 'en')),
          tone: 'problem',
        })
      if (news.type === 'problem') void this.showProblem(news.problem)
      if (news.type === 'out') void this.#show({ lines: ['Please insert your card'], tone: 'calm' })
    })
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
  /** @throws {Problem} `card.wrong-pin` (data: `triesLeft`), `card.blocked`; shown as well */
  async changePin(old: string, wanted: string): Promise<void> {
    await this.#told(() => {
      const card = this.#o.presence.require()
      return card.use((client) => client.changePin(old, wanted, card.signal))
    })
    await this.#show({ lines: ['Your PIN is changed'], tone: 'good' })
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
    await this.#show({ lines: ['Your card is unblocked', 'Use your new PIN from now on'], tone: 'good' })
  }

  async showProblem(error: unknown): Promise<void> {
    const problem = isProblem(error) ? error : new Problem('internal', String(error))
    const { title, todo } = describe(problem.code, this.#o.language ?? 'en')
    await this.#show({ lines: [title, todo], tone: 'problem' })
  }

  async #told(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      await this.showProblem(error)
      throw error
    }
  }

  async #show(shown: Shown): Promise<void> {
    await this.#o.display
      ?.show(shown)
      .catch((error) => this.#o.log.warn('the display failed', { error: String(error) }))
  }
}
