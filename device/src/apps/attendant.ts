/**
 * Who attends to the person in front of a board (S17): says what happens with the card, hears the buttons, and has one
 * piece of work done at a time. Boards with several roles have one attendant, so that nothing is shown or done twice.
 */
import type { Language } from '@azukari/protocol/finding-text'
import type { Log } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { Button, Display, Panel, Shown } from '../drivers.ts'
import type { CameraApp } from './camera.ts'
import type { Dialogue } from './dialogue.ts'
import { findingsShown } from './findings.ts'
import type { MemberMenu } from './menu.ts'
import type { Presence } from './presence.ts'
import { problemShown, wordsOf } from './words.ts'

export interface AttendantOptions {
  presence: Presence
  dialogue: Dialogue
  panels: readonly Panel[]
  display?: Display | undefined
  /** Only where there is a camera to press the shutter of. */
  camera?: CameraApp | undefined
  menu?: MemberMenu | undefined
  language: () => Language
  log: Log
}

export class Attendant {
  readonly #o: AttendantOptions
  #work: AbortController | undefined

  constructor(options: AttendantOptions) {
    this.#o = options
    options.presence.onNews((news) => {
      if (news.type === 'in') {
        const hint = options.menu?.isForButtons ? [this.#words.pressOk] : []
        void this.#show({ lines: [this.#words.welcome(news.card.facts.member.name), ...hint], tone: 'calm' })
      }
      if (news.type === 'findings') void this.#show(findingsShown(news.findings, options.language()))
      if (news.type === 'problem') void this.showProblem(news.problem)
      if (news.type === 'out') void this.invite()
      if (news.type === 'in' || news.type === 'out') this.#guide()
    })
  }

  /** Hears the buttons until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    using buttons = new DisposableStack()
    for (const panel of this.#o.panels) buttons.use(panel.onButton((button) => this.#pressed(button)))
    this.#guide()
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    this.#work?.abort(signal.reason)
  }

  /** Asks for a card; in the language that the board speaks now. */
  async invite(): Promise<void> {
    this.#guide()
    await this.#show({ lines: [this.#words.insertCard], tone: 'calm' })
  }

  async showProblem(error: unknown): Promise<void> {
    await this.#show(problemShown(error, this.#o.language))
  }

  #pressed(button: Button): void {
    const { camera, menu, dialogue } = this.#o
    // The question that is open hears the buttons itself.
    if (dialogue.isAsking) return
    if (button === 'cancel') this.#work?.abort(new Problem('panel.cancelled'))
    else if (button === 'shutter' && camera) this.#begin((leave) => camera.shutter(undefined, leave))
    else if (button === 'ok' && menu) this.#begin((leave) => menu.open(leave))
  }

  /** One piece of work; a button that is pressed meanwhile does not begin another. */
  #begin(work: (leave: AbortSignal) => Promise<unknown>): void {
    if (this.#work) return
    const leave = new AbortController()
    this.#work = leave
    this.#guide()
    work(leave.signal)
      .catch((error: unknown) => {
        if (!isProblem(error)) this.#o.log.error('a button’s work failed', { error: String(error) })
        return this.showProblem(error)
      })
      .finally(() => {
        this.#work = undefined
        this.#guide()
      })
  }

  /** What the buttons do now, for panels that can say it. */
  #guide(): void {
    const { presence, camera, menu, panels, language } = this.#o
    const words = this.#words
    const offered = (): Partial<Record<Button, string>> => {
      if (this.#work) return { cancel: words.cancelButton }
      if (!presence.card) return {}
      const buttons: Partial<Record<Button, string>> = {}
      if (camera) buttons.shutter = words.shutterButton
      if (menu) buttons.ok = menu.isForButtons ? words.listButton : words.menuButton
      return buttons
    }
    const buttons = offered()
    for (const panel of panels) panel.guide?.({ language: language(), buttons })
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
