/** Entering a PIN and choosing with four buttons and a display: up and down turn, OK takes, cancel leaves (S17). */
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import {
  type Button,
  type ChoiceQuestion,
  type Display,
  OpenQuestion,
  type Panel,
  type PinQuestion,
  type Question,
} from '../drivers.ts'

export interface ButtonEntryWords {
  buttonsPin: string
  buttonsDone: string
  buttonsRemove: string
  place: (at: number, of: number, name: string) => string
}

export interface ButtonEntryOptions {
  panel: Panel
  display: Display
  clock: Clock
  words: () => ButtonEntryWords
}

/** Whether a panel has the buttons for it. */
export function buttonsSuffice({ buttons }: Panel): boolean {
  return (['ok', 'cancel', 'up', 'down'] as const).every((button) => buttons.includes(button))
}

/** The wheel of a PIN: ten digits, then delete, then done. */
const wheel = 12
const removes = 10
const done = 11

export interface PinDial {
  digits: string
  /** Where the wheel stands: 0–9 a digit, 10 delete, 11 done. */
  at: number
}

/** What a button does to a PIN that is being dialled; `pin` when it is done. */
export function dial(
  { digits, at }: PinDial,
  button: Button,
  { min, max }: PinQuestion['digits'],
): { dial: PinDial; pin?: string } {
  if (button === 'up') return { dial: { digits, at: (at + 1) % wheel } }
  if (button === 'down') return { dial: { digits, at: (at + wheel - 1) % wheel } }
  if (button !== 'ok') return { dial: { digits, at } }
  if (at === removes) return { dial: { digits: digits.slice(0, -1), at } }
  if (at === done) return digits.length >= min ? { dial: { digits: '', at: 0 }, pin: digits } : { dial: { digits, at } }
  return { dial: { digits: digits.length < max ? digits + at : digits, at } }
}

export class ButtonEntry implements Pick<Panel, 'askPin' | 'askText' | 'choose'> {
  readonly #o: ButtonEntryOptions

  constructor(options: ButtonEntryOptions) {
    this.#o = options
  }

  async askPin(question: PinQuestion, signal: AbortSignal): Promise<string> {
    let now: PinDial = { digits: '', at: 0 }
    const { words } = this.#o
    const lines = () => {
      const at = now.at === removes ? words().buttonsRemove : now.at === done ? words().buttonsDone : String(now.at)
      return [question.prompt, `${'●'.repeat(now.digits.length)} [${at}]`, words().buttonsPin]
    }
    return this.#ask<string>(question, signal, lines, (button) => {
      const { dial: next, pin } = dial(now, button, question.digits)
      now = next
      return pin
    })
  }

  async askText(): Promise<string> {
    throw new Problem('part.unsupported', 'buttons alone write no text')
  }

  async choose(question: ChoiceQuestion, signal: AbortSignal): Promise<number> {
    const { choices, prompt } = question
    let at = 0
    const lines = () => {
      const { label, detail } = choices[at] ?? { label: '', detail: undefined }
      return [prompt, this.#o.words().place(at + 1, choices.length, label), ...(detail ? [detail] : [])]
    }
    return this.#ask<number>(question, signal, lines, (button) => {
      if (button === 'ok') return at
      if (button === 'up') at = (at + choices.length - 1) % choices.length
      if (button === 'down') at = (at + 1) % choices.length
      return undefined
    })
  }

  async #ask<Answer>(
    question: Question,
    signal: AbortSignal,
    lines: () => readonly string[],
    pressed: (button: Button) => Answer | undefined,
  ): Promise<Answer> {
    const { panel, display, clock } = this.#o
    const open = new OpenQuestion(clock)
    const show = () => display.show({ lines: lines(), tone: 'calm' }).catch(() => undefined)
    using _buttons = panel.onButton((button) => {
      if (button === 'cancel') return void open.cancel()
      const answer = pressed(button)
      if (answer === undefined) void show()
      else if (open.current) open.answer(open.current.id, answer)
    })
    const answer = open.ask<Answer>(question, signal)
    void show()
    return await answer
  }
}
