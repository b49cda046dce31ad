/**
 * What the person in front of a board is asked, with whatever the board has (S17): a panel's own keys, else its buttons
 * beside a display. One question at a time; each ends by itself when nobody answers.
 */
import { pinRules } from '@azukari/protocol/card/layout'
import type { Language } from '@azukari/protocol/finding-text'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { Choice, Display, Entry, Panel, PinQuestion } from '../drivers.ts'
import { ButtonEntry, buttonsSuffice } from './button-entry.ts'
import { problemShown, wordsOf } from './words.ts'

export interface DialogueOptions {
  panels: readonly Panel[]
  display?: Display | undefined
  clock: Clock
  language: () => Language
}

/** How long a person has for a PIN, for a text, and for a choice. */
const limitsMs: Record<Entry, number> = { pin: 60_000, text: 300_000, choice: 120_000 }

export class Dialogue {
  readonly #o: DialogueOptions
  #questions = 0

  constructor(options: DialogueOptions) {
    this.#o = options
  }

  /** What can be entered at this board. */
  get entry(): ReadonlySet<Entry> {
    return entryOf(this.#o.panels, this.#o.display)
  }

  /** A question is open. */
  get isAsking(): boolean {
    return this.#questions > 0
  }

  /** Whether lists can be shown whole, with pictures, rather than one thing after the other. */
  get hasLists(): boolean {
    return this.#o.panels.some(({ entry }) => entry.includes('choice'))
  }

  /**
   * @param tries `left` when they are fewer than usual; `wrong`: what came of the try before
   * @throws {Problem} `panel.no-pin-entry`, `panel.cancelled`, `panel.unanswered`, `part.busy`
   */
  async pin(prompt: string, tries: { left?: number; wrong?: Problem }, signal: AbortSignal): Promise<string> {
    const { display, language } = this.#o
    const keys = this.#keys('pin')
    if (!keys) throw new Problem('panel.no-pin-entry')
    const digits = { min: pinRules.minDigits, max: pinRules.maxDigits }
    const question: PinQuestion = { prompt, digits, limitMs: limitsMs.pin }
    if (tries.left !== undefined) question.triesLeft = tries.left
    if (tries.wrong) void display?.show(problemShown(tries.wrong, language)).catch(() => undefined)
    return this.#during(keys.askPin(question, signal))
  }

  /**
   * @param options.isSecret a password: nobody beside the person is to read it
   * @throws {Problem} `part.unsupported` where nothing can be written, `panel.*`
   */
  async text(
    prompt: string,
    maxLength: number,
    signal: AbortSignal,
    { isSecret = false }: { isSecret?: boolean } = {},
  ): Promise<string> {
    const keys = this.#keys('text')
    if (!keys) throw new Problem('part.unsupported', 'no keys for a text')
    return this.#during(keys.askText({ prompt, maxLength, isSecret, limitMs: limitsMs.text }, signal))
  }

  /** Which of them. @throws {Problem} `part.unsupported`, `panel.*` */
  async choose<C extends Choice>(prompt: string, choices: readonly C[], signal: AbortSignal): Promise<C> {
    const keys = this.#keys('choice')
    if (!keys) throw new Problem('part.unsupported', 'nothing to choose with')
    const chosen = choices[await this.#during(keys.choose({ prompt, choices, limitMs: limitsMs.choice }, signal))]
    if (!chosen) throw new Problem('part.failed', 'the panel chose what was not offered')
    return chosen
  }

  async #during<Answer>(question: Promise<Answer>): Promise<Answer> {
    this.#questions++
    try {
      return await question
    } finally {
      this.#questions--
    }
  }

  #keys(entry: Entry): Pick<Panel, 'askPin' | 'askText' | 'choose'> | undefined {
    const { panels, display, clock, language } = this.#o
    const able = panels.filter((panel) => panel.entry.includes(entry))
    // One that is unplugged, or that no browser shows, would be asked in vain.
    const panel = able.find(({ isReady }) => isReady !== false) ?? able[0]
    if (panel) return panel
    const withButtons = panels.find(buttonsSuffice)
    if (!withButtons || !display || entry === 'text') return undefined
    return new ButtonEntry({ panel: withButtons, display, clock, words: () => wordsOf(language) })
  }
}

/** What can be entered at a board with these parts. */
export function entryOf(panels: readonly Panel[], display: Display | undefined): ReadonlySet<Entry> {
  const entry = new Set(panels.flatMap((panel) => panel.entry))
  if (display && panels.some(buttonsSuffice)) entry.add('pin').add('choice')
  return entry
}
