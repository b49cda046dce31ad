/** The panel on a board's local page (S17): buttons with words, a PIN pad, text, and a list with pictures. */
import {
  type Button,
  type ChoiceQuestion,
  type Entry,
  type Guide,
  type Lamp,
  type LampState,
  Listeners,
  OpenQuestion,
  type Panel,
  type PinQuestion,
  partProblem,
  type Raster,
  type TextQuestion,
} from '@azukari/device/drivers'
import { shrink } from '@azukari/device/picture'
import type { Clock } from '@azukari/protocol/ports'
import type { PageAct } from './adapters/page-server.ts'
import { encodePng } from './png.ts'

type Asked =
  | { kind: 'pin'; question: PinQuestion }
  | { kind: 'text'; question: TextQuestion }
  | { kind: 'choice'; question: ChoiceQuestion; leave: AbortController }

const buttons: readonly Button[] = ['shutter', 'ok', 'cancel', 'up', 'down']
const pictureMaxSide = 320
const controlCharacters = /\p{Cc}/u

export class KioskPanel implements Panel {
  readonly model = 'local page'
  readonly buttons = buttons
  readonly lamps: readonly Lamp[] = ['ready', 'busy', 'problem']
  readonly entry: readonly Entry[] = ['pin', 'text', 'choice']
  /** How many browsers show the page. */
  viewers: () => number = () => 0
  readonly #onChange: () => void
  readonly #listeners = new Listeners<Button>()
  readonly #lampStates = new Map<Lamp, LampState>()
  readonly #open: OpenQuestion<Asked['question']>
  #asked: Asked | undefined
  #guide: Guide = { language: 'en', buttons: {} }
  #drawing: Promise<unknown> = Promise.resolve()
  #isClosed = false

  /** @param onChange called when the page is to show something else */
  constructor(clock: Clock, onChange: () => void) {
    this.#onChange = onChange
    this.#open = new OpenQuestion(clock, onChange)
  }

  get isReady(): boolean {
    return this.viewers() > 0
  }

  onButton(listener: (button: Button) => void): Disposable {
    return this.#listeners.add(listener)
  }

  async lamp(lamp: Lamp, state: LampState): Promise<void> {
    if (this.#isClosed) throw partProblem('panel', 'absent', 'closed')
    if (this.#lampStates.get(lamp) === state) return
    this.#lampStates.set(lamp, state)
    this.#onChange()
  }

  guide(guide: Guide): void {
    this.#guide = guide
    this.#onChange()
  }

  askPin(question: PinQuestion, signal: AbortSignal): Promise<string> {
    return this.#ask({ kind: 'pin', question }, signal)
  }

  askText(question: TextQuestion, signal: AbortSignal): Promise<string> {
    return this.#ask({ kind: 'text', question }, signal)
  }

  async choose(question: ChoiceQuestion, signal: AbortSignal): Promise<number> {
    const leave = new AbortController()
    try {
      return await this.#ask<number>({ kind: 'choice', question, leave }, signal)
    } finally {
      leave.abort()
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#open.close()
  }

  /** For the page: what its buttons say and what is asked; nothing of what is entered. */
  get state(): string {
    const { current } = this.#open
    return JSON.stringify({
      type: 'panel',
      ...this.#guide,
      lamps: Object.fromEntries(this.#lampStates),
      ask: current && this.#asked?.question === current.question ? { id: current.id, ...told(this.#asked) } : null,
    })
  }

  /** What a person did on the page; false when it does not fit what is asked now. */
  act(act: Exclude<PageAct, { type: 'seen' | 'played' }>): boolean {
    if (this.#isClosed) return false
    if (act.type === 'button') {
      const button = buttons.find((one) => one === act.button)
      if (!button) return false
      this.#listeners.emit(button)
      return true
    }
    const { current } = this.#open
    if (!this.#asked || current?.id !== act.id) return false
    if (act.type === 'cancel') return this.#open.cancel()
    const answer = answerTo(this.#asked, act.value)
    return answer !== undefined && this.#open.answer(act.id, answer)
  }

  /** The picture of a choice, one after the other: each may have to be fetched. */
  async picture(name: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const [, id, index] = /^(\d{1,15})\/(\d{1,6})$/.exec(name) ?? []
    const asked = this.#asked
    if (asked?.kind !== 'choice' || Number(id) !== this.#open.current?.id) return undefined
    const choice = asked.question.choices[Number(index)]
    const until = AbortSignal.any([signal, asked.leave.signal])
    const drawn = this.#drawing.then(async () => {
      if (until.aborted) return undefined
      const picture: Raster | undefined = await choice?.picture?.(until)
      return picture && !until.aborted ? encodePng(shrink(picture, pictureMaxSide)) : undefined
    })
    this.#drawing = drawn.catch(() => undefined)
    return drawn
  }

  async #ask<Answer>(asked: Asked, signal: AbortSignal): Promise<Answer> {
    if (!this.#open.current) this.#asked = asked
    try {
      return await this.#open.ask<Answer>(asked.question, signal)
    } finally {
      // A member's names and pictures do not outlast the question.
      if (this.#asked === asked) this.#asked = undefined
    }
  }
}

function told(asked: Asked): Record<string, unknown> {
  const { kind, question } = asked
  const { prompt } = question
  if (kind === 'text') return { kind, prompt, maxLength: question.maxLength, isSecret: question.isSecret === true }
  if (kind === 'choice')
    return {
      kind,
      prompt,
      choices: question.choices.map(({ label, detail, picture }) => ({
        label,
        detail,
        picture: picture !== undefined,
      })),
    }
  return { kind, prompt, ...question.digits, triesLeft: question.triesLeft }
}

/** What the person entered, when it is an answer to that question. */
function answerTo({ kind, question }: Asked, value: string | number): string | number | undefined {
  if (kind === 'choice') return typeof value === 'number' && question.choices[value] !== undefined ? value : undefined
  if (typeof value !== 'string') return undefined
  if (kind === 'pin') {
    const { min, max } = question.digits
    return /^\d+$/.test(value) && value.length >= min && value.length <= max ? value : undefined
  }
  const text = value.normalize('NFC').trim()
  return text === '' || text.length > question.maxLength || controlCharacters.test(text) ? undefined : text
}
